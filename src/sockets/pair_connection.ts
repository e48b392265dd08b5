/**
 * A connection over a pair of streams that somebody else has made.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { hasNode } from "./runtime.ts";
import type { TlsSettings } from "./settings.ts";
import { type SecureTransport, SocketError, type SocketInfo, type TlsOptions } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * A duplex connection as a pair of streams, which are locked as soon as it is given away. Each {@linkcode Socket} is one,
 * and so is what many libraries make.
 *
 * A socket of `node:net`, or another `Duplex`, becomes one by `Duplex.toWeb(socket)`. It should be opened with
 * `allowHalfOpen: true`, as it would end one's own side when the peer ends his; nobody else may read from it, and no listener
 * for `"data"` be left on it; and it reads ahead, up to its `highWaterMark`.
 */
export interface StreamPair {
  /** What the peer sends: chunks of bytes, in any view or buffer. It ends when the peer has ended its side. */
  readonly readable: ReadableStream<Uint8Array | ArrayBuffer>;
  /**
   * What is sent to the peer, in chunks that are the stream's to keep. A write is to take as long as the peer does to
   * read: that is all the backpressure there is.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the connection stands; what it tells of a {@linkcode SocketInfo} is taken over. Default: it stands. */
  readonly opened?: Promise<unknown>;
  /** If it rejects, what is under way fails with the reason. Default: the streams alone tell. */
  readonly closed?: Promise<unknown>;
  /**
   * `"on"`: the connection is protected already, and nobody has to go over to TLS. `"off"`: it is not, and its `startTls()`,
   * if it has one, is not for use. Default: `"starttls"`, it is not, and TLS may be spoken over it.
   */
  readonly secureTransport?: SecureTransport;
  /**
   * Closes both directions, at once. What it returns is waited for. Default: the readable is cancelled and the writable
   * closed, or aborted where there is a reason or a write is under way.
   */
  close?(reason?: unknown): unknown;
  /**
   * Goes over to TLS by means of its own. The streams are unlocked when it is called, and those that it returns are used
   * from then on, once `opened` says that the handshake is done. Default: TLS is spoken over the streams by `node:tls`.
   *
   * It has to check the name in `options.serverName`. The sockets of `cloudflare:sockets` do not: they check the one that
   * they were connected to, which through a proxy is the proxy's. `connect()` of this library refuses there instead.
   *
   * @param options How, and which name to check.
   */
  startTls?(options: TlsOptions): StreamPair;
}

/** A {@linkcode Connection} over a {@linkcode StreamPair}, whose streams it locks. */
export class PairConnection implements Connection {
  readonly secureTransport: SecureTransport;
  info: SocketInfo = {};
  readonly #pair: StreamPair;
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What is under way, to fail it when the connection is closed: the pair may leave it pending. */
  readonly #pending = new Set<(reason: unknown) => void>();
  #writing = false;
  #closed: Promise<void> | undefined;

  /**
   * @param pair What to read from and write to.
   * @param secureTransport See {@linkcode transportOf}.
   */
  constructor(pair: StreamPair, secureTransport: SecureTransport) {
    this.secureTransport = secureTransport;
    this.#pair = pair;
    this.#reader = pair.readable.getReader();
    this.#writer = pair.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    pair.closed?.catch((reason) => this.#fail(reason));
  }

