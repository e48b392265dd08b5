/** Random choices that can be made again: everything a fuzzed session does follows from one number. @module */

/** A source of random numbers (mulberry32): small, fast, and the same on every runtime. */
export class Random {
  #state: number;

  /** @param seed The same seed, the same choices. */
  constructor(seed: number) {
    // Neighbouring seeds must not lead to similar sessions.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0;
  }

  /** A number from 0 up, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from 0 up, below the limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the values, all as likely. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** One of the names, as likely as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return entries[0]![0];
  }

  /** A generator of its own for a part of the work, so that one part's choices do not move another's. */
  fork(): Random {
    return new Random(this.below(0x7fff_ffff));
  }
}
