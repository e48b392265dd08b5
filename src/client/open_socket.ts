/**
 * The socket of a session or a channel. Loaded when one is opened: whoever brings a message and no network needs none of it.
 *
 * @module
 */
import { connect } from "../sockets/connect.ts";
import { toSocket } from "../sockets/to_socket.ts";
import type { StreamPair } from "../sockets/stream_pair.ts";
import type { Socket, SocketAddress, SocketOptions } from "../sockets/socket.ts";
import type { Settings } from "./options.ts";

/**
 * Opens the socket of a session.
 *
 * @param settings Where to and how.
 * @returns The socket, not yet open.
 * @throws {TypeError} If an option cannot be honoured.
 */
export function openSocket(
  { socket, address, security, tls, signal, localAddress, keepAlive }: Settings,
): Socket {
  const secureTransport = security === "tls" ? "on" : security === "none" ? "off" : "starttls";
  if (socket !== undefined) {
    // Where TLS may be, what is missing for it is no matter before it is met.
    const isWanted = security === "tls" || security === "starttls" || Object.keys(tls).length > 0;
    return toSocket(socket, { secureTransport, ...(address && { address }), ...(isWanted && { tls }) });
  }
  return connect(address!, {
    secureTransport,
    ...(security !== "none" && { tls }),
    ...(signal && { signal }),
    keepAlive,
    ...(localAddress !== undefined && { localAddress }),
  });
}

/**
 * Opens the socket of a channel.
 *
 * @param address Where to, or a connection of the caller's.
 * @param options How.
 * @returns The socket, not yet open.
 * @throws {TypeError} If an option cannot be honoured.
 */
export function openChannelSocket(
  address: SocketAddress | Socket | StreamPair,
  options: SocketOptions,
): Socket {
  const wanted: SocketOptions = { secureTransport: "starttls", ...options };
  return "readable" in address ? toSocket(address, wanted) : connect(address, wanted);
}
