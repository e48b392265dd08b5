/**
 * How long a client may take for the content of a message.
 *
 * @module
 */

/**
 * The slowest pace that is waited for, in octets per millisecond: 500 a second, as Postfix's `smtpd_min_data_rate`. At it, a
 * message of 32 MiB takes 19 hours: it is to tell a slow line from a client that only holds a place.
 */
const MIN_PACE = 0.5;

/**
 * The time that is left for the content of one message: waiting takes from it, octets give back, up to the limit. So a
 * client that is silent is cut after the limit, and one that drips is cut too, however small its drops.
 */
export class ContentTime {
  readonly #limit: number;
  #left: number;

  /** @param limit The most time that is ever left, in milliseconds. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#left = limit;
  }

  /** How long the next octets may take, in milliseconds. */
  get left(): number {
    return this.#left;
  }

  /**
   * Counts a wait.
   *
   * @param waited How long it took, in milliseconds.
   * @param octets How many octets came.
   */
  count(waited: number, octets: number): void {
    this.#left = Math.max(0, Math.min(this.#limit, this.#left - waited + octets / MIN_PACE));
  }
}
