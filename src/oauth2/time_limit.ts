/**
 * How long a token may take to come.
 *
 * @module
 */
import { TokenError } from "./token_error.ts";

/** What bounds a request. */
export interface TimeLimitOptions {
  /** How long it may take, in milliseconds. `Infinity` for no limit. Default: 30,000. */
  timeout?: number;
  /** Stops the source for good: a request under way is given up, and every later call fails. */
  signal?: AbortSignal;
}

/** The longest that a timer can wait; a longer limit is none. */
const MAX_TIMER = 2 ** 31 - 1;

/**
 * Checks the limit.
 *
 * @param options What the caller wants.
 * @returns The limit in milliseconds.
 * @throws {RangeError} If it is not a time.
 */
export function readTimeout({ timeout = 30_000 }: TimeLimitOptions): number {
  if (typeof timeout === "number" && timeout > 0) return timeout;
  throw new RangeError(
    `Cannot make a token source: timeout must be a number of milliseconds above 0, it is ${timeout}`,
  );
}

/**
 * Does something within a time.
 *
 * @param run What to do. Its signal is aborted when the time is over, and it is not waited for then.
 * @param options The limits, checked.
 * @returns What it gives.
 * @throws {TokenError} `"timeout"` or `"aborted"`.
 */
export async function withTimeLimit<T>(
  run: (signal: AbortSignal) => Promise<T>,
  { timeout, signal }: { timeout: number; signal: AbortSignal | undefined },
): Promise<T> {
  const controller = new AbortController();
  const stopped = Promise.withResolvers<never>();
  const stop = (error: TokenError) => {
    stopped.reject(error);
    controller.abort(error);
  };
  const onAbort = () => stop(aborted(signal!));
  if (signal?.aborted) throw aborted(signal);
  signal?.addEventListener("abort", onAbort);
  const timer = timeout > MAX_TIMER ? undefined : setTimeout(() => {
    stop(
      new TokenError("timeout", `The access token did not come within ${timeout} ms`, { temporary: true }),
    );
  }, timeout);
  try {
    return await Promise.race([stopped.promise, run(controller.signal)]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function aborted(signal: AbortSignal): TokenError {
  return new TokenError("aborted", "The token source was stopped", { cause: signal.reason });
}
