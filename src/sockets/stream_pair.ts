/**
 * A connection over a pair of streams that the caller has made.
 *
 * @module
 */
import { isOwn } from "../core/option_names.ts";
import { abortable } from "./abortable.ts";
import type { Connection } from "./connection.ts";
import { isOwnSocket } from "./connection_socket.ts";
import { hasNode } from "./runtime.ts";
import type { TlsSettings } from "./settings.ts";
import { type SecureTransport, SocketError, type SocketInfo, type TlsOptions } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * A duplex connection as a pair of streams, which are locked as soon as they are handed over. Each {@linkcode Socket} is one,
 * and so are the connections of many libraries.
 *
 * `Duplex.toWeb(socket)` makes one of a socket of `node:net` or another `Duplex`. The socket should be opened with
 * `allowHalfOpen: true`, because otherwise it ends its side when the peer does; nobody else may read from it, and it may have
 * no listener for `"data"`; and it reads ahead, up to its `highWaterMark`.
 */
export interface StreamPair {
  /** Bytes from the peer, in any view or buffer. It ends when the peer has ended its side. */
  readonly readable: ReadableStream<Uint8Array | ArrayBuffer>;
  /**
   * Bytes to the peer, in chunks that the stream may keep. A write has to take as long as the peer takes to read: there is
   * no other backpressure.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the connection is open, with what it knows of a {@linkcode SocketInfo}. Default: it is open. */
  readonly opened?: Promise<unknown>;
  /** If it rejects, reads and writes under way fail with the reason. Default: only the streams report failures. */
  readonly closed?: Promise<unknown>;
  /**
   * `"on"`: the connection is protected already, so that TLS is not started. `"off"`: it is not, and its `startTls()`, if it
   * has one, must not be used. Default: `"starttls"`, it is not, and TLS may be started over it.
   */
  readonly secureTransport?: SecureTransport;
  /**
   * Closes both directions at once. The caller waits for the promise that it returns. Default: the readable is cancelled, and
   * the writable is closed, or aborted if there is a reason or a write is under way.
   */
  close?(reason?: unknown): unknown;
  /**
   * Goes over to TLS in its own way. The streams are unlocked when it is called; those that it returns take their place, once
   * their `opened` says that the handshake is done. Default: `node:tls` speaks TLS over the streams.
   *
   * It has to check the name in `options.serverName`. The sockets of `cloudflare:sockets` do not: they check the name that
   * they were connected to, which through a proxy is the name of the proxy. `connect()` of this library refuses instead.
   *
   * @param options How to do TLS, and which name to check.
   */
  startTls?(options: TlsOptions): StreamPair;
  /** See {@linkcode Socket.ref}. */
  ref?(): void;
  /** See {@linkcode Socket.unref}. Default: the pair keeps the process running, or does not, as it likes. */
  unref?(): void;
}

/** A {@linkcode Connection} over a {@linkcode StreamPair}, whose streams it locks. */
export class PairConnection implements Connection {
  readonly secureTransport: SecureTransport;
  info: SocketInfo = {};
  readonly #pair: StreamPair;
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Fails what is under way, once: the pair may leave it pending. */
  #failing = new AbortController();
  #writing = false;
  /** How many bytes would have left a socket of ours by now if all that were written had. */
  #written: number;
  #closed: Promise<void> | undefined;

  /**
   * @param pair The streams to read from and write to.
   * @param secureTransport See {@linkcode transportOf}.
   */
  constructor(pair: StreamPair, secureTransport: SecureTransport) {
    this.secureTransport = secureTransport;
    this.#pair = pair;
    this.#written = isOwnSocket(pair) ? pair.sent : 0;
    this.#reader = pair.readable.getReader();
    this.#writer = pair.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    pair.closed?.catch((reason) => this.#fail(reason));
  }

