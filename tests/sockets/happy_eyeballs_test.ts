import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import {
  ATTEMPT_DELAY,
  AttemptsError,
  delay,
  interleave,
  MAX_ATTEMPTS,
  race,
} from "../../src/sockets/happy_eyeballs.ts";
import { test } from "../support/harness.ts";

/** Attempts that end when the test says so, and a clock that it turns. */
class Course {
  /** What has happened, in order. */
  readonly events: string[] = [];
  readonly result: Promise<string>;
  readonly #controller = new AbortController();
  readonly #attempts = new Map<string, PromiseWithResolvers<string>>();
  #tick: () => void = () => {};

  constructor(...addresses: string[]) {
    this.result = race(addresses, {
      signal: this.#controller.signal,
      attempt: (address, signal) => {
        this.events.push(`try ${address}`);
        const attempt = Promise.withResolvers<string>();
        this.#attempts.set(address, attempt);
        signal.addEventListener("abort", () => this.events.push(`give up ${address}`));
        return attempt.promise;
      },
      discard: (connection) => this.events.push(`discard ${connection}`),
      wait: (milliseconds, signal) => {
        assertEquals(milliseconds, ATTEMPT_DELAY);
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        this.#tick = resolve;
        signal.addEventListener("abort", () => reject(signal.reason));
        return promise;
      },
    });
    this.result.catch(() => {});
  }

  /** The next attempt is due. */
  tick(): Promise<void> {
    this.#tick();
    return settle();
  }

  open(address: string): Promise<void> {
    this.#attempts.get(address)!.resolve(address);
    return settle();
  }

  fail(address: string): Promise<void> {
    this.#attempts.get(address)!.reject(new Error(`${address} failed`));
    return settle();
  }

  abort(reason: unknown): Promise<void> {
    this.#controller.abort(reason);
    return settle();
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}

test("race() takes the first address when it answers in time", async () => {
  const course = new Course("a", "b");
  await course.open("a");
  assertEquals(await course.result, "a");
  await course.tick();
  assertEquals(course.events, ["try a", "give up a"]); // the signal of what has come is of no use any more
});

test("race() begins with the next address when one takes too long, and leaves it running", async () => {
  const course = new Course("a", "b", "c");
  await course.tick();
  assertEquals(course.events, ["try a", "try b"]);
  await course.open("a");
  assertEquals(await course.result, "a");
  await course.open("b");
  assertEquals(course.events, ["try a", "try b", "give up a", "give up b", "discard b"]);
});

test("race() begins with the next address at once when one fails, and waits anew", async () => {
  const course = new Course("a", "b", "c");
  await course.fail("a");
  assertEquals(course.events, ["try a", "try b"]);
  await course.tick();
  assertEquals(course.events, ["try a", "try b", "try c"]);
  await course.fail("c");
  await course.open("b");
  assertEquals(await course.result, "b");
});

test("race() rejects with each failure, in the order of the addresses, when the last has failed", async () => {
  const course = new Course("a", "b", "c");
  await course.tick();
  await course.tick();
  await course.fail("c");
  await course.fail("a");
  let over = false;
  course.result.catch(() => over = true);
  await settle();
  assertEquals(over, false);
  await course.fail("b");
  const error = await assertRejects(() => course.result);
  assertInstanceOf(error, AttemptsError);
  assertInstanceOf(error, AggregateError);
  assertEquals(error.failures.map(({ address }) => address), ["a", "b", "c"]);
  assertEquals(error.errors.map(({ message }) => message), ["a failed", "b failed", "c failed"]);
});

test("race() gives everything up when it is aborted", async () => {
  const course = new Course("a", "b", "c");
  await course.tick();
  const reason = new Error("enough");
  await course.abort(reason);
  assertStrictEquals(await assertRejects(() => course.result), reason);
  await course.open("b");
  await course.fail("a");
  await course.tick();
  assertEquals(course.events, ["try a", "try b", "give up a", "give up b", "discard b"]);
});

test("race() tries nothing when it is aborted already, and has nothing to try", async () => {
  const options = { attempt: () => Promise.resolve(1), discard: () => {} };
  const reason = new Error("enough");
  const error = await assertRejects(() => race(["a"], { ...options, signal: AbortSignal.abort(reason) }));
  assertStrictEquals(error, reason);
  await assertRejects(() => race([], { ...options, signal: new AbortController().signal }), AttemptsError);
});

test("race() tries no more addresses than are of use", async () => {
  const tried: string[] = [];
  const addresses = Array.from({ length: 1_000 }, (_, i) => `${i}`);
  const failing = race(addresses, {
    attempt: (address) => (tried.push(address), Promise.reject(new Error())),
    discard: () => {},
    signal: new AbortController().signal,
  });
  const error = await assertRejects(() => failing, AttemptsError) as AttemptsError;
  assertEquals([tried, error.failures.length], [addresses.slice(0, MAX_ATTEMPTS), MAX_ATTEMPTS]);
});

test("interleave() takes the families in turn, beginning with that of the first", () => {
  const cases: [string[], string[]][] = [
    [["::1", "::2", "192.0.2.1", "192.0.2.2"], ["::1", "192.0.2.1", "::2", "192.0.2.2"]],
    [["192.0.2.1", "192.0.2.2", "192.0.2.3", "::1"], ["192.0.2.1", "::1", "192.0.2.2", "192.0.2.3"]],
    [["192.0.2.1"], ["192.0.2.1"]],
    [[], []],
  ];
  for (const [given, expected] of cases) assertEquals(interleave(given), expected);
});

test("interleave() loses no address and keeps the order within a family", () => {
  const family = (addresses: readonly string[], mark: boolean) =>
    addresses.filter((address) => address.includes(":") === mark);
  fc.assert(fc.property(fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6())), (addresses) => {
    const turns = interleave(addresses);
    assertEquals(turns.length, addresses.length);
    for (const mark of [true, false]) assertEquals(family(turns, mark), family(addresses, mark));
    // Never two of one family while there is one of the other.
    const fewer = Math.min(family(turns, true).length, family(turns, false).length);
    for (let i = 1; i < 2 * fewer; i++) assertEquals(turns[i]!.includes(":"), !turns[i - 1]!.includes(":"));
  }));
});

test("delay() waits, unless it is given up", async () => {
  await delay(0, new AbortController().signal);
  const controller = new AbortController();
  const waiting = delay(1_000_000, controller.signal);
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => delay(0, AbortSignal.abort(new Error("enough"))), Error, "enough");
});
