/**
 * Sockets of the caller's own: over a proxy, an SSH tunnel, a WebSocket, another library's connection.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { normalizeError } from "./normalize_error.ts";
import { closePair, PairConnection, type StreamPair, transportOf } from "./pair_connection.ts";
import { settleAddress, settleTls, targetOf } from "./settings.ts";
import type { SecureTransport, Socket, SocketAddress, TlsOptions } from "./socket.ts";

export type { StreamPair } from "./pair_connection.ts";

/**
 * Opens a connection. It is called anew for each connection, so that one function serves a whole pool.
 *
 * A socket that speaks TLS with a proxy is protected no farther than that: hand out its two streams, not the socket,
 * whose `secureTransport` would be taken for the server's.
 *
 * @param address Where the client wants to go: what a proxy is to be told.
 * @param options `signal` is aborted when the connection is given up before it is there. What opens after that is closed.
 * @returns What was opened. What it throws is the `cause` of the {@linkcode SocketError} that `opened` rejects with, or
 * that error itself.
 */
export type OpenSocket = (
  address: SocketAddress,
  options: { readonly signal: AbortSignal },
) => Socket | StreamPair | Promise<Socket | StreamPair>;

/** What a socket can be made of: one that is there, a pair of streams, or a function that opens one of them. */
export type SocketSource = Socket | StreamPair | OpenSocket;

/** How to make a {@linkcode Socket} of a {@linkcode SocketSource}. */
export interface ToSocketOptions {
  /**
   * Who is at the other end: what a function is told, and the name that the server's certificate must carry. Needed for a
   * function, and for TLS over a pair without a `tls.serverName`. Default: not known.
   */
  address?: SocketAddress;
  /**
   * `"on"`: TLS begins as soon as the connection stands, unless it is protected already. `"starttls"`: it may later.
   * Default: `"off"`.
   */
  secureTransport?: SecureTransport;
  /** How TLS is spoken. */
  tls?: TlsOptions;
  /** See {@linkcode SocketOptions.allowHalfOpen}. Default: `false`. */
  allowHalfOpen?: boolean;
  /** Gives up: while opening or in the handshake `opened` rejects, later the socket closes. */
  signal?: AbortSignal;
}

/**
 * Makes a socket of what the caller brings.
 *
 * TLS over a pair of streams is spoken by the pair's own `startTls()` where it has one, else by `node:tls`, which Node,
 * Deno and Bun have, and every certificate is checked as ever. Where there is neither, as in a browser and on Cloudflare
 * Workers, `"on"` makes `opened` reject, and in the place of `"starttls"` the socket's `secureTransport` is `"off"`.
 *
 * @param source A pair of streams, or a function that opens one. A {@linkcode Socket} comes back as it is; with `"on"`, and
 * where it is not protected yet, after `startTls()`.
 * @param options How.
 * @returns The socket. Its `opened` waits for the function, and for the pair's own `opened`. Its `secureTransport` is
 * certain only then: a function may open what is protected already.
 * @throws {TypeError} If the source is none, one of its streams is locked, or an option is not what it has to be.
 * @throws {RangeError} If the port is none.
 *
 * @example
 * ```ts
 * import { memorySocketPair, toSocket } from "@streams/smtp/sockets";
 *
 * const [{ readable, writable }] = memorySocketPair();
 * const socket = toSocket({ readable, writable });
 * await socket.opened;
 * ```
 */
export function toSocket(source: SocketSource, options: ToSocketOptions = {}): Socket {
  const { secureTransport = "off", tls, allowHalfOpen = false, signal } = options;
  const address = options.address && settleAddress(options.address);
  const name = address !== undefined && "hostname" in address ? { serverName: address.hostname } : {};
  if (typeof source !== "function") assertPair(source);
  else if (address === undefined) throw new TypeError(`"address" is missing: the function has to be told it`);
  if (isSocket(source) && signal === undefined) {
    if (secureTransport === "off" || source.secureTransport === "on") return source;
    if (source.secureTransport === "starttls") {
      return secureTransport === "starttls" ? source : source.startTls({ ...name, ...tls });
    }
  }
  const startTls = (later?: TlsOptions) => settleTls({ ...name, ...tls, ...later }, undefined);
  const transport = typeof source === "function" ? secureTransport : transportOf(source, secureTransport);
  const mayStartTls = transport === "starttls" || transport === "on" && typeof source === "function";
  // Looked at before anything is done.
  const settings = mayStartTls && (secureTransport === "on" || tls !== undefined) ? startTls() : undefined;
  const ready = typeof source === "function" ? undefined : new PairConnection(source, transport);
  const target = address && targetOf(address);

  async function open(signal: AbortSignal): Promise<Connection> {
    const connection = ready ?? await call(source as OpenSocket, address!, secureTransport, signal);
    await connection.open(signal);
    if (secureTransport !== "on" || connection.secureTransport === "on") return connection;
    try {
      return await connection.startTls(settings!, signal);
    } catch (error) {
      void connection.close(error);
      throw normalizeError(error, { handshake: true, target });
    }
  }
  return new ConnectionSocket(open, {
    secureTransport: secureTransport === "on" ? "on" : transport,
    allowHalfOpen,
    signal,
    startTls,
    target,
  });
}

/** Calls the function, and waits no longer than until it is given up. */
async function call(
  source: OpenSocket,
  address: SocketAddress,
  wanted: SecureTransport,
  signal: AbortSignal,
): Promise<PairConnection> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  // Not the signal itself, which is also aborted when the socket is closed in good order.
  const giveUp = new AbortController();
  const abort = () => {
    giveUp.abort(signal.reason);
    reject(signal.reason);
  };
  signal.addEventListener("abort", abort);
  const opening = (async () => await source(address, { signal: giveUp.signal }))();
  try {
    const pair = await Promise.race([opening, aborted]);
    assertPair(pair);
    return new PairConnection(pair, transportOf(pair, wanted));
  } catch (error) {
    if (signal.aborted) opening.then((late) => closePair(late, signal.reason)).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Whether it has all that a {@linkcode Socket} has. */
function isSocket(source: SocketSource): source is Socket {
  return ["opened", "closed", "close", "startTls", "secureTransport"].every((member) => member in source);
}

function assertPair(pair: unknown): asserts pair is StreamPair {
  const { readable, writable } = (pair ?? {}) as Partial<StreamPair>;
  // Not instanceof: a polyfill's streams will do.
  if (typeof readable?.getReader !== "function" || typeof writable?.getWriter !== "function") {
    throw new TypeError("A given socket is a pair of streams, with a readable and a writable, or a function");
  }
  if (readable.locked) throw new TypeError("The readable of the given socket is locked");
  if (writable.locked) throw new TypeError("The writable of the given socket is locked");
}
