/**
 * TCP connections on Deno, which does not tell what addresses a name has, and tries them one after the other.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import { normalizeError } from "../errors.ts";
import { ATTEMPT_DELAY, delay, race } from "../happy_eyeballs.ts";
import { lookup } from "../node/lookup.ts";
import { formatAddress, isIpAddress } from "../settings.ts";

/** Failures that another address may not have. */
const PASSING: ReadonlySet<string> = new Set([
  "connection-refused",
  "connection-reset",
  "timed-out",
  "unreachable",
]);

/**
 * Connects to a host and a port.
 *
 * `Deno.connect` waits for each address of a name as long as the system does, which is minutes if nobody answers. Our own
 * race starts only if that takes longer than {@linkcode ATTEMPT_DELAY}, or fails, because looking up the addresses has a
 * price: `node:dns` takes 30 ms and more to load, and needs permission for the host on every port, and for its addresses.
 * Addresses that are not permitted are left out, and the user is not asked.
 *
 * @param address Where to.
 * @param signal Gives up.
 */
export async function connectTcp(
  { hostname, port }: { hostname: string; port: number },
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  if (isIpAddress(hostname)) return await Deno.connect({ hostname, port, signal });
  signal.throwIfAborted();
  const loser = new AbortController();
  const connecting = Deno.connect({ hostname, port, signal: AbortSignal.any([signal, loser.signal]) });
  try {
    const state = await outcome(connecting);
    if (state === "over" || signal.aborted) return await connecting;
    const addresses = await permitted(hostname, port, signal);
    if (addresses.length === 0) return await connecting;
    // It counts as the attempt at the first address, with which the system has begun.
    let isFirst = state === "slow" || addresses.length === 1;
    return await race(addresses, {
      attempt(address, losers) {
        if (!isFirst) return Deno.connect({ hostname: address, port, signal: losers });
        isFirst = false;
        losers.addEventListener("abort", () => loser.abort());
        return connecting;
      },
      wait: (milliseconds, signal) => delay(isFirst ? 0 : milliseconds, signal), // it has had its time
      discard,
      signal,
    });
  } catch (error) {
    connecting.then(discard, () => {});
    throw error;
  }
}

/** How the attempt by name stands when its time is up; `"over"` if there is nothing more to do about it. */
async function outcome(connecting: Promise<Deno.TcpConn>): Promise<"over" | "slow" | "failed"> {
  try {
    await abortable(connecting, undefined, { timeout: ATTEMPT_DELAY });
    return "over";
  } catch (error) {
    if ((error as Error).name === "TimeoutError") return "slow";
    return PASSING.has(normalizeError(error).code) ? "failed" : "over";
  }
}

/** The addresses of a host that may be connected to; none if Deno may not look them up. */
async function permitted(hostname: string, port: number, signal: AbortSignal): Promise<string[]> {
  const isGranted = (host: string) => Deno.permissions.querySync({ name: "net", host }).state === "granted";
  if (!isGranted(hostname)) return [];
  try {
    const found = await lookup(hostname, signal);
    return found.filter((address) => isIpAddress(address) && isGranted(formatAddress(address, port)));
  } catch {
    return []; // the attempt by name goes on, and tells what is wrong
  }
}

function discard(conn: Deno.TcpConn): void {
  conn[Symbol.dispose](); // a second close() would throw
}
