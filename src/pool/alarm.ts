/**
 * The times at which a pool has to look after something.
 *
 * @module
 */
import { unrefTimer } from "../sockets/timers.ts";

/** The longest delay of a timer: it counts in 32 bits, and a longer one would fire at once. */
const MAX_DELAY = 0x7fff_ffff;

/**
 * A timer that is set anew all the time. One that would ring too early is left alone: it rings, and is set again; that costs less
 * than to set it for each message.
 */
export class Alarm {
  readonly #ring: () => void;
  readonly #keepsProcess: boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ringsAt = Infinity;

  /**
   * @param ring Called when the time has come, or earlier.
   * @param keepsProcess Whether the process must not end before.
   */
  constructor(ring: () => void, keepsProcess: boolean) {
    this.#ring = ring;
    this.#keepsProcess = keepsProcess;
  }

  /**
   * Sets it.
   *
   * @param at When, on the clock of `performance.now()`; `Infinity` for never.
   * @param now The time.
   */
  set(at: number, now: number): void {
    if (at === Infinity) return this.clear();
    if (this.#timer !== undefined && this.#ringsAt <= at) return;
    this.clear();
    this.#ringsAt = at;
    this.#timer = setTimeout(() => {
      this.clear();
      this.#ring();
    }, Math.min(MAX_DELAY, Math.max(0, Math.ceil(at - now))));
    if (!this.#keepsProcess) unrefTimer(this.#timer);
  }

  /** Takes it back. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#ringsAt = Infinity;
  }
}
