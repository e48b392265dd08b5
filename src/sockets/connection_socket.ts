/**
 * The one place where a connection becomes a {@linkcode Socket}, with its streams, states, errors and signal. The adapters
 * only make connections.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { normalizeError } from "./errors.ts";
import type { TlsSettings } from "./settings.ts";
import {
  type SecureTransport,
  type Socket,
  SocketError,
  type SocketInfo,
  type TlsOptions,
} from "./socket.ts";
import { assertCanStartTls } from "./start_tls.ts";

/** Opens a connection. It must settle soon after the signal is aborted, and leave nothing open when it rejects. */
export type Open = (signal: AbortSignal) => Promise<Connection>;

/** The rest of what a socket is made of. */
export interface ConnectionSocketInit {
  /** See {@linkcode Socket.secureTransport}. */
  secureTransport: SecureTransport;
  /** See {@linkcode SocketOptions.allowHalfOpen}. Default: `false`. */
  allowHalfOpen?: boolean | undefined;
  /** See {@linkcode SocketOptions.signal}. */
  signal?: AbortSignal | undefined;
  /** Checks and completes the options of `startTls()`; throws if they are not valid. */
  startTls: (options?: TlsOptions) => TlsSettings;
  /** The name of the peer in messages. */
  target?: string | undefined;
  /** See {@linkcode Socket.upgraded}. Default: `false`. */
  upgraded?: boolean;
  /** Whether {@linkcode Socket.unref} was called before. Default: `false`. */
  unrefed?: boolean;
}

/**
 * - `opening`: there is no connection yet.
 * - `open`: there is one.
 * - `handed-over`: `startTls()` was called; the connection belongs to another socket.
 * - `closed`: closed by the owner, by the signal, by an error, or by both sides having ended.
 */
type State = "opening" | "open" | "handed-over" | "closed";

/** One direction. `busy`: a read, a write or an end is under way. `ended`: no more bytes will pass. */
type Direction = "idle" | "busy" | "ended";

/** `cancelled`: the reader has left, which says nothing about the peer's side. */
type Reading = Direction | "cancelled";

