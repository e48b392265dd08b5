/**
 * A limit of time that is renewed all the time and hardly ever reached.
 *
 * @module
 */

/** The longest delay of a timer: it counts in 32 bits, and one that is longer would fire at once. */
const MAX_DELAY = 0x7fff_ffff;

/**
 * One timer for everything that is awaited on a connection. It is not set anew with each reply, which costs more than the
 * rest of what a reply costs: when it fires too early, it is set for what is left.
 */
export class Deadline {
  readonly #onExpired: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = 0;
  #expiresAt = Infinity;

  /** @param onExpired Told that the limit was reached. */
  constructor(onExpired: () => void) {
    this.#onExpired = onExpired;
  }

  /** Something has come: the next {@linkcode start} begins anew. */
  renew(): void {
    this.#expiresAt = Infinity;
  }

  /** Begins to wait, unless it does already. */
  start(limit: number): void {
    if (this.#expiresAt !== Infinity || limit === Infinity) return;
    this.#expiresAt = performance.now() + limit;
    if (this.#timer === undefined || this.#firesAt > this.#expiresAt) this.#arm(limit);
  }

  /** Waits for nothing any more. */
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
