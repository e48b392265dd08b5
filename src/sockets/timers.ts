/**
 * Timers that let the process end.
 *
 * @module
 */

/** What `setTimeout()` returns: an object on Node, Bun and Deno from 2.8, elsewhere a number. */
type Timer = ReturnType<typeof setTimeout>;

/**
 * Lets the process end although a timer is set, where a runtime has that.
 *
 * @param timer The timer.
 */
export function unrefTimer(timer: Timer): void {
  const given = timer as unknown as number | { unref?(): void };
  if (typeof given === "object") given.unref?.();
  else if ("Deno" in globalThis) Deno.unrefTimer(given);
}