  /**
   * Waits until the pair says that it is open. If it fails to open, it is closed.
   *
   * @param signal Gives up.
   */
  async open(signal: AbortSignal): Promise<void> {
    try {
      signal.throwIfAborted();
      if (this.#pair.opened === undefined) return;
      const info = readInfo(await abortable(this.#whileOpen(this.#pair.opened), signal));
      // TLS that does not protect the way to the server ends at a proxy, and is none of the server's.
      const { alpn: _, tls: __, ...below } = info;
      this.info = this.secureTransport === "on" ? info : below;
    } catch (error) {
      void this.close(error);
      throw error;
    }
  }

  get unsent(): number {
    return isOwnSocket(this.#pair) ? this.#written - this.#pair.sent : 0;
  }

  async read(): Promise<Bytes | null> {
    for (;;) {
      const { value, done } = await this.#whileOpen(this.#reader.read());
      if (done) return null;
      const bytes = toBytes(value);
      if (bytes.length > 0) return bytes;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    const chunk = isOwnSocket(this.#pair) ? bytes : bytes.slice();
    this.#writing = true;
    this.#written += chunk.length;
    await this.#whileOpen(this.#writer.write(chunk));
    this.#writing = false;
  }

  closeWrite(): Promise<void> {
    return this.#whileOpen(this.#writer.close());
  }

  ref(): void {
    this.#pair.ref?.();
  }

  unref(): void {
    this.#pair.unref?.();
  }

  close(reason?: unknown): Promise<void> {
    const why = reason ?? new SocketError("closed", "The socket was closed");
    this.#fail(why);
    return this.#closed ??= closePair(this.#pair, this.#writing ? why : reason, this.#reader, this.#writer);
  }

  /** See the function of the same name. If it refuses, the pair is closed. */
  assertShowsCertificate(tls: Pick<TlsOptions, "fingerprints"> | undefined): void {
    try {
      assertShowsCertificate(this.#pair, tls);
    } catch (error) {
      void this.close(error);
      throw error;
    }
  }

  checkTls(settings: TlsSettings): void {
    assertShowsCertificate(this.#pair, settings);
    if (isOwnSocket(this.#pair) && hasOwnTls(this.#pair)) this.#pair.checkTls(toOptions(settings));
  }

  async startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    if (this.secureTransport !== "starttls") throw tlsRefused();
    this.assertShowsCertificate(settings);
    if (!hasOwnTls(this.#pair)) {
      const { startTlsWithNode } = await import("./node/connection.ts"); // Node's adapter: not all runtimes have it
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
    // What it was told to check, if it does not say what it has checked. What it is said to have checked is believed.
    const tls = { ...(settings.verifiedBy && { verifiedBy: settings.verifiedBy }), ...secure.info.tls };
    secure.info = { ...this.info, ...secure.info, tls };
    return secure;
  }

  #whileOpen<T>(work: Promise<T>): Promise<T> {
    return abortable(work, this.#failing.signal);
  }

  /** Fails what is under way now. Later reads still get what the stream holds: the peer's last words. */
  #fail(reason: unknown): void {
    this.#failing.abort(reason);
    this.#failing = new AbortController();
  }
}

/**
 * Whether a connection over a pair is protected already, and whether it can be.
 *
 * @param pair The pair.
 * @param wanted The protection that the caller asks for.
 * @returns `"on"` if it is protected already, `"starttls"` if it can be, `"off"` if it must not be or this runtime cannot.
 */
export function transportOf(pair: StreamPair, wanted: SecureTransport): SecureTransport {
  if (saysTransport(pair) === "on") return "on";
  return wanted !== "off" && (hasOwnTls(pair) || hasNode()) ? "starttls" : "off";
}

/**
 * Refuses fingerprints where nobody could compare them: TLS over the pair is there already, or is the caller's own, which does
 * not show the certificate before something is sent.
 *
 * @param pair The pair.
 * @param tls How to do TLS over it.
 * @throws {TypeError} If it would be in vain.
 */
export function assertShowsCertificate(
  pair: StreamPair,
  tls: Pick<TlsOptions, "fingerprints"> | undefined,
): void {
  if (tls?.fingerprints === undefined || tls.fingerprints.length === 0) return;
  if (saysTransport(pair) !== "on" && (!hasOwnTls(pair) || isOwnSocket(pair))) return;
  throw new TypeError(
    "Cannot use TLS: fingerprints cannot be compared, the given socket does TLS by itself and does not show the certificate",
  );
}

/** The error if TLS is needed and {@linkcode transportOf} is `"off"`. */
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
 * @param readable The reader of the readable, if it has one.
 * @param writable The writer of the writable, if it has one.
 */
export async function closePair(
  pair: StreamPair,
  reason?: unknown,
  readable: Pick<ReadableStream, "cancel"> = pair.readable,
  writable: Pick<WritableStream, "abort" | "close"> = pair.writable,
): Promise<void> {
  try {
    if (pair.close !== undefined) return void await pair.close(reason);
    // They stay pending as long as a read or a write under way does: nobody waits for them.
    readable.cancel(reason).catch(() => {});
    (reason === undefined ? writable.close() : writable.abort(reason)).catch(() => {});
  } catch {
    // A pair that cannot close itself: nobody uses it any more.
  }
}

function hasOwnTls(pair: StreamPair): pair is StreamPair & Required<Pick<StreamPair, "startTls">> {
  return isOwn(pair, "startTls") && pair.startTls !== undefined && saysTransport(pair) !== "off";
}

/** What a pair says about its protection, and not what `Object.prototype` says. */
function saysTransport(pair: StreamPair): SecureTransport | undefined {
  return isOwn(pair, "secureTransport") ? pair.secureTransport : undefined;
}

/** Bytes that belong to the reader: other libraries hand out views of shared buffers. */
function toBytes(chunk: unknown): Bytes {
  if (chunk instanceof Uint8Array && chunk.constructor === Uint8Array) return chunk as Bytes;
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength).slice() as Bytes;
  }
  throw new TypeError(
    `Cannot read: a chunk of the given readable must be bytes, it is of type ${typeof chunk}`,
  );
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

function toOptions(settings: TlsSettings): TlsOptions {
  const { serverName, caCerts, fingerprints, cert, key, alpnProtocols, verify, insists, peerCertificate } =
    settings;
  return {
    ...(serverName !== undefined && { serverName }),
    ...(caCerts.length > 0 && { caCerts }),
    ...(fingerprints.length > 0 && { fingerprints }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
    ...(alpnProtocols.length > 0 && { alpnProtocols }),
    ...(fingerprints.length === 0 && (insists || !verify) && { verify }),
    ...(peerCertificate && { peerCertificate }),
  };
}
