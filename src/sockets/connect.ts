/**
 * Picks the adapter.
 *
 * @module
 */
import { isNativeBun } from "./bun_version.ts";
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { hasNode, isWorkers } from "./runtime.ts";
import { settle, type SocketSettings } from "./settings.ts";
import type { Socket, SocketAddress, SocketOptions } from "./socket.ts";
import { settleForWorkers } from "./workers_settings.ts";

/**
 * Opens a socket, on whichever runtime this is.
 *
 * All addresses of a host are tried, IPv6 and IPv4 in turn, each 250 ms after the one before or as soon as that has
 * failed, and the first that answers is taken (RFC 8305). The names are looked up by the system, with its `hosts` file and
 * its order. Certificates are checked for the name. What was tried is in {@linkcode SocketError.attempts}.
 *
 * - On Deno the system tries the addresses one after the other. If it is not done after 250 ms, they are looked up and
 *   tried side by side, those that may be: this needs `--allow-net` for the host on every port and for the addresses
 *   (with nothing behind it, for all). For the host and the one port alone, it stays with the system's way.
 * - On Cloudflare Workers the platform does it, in its own way.
 *
 * @param address Where to: a host and a port, or the path of a unix socket.
 * @param options How.
 * @returns The socket, not yet open: wait for {@linkcode Socket.opened}, or just read and write.
 * @throws {TypeError} If an option is not what it has to be or cannot be honoured, or if the runtime has no sockets.
 * @throws {RangeError} If the port is none.
 *
 * @example
 * ```ts ignore
 * import { connect } from "@streams/smtp/sockets";
 *
 * const socket = connect({ hostname: "smtp.example.com", port: 465 }, { secureTransport: "on" });
 * const { remoteAddress } = await socket.opened;
 * await socket.close();
 * ```
 */
export function connect(address: SocketAddress, options?: SocketOptions): Socket {
  const asked = settle(address, options);
  const settings = isWorkers() ? settleForWorkers(asked) : asked;
  const open = adapter(settings);
  return new ConnectionSocket((signal) => open(settings, signal), settings);
}

type OpenWith = (settings: SocketSettings, signal: AbortSignal) => Promise<Connection>;

/** The adapters are loaded when they are needed: the others' modules do not exist on every runtime. */
function adapter(settings: SocketSettings): OpenWith {
  // Deno cannot choose the local address by its own means, and does everything else best by them.
  if ("Deno" in globalThis && settings.localAddress === undefined) {
    return async (settings, signal) => (await import("./deno.ts")).openDeno(settings, signal);
  }
  // Nor can Bun.
  if (isNativeBun() && settings.localAddress === undefined) {
    return async (settings, signal) => (await import("./bun.ts")).openBun(settings, signal);
  }
  if (isWorkers()) {
    return async (settings, signal) => (await import("./workers.ts")).openWorkers(settings, signal);
  }
  if (hasNode()) {
    return async (settings, signal) => (await import("./node.ts")).openNode(settings, signal);
  }
  throw new TypeError("This runtime has no sockets: bring one of your own, such as a WebSocket's streams");
}
