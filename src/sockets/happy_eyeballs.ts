/**
 * Which address of a host to use: all are tried, IPv6 and IPv4 in turn, each a little later than the one before, and the
 * first that answers is taken ("Happy Eyeballs", RFC 8305).
 *
 * It is ours, and not the runtime's, because no runtime does it so that a user can rely on it:
 * - Node (`autoSelectFamily`) gives up each attempt when the next begins, after 250 ms: a server that is farther away than
 *   that, or under load, may never be reached.
 * - `Deno.connect` tries one address after the other, each as long as the system does, which is minutes if a firewall drops
 *   the packets.
 * - The error names the addresses, and what happened at each, on no runtime but Node.
 *
 * With our own race all three behave alike, and {@linkcode SocketError.attempts} always tells what was tried. Only Cloudflare
 * Workers, which do not show addresses, race in the platform's way.
 *
 * The system looks up the names: it asks for both families at once and puts the addresses into the order of RFC 6724, with
 * its own settings. It returns nothing before both answers are there, so that sections 3 and 4 of RFC 8305 are left to it,
 * except for taking the families in turn.
 *
 * @module
 */

/** The head start of each attempt, in milliseconds: the value that RFC 8305, section 8, recommends. */
export const ATTEMPT_DELAY = 250;

/** How many addresses of a host are tried at most. Whoever answers the query chooses how many there are. */
export const MAX_ATTEMPTS = 20;

/** An attempt at one address that failed. */
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

  /** @param failures Each address with its failure. */
  constructor(failures: readonly Failure[]) {
    super(failures.map(({ error }) => error), `None of ${failures.length} addresses could be connected to`);
    this.failures = failures;
  }
}

/** How to try the addresses. */
export interface RaceOptions<T> {
  /** Connects to an address. It must settle soon after the signal is aborted. */
  attempt(address: string, signal: AbortSignal): Promise<T>;
  /** Closes a connection that came too late. */
  discard(connection: T): void;
  /** Gives up all attempts. */
  signal: AbortSignal;
  /** The clock: resolves after that many milliseconds, or rejects when the signal is aborted. Default: {@linkcode delay}. */
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Connects to the first address that answers. The next one is tried when an attempt has failed, or has taken
 * {@linkcode ATTEMPT_DELAY}; the attempts under way continue.
 *
 * @param addresses The addresses, most wanted first.
 * @param options How to try them.
 * @returns The connection. All other attempts are given up.
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
 * Takes the addresses of the two families in turn, beginning with the family of the first (RFC 8305, section 4), so that a
 * family that does not work delays nothing.
 *
 * @param addresses The addresses in the system's order.
 * @returns The same addresses, in the order in which to try them.
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
 * Waits for a time.
 *
 * @param milliseconds How long to wait.
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
