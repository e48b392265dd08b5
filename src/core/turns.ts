/**
 * A way out of loops that would keep everything else in the process waiting.
 *
 * @module
 */

/** How many steps in a row are no burden: they take less than a millisecond, which is about what a turn of timers costs. */
const STEPS = 1_000;

/**
 * Lets timers, signals and sockets have their turn, after every thousand steps. A source that answers at once, without end, would
 * never let them: promises come before all of these.
 *
 * @param step The number of the step, from 1.
 * @returns What to wait for, if it is time.
 */
export function giveWay(step: number): Promise<void> | undefined {
  return step % STEPS === 0 ? new Promise((resolve) => void setTimeout(resolve, 0)) : undefined;
}
