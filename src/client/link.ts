/**
 * A socket seen as SMTP sees it: output that leaves in few writes, and replies.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { ReplyDecoder } from "../core/reply_decoder.ts";
import type { ReplyDecoderOptions } from "../core/reply_decoder.ts";
import { hasSettledWrites } from "../sockets/settled_writes.ts";
import type { Socket, SocketInfo, TlsOptions } from "../sockets/socket.ts";
import { SmtpError } from "../errors.ts";
import { OutputBuffer } from "./output_buffer.ts";

/**
 * A socket with its two locks, an output buffer and a reply decoder. One writer and one reader at a time: the pipeline,
 * or a channel's owner.
 */
export class Link {
  readonly #decoderOptions: ReplyDecoderOptions;
  /**
   * Whether a write that has ended is done with its bytes, so that they may be overwritten. Our own sockets promise it; a
   * stream of the caller's may keep them.
   */
  readonly #mayReuse: boolean;
  #socket: Socket;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #decoder: ReplyDecoder;
  #reading = false;
  #writing: Promise<void> | undefined;
  #writeError: unknown;
  #flushScheduled = false;
  #handedOver = 0;

  /** What waits to be written. Call {@linkcode flush} or {@linkcode scheduleFlush} after adding to it. */
  readonly output: OutputBuffer = new OutputBuffer();
  /** Told when a write has failed. Replies may still come. */
  onWriteError: ((error: unknown) => void) | undefined;

  /**
   * @param socket An open or opening socket whose streams are not locked.
   * @param options Limits for replies.
   */
  constructor(socket: Socket, options: ReplyDecoderOptions = {}) {
    this.#decoderOptions = options;
    this.#mayReuse = hasSettledWrites(socket);
    this.#socket = socket;
    this.#writer = socket.writable.getWriter();
    this.#reader = socket.readable.getReader();
    this.#decoder = new ReplyDecoder(options);
    this.#markHandled();
  }

  /** Resolves when the connection stands. */
  get opened(): Promise<SocketInfo> {
    return this.#socket.opened;
  }

  /** Resolves when the connection is closed, rejects when it broke. */
  get closed(): Promise<void> {
    return this.#socket.closed;
  }

  /** Whether everything that is written is protected by TLS. */
  get secure(): boolean {
    return this.#socket.secureTransport === "on";
  }

  /** Whether the socket can go over to TLS. */
  get canStartTls(): boolean {
    return this.#socket.secureTransport === "starttls";
  }

  /** How many bytes were ever put into the output. */
  get position(): number {
    return this.#handedOver + this.output.length;
  }

  /** How many bytes were ever given to the socket. What lies behind that never reached the server. */
  get handedOver(): number {
    return this.#handedOver;
  }

  /** How many received bytes are not part of a reply that was taken. */
  get bufferedLength(): number {
    return this.#decoder.bufferedLength;
  }

  /** Why writing failed, where it did. */
  get writeError(): unknown {
    return this.#writeError;
  }

  /** Gives the output to the socket, unless a write is under way: then it leaves, whole, when that has ended. */
  flush(): void {
    if (this.output.length === 0 || this.#writing !== undefined || this.#writeError !== undefined) return;
    this.#write(this.#mayReuse ? this.output.lend() : this.output.take());
  }

  /** Flushes once the code that runs now has come to its end: what is written in one turn leaves in one chunk. */
  scheduleFlush(): void {
    if (this.#flushScheduled || this.output.length === 0) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  /** Resolves once all output was taken by the socket. */
  async drain(): Promise<void> {
    do {
      this.flush();
      await this.#writing;
      if (this.#writeError !== undefined) throw this.#writeError;
    } while (this.output.length > 0);
  }

  /** Writes a chunk behind what waits, without copying it. Resolves once the socket took it. */
  async send(chunk: Uint8Array): Promise<void> {
    await this.drain();
    this.#write(chunk);
    await this.#writing;
    if (this.#writeError !== undefined) throw this.#writeError;
  }

  #write(chunk: Uint8Array): void {
    this.#handedOver += chunk.length;
    this.#writing = this.#writer.write(chunk).then(
      () => {
        this.#writing = undefined;
        this.flush();
      },
      (error) => {
        this.#writing = undefined;
        this.#writeError = error ?? new Error("Cannot write: the stream was aborted");
        this.onWriteError?.(this.#writeError);
      },
    );
  }

  /** The next reply, where one is complete. */
  takeReply(): Reply | undefined {
    return this.#decoder.next();
  }

  /**
   * Waits for bytes.
   *
   * @returns Whether there were any: `false` at the end of the connection.
   */
  async fill(): Promise<boolean> {
    this.#reading = true;
    try {
      const { value, done } = await this.#reader.read();
      if (done) {
        this.#decoder.end();
        return false;
      }
      this.#decoder.push(value);
      return true;
    } finally {
      this.#reading = false;
    }
  }

  /**
   * Goes over to TLS, after the server's 220.
   *
   * @throws {SmtpError} With code `"starttls-injection"` if something stands behind that reply: whoever can write into
   * the session before TLS would have his words taken for the server's (CVE-2011-0411, "NO STARTTLS", 2021).
   * @throws {TypeError} If a read is under way.
   */
  async startTls(options: TlsOptions): Promise<SocketInfo> {
    if (this.#reading) throw new TypeError("Cannot start TLS: a read is under way");
    if (this.bufferedLength > 0) {
      throw new SmtpError(
        "starttls-injection",
        `Cannot start TLS: ${this.bufferedLength} bytes stand behind the reply to STARTTLS`,
        { phase: "starttls" },
      );
    }
    await this.drain();
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    const secure = this.#socket.startTls(options);
    this.#socket = secure;
    this.#writer = secure.writable.getWriter();
    this.#reader = secure.readable.getReader();
    this.#decoder = new ReplyDecoder(this.#decoderOptions);
    this.#markHandled();
    return await secure.opened;
  }

  /** Closes the connection at once. What waits in the output is dropped. */
  close(reason?: unknown): Promise<void> {
    this.output.clear();
    this.#writeError ??= reason ?? new Error("Cannot write: the connection was closed");
    return this.#socket.close(reason);
  }

  /** A broken socket is reported by the read or the write that meets it, not as an unhandled rejection. */
  #markHandled(): void {
    this.#writer.closed.catch(() => {});
    this.#reader.closed.catch(() => {});
    this.#socket.opened.catch(() => {});
    this.#socket.closed.catch(() => {});
  }
}