/** A {@linkcode Socket} over a {@linkcode Connection} that is open or still to be opened. */
export class ConnectionSocket implements Socket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly upgraded: boolean;
  readonly #init: ConnectionSocketInit;
  readonly #opened = Promise.withResolvers<SocketInfo>();
  readonly #closed = Promise.withResolvers<void>();
  readonly opened: Promise<SocketInfo> = this.#opened.promise;
  readonly closed: Promise<void> = this.#closed.promise;
  /** Stops opening the connection. */
  readonly #giveUp = new AbortController();
  readonly #opening: Promise<Connection>;
  #connection: Connection | undefined;
  #state: State = "opening";
  #reading: Reading = "idle";
  #writing: Direction = "idle";
  /** Why the connection broke: the first failure. */
  #broken: SocketError | undefined;
  /** The error of a write that was under way when the socket was closed, or comes later. */
  #closeReason: unknown;
  #unrefed: boolean;
  /** How many bytes the connection was given to write. */
  #given = 0;
  #source!: ReadableStreamDefaultController<Uint8Array>;
  #sink!: WritableStreamDefaultController;

  /**
   * @param connection The connection, or how to open it.
   * @param init The rest.
   */
  constructor(connection: Connection | Open, init: ConnectionSocketInit) {
    this.#init = init;
    this.upgraded = init.upgraded ?? false;
    this.#unrefed = init.unrefed ?? false;
    // As in the Sockets API: ignoring them is not punished with an unhandled rejection.
    this.opened.catch(() => {});
    this.closed.catch(() => {});
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#source = controller),
      pull: () => this.#pull(),
      cancel: () => this.#cancel(),
    }, { highWaterMark: 0 });
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => void (this.#sink = controller),
      write: (chunk) => this.#write(chunk),
      close: () => this.#end(),
      abort: (reason) => void this.close(reason ?? new SocketError("closed", "The writable was aborted")),
    });
    const { signal } = init;
    if (typeof connection === "function") {
      this.#opening = this.#open(signal?.aborted ? () => Promise.reject(this.#abortError()) : connection);
      this.#opening.catch(() => {});
    } else {
      this.#opening = Promise.resolve(connection);
      this.#connection = connection;
      this.#state = "open";
      this.#opened.resolve(connection.info);
    }
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort);
  }

  get secureTransport(): SecureTransport {
    return this.#connection?.secureTransport ?? this.#init.secureTransport;
  }

  /** How many bytes may have left the process. What is left of those that were written never will, once this is closed. */
  get sent(): number {
    return this.#given - (this.#connection?.unsent ?? 0);
  }

  close(reason?: unknown): Promise<void> {
    if (this.#state === "opening" || this.#state === "open") {
      this.#closeReason = reason ?? new SocketError("closed", "The socket was closed");
      if (reason !== undefined) this.#source.error(reason);
      else if (!this.#readingIsOver()) this.#source.close();
      this.#release(reason);
    }
    return this.closed;
  }

  startTls(options?: TlsOptions): Socket {
    assertCanStartTls(this, {
      handedOver: this.#state === "handed-over",
      closed: this.#state === "closed",
      reading: this.#reading === "busy",
      unread: this.#source.desiredSize !== null && this.#source.desiredSize < 0,
      ended: this.#readingIsOver() || this.#writing === "ended",
    });
    const settings = this.checkTls(options);
    // Locked for good, so that nothing comes in between.
    const writer = this.writable.getWriter();
    this.readable.getReader();
    this.#state = "handed-over";
    this.#init.signal?.removeEventListener("abort", this.#onAbort);
    return new ConnectionSocket((signal) => this.#secure(writer, settings, signal), {
      ...this.#init,
      secureTransport: "on",
      upgraded: true,
      unrefed: this.#unrefed,
    });
  }

  /** Checks the options of a later `startTls()`; throws if they are not valid. */
  checkTls(options?: TlsOptions): TlsSettings {
    const settings = this.#init.startTls(options);
    this.#connection?.checkTls?.(settings);
    return settings;
  }

  ref(): void {
    this.#unrefed = false;
    if (this.#state === "open") this.#connection!.ref?.();
  }

  unref(): void {
    this.#unrefed = true;
    if (this.#state === "open") this.#connection!.unref?.();
  }

  /** Waits for the connection and for the queued writes, and goes over to TLS. If it fails, the connection is closed. */
  async #secure(
    writer: WritableStreamDefaultWriter,
    settings: TlsSettings,
    signal: AbortSignal,
  ): Promise<Connection> {
    let plain: Connection | undefined;
    const giveUp = () => {
      this.#giveUp.abort(signal.reason);
      plain?.close();
    };
    signal.addEventListener("abort", giveUp);
    try {
      plain = await this.#opening;
      signal.throwIfAborted();
      await writer.close(); // waits for the queued writes
      this.#source.error(new SocketError("closed", "The connection went over to TLS"));
      signal.throwIfAborted();
      signal.removeEventListener("abort", giveUp); // from here on the adapter looks at the signal
      plain.ref?.(); // somebody waits for the handshake
      return await plain.startTls(settings, signal);
    } catch (error) {
      plain?.close();
      throw normalizeError(error, { handshake: "later", target: this.#init.target });
    } finally {
      signal.removeEventListener("abort", giveUp);
      this.#closed.resolve();
    }
  }

  async #open(open: Open): Promise<Connection> {
    let connection: Connection;
    try {
      connection = await open(this.#giveUp.signal);
    } catch (error) {
      const failure = this.#normalize(error);
      this.#fail(failure);
      throw this.#broken ?? failure;
    }
    this.#connection = connection;
    // The socket may have been closed in the meantime; #release() then waits for this promise and closes the connection.
    if (this.#state === "opening") {
      this.#state = "open";
      if (this.#unrefed) connection.unref?.();
    }
    this.#opened.resolve(connection.info);
    return connection;
  }

  #normalize(error: unknown): SocketError {
    return normalizeError(error, { target: this.#init.target });
  }

  #pull(): Promise<void> | void {
    this.#reading = "busy";
    const connection = this.#connection;
    if (connection === undefined) return this.#opening.then(() => this.#read(), () => {});
    return this.#read();
  }

  #read(): Promise<void> | void {
    if (this.#state === "closed") return;
    try {
      const bytes = this.#connection!.read();
      return bytes instanceof Promise ? bytes.then(this.#onRead, this.#onReadError) : this.#onRead(bytes);
    } catch (error) {
      this.#onReadError(error);
    }
  }

  readonly #onRead = (bytes: Uint8Array | null): void => {
    if (this.#reading !== "busy" || this.#state === "closed") return; // cancelled or closed: nobody wants the bytes
    if (bytes !== null) {
      this.#reading = "idle";
      this.#source.enqueue(bytes);
      return;
    }
    this.#reading = "ended";
    this.#source.close();
    if (this.#writing === "ended") this.#release();
    else if (this.#writing === "idle" && !this.#init.allowHalfOpen) this.#closeAfterPeer();
  };

  readonly #onReadError = (error: unknown): void => {
    if (this.#reading !== "busy") return;
    this.#fail(this.#normalize(error));
  };

  #cancel(): void {
    // This is only the reading side; a reply may still have to be sent.
    this.#reading = "cancelled";
    if (this.#writing === "ended") this.#release();
  }

  #write(chunk: Uint8Array): Promise<void> | void {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(`Cannot write: the chunk must be a Uint8Array, it is of type ${typeof chunk}`);
    }
    if (chunk.length === 0) return;
    this.#writing = "busy";
    if (this.#connection === undefined) return this.#opening.then(() => this.#send(chunk));
    return this.#send(chunk);
  }

  #send(chunk: Uint8Array): Promise<void> | void {
    if (this.#state === "closed") throw this.#closeReason;
    this.#given += chunk.length;
    try {
      const written = this.#connection!.write(chunk);
      if (written instanceof Promise) return written.then(this.#onWritten, this.#onWriteError);
      this.#onWritten();
    } catch (error) {
      this.#onWriteError(error);
    }
  }

  readonly #onWritten = (): void => {
    if (this.#state === "closed") return;
    this.#writing = "idle";
    if (this.#reading === "ended" && !this.#init.allowHalfOpen) this.#closeAfterPeer();
  };

  /** A failed write leaves the readable alone: the server's last reply, which says why, may be waiting there. */
  readonly #onWriteError = (error: unknown): never => {
    if (this.#state === "closed") throw this.#closeReason;
    this.#writing = "ended";
    this.#broken ??= this.#normalize(error);
    if (this.#readingIsOver()) this.#release();
    throw this.#broken;
  };

  async #end(): Promise<void> {
    if (this.#state === "handed-over") return;
    this.#writing = "busy";
    try {
      const connection = this.#connection ?? await this.#opening;
      await connection.closeWrite();
    } catch (error) {
      return this.#onWriteError(error);
    }
    if (this.#isClosed()) return;
    this.#writing = "ended";
    if (this.#readingIsOver()) this.#release();
  }

  /** The peer has ended its side, and half-open connections are not wanted. */
  #closeAfterPeer(): void {
    this.#closeReason = new SocketError("connection-reset", "The peer closed the connection");
    this.#release();
  }

  readonly #onAbort = (): void => this.#fail(this.#abortError());

  #abortError(): SocketError {
    return new SocketError("aborted", "The socket was aborted", { cause: this.#init.signal!.reason });
  }

  #fail(error: SocketError): void {
    if (this.#state === "closed") return;
    this.#broken ??= error;
    this.#closeReason = error;
    this.#source.error(error);
    if (this.#state === "handed-over") {
      // Only opening it can fail: the connection no longer belongs to this socket.
      this.#opened.reject(error);
      this.#closed.reject(error);
      return;
    }
    this.#release(error);
  }

  #release(reason?: unknown): void {
    this.#state = "closed";
    this.#reading = "ended";
    this.#writing = "ended";
    this.#init.signal?.removeEventListener("abort", this.#onAbort);
    this.#sink.error(this.#closeReason);
    this.#opened.reject(this.#broken ?? this.#closeReason);
    this.#giveUp.abort(this.#closeReason);
    void this.#settleClosed(reason);
  }

  async #settleClosed(reason: unknown): Promise<void> {
    try {
      const connection = this.#connection ?? await this.#opening;
      connection.ref?.(); // somebody may wait for `closed`
      await connection.close(reason);
    } catch {
      // It never opened: there is nothing to close, and `opened` says why.
    }
    if (this.#broken === undefined) this.#closed.resolve();
    else this.#closed.reject(this.#broken);
  }

  #readingIsOver(): boolean {
    return this.#reading === "ended" || this.#reading === "cancelled";
  }

  // A method, because TypeScript believes that an await does not change #state.
  #isClosed(): boolean {
    return this.#state === "closed";
  }
}

/**
 * Whether a socket is one of ours, and not one that the caller has made. Ours are done with the bytes of a write when it
 * resolves, so that the memory may be used again; a stream of the caller's may keep them in a queue.
 */
export function isOwnSocket(socket: unknown): socket is ConnectionSocket {
  return socket instanceof ConnectionSocket;
}
