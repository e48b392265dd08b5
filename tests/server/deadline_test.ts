import { assertEquals } from "@std/assert";
import { Deadline } from "../../src/server/deadline.ts";
import { test } from "../support/harness.ts";

/** A clock that stands still until it is told to go on. */
class FakeClock {
  now = 0;
  timersMade = 0;
  #timers: Map<number, { due: number; run: () => void }> = new Map();
  readonly #real = { setTimeout, clearTimeout, now: Date.now };

  constructor() {
    Object.assign(globalThis, {
      setTimeout: (run: () => void, wait: number) => {
        this.#timers.set(++this.timersMade, { due: this.now + wait, run });
        return this.timersMade;
      },
      clearTimeout: (id: number) => void this.#timers.delete(id),
    });
    Date.now = () => this.now;
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
    Date.now = now;
  }
}

test("Deadline expires when a wait has reached its limit, and not before", () => {
  using clock = new FakeClock();
  const expired: number[] = [];
  const deadline = new Deadline(100, () => expired.push(clock.now));
  deadline.start(250);
  clock.advance(249);
  assertEquals(expired, []);
  clock.advance(1);
  assertEquals(expired, [250]);
  clock.advance(1000);
  assertEquals(expired, [250]);
  assertEquals(clock.waiting, 0);
});

test("Deadline makes no timer for waits that end in time", () => {
  using clock = new FakeClock();
  const deadline = new Deadline(100, () => {
    throw new Error("It must not expire");
  });
  for (let i = 0; i < 99; i++) {
    deadline.start(i % 2 === 0 ? 100 : 300);
    clock.advance(1);
    deadline.stop();
  }
  assertEquals(clock.timersMade, 1);
  clock.advance(1);
  assertEquals(clock.waiting, 0);
});

test("Deadline holds for a wait that begins under an older timer", () => {
  using clock = new FakeClock();
  const expired: number[] = [];
  const deadline = new Deadline(100, () => expired.push(clock.now));
  deadline.start(300);
  clock.advance(50);
  deadline.start(100);
  clock.advance(500);
  assertEquals(expired, [150]);
});

test("Deadline leaves no timer behind, and none for a wait without limit", () => {
  using clock = new FakeClock();
  const deadline = new Deadline(Infinity, () => {});
  deadline.start(Infinity);
  assertEquals(clock.waiting, 0);
  const other = new Deadline(10, () => {});
  other.start(10);
  assertEquals(clock.waiting, 1);
  other.dispose();
  assertEquals(clock.waiting, 0);
});
