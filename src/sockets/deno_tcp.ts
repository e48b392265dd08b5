/**
 * Connecting on Deno, which does not show what addresses a name has, and tries them one after the other.
 *
 * @module
 */
import { ATTEMPT_DELAY, delay, race } from "./happy_eyeballs.ts";
import type { Lookup } from "./lookup.ts";
import { normalizeError } from "./normalize_error.ts";
import { formatAddress, isIpAddress } from "./settings.ts";

/** What another address may mend. */
const PASSING: ReadonlySet<string> = new Set([
  "connection-refused",
  "connection-reset",
  "timed-out",
  "unreachable",
]);

/**
 * Connects to a host and a port.
 *
 * `Deno.connect` gives each address of a name as long as the system will, which is minutes where nobody answers. Only where
 * it takes longer than {@linkcode ATTEMPT_DELAY}, or fails, the addresses are looked up for a race of our own, because that
 * has a price: `node:dns` takes 30 ms and more to load, and needs permission for the host on every port, and for its
 * addresses. Addresses that are not permitted are left out, and nobody is asked.
 *
 * @param address Where to.
 * @param signal Gives up.
 * @param lookup Finds the addresses of a host.
 */
export async function connectDenoTcp(
  { hostname, port }: { hostname: string; port: number },
  signal: AbortSignal,
  lookup: Lookup,
): Promise<Deno.TcpConn> {
  if (isIpAddress(hostname)) return await Deno.connect({ hostname, port, signal });
  signal.throwIfAborted();
  const giveUp = new AbortController();
  const abort = () => giveUp.abort(signal.reason);
  signal.addEventListener("abort", abort);
  const connecting = Deno.connect({ hostname, port, signal: giveUp.signal });
  try {
    const state = await outcome(connecting);
    if (state === "over" || signal.aborted) return await connecting;
    const addresses = await permitted(hostname, port, signal, lookup);
    if (addresses.length === 0) return await connecting;
    // It stands for the first address: the system has begun with that.
    let isFirst = state === "slow" || addresses.length === 1;
    return await race(addresses, {
      attempt(address, losers) {
        if (!isFirst) return Deno.connect({ hostname: address, port, signal: losers });
        isFirst = false;
        losers.addEventListener("abort", () => giveUp.abort());
        return connecting;
      },
      wait: (milliseconds, signal) => delay(isFirst ? 0 : milliseconds, signal), // it has had its time
      discard,
      signal,
    });
  } catch (error) {
    connecting.then(discard, () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** What has become of an attempt when it has had its time; `"over"` where there is no more to do about it. */
async function outcome(connecting: Promise<Deno.TcpConn>): Promise<"over" | "slow" | "failed"> {
  const timer = new AbortController();
  const slow = delay(ATTEMPT_DELAY, timer.signal).then(() => "slow" as const, () => "over" as const);
  try {
    return await Promise.race([slow, connecting.then(() => "over" as const)]);
  } catch (error) {
    return PASSING.has(normalizeError(error).code) ? "failed" : "over";
  } finally {
    timer.abort();
  }
}

/** The addresses of a host that may be connected to; none where they may not be known. */
async function permitted(
  hostname: string,
  port: number,
  signal: AbortSignal,
  lookup: Lookup,
): Promise<string[]> {
  const isGranted = (host: string) => Deno.permissions.querySync({ name: "net", host }).state === "granted";
  if (!isGranted(hostname)) return [];
  try {
    const found = await lookup(hostname, signal);
    return found.filter((address) => isIpAddress(address) && isGranted(formatAddress(address, port)));
  } catch {
    return []; // the one attempt by name goes on, and says what is wrong
  }
}

function discard(conn: Deno.TcpConn): void {
  conn[Symbol.dispose](); // a second close() would throw
}
