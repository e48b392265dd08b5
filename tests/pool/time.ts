/**
 * Time for pools in memory: an hour passes as soon as nothing else moves.
 * @module
 */
// What a login loads is here before time stands still: loading takes turns that nobody can count.
import "../../src/client/authenticate.ts";
import "../../src/sasl/mod.ts";
import { Clock } from "../fuzz/clock.ts";

/** Turns in which nothing happens before time goes on. */
const STILL = 6;

/** Turns without a timer after which nobody will do anything. */
const DEAD = 500;

/**
 * Runs a test in a time of its own: whenever nothing moves, the next timer fires.
 *
 * @param body The test.
 */
export async function inTime(body: () => Promise<void>): Promise<void> {
  const clock = new Clock();
  clock.install();
  try {
    let isOver = false;
    const result = body().finally(() => isOver = true);
    result.catch(() => {}); // awaited below
    for (let dead = 0; !isOver; dead++) {
      for (let turn = 0; turn < STILL && !isOver; turn++) await clock.pass();
      if (isOver) break;
      if (clock.advance()) dead = 0;
      if (dead > DEAD) throw new Error("Nothing moves any more, and the test waits");
    }
    await result;
  } finally {
    clock.uninstall();
  }
}

/** Waits for so many milliseconds. */
export function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds));
}

/** Lets everything happen that happens without time. */
export function turns(): Promise<void> {
  return later(0);
}
