/**
 * Waiting that can be given up: by a signal, after a time, or both.
 *
 * @module
 */

/** The longest delay of a timer: it counts in 32 bits, and a longer one would fire at once. */
const MAX_DELAY = 0x7fff_ffff;

/** When to stop waiting, besides the signal, and what to do with a result that arrives afterwards. */
export interface AbortableOptions<T> {
  /** How long to wait, in milliseconds. Default: without a limit. */
  timeout?: number;
  /** Closes what arrives after the wait was given up. Default: it is ignored. */
  discard?: (late: T) => void;
}

/**
 * Waits for a promise until a signal is aborted or the time is up. The work itself goes on, because nothing
 * can stop a promise; if it fails later, the failure is ignored.
 *
 * @param promise What to wait for.
 * @param signal Gives up; `undefined` if only the time counts.
 * @param options The time limit, and what to do with a late result.
 * @returns What the promise resolves to. It rejects with the reason of the signal, or with a `DOMException` named
 * `"TimeoutError"` when the time is up, as `AbortSignal.timeout()` has it.
 */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  { timeout = Infinity, discard }: AbortableOptions<T> = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let givenUp = false;
    const stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    const giveUp = (reason: unknown) => {
      givenUp = true;
      stop();
      reject(reason);
    };
    const onAbort = () => giveUp(signal!.reason);
    const onTimeout = () => giveUp(new DOMException(`Not done within ${timeout} ms`, "TimeoutError"));
    const timer = timeout === Infinity ? undefined : setTimeout(onTimeout, Math.min(timeout, MAX_DELAY));
    promise.then((value) => {
      if (givenUp) return discard?.(value);
      stop();
      resolve(value);
    }, (error) => {
      stop();
      reject(error);
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort);
  });
}
