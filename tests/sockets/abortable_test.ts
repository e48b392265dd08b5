import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { abortable } from "../../src/sockets/abortable.ts";
import { test } from "../support/harness.ts";

const never = new Promise<never>(() => {});

test("abortable() resolves and rejects as the promise does, and leaves neither listener nor timer", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const watched = new Proxy(signal, {
    get(target, name) {
      if (name === "addEventListener") listeners++;
      if (name === "removeEventListener") listeners--;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  assertEquals(await abortable(Promise.resolve(1), watched, { timeout: 1_000_000 }), 1);
  const failure = new Error("no");
  const failing = abortable(Promise.reject(failure), watched, { timeout: 1_000_000 });
  assertStrictEquals(await assertRejects(() => failing), failure);
  assertEquals(listeners, 0);
});

test("abortable() rejects with the reason of the signal, before or while it waits", async () => {
  const reason = new Error("enough");
  assertStrictEquals(await assertRejects(() => abortable(never, AbortSignal.abort(reason))), reason);
  const controller = new AbortController();
  const waiting = abortable(never, controller.signal);
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
});

test("abortable() rejects with a TimeoutError when the time is up", async () => {
  const error = await assertRejects(() => abortable(never, undefined, { timeout: 1 }));
  assertEquals((error as Error).name, "TimeoutError");
  // Longer than a timer can be is not at once.
  assertEquals(await abortable(Promise.resolve(1), undefined, { timeout: 2 ** 40 }), 1);
});

test("abortable() discards a result that arrives too late, and ignores a late failure", async () => {
  const late: number[] = [];
  const work = Promise.withResolvers<number>();
  const discard = (value: number) => void late.push(value);
  await assertRejects(() => abortable(work.promise, AbortSignal.abort(), { discard }));
  work.resolve(7);
  await work.promise;
  assertEquals(late, [7]);
  await assertRejects(
    () => abortable(Promise.reject(new Error("late")), AbortSignal.abort(new Error("first"))),
    Error,
    "first",
  );
});
