/**
 * A connection as SMTP uses it: output that leaves in few writes, and replies.
 *
 * @module
 */
import { ProtocolError } from "../core/errors.ts";
import { maskReply } from "../core/reply.ts";
import type { Reply } from "../core/reply.ts";
import { ReplyDecoder } from "../core/reply_decoder.ts";
import type { ReplyDecoderOptions } from "../core/reply_decoder.ts";
import type { Secrets } from "../core/secrets.ts";
import { LockedStreams } from "../sockets/locked_streams.ts";
import { isOwnSocket } from "../sockets/connection_socket.ts";
import type { Socket, SocketInfo, TlsOptions } from "../sockets/socket.ts";
import { SmtpError } from "../errors.ts";
import { OutputBuffer } from "./output_buffer.ts";

/**
 * How many bytes are written at once. If the connection fails during a write, nobody knows how many of them have left: the
 * outcome of messages that end among them is unknown. Those that wait behind them are certainly not sent.
 */
const MAX_WRITE = 64 * 1024;

const NO_BYTES = new Uint8Array(0);

/**
 * A socket, an output buffer and a reply decoder. One writer and one reader at a time: the pipeline, or a channel's owner.
 */
export class Link {
  readonly #decoderOptions: ReplyDecoderOptions;
  readonly #streams: LockedStreams;
  #decoder: ReplyDecoder;
  #flushScheduled = false;
  /** How many bytes were written. */
  #written = 0;
  /** Output that was taken from the buffer, and waits for the write under way to end. */
  #rest: Uint8Array = NO_BYTES;

  /**
   * Whether the memory of a write that has ended may be overwritten. Our own sockets promise it; a caller's stream may
   * keep the bytes.
   */
  readonly mayReuse: boolean;
  /** Bytes that wait to be written. Call {@linkcode flush} or {@linkcode scheduleFlush} after adding to it. */
  readonly output: OutputBuffer = new OutputBuffer();
  /** Called when a write has failed. Replies may still arrive. */
  onWriteError: ((error: unknown) => void) | undefined;
  /** What was said to log in. From then on nothing that the server says shows it, for as long as the connection lasts. */
  secrets: Secrets | undefined;

