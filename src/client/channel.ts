/**
 * The lowest level: bytes and replies, for programs that speak SMTP themselves.
 *
 * @module
 */
import { renderLine } from "../core/command.ts";
import type { Reply } from "../core/reply.ts";
import type { ReplyDecoderOptions } from "../core/reply_decoder.ts";
import { readReplies } from "../streams/reply_stream.ts";
import type { ReplyIterator } from "../streams/reply_stream.ts";
import type { SocketInfo, TlsOptions } from "../sockets/socket.ts";
import { Link } from "./link.ts";
import { opened, openSocket } from "./open_socket.ts";
import { readChannelOptions } from "./options.ts";
import type { SmtpChannelOptions } from "./options.ts";

/**
 * A connection that carries commands and replies. It knows their form and not their meaning: which reply answers which
 * command is up to the caller.
 *
 * @example A conversation by hand
 * ```ts
 * import { SmtpChannel } from "@streams/smtp";
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" });
 * const { hostname, port } = await server.listening;
 * await using channel = await SmtpChannel.open({ hostname, port });
 * const { replies } = channel;
 * await replies.next(); // the greeting
 * await channel.command("EHLO client.example.com");
 * const { value: reply } = await replies.next();
 * console.log(reply?.lines);
 * ```
 */
export class SmtpChannel implements AsyncDisposable {
  readonly #link: Link;
  readonly #replies: ReplyIterator;
  #info: SocketInfo;

  private constructor(link: Link, info: SocketInfo, limits: ReplyDecoderOptions) {
    this.#link = link;
    this.#info = info;
    this.#replies = readReplies(received(link), limits);
  }

  /**
   * Opens a connection. Nothing is sent; the server's greeting is the first of {@linkcode replies}.
   *
   * @param options Where to and how.
   * @returns The channel, once the connection is open.
   * @throws {TypeError | RangeError} If an option makes no sense; nothing was opened.
   * @throws {SmtpError} If the connection cannot be opened; its `code` says why, its `cause` is the `SocketError`.
   */
  static async open(options: SmtpChannelOptions = {}): Promise<SmtpChannel> {
    const settings = readChannelOptions(options);
    const link = new Link(openSocket(settings), settings.replyLimits);
    try {
      const info = await opened(link.opened, settings, "connect");
      closeOnAbort(link, settings.signal);
      return new SmtpChannel(link, info, settings.replyLimits);
    } catch (error) {
      link.close(error).catch(() => {});
      throw error;
    }
  }

  /** What is known about the connection. */
  get info(): SocketInfo {
    return this.#info;
  }

  /** Whether what is written is protected by TLS. */
  get secure(): boolean {
    return this.#link.secure;
  }

  /** Resolves when the connection is closed, rejects when it broke. */
  get closed(): Promise<void> {
    return this.#link.closed;
  }

  /**
   * The replies, one after the other, across `startTls()` too. Nothing is read from the network before a reply is asked
   * for. Ends when the server closes the connection.
   *
   * @throws {ProtocolError} From `next()`, if what arrives is not a reply or is larger than the limits.
   */
  get replies(): AsyncIterableIterator<Reply> {
    return this.#replies;
  }

  /**
   * Writes a command line. What is written in one turn leaves in one chunk.
   *
   * @param line The command, without its line end.
   * @returns Resolves once the socket has taken it.
   * @throws {TypeError} If the line has control characters or is not ASCII; nothing is sent.
   */
  async command(line: string): Promise<void> {
    this.#link.output.text(renderLine(line));
    await this.#drainTogether();
  }

  /**
   * Writes bytes as they are. What is written in one turn leaves in one chunk.
   *
   * @param data Bytes, or text to be sent as UTF-8. Nothing is checked or encoded.
   * @returns Resolves once the socket has taken it.
   */
  async write(data: Uint8Array | string): Promise<void> {
    if (typeof data === "string") this.#link.output.text(data);
    else this.#link.output.bytes(data);
    await this.#drainTogether();
  }

  async #drainTogether(): Promise<void> {
    await Promise.resolve(); // what else this turn writes goes with it
    await this.#link.drain();
  }

  /**
   * Switches to TLS, after the server's 220 to STARTTLS was taken from {@linkcode replies}.
   *
   * @param options How TLS is spoken.
   * @throws {SmtpError} If bytes followed the 220 (`"starttls-injection"`).
   * @throws {SocketError} If the handshake fails or the certificate is not valid.
   * @throws {TypeError} If a reply is being waited for.
   */
  async startTls(options: TlsOptions = {}): Promise<void> {
    this.#info = await this.#link.startTls(options, this.#replies.bufferedLength);
  }

  /** Closes the connection at once. */
  async close(): Promise<void> {
    await this.#link.close().catch(() => {});
  }

  /** Closes the connection at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function closeOnAbort(link: Link, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const onAbort = () => void link.close(signal.reason).catch(() => {});
  signal.addEventListener("abort", onAbort);
  link.closed.catch(() => {}).finally(() => signal.removeEventListener("abort", onAbort));
}

/** The bytes of a connection as a stream that outlives STARTTLS. Cancelling it leaves the connection open. */
function received(link: Link): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const bytes = await link.read();
      if (bytes === undefined) controller.close();
      else controller.enqueue(bytes);
    },
  }, { highWaterMark: 0 });
}
