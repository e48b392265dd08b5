/**
 * The server's side of a connection: replies out, bytes in, and an end that loses no reply.
 *
 * @module
 */
import { LockedStreams } from "../sockets/locked_streams.ts";
import type { Socket, SocketInfo } from "../sockets/socket.ts";

/** How long a client may take to hang up after the last reply, in milliseconds. */
const LINGER = 2_000;

/** How many bytes are read and thrown away meanwhile. */
const MAX_LINGER_BYTES = 1024 * 1024;

/** Returns a read's bytes unchanged. */
const asIs = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes;

/** The connection to one client. */
export class Transport {
  readonly #streams: LockedStreams;
  /** The bytes that {@linkcode peek} has waited for. */
  #peeked: Promise<Uint8Array | undefined> | undefined;

  /** @param socket The socket. */
  constructor(socket: Socket) {
    this.#streams = new LockedStreams(socket);
  }

  /** Resolves when the connection is open. */
  get opened(): Promise<SocketInfo> {
    return this.#streams.opened;
  }

  /** Whether a read is under way. */
  get reading(): boolean {
    return this.#streams.reading;
  }

  /**
   * Writes.
   *
   * @param bytes What to write; it must not change afterwards.
   * @returns `undefined` if the write has begun; a promise if the one before has to end first.
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    const { writing, writeError } = this.#streams;
    if (writing !== undefined) return writing.then(() => this.write(bytes));
    if (writeError !== undefined) throw writeError;
    this.#streams.write(bytes);
    return undefined;
  }

  /** Waits until everything is written. */
  async written(): Promise<void> {
    await this.#streams.writing;
    if (this.#streams.writeError !== undefined) throw this.#streams.writeError;
  }

  /**
   * Reads.
   *
   * @returns Bytes; `undefined` at the end.
   */
  read(): Promise<Uint8Array | undefined> {
    const peeked = this.#peeked;
    if (peeked === undefined) return this.#streams.read(asIs);
    this.#peeked = undefined;
    return peeked;
  }

  /**
   * Waits until the client says something, and leaves it for the next read.
   *
   * @returns Whether bytes have arrived, or the connection has ended.
   */
  async peek(): Promise<"bytes" | "end"> {
    this.#peeked = this.#streams.read(asIs);
    try {
      return await this.#peeked === undefined ? "end" : "bytes";
    } catch {
      return "end";
    }
  }

  /** Makes the read that is under way, and all later ones, see the end of the connection. */
  stopReading(): void {
    this.#streams.stopReading();
  }

  /**
   * Starts TLS. Everything must have been written.
   *
   * @returns What is known about the connection, once the handshake is done.
   */
  startTls(): Promise<SocketInfo> {
    return this.#streams.startTls();
  }

  /**
   * Ends the server's side, then waits a while for the client to end its own. Closing at once would destroy the last
   * reply on its way if bytes of the client's are still unread (RFC 9293, section 3.10.4: a reset).
   */
  async finish(): Promise<void> {
    const timer = setTimeout(() => void this.#streams.close(), LINGER);
    try {
      await this.#streams.endWriting();
      for (let read = 0; read < MAX_LINGER_BYTES;) {
        const bytes = await this.read();
        if (bytes === undefined) break;
        read += bytes.length;
      }
    } catch {
      // The client has gone already.
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Closes the connection at once.
   *
   * @param reason Why, if something is wrong.
   */
  async cut(reason?: unknown): Promise<void> {
    await this.#streams.close(reason).catch(() => {});
  }
}
