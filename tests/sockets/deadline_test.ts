import { assertEquals } from "@std/assert";
import { Deadline } from "../../src/sockets/deadline.ts";
import { test } from "../support/harness.ts";

/** A clock that stands still until it is told to go on. */
class FakeClock {
  now = 0;
  timersMade = 0;
  #timers: Map<number, { due: number; run: () => void }> = new Map();
  readonly #real = { setTimeout, clearTimeout, now: performance.now };

  constructor() {
    Object.assign(globalThis, {
      setTimeout: (run: () => void, wait: number) => {
        this.#timers.set(++this.timersMade, { due: this.now + wait, run });
        return this.timersMade;
      },
      clearTimeout: (id: number) => void this.#timers.delete(id),
    });
    performance.now = () => this.now;
  }

  get waiting(): number {
    return this.#timers.size;
  }

  /** Goes on, timer by timer. */
  advance(time: number): void {
    const end = this.now + time;
    for (;;) {
      const [next] = [...this.#timers].sort(([, a], [, b]) => a.due - b.due);
      if (next === undefined || next[1].due > end) break;
      this.#timers.delete(next[0]);
      this.now = next[1].due;
      next[1].run();
    }
    this.now = end;
  }

  [Symbol.dispose](): void {
    const { now, ...timers } = this.#real;
    Object.assign(globalThis, timers);
    performance.now = now;
  }
}

test("Deadline expires when a wait has reached its limit, and not before", () => {
  using clock = new FakeClock();
  const expired: number[] = [];
  const deadline = new Deadline(() => expired.push(clock.now));
  deadline.start(250);
  clock.advance(249);
  assertEquals(expired, []);
  clock.advance(1);
  assertEquals(expired, [250]);
  clock.advance(1000);
  assertEquals(expired, [250]);
  assertEquals(clock.waiting, 0);
});

test("Deadline counts from the first start() until it is renewed", () => {
  using clock = new FakeClock();
  const expired: number[] = [];
  const deadline = new Deadline(() => expired.push(clock.now));
  deadline.start(100);
  clock.advance(60);
  deadline.start(100);
  clock.advance(40);
  assertEquals(expired, [100]);
  deadline.start(100);
  clock.advance(60);
  deadline.renew();
  deadline.start(100);
  clock.advance(500);
  assertEquals(expired, [100, 260]);
});

test("Deadline makes one timer for waits that end in time", () => {
  using clock = new FakeClock();
  const deadline = new Deadline(() => {
    throw new Error("It must not expire");
  });
  for (let i = 0; i < 99; i++) {
    deadline.start(i % 2 === 0 ? 100 : 300);
    clock.advance(1);
    deadline.renew();
  }
  assertEquals(clock.timersMade, 1);
  clock.advance(1);
  assertEquals(clock.waiting, 0);
});

test("Deadline holds for a wait that ends before its older timer fires", () => {
  using clock = new FakeClock();
  const expired: number[] = [];
  const deadline = new Deadline(() => expired.push(clock.now));
  deadline.start(300);
  clock.advance(50);
  deadline.renew();
  deadline.start(100);
  clock.advance(500);
  assertEquals(expired, [150]);
});

test("Deadline leaves no timer when it is stopped, and makes none for a wait without a limit", () => {
  using clock = new FakeClock();
  const deadline = new Deadline(() => {});
  deadline.start(Infinity);
  assertEquals(clock.waiting, 0);
  deadline.start(10);
  assertEquals(clock.waiting, 1);
  deadline.stop();
  assertEquals(clock.waiting, 0);
});

test("Deadline waits longer than a timer can count", () => {
  using clock = new FakeClock();
  const expired: number[] = [];
  const deadline = new Deadline(() => expired.push(clock.now));
  deadline.start(2 ** 33);
  clock.advance(2 ** 33 - 1);
  assertEquals(expired, []);
  clock.advance(1);
  assertEquals(expired, [2 ** 33]);
});
