/**
 * The socket of a client or a channel, and the wait until it is open.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";
import { abortable } from "../sockets/abortable.ts";
import { connect } from "../sockets/connect.ts";
import { toSocket } from "../sockets/to_socket.ts";
import type { Socket, SocketInfo } from "../sockets/socket.ts";
import { aborted, toSmtpError } from "./failure.ts";
import type { ConnectionSettings } from "./options.ts";

/**
 * Opens the socket that the options describe.
 *
 * @param settings Where to and how.
 * @returns The socket, not yet open.
 * @throws {TypeError} If an option cannot be honoured.
 */
export function openSocket(
  { socket, address, security, tls, signal, localAddress, keepAlive }: ConnectionSettings,
): Socket {
  const secureTransport = security === "tls" ? "on" : security === "none" ? "off" : "starttls";
  if (socket !== undefined) {
    // If TLS is optional, what is missing for it does not matter until TLS starts.
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
 * Waits until a connection or its TLS is open.
 *
 * @param info What is known about the connection, once it is open.
 * @param settings The time limit and the signal.
 * @param phase What is being opened.
 * @returns What is known.
 * @throws {SmtpError} If it cannot be opened, or not in time, or the signal is aborted.
 */
export async function opened(
  info: Promise<SocketInfo>,
  { connectTimeout, signal }: ConnectionSettings,
  phase: Phase,
): Promise<SocketInfo> {
  try {
    return await abortable(info, signal, { timeout: connectTimeout });
  } catch (error) {
    if (signal?.aborted && error === signal.reason) throw aborted(signal, phase);
    if (!(error instanceof DOMException) || error.name !== "TimeoutError") throw toSmtpError(error, phase);
    throw new SmtpError("timeout", `No connection within ${connectTimeout} ms`, { phase, temporary: true });
  }
}
