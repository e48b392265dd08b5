/**
 * A time limit that is set all the time and hardly ever reached.
 *
 * @module
 */

/** The longest delay of a timer: it counts in 32 bits, and a longer one would fire at once. */
const MAX_DELAY = 0x7fff_ffff;

/**
 * The time limit of a connection, for one wait after another. A timer for each wait would cost a tenth of a small
 * message's time, and more than the rest of what a reply costs. So one timer runs on from wait to wait: when it fires
 * too early, it is set for the time that is left.
 */
export class Deadline {
  readonly #onExpired: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = 0;
  #expiresAt = Infinity;

  /** @param onExpired Called once a wait has lasted as long as its limit. */
  constructor(onExpired: () => void) {
    this.#onExpired = onExpired;
  }

  /**
   * Begins to wait, unless it is waiting already.
   *
   * @param limit How long the wait may last, in milliseconds; `Infinity` for as long as it takes.
   */
  start(limit: number): void {
    if (this.#expiresAt !== Infinity || limit === Infinity) return;
    this.#expiresAt = performance.now() + limit;
    if (this.#timer === undefined || this.#firesAt > this.#expiresAt) this.#arm(limit);
  }

  /** Ends the wait, as the peer has done something: the next {@linkcode start} counts from zero. Keeps the timer. */
  renew(): void {
    this.#expiresAt = Infinity;
  }

  /** Ends the wait and clears the timer, which would keep a process running. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#expiresAt = Infinity;
  }

  #arm(delay: number): void {
    clearTimeout(this.#timer);
    const bounded = Math.min(delay, MAX_DELAY);
    this.#firesAt = performance.now() + bounded;
    this.#timer = setTimeout(() => this.#fire(), bounded);
  }

  #fire(): void {
    this.#timer = undefined;
    const left = this.#expiresAt - performance.now();
    if (left > 0) {
      if (left !== Infinity) this.#arm(left);
      return;
    }
    this.stop();
    this.#onExpired();
  }
}
