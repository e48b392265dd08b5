/**
 * The middle storey: one session with one server.
 *
 * @module
 */
import { renderCommand, renderLine } from "../core/command.ts";
import type { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { SocketInfo } from "../sockets/socket.ts";
import { Delivery } from "./delivery.ts";
import type { Progress } from "./delivery.ts";
import { renderEnvelope } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import { discardMessage, toContent } from "./message.ts";
import type { Content, Message } from "./message.ts";
import { readOptions } from "./options.ts";
import type { SmtpClientOptions } from "./options.ts";
import type { Receipt } from "./receipt.ts";
import { Session } from "./session.ts";

/** How to send one message. */
export interface SendOptions {
  /**
   * What to do when the server refuses some of the recipients: `"some"` delivers to the others, `"all"` to nobody.
   * Default: `"some"`.
   */
  recipients?: "some" | "all";
  /** Gives up. What became of the message then stands in the error's `outcome`. */
  signal?: AbortSignal;
  /** Told again and again how much of the content was handed over. */
  onProgress?: (progress: Progress) => void;
}

/** Commands that change the dialogue itself: said out of order they would tear it apart. */
const NOT_ALONE: readonly string[] = ["DATA", "BDAT", "STARTTLS", "AUTH", "QUIT"];

/** Commands that begin a transaction. */
const OPENING: readonly string[] = ["MAIL", "RCPT", "SEND", "SOML", "SAML"];

/**
 * A session with a server: connected, greeted, protected and logged in as the options ask.
 *
 * `send()` may be called again before the last one has ended: what the server lets be in flight at the same time is.
 *
 * @example Two messages at once
 * ```ts
 * import { SmtpClient } from "@streams/smtp";
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" });
 * const { hostname, port } = await server.listening;
 *
 * await using client = await SmtpClient.connect({ hostname, port });
 * const [first, second] = await Promise.all([
 *   client.send({ from: "me@example.com", to: "you@example.org" }, "Subject: Hi\r\n\r\nHello"),
 *   client.send({ from: "me@example.com", to: "her@example.org" }, "Subject: Hi\r\n\r\nHello"),
 * ]);
 * console.log(first.queueId, second.queueId);
 * ```
 */
export class SmtpClient implements AsyncDisposable {
  readonly #session: Session;
  #quitting: Promise<void> | undefined;

  private constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Connects, and waits for the greeting, EHLO, STARTTLS and AUTH as the options ask for them.
   *
   * @param options Where to and how.
   * @returns The client, ready to send.
   * @throws {TypeError | RangeError} If an option makes no sense; nothing was opened.
   * @throws {SmtpError} If the session cannot be had; its `code` and `phase` say why.
   */
  static async connect(options: SmtpClientOptions = {}): Promise<SmtpClient> {
    return new SmtpClient(await Session.open(readOptions(options)));
  }

  /** What the server offers, from its last reply to EHLO. */
  get extensions(): Extensions {
    return this.#session.extensions;
  }

  /** The server's greeting. */
  get greeting(): Reply {
    return this.#session.greeting!;
  }

  /** Whether the session is protected by TLS. */
  get secure(): boolean {
    return this.#session.link.secure;
  }

  /** Whether the server has accepted the credentials. */
  get authenticated(): boolean {
    return this.#session.authenticated;
  }

  /** The addresses of both sides. */
  get info(): SocketInfo {
    return this.#session.info;
  }

  /** Whether anything can still be sent. */
  get usable(): boolean {
    return this.#quitting === undefined && this.#session.pipeline.failure === undefined;
  }

  /** How many messages and commands wait or are in flight. */
  get pending(): number {
    return this.#session.pipeline.pending;
  }

  /**
   * Sends a message.
   *
   * @param envelope Who it is from and who it is for.
   * @param message The message itself. A stream belongs to the call: at its end it was read or cancelled.
   * @param options How.
   * @returns What the server said, once it has taken the message for at least one recipient.
   * @throws {SmtpError} If it has not; `outcome` says what became of the message, `usable` whether the client can go on.
   */
  async send(envelope: Envelope, message: Message, options: SendOptions = {}): Promise<Receipt> {
    let delivery: Delivery;
    try {
      delivery = this.#prepare(envelope, message, options);
    } catch (error) {
      discardMessage(message, error);
      throw error;
    }
    this.#session.pipeline.enqueue(delivery);
    return await delivery.result;
  }

  /** Everything that can be wrong with the arguments is found here, before a byte is sent. */
  #prepare(envelope: Envelope, message: Message, options: SendOptions): Delivery {
    this.#mustBeUsable();
    const { signal, onProgress, recipients: recipientsPolicy = "some" } = options;
    if (signal?.aborted) {
      throw new SmtpError("aborted", "The send was aborted before it began", {
        phase: "mail",
        cause: signal.reason,
        usable: true,
      });
    }
    const session = this.#session;
    const { protocol } = session.settings;
    const content = readMessage(message);
    try {
      const rendered = renderEnvelope(envelope, content, session.extensions);
      const { pipelining, transfer } = session;
      const plan = { ...rendered, pipelining, transfer, recipientsPolicy, protocol };
      return new Delivery(session, plan, content, { signal, onProgress });
    } catch (error) {
      content.cancel(error);
      throw error;
    }
  }

  /**
   * NOOP: asks whether the server is still there.
   *
   * @returns Its reply.
   */
  noop(): Promise<Reply> {
    return this.#command(renderCommand({ verb: "NOOP" }), "command");
  }

  /**
   * RSET: makes the server forget a transaction that was begun with single commands.
   *
   * @returns Its reply.
   */
  async reset(): Promise<Reply> {
    const reply = await this.#command(renderCommand({ verb: "RSET" }), "reset");
    if (reply.positive) this.#session.transactionOpen = false;
    return reply;
  }

  /**
   * Says a command that has no method of its own, and gives the reply, whatever it is.
   *
   * @param line The command without its line end.
   * @returns The server's reply.
   * @throws {TypeError} If the line has control characters, or is a command that changes the dialogue itself.
   */
  async command(line: string): Promise<Reply> {
    const rendered = renderLine(line, { smtpUtf8: this.extensions.smtpUtf8 });
    const verb = line.trim().split(" ", 1)[0]!.toUpperCase();
    if (NOT_ALONE.includes(verb)) throw new TypeError(`Cannot say ${verb} as a single command`);
    this.#mustBeUsable();
    // Exim takes the recipients of the next message into a transaction that is open: that one begins with RSET then.
    return await this.#session.command(rendered, "command", { opensTransaction: OPENING.includes(verb) });
  }

  async #command(line: string, phase: "command" | "reset"): Promise<Reply> {
    this.#mustBeUsable();
    return await this.#session.command(line, phase);
  }

  /**
   * Ends the session as RFC 5321 wants it: waits for what is in flight, says QUIT, and closes.
   *
   * @returns Resolves when the connection is closed. Never rejects: whether the server has a word for QUIT changes nothing.
   */
  quit(): Promise<void> {
    return this.#quitting ??= this.#quit();
  }

  async #quit(): Promise<void> {
    const { pipeline } = this.#session;
    if (pipeline.failure === undefined) {
      try {
        await this.#session.converse((conversation) =>
          conversation.say(renderCommand({ verb: "QUIT" }), "quit")
        );
      } catch {
        // The connection is gone already, and everything in flight has been told.
      }
    }
    this.#end("The session has ended");
    await this.#session.link.close().catch(() => {});
  }

  /**
   * Closes the connection at once. What is in flight fails, with the outcome that is true for it.
   *
   * @returns Resolves when the connection is closed.
   */
  async close(): Promise<void> {
    this.#end("The client was closed");
    await this.#session.link.close().catch(() => {});
  }

  #end(message: string): void {
    this.#session.end(new SmtpError("client-closed", message, { phase: "quit" }));
  }

  #mustBeUsable(): void {
    const { failure } = this.#session.pipeline;
    if (failure === undefined && this.#quitting === undefined) return;
    const why = failure === undefined ? "it is saying QUIT" : failure.message;
    throw new SmtpError("client-closed", `Cannot send: the client is closed: ${why}`, {
      phase: "command",
      cause: failure,
      temporary: failure?.temporary,
    });
  }

  /** Ends the session with {@linkcode quit}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.quit();
  }
}

function readMessage(message: Message): Content {
  try {
    return toContent(message);
  } catch (cause) {
    throw new SmtpError("invalid-message", cause instanceof Error ? cause.message : String(cause), {
      phase: "content",
      usable: true,
      cause,
    });
  }
}
