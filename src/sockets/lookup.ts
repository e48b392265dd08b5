/**
 * The addresses of a host, by the system's own means: its resolver, its `hosts` file, its order.
 *
 * @module
 */
import { builtin } from "./builtin.ts";
import { interleave } from "./happy_eyeballs.ts";
import type { SocketSettings } from "./settings.ts";
import { SocketError } from "./socket.ts";

/**
 * Finds the addresses of a host, in the order in which to try them, at least one; only the host name itself where the
 * runtime does not let them be seen. Gives up with the signal.
 */
export type Lookup = (hostname: string, signal: AbortSignal) => Promise<string[]>;

/** Looks a name up by `node:dns`. */
export const lookupNode: Lookup = async (hostname, signal) => {
  const found = new Promise<string[]>((resolve, reject) => {
    builtin("node:dns").lookup(hostname, { all: true }, (error, found) => {
      if (error) reject(error);
      else resolve(found.map(({ address }) => address));
    });
  });
  try {
    return interleave(await withSignal(found, signal));
  } catch (error) {
    // Deno (2.9.6) wants --allow-net for the host on every port. It connects to a name without that.
    if ((error as { code?: string }).code === "EPERM") return [hostname];
    throw error;
  }
};

/** The part of Bun that is used here. */
interface BunRuntime {
  dns: { lookup(hostname: string, options: { backend: "libc" }): Promise<{ address: string }[]> };
}

/** Looks a name up on Bun. */
export const lookupBun: Lookup = async (hostname, signal) => {
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  const found = await withSignal(Bun.dns.lookup(hostname, { backend: "libc" }), signal);
  return interleave(found.map(({ address }) => address));
};

/**
 * Leaves out the addresses that cannot be connected to from one's own.
 *
 * @throws {SocketError} If none is left.
 */
export function ofFamily(addresses: string[], { localAddress, target }: SocketSettings): string[] {
  if (localAddress === undefined) return addresses;
  const isIpv6 = localAddress.includes(":");
  const own = addresses.filter((address) => address.includes(":") === isIpv6);
  if (own.length > 0) return own;
  const family = isIpv6 ? "IPv6" : "IPv4";
  throw new SocketError(
    "unreachable",
    `The host has no ${family} address (${target}), and "localAddress" is one`,
  );
}

/** A lookup cannot be given up: nobody waits for it any more. */
async function withSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  work.catch(() => {});
  try {
    signal.throwIfAborted();
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
