/**
 * The servers of a pool: which one is used, and when one that failed is tried again.
 *
 * ```
 *           a mail is taken or refused
 *      ┌───────────────────────────────────┐
 *      v                                   │
 *   working ──failed()──> waiting ──(retryAt)──> on trial: one connection
 *                            ^                       │
 *                            └───────failed()────────┘   after too many, or one that will not pass: given up
 * ```
 *
 * Given up is waiting, too; only that mails do not wait with it, if all servers are.
 *
 * @module
 */
import type { SmtpError } from "../errors.ts";
import type { SmtpClientOptions } from "../client/options.ts";
import type { HostSettings, RetryOptions } from "./options.ts";

/** The first wait after a login was refused for good: servers lock accounts and addresses out that try again and again. */
const LOGIN_DELAY = 60_000;
/** The longest of those waits. */
const MAX_LOGIN_DELAY = 3_600_000;

/** From here on a wait has long reached its limit. */
const MANY = 40;

/** What is known about a server, for {@linkcode PoolStats}. */
export interface HostStats {
  /** Its name and port, or path. */
  readonly host: string;
  /**
   * - `"working"`: nothing is wrong with it, as far as is known.
   * - `"waiting"`: it has failed, and is left alone until `retryAt`.
   * - `"trial"`: it has failed before, and the next mail tries it, over one connection.
   */
  readonly state: "working" | "waiting" | "trial";
  /** How often it has failed in a row. */
  readonly failures: number;
  /** Whether mails no longer wait for it: it has failed too often, or for a reason that will not pass by itself. */
  readonly givenUp: boolean;
  /** When it is tried again; `undefined` if it is working. */
  readonly retryAt: Date | undefined;
  /** Why it has failed the last time. */
  readonly error: SmtpError | undefined;
}

/** One server. */
export class Host {
  /** Its name and port, for people. */
  readonly name: string;
  /** The options of its clients. */
  readonly client: SmtpClientOptions;
  readonly #retry: Readonly<Required<RetryOptions>>;
  #failures = 0;
  /** Failures weigh differently, see {@linkcode failed}. */
  #weight = 0;
  #error: SmtpError | undefined;
  /** From when on it may be tried. */
  #notBefore = -Infinity;
  /** From when on it may be asked for one more connection than there are. */
  #furtherNotBefore = -Infinity;
  #refusedFurther = 0;
  /** Whether a mail was ever taken or refused by it. */
  #proven = false;

  /**
   * @param settings Its name, and the options of its clients.
   * @param retry How long to wait after failures.
   */
  constructor({ name, client }: HostSettings, retry: Readonly<Required<RetryOptions>>) {
    this.name = name;
    this.client = client;
    this.#retry = retry;
  }

  /** When it may be tried again, if it has failed. */
  get notBefore(): number {
    return this.#notBefore;
  }

  /** Whether it has failed, and nothing has shown since that it works. */
  get onTrial(): boolean {
    return this.#failures > 0;
  }

  /** Why mails no longer wait for it, if that is so. */
  get givenUpFor(): SmtpError | undefined {
    return this.#weight >= this.#retry.attempts ? this.#error : undefined;
  }

  /** From when on it may be asked for one more connection than there are. */
  get furtherNotBefore(): number {
    return this.#furtherNotBefore;
  }

  /**
   * No connection could be opened, or one was lost before it had taken a mail.
   *
   * @param error Why.
   * @param now The time.
   * @param weight How much it weighs: less if it may be the fault of a mail.
   */
  failed(error: SmtpError, now: number, weight = 1): void {
    this.#error = error;
    this.#failures++;
    // A name that had an address before is likely to have one again.
    const isPassing = error.temporary || (error.code === "host-not-found" && this.#proven);
    this.#weight = isPassing ? this.#weight + weight : Infinity;
    const { delay, maxDelay } = this.#retry;
    const isLogin = !isPassing && error.phase === "auth";
    const wait = isLogin
      ? backOff(LOGIN_DELAY, this.#failures, MAX_LOGIN_DELAY)
      : backOff(delay, this.#failures, maxDelay);
    this.#notBefore = now + wait;
  }

  /** It refuses a further connection while others work: a limit of its own, and no failure. */
  refusedFurther(now: number): void {
    const { delay, maxDelay } = this.#retry;
    this.#furtherNotBefore = now + backOff(delay, ++this.#refusedFurther, maxDelay);
  }

  /** It has opened a connection. */
  opened(): void {
    this.#refusedFurther = 0;
  }

  /** It has taken a mail or refused one, or was found to be in order. */
  worked(): void {
    this.#proven = true;
    this.#failures = this.#weight = 0;
    this.#error = undefined;
    this.#notBefore = -Infinity;
  }

  /** What is known about it. */
  stats(now: number): HostStats {
    const waits = this.#notBefore > now;
    return {
      host: this.name,
      state: waits ? "waiting" : this.onTrial ? "trial" : "working",
      failures: this.#failures,
      givenUp: this.givenUpFor !== undefined,
      retryAt: this.onTrial ? dateOf(this.#notBefore, now) : undefined,
      error: this.#error,
    };
  }
}

/**
 * How long to wait after failures: twice as long after each, from half to all of it at random, so that many clients do not come
 * back at the same time.
 *
 * @param first The wait after the first.
 * @param failures How many there were.
 * @param longest The longest wait.
 * @returns The time in milliseconds.
 */
export function backOff(first: number, failures: number, longest: number): number {
  return Math.min(longest, first * 2 ** (Math.min(failures, MANY) - 1)) * (1 + Math.random()) / 2;
}

/** The date of a time on the clock of `performance.now()`. */
export function dateOf(time: number, now: number): Date {
  return new Date(Date.now() + Math.max(0, Math.ceil(time - now)));
}
