/**
 * The server's side of a connection: replies out, bytes in, and an end that loses no reply.
 *
 * @module
 */
import { LockedStreams } from "../sockets/locked_streams.ts";
import type { Socket, SocketInfo } from "../sockets/socket.ts";

/** How long a client may take to hang up after the last reply, in milliseconds. */
const LINGER = 2_000;

/**
 * How long, in milliseconds, a client has to be silent after the last reply when the server shuts down and nobody wants to
 * wait for it to hang up. What it said before it heard the reply has arrived by then, on any but the slowest ways.
 */
const QUIET = 100;

/** How many bytes are read and thrown away meanwhile. */
const MAX_LINGER_BYTES = 1024 * 1024;

/** Returns a read's bytes unchanged. */
const asIs = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes;

/** The connection to one client. */
export class Transport {
  readonly #streams: LockedStreams;
  /** A read whose bytes nobody has taken yet. */
  #underway: Promise<Uint8Array | undefined> | undefined;
  /** Makes the read that somebody waits for see the end. */
  #stop: (() => void) | undefined;
  #stopped = false;
  /** Whether the server's side has ended, and nobody wants to wait for the client's. */
  #ended = false;
  #hurried = false;
  #quiet: ReturnType<typeof setTimeout> | undefined;

  /** @param socket The socket. */
  constructor(socket: Socket) {
    this.#streams = new LockedStreams(socket);
  }

  /** Resolves when the connection is open. */
  get opened(): Promise<SocketInfo> {
    return this.#streams.opened;
  }

  /** Whether somebody waits for a read. */
  get reading(): boolean {
    return this.#stop !== undefined;
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
  async read(): Promise<Uint8Array | undefined> {
    const bytes = await this.#wait();
    if (!this.#stopped) this.#underway = undefined;
    return bytes;
  }

  /**
   * Waits until the client says something, and leaves it for the next read.
   *
   * @returns Whether bytes have arrived, or the connection has ended.
   */
  async peek(): Promise<"bytes" | "end"> {
    try {
      return await this.#wait() === undefined ? "end" : "bytes";
    } catch {
      return "end";
    }
  }

  /**
   * Waits, while nobody reads, until the client says something, which is left for the next read, or has gone.
   *
   * @returns Whether it has gone.
   */
  async gone(): Promise<boolean> {
    if (this.#stopped) return false;
    try {
      return await (this.#underway ??= this.#streams.read(asIs)) === undefined;
    } catch {
      return true;
    }
  }

  /**
   * Makes the read that is under way, and all later ones, see the end of the connection. {@linkcode finish} still reads
   * what arrives.
   */
  stopReading(): void {
    this.#stopped = true;
    this.#stop?.();
  }

  #wait(): Promise<Uint8Array | undefined> {
    if (this.#stopped) return Promise.resolve(undefined);
    const underway = this.#underway ??= this.#streams.read(asIs);
    return new Promise((resolve, reject) => {
      // At once and not a turn later: whoever goes on then must not count as waiting.
      const settle = <T>(done: (value: T) => void) => (value: T): void => {
        if (this.#stop === stop) this.#stop = undefined;
        done(value);
      };
      const stop = this.#stop = settle<void>(() => resolve(undefined));
      underway.then(settle(resolve), settle(reject));
    });
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
      this.#ended = true;
      for (let read = 0; read < MAX_LINGER_BYTES;) {
        this.#awaitQuiet();
        const bytes = await (this.#underway ?? this.#streams.read(asIs));
        this.#underway = undefined;
        if (bytes === undefined) break;
        read += bytes.length;
      }
    } catch {
      // The client has gone already.
    } finally {
      clearTimeout(timer);
      clearTimeout(this.#quiet);
    }
  }

  /** Makes {@linkcode finish} wait no longer than until the client is silent. */
  hurry(): void {
    this.#hurried = true;
    this.#awaitQuiet();
  }

  #awaitQuiet(): void {
    if (!this.#hurried || !this.#ended) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => void this.#streams.close(), QUIET);
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
