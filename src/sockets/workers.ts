/**
 * Sockets on Cloudflare Workers, by `cloudflare:sockets`.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { settle, type SocketSettings, type TlsSettings } from "./settings.ts";
import {
  type Socket,
  type SocketAddress,
  SocketError,
  type SocketInfo,
  type SocketOptions,
} from "./socket.ts";
import { settleForWorkers } from "./workers_settings.ts";

/** What one read can bring. Left to itself the platform hands over 4 KiB at a time. */
const BUFFER_LENGTH = 65_536;

/**
 * Rounds of the platform's event loop in which what it holds reaches a read. One takes some 20 µs and, other than a
 * timer, hardly ever looks at the network. Two are enough (workerd 2026-07-30).
 */
const ROUNDS = 8;

/** The part of the platform's socket that is used here. */
interface WorkersSocket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<{ remoteAddress?: string; localAddress?: string }>;
  readonly closed: Promise<void>;
  close(): Promise<void>;
  startTls(): WorkersSocket;
}

/** The part of `cloudflare:sockets` that is used here. */
interface WorkersSockets {
  connect(
    address: { hostname: string; port: number },
    options: { secureTransport: "off" | "on" | "starttls"; allowHalfOpen: boolean },
  ): WorkersSocket;
}

/**
 * Opens a socket on Cloudflare Workers.
 *
 * The platform says less than others. Why a connection does not come about, and with `"on"` this is also a bad
 * certificate, it does not tell: that is `"network"`. `opened` does not wait for the handshake of `startTls()`: if that
 * fails, for whatever reason, the first read or write does, with `"tls-failed"`, and nothing was sent. A connection that
 * is cut is to a read the same as one that ends. `remoteAddress` has the host name that was asked for. A connection that
 * is closed in the handshake of `"on"` is kept by the platform until the peer ends it or the request is over. The
 * platform's streams drop writes that wait when their writer is released: they fail.
 *
 * The first word after `startTls()` is one's own, as in SMTP: a peer that speaks before `opened` has resolved may be taken
 * for one that has spoken in the clear, which is `"tls-failed"`.
 *
 * @param address Where to: a host and a port, which in production is not 25.
 * @param options How. Of the TLS options none can be honoured, nor can `localAddress` and `keepAlive: false`.
 * @returns The socket, not yet open.
 * @throws {TypeError} If an option is not what it has to be or cannot be honoured.
 * @throws {RangeError} If the port is none.
 */
export function connectWorkers(address: SocketAddress, options?: SocketOptions): Socket {
  const settings = settleForWorkers(settle(address, options));
  return new ConnectionSocket((signal) => openWorkers(settings, signal), settings);
}

/**
 * Opens a connection on Cloudflare Workers.
 *
 * @param settings Where to and how, with nothing that cannot be honoured.
 * @param signal Gives up.
 * @returns The connection, TLS included with `secureTransport: "on"`.
 */
export async function openWorkers(settings: SocketSettings, signal: AbortSignal): Promise<Connection> {
  const { address, secureTransport } = settings;
  if ("path" in address) throw new TypeError("There are no unix sockets on Cloudflare Workers");
  const specifier = "cloudflare:sockets"; // not to be looked for by type checkers and bundlers
  const { connect } = await import(specifier) as WorkersSockets;
  signal.throwIfAborted();
  // When a half-open connection ends is decided in one place for all adapters.
  const socket = connect(bracketed(address), { secureTransport, allowHalfOpen: true });
  try {
    return new WorkersConnection(socket, await opened(socket, signal));
  } catch (error) {
    signal.throwIfAborted();
    throw openingFailed(error, settings);
  }
}

class WorkersConnection implements Connection {
  readonly info: SocketInfo;
  readonly #socket: WorkersSocket;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What is under way, to fail it when the connection is closed: the platform may leave it pending. */
  readonly #pending = new Set<(reason: SocketError) => void>();
  /** After `startTls()`, until a byte has passed: the platform's `opened` does not wait for the handshake. */
  #unproven: boolean;
  /** Whether the platform has closed the socket. */
  #gone = false;
  /** A read that nobody has asked for yet. */
  #first: Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> | undefined;

  constructor(socket: WorkersSocket, info: SocketInfo, unproven = false) {
    this.info = info;
    this.#unproven = unproven;
    this.#socket = socket;
    this.#reader = socket.readable.getReader({ mode: "byob" });
    this.#writer = socket.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    const gone = () => void (this.#gone = true);
    socket.closed.then(gone, gone);
  }

