/**
 * The addresses of a host by `node:dns`, which asks the system: its resolver, its `hosts` file, its order.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import { interleave } from "../happy_eyeballs.ts";
import { builtin } from "../runtime.ts";
import type { SocketSettings } from "../settings.ts";
import { SocketError } from "../socket.ts";

/**
 * Looks up the addresses of a host.
 *
 * @param hostname The name.
 * @param signal Gives up: nobody waits for the lookup any more, which itself cannot be stopped.
 * @returns The addresses in the order in which to try them, at least one; only the host name itself if Deno does not permit
 * the lookup.
 */
export async function lookup(hostname: string, signal: AbortSignal): Promise<string[]> {
  const found = new Promise<string[]>((resolve, reject) => {
    builtin("node:dns").lookup(hostname, { all: true }, (error, found) => {
      if (error) reject(error);
      else resolve(found.map(({ address }) => address));
    });
  });
  try {
    return interleave(await abortable(found, signal));
  } catch (error) {
    // Deno (2.9.6) needs --allow-net for the host on every port. It connects to a name without that.
    if ((error as { code?: string }).code === "EPERM") return [hostname];
    throw error;
  }
}

/**
 * Leaves out the addresses that cannot be connected to from the local address.
 *
 * @throws {SocketError} If none is left.
 */
export function ofFamily(addresses: string[], { localAddress, target }: SocketSettings): string[] {
  if (localAddress === undefined) return addresses;
  const isIpv6 = localAddress.includes(":");
  const usable = addresses.filter((address) => address.includes(":") === isIpv6);
  if (usable.length > 0) return usable;
  const family = isIpv6 ? "IPv6" : "IPv4";
  throw new SocketError(
    "unreachable",
    `The host has no ${family} address (${target}), and localAddress is one`,
  );
}
