/**
 * Sockets by `node:net` and `node:tls`: on Node and Bun, and on Deno for what it cannot do by its own means.
 *
 * @module
 */
import type net from "node:net";
import type tls from "node:tls";
import { builtin } from "./builtin.ts";
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { race } from "./happy_eyeballs.ts";
import { type Lookup, lookupNode, ofFamily } from "./lookup.ts";
import { NodeConnection, startTlsOver } from "./node_connection.ts";
import { handshake, startNodeTls } from "./node_tls.ts";
import { normalizeError } from "./normalize_error.ts";
import { assertPermitted } from "./permission.ts";
import {
  formatAddress,
  isIpAddress,
  settle,
  settleTls,
  type SocketSettings,
  type TlsSettings,
} from "./settings.ts";
import type { SecureTransport, Socket, SocketAddress, SocketOptions, TlsOptions } from "./socket.ts";

/**
 * Opens a socket with `node:net` and `node:tls`.
 *
 * @param address Where to.
 * @param options How.
 * @returns The socket, not yet open.
 * @throws {TypeError} If an option is not what it has to be.
 * @throws {RangeError} If the port is none.
 */
export function connectNode(address: SocketAddress, options?: SocketOptions): Socket {
  const settings = settle(address, options);
  return new ConnectionSocket((signal) => openNode(settings, signal), settings);
}

/** What {@linkcode nodeSocket} has to know about a socket that is open already. */
export interface NodeSocketInit {
  /**
   * `"starttls"` allows {@linkcode Socket.startTls}; `"on"` on a socket in the clear does the handshake at once, and
   * `opened` waits for it. Default: `"off"`, and `"on"` for a `tls.TLSSocket`, whose handshake must be done.
   */
  secureTransport?: SecureTransport;
  /**
   * The server's side of TLS: makes the TLS socket whose handshake is then waited for, as in
   * `(raw) => new tls.TLSSocket(raw, { isServer: true, secureContext })`. Nothing that was written before is still
   * waiting. `raw` is to be handed on and not touched: on Deno it is a stream that stands for the socket, because
   * `node:tls` has no backpressure there (see `node_gate.ts`). Left out, the handshake is the client's.
   */
  upgrade?: (raw: net.Socket) => tls.TLSSocket;
  /** For a client: how TLS is spoken, as in {@linkcode SocketOptions.tls}. */
  tls?: TlsOptions;
  /**
   * See {@linkcode SocketOptions.allowHalfOpen}. With `true` the raw socket must have been made so as well. Default:
   * `false`.
   */
  allowHalfOpen?: boolean;
  /** See {@linkcode SocketOptions.signal}. */
  signal?: AbortSignal;
}

/**
 * Makes a socket of one that `node:net` or `node:tls` has opened, such as one that a server has accepted. It takes
 * the raw socket over: nobody else may read, write or close it. So that reads are strictly on demand, have the server
 * make its sockets with `{ allowHalfOpen: true, highWaterMark: 0, noDelay: true, pauseOnConnect: true }`, and leave TLS
 * to `upgrade`: a `tls.TLSSocket` from elsewhere has no backpressure on Deno.
 *
 * @param raw The open socket.
 * @param init What is to be known about it.
 * @returns The socket: open, or about to be if there is a handshake to do.
 */
export function nodeSocket(raw: net.Socket | tls.TLSSocket, init: NodeSocketInit = {}): Socket {
  const isTls = "encrypted" in raw && raw.encrypted;
  const { secureTransport = isTls ? "on" : "off", upgrade, allowHalfOpen, signal } = init;
  const target = raw.remoteAddress;
  // The server's side has its own options, and no name to check.
  const startTls = (options?: TlsOptions) =>
    upgrade === undefined
      ? settleTls({ ...init.tls, ...options }, target)
      : settleTls({ ...options, verify: false }, undefined);
  const connection = new NodeConnection(
    raw,
    upgrade === undefined
      ? startNodeTls
      : (duplex, _, signal) => handshake(upgrade(duplex as net.Socket), "secure", signal),
  );
  const rest = { secureTransport, allowHalfOpen, signal, startTls, target };
  if (secureTransport !== "on" || isTls) return new ConnectionSocket(connection, rest);
  const settings = startTls();
  return new ConnectionSocket((signal) => secure(connection, settings, signal, target), rest);
}

/**
 * Opens a connection with `node:net` and `node:tls`.
 *
 * @param settings Where to and how.
 * @param signal Gives up.
 * @param lookup Finds the addresses of a host. Default: the system does.
 * @returns The connection, TLS included with `secureTransport: "on"`.
 */
export async function openNode(
  settings: SocketSettings,
  signal: AbortSignal,
  lookup: Lookup = lookupNode,
): Promise<Connection> {
  const raw = await openRaw(settings, signal, lookup);
  const path = "path" in settings.address ? settings.address.path : undefined;
  const connection = new NodeConnection(
    raw,
    startNodeTls,
    path === undefined ? undefined : { remoteAddress: path },
  );
  if (settings.secureTransport !== "on") return connection;
  return await secure(connection, settings.tls!, signal, settings.target);
}

/**
 * Goes over to TLS with `node:tls` on a connection that another adapter has opened.
 *
 * @param connection The connection in the clear.
 * @param settings How.
 * @param signal Gives up.
 * @returns The connection to use from now on.
 */
export function startTlsWithNode(
  connection: Connection,
  settings: TlsSettings,
  signal: AbortSignal,
): Promise<Connection> {
  return startTlsOver(connection, startNodeTls, settings, signal);
}

async function secure(
  connection: Connection,
  settings: TlsSettings,
  signal: AbortSignal,
  target: string | undefined,
): Promise<Connection> {
  try {
    return await connection.startTls(settings, signal);
  } catch (error) {
    throw normalizeError(error, { handshake: true, target });
  }
}

async function openRaw(
  settings: SocketSettings,
  signal: AbortSignal,
  lookup: Lookup,
): Promise<net.Socket> {
  const { address, localAddress, keepAlive } = settings;
  if ("path" in address) return await connectRaw({ path: address.path }, signal);
  const { hostname, port } = address;
  if (localAddress !== undefined) await assertPermitted(formatAddress(localAddress, 0));
  const attempt = (host: string, signal: AbortSignal) =>
    connectRaw({
      host,
      port,
      keepAlive,
      noDelay: true, // commands are small and each one waits for its reply
      ...(localAddress !== undefined && { localAddress }),
    }, signal);
  if (isIpAddress(hostname)) return await attempt(hostname, signal);
  const found = await lookup(hostname, signal);
  if (found[0] === hostname) return await attempt(hostname, signal);
  const addresses = ofFamily(found, settings);
  // The system's own race (autoSelectFamily) gives each attempt up when the next begins: what is far away may never be reached.
  return await race(addresses, { attempt, discard: (raw) => raw.destroy(), signal });
}

async function connectRaw(options: net.NetConnectOpts, signal: AbortSignal): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  signal.throwIfAborted();
  const raw = builtin("node:net").connect({
    ...options,
    allowHalfOpen: true, // when a half-open connection ends is decided in one place for all adapters
    ...{ highWaterMark: 0 }, // nothing is read ahead
  });
  const abort = () => reject(signal.reason);
  raw.on("connect", resolve);
  raw.on("error", reject);
  signal.addEventListener("abort", abort);
  try {
    await promise;
    return raw;
  } catch (error) {
    raw.on("error", () => {});
    raw.destroy();
    throw error;
  } finally {
    raw.off("connect", resolve);
    raw.off("error", reject);
    signal.removeEventListener("abort", abort);
  }
}