  /**
   * Refuses what the peer has said in the clear behind its consent to TLS. Where it came before the platform's
   * `startTls()`, it is the first that the new socket reads (workerd 2026-07-30), as if it were protected: that is how
   * an attacker puts replies into the mouth of a server (CVE-2011-0411). It is there already, while what comes over TLS
   * has to come from the network.
   *
   * @throws {SocketError} If there is anything.
   */
  async refuseInjected(): Promise<void> {
    let said = false;
    this.#first = this.#reader.read(new Uint8Array(BUFFER_LENGTH));
    this.#first.then(({ value }) => said = value !== undefined && value.length > 0, () => {});
    for (let i = 0; i < ROUNDS && !said; i++) await new Response("x").text();
    if (!said) return;
    const at = this.info.remoteAddress === undefined ? "" : ` (${this.info.remoteAddress})`;
    throw new SocketError(
      "tls-failed",
      `TLS failed${at}: the peer has said something in the clear behind its consent`,
    );
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    let value: Uint8Array<ArrayBuffer> | undefined;
    const read = this.#first ?? this.#reader.read(new Uint8Array(BUFFER_LENGTH));
    this.#first = undefined;
    try {
      ({ value } = await this.#settle(read));
    } catch (error) {
      if (this.#unproven || !isLost(error)) throw this.#normalize(error);
      // Over TLS an end without close_notify and a cut are the same to the platform; in the clear it takes a cut for an
      // end by itself. SMTP says itself where its texts end.
    }
    if (value === undefined || value.length === 0) {
      // To a read, the platform tells of a failed handshake by an end, but it has closed the socket by then.
      if (this.#unproven && this.#gone) throw tlsFailed(this.info.remoteAddress);
      return null;
    }
    this.#unproven = false;
    // A small reply is copied, so that nobody keeps 64 KiB for 20 bytes.
    return value.length <= BUFFER_LENGTH / 2 ? value.slice() : value;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#settle(this.#writer.write(bytes));
      this.#unproven = false; // it has waited for the handshake
    } catch (error) {
      throw this.#normalize(error);
    }
  }

  async closeWrite(): Promise<void> {
    try {
      await this.#settle(this.#writer.close());
    } catch (error) {
      throw this.#normalize(error);
    }
  }

  close(): void {
    for (const reject of this.#pending) reject(new SocketError("closed", "The socket was closed"));
    drop(this.#socket); // its `closed` may stay pending while something is not read: nobody waits for it
  }

  async startTls(_: TlsSettings, signal: AbortSignal): Promise<Connection> {
    // With a lock still held the platform's startTls() returns, but `opened` never settles.
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    let secure: WorkersSocket | undefined;
    try {
      signal.throwIfAborted();
      secure = this.#socket.startTls();
      const connection = new WorkersConnection(secure, this.info, true);
      await connection.refuseInjected();
      await opened(secure, signal);
      return connection;
    } catch (error) {
      drop(secure ?? this.#socket);
      signal.throwIfAborted();
      if (error instanceof SocketError) throw error;
      throw tlsFailed(this.info.remoteAddress, error);
    }
  }

  async #settle<T>(work: Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    this.#pending.add(reject);
    try {
      return await Promise.race([work, promise]);
    } finally {
      this.#pending.delete(reject);
    }
  }

  #normalize(error: unknown): unknown {
    if (error instanceof SocketError) return error;
    if (this.#unproven) return tlsFailed(this.info.remoteAddress, error);
    if (!isLost(error)) return error;
    return new SocketError("connection-reset", "The peer cut the connection", { cause: error });
  }
}

function isLost(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Network connection lost");
}

/** The platform takes an IPv6 address only with brackets. */
function bracketed(
  { hostname, port }: { hostname: string; port: number },
): { hostname: string; port: number } {
  return { hostname: hostname.includes(":") ? `[${hostname}]` : hostname, port };
}

/** Waits for a socket to open. The platform leaves `opened` pending when the socket is closed. */
async function opened(socket: WorkersSocket, signal: AbortSignal): Promise<SocketInfo> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  socket.closed.catch(() => {});
  try {
    signal.throwIfAborted();
    const { remoteAddress, localAddress } = await Promise.race([socket.opened, aborted]);
    return { ...(remoteAddress && { remoteAddress }), ...(localAddress && { localAddress }) };
  } catch (error) {
    socket.opened.catch(() => {});
    drop(socket);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function drop(socket: WorkersSocket): void {
  try {
    socket.close().catch(() => {});
  } catch {
    // it is closed
  }
}

/** A port that refuses, a name without an address and, with `"on"`, a bad certificate are the same to the platform. */
function openingFailed(error: unknown, { target, secureTransport }: SocketSettings): SocketError {
  const why = secureTransport === "on"
    ? "it was refused, the host name has no address, or TLS or its certificate failed"
    : "it was refused, or the host name has no address";
  return new SocketError(
    "network",
    `The connection failed (${target}): ${why}; Cloudflare Workers do not say which`,
    { cause: error },
  );
}

/** Of a failed handshake the platform says `internal error; reference = …`, and of a bad certificate no more. */
function tlsFailed(target: string | undefined, error?: unknown): SocketError {
  const at = target === undefined ? "" : ` (${target})`;
  const why = "the certificate is not trusted, is for another name or has expired, or the handshake failed";
  return new SocketError("tls-failed", `TLS failed${at}: ${why}; Cloudflare Workers do not say which`, {
    cause: error,
  });
}
