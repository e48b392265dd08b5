/**
 * Makes a {@linkcode Socket} of the caller's own connection: through a proxy, an SSH tunnel, another library's connection.
 *
 * @module
 */
import { abortable } from "./abortable.ts";
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { normalizeError } from "./errors.ts";
import { mustExist, type OptionNames } from "../core/option_names.ts";
import { assertTlsOptions, settleAddress, settleTls, targetOf } from "./settings.ts";
import type { SecureTransport, Socket, SocketAddress, TlsOptions } from "./socket.ts";
import {
  assertShowsCertificate,
  closePair,
  PairConnection,
  type StreamPair,
  transportOf,
} from "./stream_pair.ts";

/**
 * Opens a connection. It is called once for each connection, so that one function serves a whole pool.
 *
 * A socket that speaks TLS with a proxy is protected only as far as the proxy: return its two streams, not the socket, whose
 * `secureTransport` would count for the whole way to the server.
 *
 * @param address Where the client wants to connect: what a proxy has to be told.
 * @param options `signal` is aborted when the connection is given up before it is open. If it opens later, it is closed.
 * @returns The connection. If the function throws, `opened` rejects with a {@linkcode SocketError} whose `cause` is the error,
 * or with the error itself if it is a `SocketError`.
 */
export type OpenSocket = (
  address: SocketAddress,
  options: { readonly signal: AbortSignal },
) => Socket | StreamPair | Promise<Socket | StreamPair>;

/** What a socket can be made of: another socket, a pair of streams, or a function that opens one of them. */
export type SocketSource = Socket | StreamPair | OpenSocket;

/** How to make a {@linkcode Socket} of a {@linkcode SocketSource}. */
export interface ToSocketOptions {
  /**
   * The server's address: the function gets it, and its host is the name that the certificate must carry. Needed for a
   * function, and for TLS over a pair without a `tls.serverName`. Default: not known.
   */
  address?: SocketAddress;
  /**
   * `"on"`: TLS starts as soon as the connection is open, unless it is protected already. `"starttls"`: TLS may start later.
   * Default: `"off"`.
   */
  secureTransport?: SecureTransport;
  /** How to do TLS. */
  tls?: TlsOptions;
  /** See {@linkcode SocketOptions.allowHalfOpen}. Default: `false`. */
  allowHalfOpen?: boolean;
  /** Gives up: while opening or in the handshake `opened` rejects, later the socket closes. */
  signal?: AbortSignal;
}

const NAMES: OptionNames<ToSocketOptions> = {
  address: true,
  secureTransport: true,
  tls: true,
  allowHalfOpen: true,
  signal: true,
};

/**
 * Makes a socket of a connection that the caller has made or can open.
 *
 * TLS over a pair of streams uses the pair's own `startTls()` if it has one, otherwise `node:tls`, which Node, Deno and Bun
 * have; certificates are checked as always. If there is neither, as in a browser and on Cloudflare Workers, `"on"` makes
 * `opened` reject, and instead of `"starttls"` the socket's `secureTransport` is `"off"`.
 *
 * @param source A pair of streams, or a function that opens one. A {@linkcode Socket} is returned as it is if it is
 * protected already, or if there is nothing to tell it; otherwise `address` and `tls` hold for its TLS, too, and what they leave
 * out is as it was told when it was made.
 * @param options How to use it.
 * @returns The socket. Its `opened` waits for the function, and for the pair's own `opened`. Only then is its
 * `secureTransport` certain: a function may open a connection that is protected already.
 * @throws {TypeError} If the source is not valid, one of its streams is locked, or an option is not valid.
 * @throws {RangeError} If the port is out of range.
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
  const given = mustExist("make a socket", options, NAMES);
  const { secureTransport = "off", allowHalfOpen = false, signal } = given;
  const address = given.address && settleAddress(given.address);
  const name = address !== undefined && "hostname" in address ? { serverName: address.hostname } : {};
  if (typeof source !== "function") assertPair(source);
  else if (address === undefined) {
    throw new TypeError("Cannot make a socket: address is missing, which the function needs");
  }
  const tls = given.tls && assertTlsOptions(given.tls);
  if (typeof source !== "function" && secureTransport !== "off") assertShowsCertificate(source, tls);
  if (isSocket(source) && signal === undefined) {
    if (secureTransport === "off" || source.secureTransport === "on") return source;
    // Otherwise what it is told here has to reach its TLS, whoever starts that.
    const isTold = address !== undefined || tls !== undefined;
    if (source.secureTransport === "starttls") {
      if (secureTransport === "on") return source.startTls({ ...name, ...tls });
      if (!isTold) return source;
    }
  }
  const isNamed = isSocket(source) && source.secureTransport === "starttls";
  const startTls = (later?: TlsOptions) =>
    settleTls({ ...name, ...tls, ...later && assertTlsOptions(later) }, undefined, { isNamed });
  const transport = typeof source === "function" ? secureTransport : transportOf(source, secureTransport);
  const mayStartTls = transport === "starttls" || transport === "on" && typeof source === "function";
  // Checked before anything is opened.
  const settings = mayStartTls && (secureTransport === "on" || tls !== undefined) ? startTls() : undefined;
  const ready = typeof source === "function" ? undefined : new PairConnection(source, transport);
  const target = address && targetOf(address);

  async function open(signal: AbortSignal): Promise<Connection> {
    const connection = ready ?? await call(source as OpenSocket, address!, secureTransport, signal);
    await connection.open(signal);
    if (secureTransport !== "off") connection.assertShowsCertificate(tls);
    if (secureTransport !== "on" || connection.secureTransport === "on") return connection;
    try {
      return await connection.startTls(settings!, signal);
    } catch (error) {
      void connection.close(error);
      throw normalizeError(error, { handshake: "first", target });
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

/** Calls the function, and waits until it has opened a connection or the signal is aborted. */
async function call(
  source: OpenSocket,
  address: SocketAddress,
  wanted: SecureTransport,
  signal: AbortSignal,
): Promise<PairConnection> {
  signal.throwIfAborted();
  // The function does not get the signal itself, which is also aborted when the open socket is closed in good order.
  const giveUp = new AbortController();
  const opening = (async () => await source(address, { signal: giveUp.signal }))();
  let pair: Socket | StreamPair;
  try {
    pair = await abortable(opening, signal, {
      discard: (late) => closePair(late, signal.reason).catch(() => {}),
    });
  } catch (error) {
    giveUp.abort(error);
    throw error;
  }
  assertPair(pair);
  return new PairConnection(pair, transportOf(pair, wanted));
}

/** Whether it has everything that a {@linkcode Socket} has: one of ours, or of the platform's. */
function isSocket(source: SocketSource): source is Socket {
  return ["opened", "closed", "close", "startTls", "secureTransport"].every((member) => member in source);
}

function assertPair(pair: unknown): asserts pair is StreamPair {
  const { readable, writable } = (pair ?? {}) as Partial<StreamPair>;
  // Not instanceof: the streams of a polyfill are fine.
  if (typeof readable?.getReader !== "function" || typeof writable?.getWriter !== "function") {
    const what = "a pair of streams, readable and writable, or a function";
    throw new TypeError(`Cannot make a socket: the given socket must be ${what}`);
  }
  if (readable.locked) {
    throw new TypeError("Cannot make a socket: the readable of the given socket is locked");
  }
  if (writable.locked) {
    throw new TypeError("Cannot make a socket: the writable of the given socket is locked");
  }
}
