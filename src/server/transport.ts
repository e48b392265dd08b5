/**
 * Reads from and writes to a socket, across STARTTLS, and ends it in good order.
 *
 * @module
 */
import type { Socket, SocketInfo } from "../sockets/socket.ts";

/** How long a client may take to hang up after the last reply, in milliseconds. */
const LINGER = 2_000;

/** How many bytes are read and thrown away meanwhile. */
const MAX_LINGER_BYTES = 1024 * 1024;

/** A socket with a reader and a writer. */
export class Transport {
  #socket: Socket;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** The write that is under way; it never rejects. */
  #writing: Promise<void> | undefined;
  /** What the last write failed with. */
  #failure: { readonly error: unknown } | undefined;
  /** A read that was begun and not waited for to its end. */
  #peeked: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  #reading = false;

  /** @param socket The socket. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    this.#ignoreClosed();
  }

  /** Resolves when the connection stands. */
  get opened(): Promise<SocketInfo> {
    return this.#socket.opened;
  }

  /** Whether a read is what it waits for. */
  get state(): "reading" | "other" {
    return this.#reading ? "reading" : "other";
  }

  /**
   * Writes.
   *
   * @param bytes What to write; they are not changed afterwards.
   * @returns `undefined` if the write has begun; a promise if the one before it has to end first.
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#writing !== undefined) return this.#writing.then(() => this.write(bytes));
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#writing = this.#writer.write(bytes).then(this.#onWritten, this.#onFailure);
    return undefined;
  }

  /** Waits until all is written. */
  async written(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /**
   * Reads.
   *
   * @returns Bytes; `undefined` at the end.
   */
  async read(): Promise<Uint8Array | undefined> {
    const pending = this.#peeked ?? this.#reader.read();
    this.#peeked = undefined;
    this.#reading = true;
    try {
      return (await pending).value;
    } finally {
      this.#reading = false;
    }
  }

  /**
   * Waits until the client says something, without taking it.
   *
   * @returns What has come.
   */
  async peek(): Promise<"bytes" | "end"> {
    this.#peeked = this.#reader.read();
    this.#reading = true;
    try {
      return (await this.#peeked).done ? "end" : "bytes";
    } catch {
      return "end";
    } finally {
      this.#reading = false;
    }
  }

  /** Makes a read that is under way, and all later ones, end. */
  stopReading(): void {
    this.#reader.cancel().catch(() => {});
  }

  /** Goes over to TLS. Everything must have been written. */
  async startTls(): Promise<void> {
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    this.#socket = this.#socket.startTls();
    this.#reader = this.#socket.readable.getReader();
    this.#writer = this.#socket.writable.getWriter();
    this.#ignoreClosed();
    await this.#socket.opened;
  }

  /**
   * Ends one's own side, then waits a while for the client to end its own. To close at once would destroy the last
   * reply on its way, wherever bytes of the client's have not been read (RFC 9293, section 3.10.4: a reset).
   */
  async finish(): Promise<void> {
    const timer = setTimeout(() => void this.#socket.close(), LINGER);
    try {
      await this.#writer.close();
      for (let read = 0; read < MAX_LINGER_BYTES;) {
        const chunk = await this.read();
        if (chunk === undefined) break;
        read += chunk.length;
      }
    } catch {
      // The client has gone already.
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Closes the socket at once.
   *
   * @param reason Why, if something is wrong.
   */
  async cut(reason?: unknown): Promise<void> {
    await this.#socket.close(reason).catch(() => {});
  }

  readonly #onWritten = (): void => {
    this.#writing = undefined;
  };

  readonly #onFailure = (error: unknown): void => {
    this.#writing = undefined;
    this.#failure ??= { error };
  };

  /** Each read and write tells by itself what is wrong. */
  #ignoreClosed(): void {
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
  }
}
