/**
 * Rates: when the next message may leave.
 *
 * @module
 */

/** So many messages in an interval. */
export interface RateLimit {
  /** How many messages. */
  messages: number;
  /** The interval, in milliseconds. */
  interval: number;
}

/** What limits how often something happens. Times are in milliseconds, on one clock. */
export interface Rate {
  /** From when on the next may go; not later than now if it may go now. */
  readonly opensAt: number;
  /** One goes. */
  take(now: number): void;
}

/** No limit. */
export const UNLIMITED: Rate = { opensAt: -Infinity, take() {} };

/**
 * Never more than so many in any interval, wherever it begins: it remembers when the last ones went. A counter that begins
 * anew with each interval would let twice as many go around its end.
 */
export class SlidingWindow implements Rate {
  readonly #limit: RateLimit;
  /** When the last ones went: a ring once it is full. */
  readonly #times: number[] = [];
  #oldest = 0;

  /** @param limit How many, and in what interval. */
  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  get opensAt(): number {
    const { messages, interval } = this.#limit;
    return this.#times.length < messages ? -Infinity : this.#times[this.#oldest]! + interval;
  }

  take(now: number): void {
    const { messages } = this.#limit;
    if (this.#times.length < messages) {
      this.#times.push(now);
      return;
    }
    this.#times[this.#oldest] = now;
    this.#oldest = (this.#oldest + 1) % messages;
  }
}

/**
 * A token bucket, as one number: it holds up to `messages` tokens, begins full, and gets them back evenly, `messages` in an
 * `interval`. There may be one for each of many thousand domains.
 */
export class TokenBucket implements Rate {
  readonly #limit: RateLimit;
  /** When it is full again. */
  #fullAt = -Infinity;

  /** @param limit How many tokens, and in what interval they come back. */
  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  get opensAt(): number {
    const { messages, interval } = this.#limit;
    return this.#fullAt - interval * (messages - 1) / messages;
  }

  /** Whether it remembers nothing. */
  isFull(now: number): boolean {
    return this.#fullAt <= now;
  }

  take(now: number): void {
    const { messages, interval } = this.#limit;
    this.#fullAt = Math.max(now, this.#fullAt) + interval / messages;
  }
}

/** Buckets that are full are forgotten once there are so many, and then twice as many as are left. */
const MANY_DOMAINS = 1_000;

/** The rates of a pool. */
export class Rates {
  /** The rate of all messages together. */
  readonly all: Rate;
  /** Whether domains have rates at all. */
  readonly byDomain: boolean;
  readonly #limitOf: (domain: string) => RateLimit | undefined;
  readonly #domains: Map<string, TokenBucket | undefined> = new Map();
  #tooMany = MANY_DOMAINS;

  /**
   * @param all How many messages may begin. Default: no limit.
   * @param limitOf How many for a domain. Default: no limit.
   */
  constructor(all?: RateLimit, limitOf?: (domain: string) => RateLimit | undefined) {
    this.all = all === undefined ? UNLIMITED : new SlidingWindow(all);
    this.byDomain = limitOf !== undefined;
    this.#limitOf = limitOf ?? (() => undefined);
  }

  /**
   * The rate of a domain.
   *
   * @param domain The domain.
   * @param now The time.
   * @returns The rate; `undefined` if it has none.
   */
  of(domain: string, now: number): Rate | undefined {
    if (!this.#domains.has(domain)) {
      if (this.#domains.size >= this.#tooMany) this.#forget(now);
      const limit = this.#limitOf(domain);
      this.#domains.set(domain, limit && new TokenBucket(limit));
    }
    return this.#domains.get(domain);
  }

  /** Forgets what is as it was in the beginning. */
  #forget(now: number): void {
    for (const [domain, bucket] of this.#domains) {
      if (bucket?.isFull(now) ?? true) this.#domains.delete(domain);
    }
    this.#tooMany = Math.max(MANY_DOMAINS, 2 * this.#domains.size);
  }
}
