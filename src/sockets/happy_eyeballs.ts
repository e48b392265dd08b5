/**
 * Which address of a host to use: all are tried, IPv6 and IPv4 in turn, each a little later than the one before, and the
 * first that answers is taken ("Happy Eyeballs", RFC 8305).
 *
 * The names are looked up by the system, which asks for both families at once and puts the addresses into the order of
 * RFC 6724, its own settings included. It hands out nothing before both answers are there: sections 3 and 4 of RFC 8305,
 * up to the taking in turn, are its affair.
 *
 * @module
 */

/** How long an attempt has to itself, in milliseconds: the value that RFC 8305, section 8, recommends. */
export const ATTEMPT_DELAY = 250;

/** How many addresses of a host are tried at most. Who fills the answer to a query chooses how many there are. */
export const MAX_ATTEMPTS = 20;

/** How one address was tried, and failed. */
export interface Failure {
  /** The address. */
  readonly address: string;
  /** The runtime's own error. */
  readonly error: unknown;
}

/** None of a host's addresses could be connected to. */
export class AttemptsError extends AggregateError {
  override name = "AttemptsError";
  /** Each address, in the order in which they were tried. */
  readonly failures: readonly Failure[];

  /** @param failures Each address. */
  constructor(failures: readonly Failure[]) {
    super(failures.map(({ error }) => error), `None of ${failures.length} addresses could be connected to`);
    this.failures = failures;
  }
}

/** How to try addresses. */
export interface RaceOptions<T> {
  /** Connects to an address. It must settle soon after the signal is aborted. */
  attempt(address: string, signal: AbortSignal): Promise<T>;
  /** Closes a connection that another was faster than. */
  discard(connection: T): void;
  /** Gives up all of them. */
  signal: AbortSignal;
  /** The clock: resolves after so many milliseconds, rejects when it is aborted before. */
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Connects to the first address that answers. The next one is tried when an attempt has failed, or has taken
 * {@linkcode ATTEMPT_DELAY}; those that are under way go on meanwhile.
 *
 * @param addresses The addresses, most wanted first.
 * @param options How.
 * @returns The connection. All others are given up.
 * @throws {AttemptsError} If none can be connected to.
 */
export async function race<T>(
  addresses: readonly string[],
  { attempt, discard, signal, wait = delay }: RaceOptions<T>,
): Promise<T> {
  signal.throwIfAborted();
  const tried = addresses.slice(0, MAX_ATTEMPTS);
  if (tried.length === 0) throw new AttemptsError([]);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const losers = new AbortController();
  const failures: Failure[] = [];
  let timer = new AbortController();
  let started = 0;
  let failed = 0;
  const end = () => {
    signal.removeEventListener("abort", abort);
    timer.abort();
    losers.abort();
  };
  const abort = () => {
    end();
    reject(signal.reason);
  };
  const start = async () => {
    timer.abort();
    if (started === tried.length || losers.signal.aborted) return;
    const index = started++;
    const address = tried[index]!;
    timer = new AbortController();
    if (started < tried.length) wait(ATTEMPT_DELAY, timer.signal).then(start, () => {});
    let connection: T;
    try {
      connection = await attempt(address, losers.signal);
    } catch (error) {
      failures[index] = { address, error };
      if (++failed < tried.length) return start();
      end();
      return reject(new AttemptsError(failures));
    }
    if (losers.signal.aborted) return discard(connection);
    end();
    resolve(connection);
  };
  signal.addEventListener("abort", abort);
  void start();
  return await promise;
}

/**
 * Puts addresses of the two families in turn, beginning with that of the first (RFC 8305, section 4), so that one family
 * that does not work holds nothing up.
 *
 * @param addresses The addresses in the system's order.
 */
export function interleave(addresses: readonly string[]): string[] {
  const first = addresses[0]?.includes(":");
  const own = addresses.filter((address) => address.includes(":") === first);
  const other = addresses.filter((address) => address.includes(":") !== first);
  const turns: string[] = [];
  for (let i = 0; i < Math.max(own.length, other.length); i++) {
    turns.push(...own.slice(i, i + 1), ...other.slice(i, i + 1));
  }
  return turns;
}

/**
 * Waits.
 *
 * @param milliseconds How long.
 * @param signal Gives up: the promise rejects.
 */
export function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
