/**
 * The two streams of a socket, locked for one reader and one writer, across STARTTLS.
 *
 * @module
 */
import { isOwnSocket } from "./connection_socket.ts";
import { settleTls } from "./settings.ts";
import { assertShowsCertificate } from "./stream_pair.ts";
import type { SecureTransport, Socket, SocketInfo, TlsOptions } from "./socket.ts";

/** Reads from and writes to a socket. One read and one write at a time; the owner sees to that. */
export class LockedStreams {
  readonly #onWriteEnd: ((error?: unknown) => void) | undefined;
  #socket: Socket;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #reading = false;
  #writing: Promise<void> | undefined;
  #writeError: unknown;
  /** How many bytes would have been sent by now if all that were written had been. */
  #written: number;

  /**
   * @param socket An open or opening socket whose streams are not locked.
   * @param onWriteEnd Called when a write has ended, with its error if it failed.
   */
  constructor(socket: Socket, onWriteEnd?: (error?: unknown) => void) {
    this.#onWriteEnd = onWriteEnd;
    this.#socket = socket;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    this.#written = sentBy(socket);
    this.#markHandled();
  }

  /** Resolves when the connection is open. */
  get opened(): Promise<SocketInfo> {
    return this.#socket.opened;
  }

  /** Resolves when the connection is closed, rejects when it broke. */
  get closed(): Promise<void> {
    return this.#socket.closed;
  }

  /** How the connection is protected. */
  get secureTransport(): SecureTransport {
    return this.#socket.secureTransport;
  }

  /** Whether a read is under way. */
  get reading(): boolean {
    return this.#reading;
  }

  /** The end of the write that is under way. It never rejects: see {@linkcode writeError}. */
  get writing(): Promise<void> | undefined {
    return this.#writing;
  }

  /** How many of the bytes that were written have certainly not left, and never will once the connection is closed. */
  get unsent(): number {
    return isOwnSocket(this.#socket) ? this.#written - this.#socket.sent : 0;
  }

  /** Why nothing can be written any more. */
  get writeError(): unknown {
    return this.#writeError;
  }

  /**
   * Begins a write. The one before must have ended.
   *
   * @param bytes What to write.
   */
  write(bytes: Uint8Array): void {
    this.#written += bytes.length;
    this.#writing = this.#writer.write(bytes).then(this.#onWritten, this.#onFailure);
  }

  /**
   * Waits for bytes and hands them over in the same turn: a promise in between would cost every reply a microtask.
   *
   * @param take Gets the bytes; `undefined` at the end of the connection.
   * @returns What `take` returns.
   */
  async read<T>(take: (bytes: Uint8Array | undefined) => T): Promise<T> {
    this.#reading = true;
    try {
      const { value, done } = await this.#reader.read();
      return take(done ? undefined : value);
    } finally {
      this.#reading = false;
    }
  }

  /** Makes the read that is under way, and all later ones, see the end of the connection. */
  stopReading(): void {
    this.#reader.cancel().catch(() => {});
  }

  /** Ends this side of the connection, after what was written. */
  endWriting(): Promise<void> {
    return this.#writer.close();
  }

  /** See {@linkcode Socket.ref}. */
  ref(): void {
    this.#socket.ref?.();
  }

  /** See {@linkcode Socket.unref}. */
  unref(): void {
    this.#socket.unref?.();
  }

  /**
   * Checks the options of a later {@linkcode startTls}, before the peer is asked for TLS.
   *
   * @param options How.
   * @throws {TypeError} If they are not valid, or the socket cannot honour them.
   */
  checkTls(options?: TlsOptions): void {
    assertShowsCertificate(this.#socket, options);
    if (isOwnSocket(this.#socket)) this.#socket.checkTls(options);
    else settleTls(options ?? {}, "localhost"); // a socket of the caller's may know its name
  }

  /**
   * Starts TLS. No read and no write may be under way.
   *
   * @param options How, if not as the socket was told when it was made.
   * @returns What is known about the connection, once the handshake is done.
   * @throws {TypeError} As {@linkcode checkTls}; nothing has changed then.
   */
  startTls(options?: TlsOptions): Promise<SocketInfo> {
    this.checkTls(options);
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    this.#socket = this.#socket.startTls(options);
    this.#reader = this.#socket.readable.getReader();
    this.#writer = this.#socket.writable.getWriter();
    this.#written = sentBy(this.#socket);
    this.#markHandled();
    return this.#socket.opened;
  }

  /**
   * Closes the connection at once.
   *
   * @param reason Why, if something is wrong.
   * @returns `closed`.
   */
  close(reason?: unknown): Promise<void> {
    this.#writeError ??= reason ?? new Error("Cannot write: the connection was closed");
    return this.#socket.close(reason);
  }

  readonly #onWritten = (): void => {
    this.#writing = undefined;
    this.#onWriteEnd?.();
  };

  readonly #onFailure = (error: unknown): void => {
    this.#writing = undefined;
    this.#writeError = error ?? new Error("Cannot write: the stream was aborted");
    this.#onWriteEnd?.(this.#writeError);
  };

  /** A broken socket is reported by the read or the write that meets it, not as an unhandled rejection. */
  #markHandled(): void {
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
    this.#socket.opened.catch(() => {});
    this.#socket.closed.catch(() => {});
  }
}

/** How many bytes have left already: 0 for a socket of the caller's, which does not tell. */
function sentBy(socket: Socket): number {
  return isOwnSocket(socket) ? socket.sent : 0;
}
