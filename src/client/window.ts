/**
 * How many messages are in flight: as many as keep the server busy over the distance that there is.
 *
 * @module
 */

/** Enough for a near server, whatever its speed, and where the window begins: on loopback more than this gains nothing. */
const NEAR = 128;

/**
 * A window that grows with the distance, as TCP's does. A server is busy if there is always a next message when it has ended
 * one, so it takes rate × round trip of them to fill the way there and back; twice that evens out replies that come in lumps
 * (BBR's choice, too).
 *
 * - The round trip is the shortest time from a write with nothing else in flight to its first reply.
 * - The rate is measured whenever the window is full: how long it takes until all that are in flight then have ended.
 *
 * If they take no longer than the distance does, that is a window of twice as many, so it doubles with each round trip; once the
 * server is what limits, the window stays, and where the server is near, it stays small. The clock is read twice a window.
 */
export class Window {
  readonly #now: () => number;
  #limit = 1;
  #size = 1;
  /** The shortest round trip, in milliseconds. */
  #roundTrip = Infinity;
  /** When the first command left, while its reply is due. */
  #asked: number | undefined;
  /** How many were in flight when the round began, how many of them have not ended, and when that was. */
  #round = 0;
  #left = 0;
  #since = 0;

  /** @param now The time in milliseconds, for tests. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The largest that it may become. */
  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = limit;
    this.#size = Math.min(limit, NEAR);
  }

  /** How many may be in flight now. */
  get size(): number {
    return this.#size;
  }

  /** Whether it can grow; if not, nothing is measured. */
  get #grows(): boolean {
    return this.#limit > NEAR;
  }

  /**
   * Whether nothing more may begin.
   *
   * @param inFlight How many are in flight.
   */
  isFull(inFlight: number): boolean {
    if (inFlight < this.#size) return false;
    if (this.#left === 0 && this.#grows) {
      this.#round = this.#left = inFlight;
      this.#since = this.#now();
    }
    return true;
  }

  /** One begins to write with nothing else in flight. */
  onFirst(): void {
    if (this.#grows) this.#asked = this.#now();
  }

  /** A reply has come. */
  onReply(): void {
    if (this.#asked === undefined) return;
    this.#roundTrip = Math.min(this.#roundTrip, this.#now() - this.#asked);
    this.#asked = undefined;
  }

  /** The oldest one has ended. */
  onEnd(): void {
    if (this.#left === 0 || --this.#left > 0) return;
    const elapsed = this.#now() - this.#since;
    if (this.#roundTrip === Infinity || elapsed <= 0) return; // a coarse clock, as in browsers, may stand still
    const rate = this.#round / elapsed;
    this.#size = Math.min(this.#limit, Math.max(NEAR, Math.ceil(2 * rate * this.#roundTrip)));
  }
}
