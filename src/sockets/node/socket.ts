/**
 * A {@linkcode Socket} over a socket of `node:net` or `node:tls` that is open already: on the server's side.
 *
 * @module
 */
import type net from "node:net";
import type tls from "node:tls";
import { ConnectionSocket } from "../connection_socket.ts";
import { normalizeError } from "../errors.ts";
import { settleTls } from "../settings.ts";
import type { SecureTransport, Socket, TlsOptions } from "../socket.ts";
import { NodeConnection } from "./connection.ts";
import { handshake, startNodeTls } from "./tls.ts";

/** What {@linkcode nodeSocket} has to know about a socket that is open already. */
export interface NodeSocketInit {
  /**
   * `"starttls"` allows {@linkcode Socket.startTls}; `"on"` for a socket in the clear starts the handshake at once, and
   * `opened` waits for it. Default: `"off"`, and `"on"` for a `tls.TLSSocket`, whose handshake must be done.
   */
  secureTransport?: SecureTransport;
  /**
   * The server's side of TLS: makes the TLS socket whose handshake is then waited for, as in
   * `(raw) => new tls.TLSSocket(raw, { isServer: true, secureContext })`. Everything that was written before has been sent.
   * `raw` is to be passed on and not touched: on Deno it is a stream that stands for the socket, because `node:tls` has no
   * backpressure there (see `gate.ts`). Without `upgrade`, the handshake is the client's.
   */
  upgrade?: (raw: net.Socket) => tls.TLSSocket;
  /**
   * With `upgrade`: called when the handshake is done, before a byte is read or written. If it throws, the client is not
   * welcome, and the connection is cut.
   */
  check?: ((secure: tls.TLSSocket) => void) | undefined;
  /** For a client: the TLS options, as in {@linkcode SocketOptions.tls}. */
  tls?: TlsOptions;
  /**
   * See {@linkcode SocketOptions.allowHalfOpen}. With `true` the raw socket must have been made with it as well. Default:
   * `false`.
   */
  allowHalfOpen?: boolean;
  /** See {@linkcode SocketOptions.signal}. */
  signal?: AbortSignal;
}

/** Does the server's handshake. */
async function acceptTls(
  secure: tls.TLSSocket,
  check: NodeSocketInit["check"],
  target: string | undefined,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  try {
    await handshake(secure, "secure", signal);
    check?.(secure);
    return secure;
  } catch (error) {
    secure.on("error", () => {}); // nobody waits for what comes after the first error
    secure.destroy();
    throw normalizeError(error, { handshake: "later", target, peer: "client" });
  }
}

/**
 * Makes a {@linkcode Socket} of one that `node:net` or `node:tls` has opened, such as one that a server has accepted. It
 * takes over the raw socket: nobody else may read, write or close it. So that reads are strictly on demand, have the server
 * make its sockets with `{ allowHalfOpen: true, highWaterMark: 0, noDelay: true, pauseOnConnect: true }`, and leave TLS
 * to `upgrade`: a `tls.TLSSocket` from elsewhere has no backpressure on Deno.
 *
 * @param raw The open socket.
 * @param init What to know about it.
 * @returns The socket: open, or waiting for the handshake.
 */
export function nodeSocket(raw: net.Socket | tls.TLSSocket, init: NodeSocketInit = {}): Socket {
  const isTls = "encrypted" in raw && raw.encrypted;
  const { secureTransport = isTls ? "on" : "off", upgrade, allowHalfOpen, signal } = init;
  const target = raw.remoteAddress;
  // The server's side has its own options, and no name to check.
  const startTls = (options?: TlsOptions) =>
    upgrade === undefined
      ? settleTls({ ...init.tls, ...options }, target)
      : { ...settleTls({ ...options, verify: false }, undefined), verifiedBy: undefined };
  const connection = new NodeConnection(
    raw,
    upgrade === undefined
      ? startNodeTls
      : (duplex, _, signal) => acceptTls(upgrade(duplex as net.Socket), init.check, target, signal),
  );
  const rest = { secureTransport, allowHalfOpen, signal, startTls, target };
  if (secureTransport !== "on" || isTls) return new ConnectionSocket(connection, rest);
  const settings = startTls();
  return new ConnectionSocket(async (signal) => {
    try {
      return await connection.startTls(settings, signal);
    } catch (error) {
      throw normalizeError(error, { handshake: upgrade === undefined ? "first" : "later", target });
    }
  }, rest);
}
