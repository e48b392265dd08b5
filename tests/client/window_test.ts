import { assert, assertEquals } from "@std/assert";
import { Window } from "../../src/client/window.ts";
import { test } from "../support/harness.ts";

interface Course {
  /** The distance, in milliseconds. */
  roundTrip: number;
  /** How many messages the server takes in a millisecond. */
  rate: number;
  limit?: number;
  /** How many messages are sent. */
  messages?: number;
  /** How many replies the server gathers before it writes them. */
  lumps?: number;
}

/** Sends messages to a server that takes one after the other, by a clock of its own, and returns the last window and rate. */
function send(
  { roundTrip, rate, limit = 1_024, messages = 20_000, lumps = 1 }: Course,
  window = new Window(() => clock),
): { size: number; rate: number; window: Window } {
  if (window.limit !== limit) window.limit = limit;
  /** When the replies to those in flight arrive, the oldest first. */
  const due: number[] = [];
  let [begun, served] = [0, 0];
  let busyUntil = clock;
  let half = 0;
  let halfway = clock;
  while (served < messages) {
    while (begun < messages && !(due.length > 0 && window.isFull(due.length))) {
      if (due.length === 0) window.onFirst();
      busyUntil = Math.max(busyUntil, clock + roundTrip / 2) + 1 / rate;
      due.push(busyUntil + roundTrip / 2);
      begun++;
    }
    const count = Math.min(lumps, due.length);
    clock = Math.max(clock, due[count - 1]!);
    for (let i = 0; i < count; i++) {
      window.onReply();
      due.shift();
      window.onEnd();
      served++;
    }
    if (half === 0 && served >= messages / 2) [half, halfway] = [served, clock];
  }
  return { size: window.size, rate: (served - half) / (clock - halfway), window };
}

let clock = 0;

for (const roundTrip of [0.02, 1, 10, 50, 100, 200]) {
  for (const lumps of [1, 40]) {
    test(`Window keeps a server busy at ${roundTrip} ms whose replies come ${lumps} at a time`, () => {
      const { size, rate } = send({ roundTrip, rate: 2, lumps });
      assert(rate >= 1.9, `${rate} a millisecond with a window of ${size}`);
      assert(size <= Math.max(128, 2 * 2 * (roundTrip + lumps)), `${size}`);
    });
  }
}

test("Window stays small where the server is near, however fast or slow it is", () => {
  for (const rate of [0.01, 0.1, 1, 10, 50]) {
    assertEquals(send({ roundTrip: 0.5, rate, messages: 2_000 }).size, 128);
  }
});

test("Window never grows past its limit", () => {
  assertEquals(send({ roundTrip: 100, rate: 100 }).size, 1_024);
  assertEquals(send({ roundTrip: 100, rate: 100, limit: 300 }).size, 300);
  assertEquals(send({ roundTrip: 100, rate: 100, limit: 5 }).size, 5);
  assertEquals(send({ roundTrip: 100, rate: 100, limit: Infinity, messages: 200_000 }).size < 40_000, true);
});

test("Window shrinks again where the server becomes slow", () => {
  const { window, size } = send({ roundTrip: 100, rate: 4 });
  assert(size > 700, `${size}`);
  assertEquals(send({ roundTrip: 100, rate: 0.1, messages: 3_000 }, window).size, 128);
});

test("Window stays as it is where the clock stands still", () => {
  clock = 0;
  const window = new Window(() => 0);
  window.limit = 1_024;
  window.onFirst();
  for (let begun = 0; !window.isFull(begun); begun++);
  window.onReply();
  for (let ended = 0; ended < 128; ended++) window.onEnd();
  assertEquals(window.size, 128);
});

test("Window reads no clock where it cannot grow", () => {
  const window = new Window(() => {
    throw new Error("The clock was read");
  });
  for (const limit of [1, 128]) {
    window.limit = limit;
    window.onFirst();
    assertEquals([window.isFull(limit - 1), window.isFull(limit)], [false, true]);
    window.onReply();
    window.onEnd();
  }
});
