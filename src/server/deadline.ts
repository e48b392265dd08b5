/**
 * A time limit that is set anew at each step.
 *
 * @module
 */

/** The longest that `setTimeout` can wait; beyond it, it does not wait at all. */
const MAX_TIMER = 2 ** 31 - 1;

/**
 * A time limit for one wait after another. Setting it costs a look at the clock and no timer: one timer runs, looks
 * whether the limit has passed, and waits on if it has not. (A timer a read costs a tenth of a small message's time.)
 */
export class Deadline {
  readonly #tick: number;
  readonly #onExpired: () => void;
  #due = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param tick The shortest limit that will be set, in milliseconds.
   * @param onExpired Is called once a limit has passed.
   */
  constructor(tick: number, onExpired: () => void) {
    this.#tick = Math.min(tick, MAX_TIMER);
    this.#onExpired = onExpired;
  }

  /**
   * Begins a wait.
   *
   * @param limit How long it may take, in milliseconds, not less than the tick.
   */
  start(limit: number): void {
    this.#due = Date.now() + limit;
    if (this.#timer === undefined && limit !== Infinity) this.#arm(this.#tick);
  }

  /** Ends the wait. */
  stop(): void {
    this.#due = Infinity;
  }

  /** Ends the wait and its timer. */
  dispose(): void {
    this.#due = Infinity;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(wait: number): void {
    this.#timer = setTimeout(() => this.#onTimer(), wait);
  }

  #onTimer(): void {
    this.#timer = undefined;
    const left = this.#due - Date.now();
    if (left <= 0) {
      this.#due = Infinity;
      this.#onExpired();
    } else if (left !== Infinity) {
      this.#arm(Math.min(left, this.#tick));
    }
  }
}
