/**
 * Opens sockets: picks the adapter of the runtime.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { hasNode, isNativeBun, isWorkers } from "./runtime.ts";
import { settle, type SocketSettings } from "./settings.ts";
import type { Socket, SocketAddress, SocketOptions } from "./socket.ts";
import { settleForWorkers } from "./workers/options.ts";

/**
 * Opens a socket, on whichever runtime this is.
 *
 * All addresses of a host are tried, IPv6 and IPv4 in turn, each 250 ms after the one before or as soon as that has
 * failed, and the first that answers is taken (RFC 8305). The system looks up the names, with its `hosts` file and its order.
 * The certificate is checked for the name. {@linkcode SocketError.attempts} tells what was tried.
 *
 * - On Deno the system tries the addresses one after the other. If it has not finished after 250 ms, they are looked up and
 *   tried side by side, as far as permitted: this needs `--allow-net` for the host on every port and for the addresses
 *   (plain `--allow-net` permits both). With `--allow-net` for the host and the one port alone, only the system tries.
 * - On Cloudflare Workers the platform does it, in its own way.
 *
 * @param address Where to connect: a host and a port, or the path of a unix socket.
 * @param options How to connect.
 * @returns The socket, not yet open: wait for {@linkcode Socket.opened}, or just read and write.
 * @throws {TypeError} If an option is not valid or cannot be honoured, or if the runtime has no sockets.
 * @throws {RangeError} If the port is out of range.
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
  const requested = settle(address, options);
  const settings = isWorkers() ? settleForWorkers(requested) : requested;
  const open = adapter(settings);
  return new ConnectionSocket((signal) => open(settings, signal), settings);
}

type OpenWith = (settings: SocketSettings, signal: AbortSignal) => Promise<Connection>;

/** An adapter is loaded when it is needed: the modules of the others do not exist on every runtime. */
function adapter({ localAddress }: SocketSettings): OpenWith {
  // Deno cannot choose the local address with its own sockets, which are best for everything else.
  if ("Deno" in globalThis && localAddress === undefined) {
    return async (settings, signal) => (await import("./deno/connect.ts")).openDeno(settings, signal);
  }
  // Neither can Bun.
  if (isNativeBun() && localAddress === undefined) {
    return async (settings, signal) => (await import("./bun/connect.ts")).openBun(settings, signal);
  }
  if (isWorkers()) {
    return async (settings, signal) => (await import("./workers/connect.ts")).openWorkers(settings, signal);
  }
  if (hasNode()) {
    return async (settings, signal) => (await import("./node/connect.ts")).openNode(settings, signal);
  }
  throw new TypeError(
    "Cannot connect: this runtime has no sockets, bring your own, such as one over a WebSocket",
  );
}
