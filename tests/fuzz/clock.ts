/**
 * Time for sessions in memory: turns of the event loop that are counted, and timers that fire as soon as nothing else moves. A
 * session that waits five minutes for a reply takes no time.
 * @module
 */
import { setImmediate as nextTurn } from "node:timers";

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

/** Takes the place of `setTimeout`, `clearTimeout` and `performance.now()` while a session runs. */
export class Clock {
  /** How many turns have passed. */
  turn = 0;
  #now = 1_000;
  #nextId = 1;
  readonly #timers = new Map<number, Timer>();
  #sleepers: { readonly until: number; readonly wake: () => void }[] = [];
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  readonly #realNow = Object.getOwnPropertyDescriptor(performance, "now");

  /** Replaces the timers of the runtime. */
  install(): void {
    const set = (callback: (...args: unknown[]) => void, delay = 0, ...args: unknown[]) => {
      const id = this.#nextId++;
      this.#timers.set(id, { at: this.#now + Number(delay), fire: () => callback(...args) });
      return id;
    };
    Object.assign(globalThis, {
      setTimeout: set,
      clearTimeout: (id: unknown) => void this.#timers.delete(Number(id)),
    });
    Object.defineProperty(performance, "now", { value: () => this.#now, configurable: true });
  }

  /** Puts the timers of the runtime back. */
  uninstall(): void {
    Object.assign(globalThis, this.#real);
    if (this.#realNow === undefined) Reflect.deleteProperty(performance, "now");
    else Object.defineProperty(performance, "now", this.#realNow); // Bun has it on the object itself
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Whether somebody waits for a turn to come. */
  get sleeping(): boolean {
    return this.#sleepers.length > 0;
  }

  /** Waits for so many turns; without any, for a few steps of this one. */
  async sleep(turns: number): Promise<void> {
    if (turns < 1) {
      for (let step = 0; step < turns * 10; step++) await Promise.resolve();
      return;
    }
    await new Promise<void>((wake) => this.#sleepers.push({ until: this.turn + turns, wake }));
  }

  /** Lets one turn pass: everything that can go on without a timer goes on. */
  async pass(): Promise<void> {
    this.turn++;
    const due = this.#sleepers.filter(({ until }) => until <= this.turn);
    this.#sleepers = this.#sleepers.filter(({ until }) => until > this.turn);
    for (const { wake } of due) wake();
    await new Promise<void>((resolve) => void nextTurn(resolve));
  }

  /**
   * Fires the timer that is due next, at once.
   *
   * @returns Whether there was one.
   */
  advance(): boolean {
    let first: [number, Timer] | undefined;
    for (const entry of this.#timers) if (first === undefined || entry[1].at < first[1].at) first = entry;
    if (first === undefined) return false;
    const [id, { at, fire }] = first;
    this.#timers.delete(id);
    this.#now = Math.max(this.#now, at);
    fire();
    return true;
  }
}