  /**
   * Waits until the pair says that it stands. If it does not come to that, it is closed.
   *
   * @param signal Gives up.
   */
  async open(signal: AbortSignal): Promise<void> {
    const abort = () => this.#fail(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      if (this.#pair.opened !== undefined) this.info = readInfo(await this.#settle(this.#pair.opened));
    } catch (error) {
      void this.close(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async read(): Promise<Bytes | null> {
    for (;;) {
      const { value, done } = await this.#settle(this.#reader.read());
      if (done) return null;
      const bytes = toBytes(value);
      if (bytes.length > 0) return bytes;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    // Only our own sockets are done with the memory when a write is; others may still have it in a queue.
    const own = this.#pair instanceof ConnectionSocket ? bytes : bytes.slice();
    this.#writing = true;
    await this.#settle(this.#writer.write(own));
    this.#writing = false;
  }

  closeWrite(): Promise<void> {
    return this.#settle(this.#writer.close());
  }

  close(reason?: unknown): Promise<void> {
    const why = reason ?? new SocketError("closed", "The socket was closed");
    this.#fail(why);
    return this.#closed ??= closePair(this.#pair, this.#writing ? why : reason, this.#reader, this.#writer);
  }

  async startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    if (this.secureTransport !== "starttls") throw tlsRefused();
    if (!hasOwnTls(this.#pair)) {
      const { startTlsWithNode } = await import("./node.ts");
      return await startTlsWithNode(this, settings, signal);
    }
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    let secure: PairConnection;
    try {
      signal.throwIfAborted();
      secure = new PairConnection(this.#pair.startTls(toOptions(settings)), "on");
    } catch (error) {
      void closePair(this.#pair, error);
      throw error;
    }
    await secure.open(signal);
    secure.info = { ...this.info, ...secure.info };
    return secure;
  }

  #settle<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      work.then(resolve, reject).finally(() => this.#pending.delete(reject));
    });
  }

  #fail(reason: unknown): void {
    for (const reject of this.#pending) reject(reason);
  }
}

/**
 * How a connection over a pair is protected before we do anything, and whether it can be.
 *
 * @param pair The pair.
 * @param wanted How it is to be.
 * @returns `"on"` if it is already, `"off"` if it must not be or cannot be on this runtime.
 */
export function transportOf(pair: StreamPair, wanted: SecureTransport): SecureTransport {
  if (pair.secureTransport === "on") return "on";
  return wanted !== "off" && (hasOwnTls(pair) || hasNode()) ? "starttls" : "off";
}

/** What to say where TLS is wanted and {@linkcode transportOf} is `"off"`. */
export function tlsRefused(): SocketError {
  const why =
    "this runtime has no node:tls to speak it over streams, and they have no startTls() of their own";
  return new SocketError("tls-failed", `Cannot speak TLS over the given streams: ${why}`);
}

/**
 * Closes a pair. Never rejects.
 *
 * @param pair The pair.
 * @param reason Why, if not in good order.
 * @param readable Who reads, where somebody does.
 * @param writable Who writes, where somebody does.
 */
export async function closePair(
  pair: StreamPair,
  reason?: unknown,
  readable: Pick<ReadableStream, "cancel"> = pair.readable,
  writable: Pick<WritableStream, "abort" | "close"> = pair.writable,
): Promise<void> {
  try {
    if (pair.close !== undefined) return void await pair.close(reason);
    // They stay pending for as long as what is under way does: nobody waits for them.
    readable.cancel(reason).catch(() => {});
    (reason === undefined ? writable.close() : writable.abort(reason)).catch(() => {});
  } catch {
    // It is the pair's own affair: there is nobody left whom it concerns.
  }
}

function hasOwnTls(pair: StreamPair): pair is StreamPair & Required<Pick<StreamPair, "startTls">> {
  return pair.startTls !== undefined && pair.secureTransport !== "off";
}

/** Bytes that are the reader's: other libraries' are views of buffers that they share among many. */
function toBytes(chunk: unknown): Bytes {
  if (chunk instanceof Uint8Array && chunk.constructor === Uint8Array) return chunk as Bytes;
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength).slice() as Bytes;
  }
  throw new TypeError(`A chunk of the given readable is bytes: it is of type ${typeof chunk}`);
}

function readInfo(opened: unknown): SocketInfo {
  if (typeof opened !== "object" || opened === null) return {};
  const { remoteAddress, localAddress, alpn, tls } = opened as SocketInfo;
  return {
    ...(typeof remoteAddress === "string" && { remoteAddress }),
    ...(typeof localAddress === "string" && { localAddress }),
    ...(alpn !== undefined && { alpn }),
    ...(tls !== undefined && { tls }),
  };
}

function toOptions(
  { serverName, caCerts, cert, key, alpnProtocols, verify, peerCertificate }: TlsSettings,
): TlsOptions {
  return {
    ...(serverName !== undefined && { serverName }),
    ...(caCerts.length > 0 && { caCerts }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
    ...(alpnProtocols.length > 0 && { alpnProtocols }),
    ...(!verify && { verify }),
    ...(peerCertificate && { peerCertificate }),
  };
}