  /**
   * @param socket An open or opening socket whose streams are not locked.
   * @param options Limits for replies.
   */
  constructor(socket: Socket, options: ReplyDecoderOptions = {}) {
    this.#decoderOptions = options;
    this.mayReuse = isOwnSocket(socket);
    this.#streams = new LockedStreams(socket, (error) => {
      if (error === undefined) this.flush();
      else this.onWriteError?.(error);
    });
    this.#decoder = new ReplyDecoder(options);
  }

  /** Resolves when the connection is open. */
  get opened(): Promise<SocketInfo> {
    return this.#streams.opened;
  }

  /** Resolves when the connection is closed, rejects when it broke. */
  get closed(): Promise<void> {
    return this.#streams.closed;
  }

  /** Whether everything that is written is protected by TLS. */
  get secure(): boolean {
    return this.#streams.secureTransport === "on";
  }

  /** Whether the socket can start TLS. */
  get canStartTls(): boolean {
    return this.#streams.secureTransport === "starttls";
  }

  /** How many bytes were ever put into the output. */
  get position(): number {
    return this.#written + this.#waiting;
  }

  /** How many bytes may have left. Those after them never will, once the connection is closed. */
  get handedOver(): number {
    return this.#written - this.#streams.unsent;
  }

  /** How many bytes wait to be written. */
  get #waiting(): number {
    return this.#rest.length + this.output.length;
  }

  /** How many received bytes are not part of a reply that was taken. */
  get bufferedLength(): number {
    return this.#decoder.bufferedLength;
  }

  /** Why nothing can be written any more. */
  get writeError(): unknown {
    return this.#streams.writeError;
  }

  /** Gives the output to the socket, unless a write is under way: then it leaves when that has ended. */
  flush(): void {
    if (this.#waiting === 0 || this.#streams.writing !== undefined || this.writeError !== undefined) return;
    if (this.#rest.length === 0) this.#rest = this.output.lend();
    const piece = this.#rest.subarray(0, MAX_WRITE);
    this.#rest = this.#rest.subarray(piece.length);
    this.#write(this.mayReuse ? piece : piece.slice());
  }

  /** Flushes when the current turn ends: everything written in one turn leaves in one chunk. */
  scheduleFlush(): void {
    if (this.#flushScheduled || this.output.length === 0) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  /** Resolves once the socket has taken all output. */
  async drain(): Promise<void> {
    do {
      this.flush();
      await this.#streams.writing;
      if (this.writeError !== undefined) throw this.writeError;
    } while (this.#waiting > 0);
  }

  /**
   * Writes a chunk after the output that waits, without copying it. Resolves once the socket has taken it; until then it must
   * not change.
   */
  async send(chunk: Uint8Array): Promise<void> {
    await this.drain();
    this.#write(chunk);
    await this.#streams.writing;
    if (this.writeError !== undefined) throw this.writeError;
  }

  #write(chunk: Uint8Array): void {
    this.#written += chunk.length;
    this.#streams.write(chunk);
  }

  /** Lets the connection keep the process running, as it does from the start. */
  ref(): void {
    this.#streams.ref();
  }

  /** Lets the process end although the connection is open. */
  unref(): void {
    this.#streams.unref();
  }

  /** The next reply, if one is complete, with the {@linkcode secrets} masked. */
  takeReply(): Reply | undefined {
    const { secrets } = this;
    if (secrets === undefined) return this.#decoder.next();
    try {
      const reply = this.#decoder.next();
      if (reply !== undefined) maskReply(reply, secrets.maskLines);
      return reply;
    } catch (error) {
      // It shows what is not a reply.
      throw error instanceof ProtocolError ? new ProtocolError(secrets.mask(error.message)) : error;
    }
  }

  /**
   * Waits for bytes.
   *
   * @returns Whether any have arrived: `false` at the end of the connection.
   */
  fill(): Promise<boolean> {
    return this.#streams.read(this.#take);
  }

  readonly #take = (bytes: Uint8Array | undefined): boolean => {
    if (bytes === undefined) return false;
    this.#decoder.push(bytes);
    return true;
  };

  /**
   * Reads bytes past the reply decoder, for an owner who decodes by himself.
   *
   * @returns The bytes; `undefined` at the end of the connection.
   */
  read(): Promise<Uint8Array | undefined> {
    return this.#streams.read((bytes) => bytes);
  }

  /** See {@linkcode LockedStreams.checkTls}. */
  checkTls(options: TlsOptions): void {
    this.#streams.checkTls(options);
  }

  /**
   * Starts TLS, after the server's 220.
   *
   * @param options How.
   * @param buffered How many received bytes are not part of a reply that was taken. Default: {@linkcode bufferedLength}.
   * @returns What is known about the connection.
   * @throws {SmtpError} With code `"starttls-injection"` if bytes followed that reply: the words of anybody who can write
   * into the session before TLS would be taken for the server's (CVE-2011-0411, "NO STARTTLS", 2021).
   * @throws {TypeError} If a read is under way.
   */
  async startTls(options: TlsOptions, buffered: number = this.bufferedLength): Promise<SocketInfo> {
    if (this.#streams.reading) throw new TypeError("Cannot start TLS: a read is under way");
    if (buffered > 0) {
      throw new SmtpError(
        "starttls-injection",
        `Cannot start TLS: ${buffered} bytes followed the reply to STARTTLS`,
        { phase: "starttls" },
      );
    }
    await this.drain();
    const opened = this.#streams.startTls(options);
    this.#decoder = new ReplyDecoder(this.#decoderOptions);
    return await opened;
  }

  /** Closes the connection at once. Output that waits is dropped. Never throws, only rejects: the socket may be the caller's. */
  async close(reason?: unknown): Promise<void> {
    this.output.clear();
    this.#rest = NO_BYTES;
    await this.#streams.close(reason);
  }
}
