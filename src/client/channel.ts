/**
 * The lowest storey: bytes and replies, for those who want to speak SMTP themselves.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import type { ReplyDecoderOptions } from "../core/reply_decoder.ts";
import { renderLine } from "../core/command.ts";
import type { StreamPair } from "../sockets/stream_pair.ts";
import type { Socket, SocketAddress, SocketInfo, SocketOptions, TlsOptions } from "../sockets/socket.ts";
import { Link } from "./link.ts";

/** How to open a channel. */
export interface SmtpChannelOptions extends SocketOptions, ReplyDecoderOptions {}

/**
 * A connection that carries commands and replies. It knows their form, and nothing of their meaning: who waits for
 * which reply is the owner's affair.
 *
 * @example A conversation of one's own
 * ```ts
 * import { SmtpChannel } from "@streams/smtp";
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" });
 * await using channel = await SmtpChannel.open(await server.listening);
 * const { replies } = channel;
 * await replies.next(); // the greeting
 * await channel.command("EHLO client.example.com");
 * const { value: reply } = await replies.next();
 * console.log(reply?.lines);
 * ```
 */
export class SmtpChannel implements AsyncDisposable {
  readonly #link: Link;
  readonly #info: SocketInfo;
  #replies: AsyncIterableIterator<Reply> | undefined;

  private constructor(link: Link, info: SocketInfo) {
    this.#link = link;
    this.#info = info;
  }

  /**
   * Connects.
   *
   * @param address Where to, or a connection of one's own: a socket or a pair of streams.
   * @param options How.
   * @returns The channel, once the connection stands. The server's greeting is its first reply.
   * @throws {SocketError} If the connection cannot be made.
   */
  static async open(
    address: SocketAddress | Socket | StreamPair,
    options: SmtpChannelOptions = {},
  ): Promise<SmtpChannel> {
    const { openChannelSocket } = await import("./open_socket.ts");
    const link = new Link(openChannelSocket(address, options), options);
    return new SmtpChannel(link, await link.opened);
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
   * @throws {ProtocolError} From `next()`, if what comes is not a reply or is larger than the limits.
   */
  get replies(): AsyncIterableIterator<Reply> {
    return this.#replies ??= this.#iterate();
  }

  async *#iterate(): AsyncGenerator<Reply, undefined> {
    while (true) {
      const reply = this.#link.takeReply();
      if (reply !== undefined) yield reply;
      else if (!await this.#link.fill()) return;
    }
  }

  /**
   * Writes a command line. What is written in one turn leaves in one chunk.
   *
   * @param line The command, without its line end.
   * @returns Resolves once the socket took it.
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
   * @returns Resolves once the socket took it.
   */
  async write(data: Uint8Array | string): Promise<void> {
    if (typeof data === "string") this.#link.output.text(data);
    else this.#link.output.bytes(data);
    await this.#drainTogether();
  }

  async #drainTogether(): Promise<void> {
    await Promise.resolve(); // what else this turn has to say goes with it
    await this.#link.drain();
  }

  /**
   * Goes over to TLS, after the server's 220 to STARTTLS was taken from {@linkcode replies}.
   *
   * @param options How TLS is spoken.
   * @throws {SmtpError} If bytes stand behind the 220 (`"starttls-injection"`).
   * @throws {SocketError} If the handshake fails or the certificate is not good.
   * @throws {TypeError} If a reply is being waited for.
   */
  async startTls(options: TlsOptions = {}): Promise<void> {
    await this.#link.startTls(options);
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
