/**
 * The middle storey: one session with one server.
 *
 * @module
 */
import type { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { SocketInfo } from "../sockets/socket.ts";
import { SmtpCommands } from "./commands.ts";
import type { Progress } from "./delivery.ts";
import type { ContentEncoder } from "./encode.ts";
import { asksForMore } from "./envelope.ts";
import type { Asked, Envelope } from "./envelope.ts";
import { discardMessage } from "./message.ts";
import type { Message } from "./message.ts";
import { readOptions } from "./options.ts";
import type { SmtpClientOptions } from "./options.ts";
import type { Receipt } from "./receipt.ts";
import { badSequence } from "./refusal.ts";
import { Sending } from "./sending.ts";
import { Session } from "./session.ts";

let asked: Asked | undefined;

async function loadAsked(): Promise<void> {
  asked = await import("./asked.ts");
}

/** What {@linkcode SmtpClient.verify} has found. */
export interface Verification {
  /** The server's greeting. */
  readonly greeting: Reply;
  /** What the server offers. */
  readonly extensions: Extensions;
  /** What is known about the connection. */
  readonly info: SocketInfo;
  /** Whether the session was protected by TLS. */
  readonly secure: boolean;
  /** Whether the server has accepted the login; `false` if none was asked for. */
  readonly authenticated: boolean;
}

/** How to send one message. */
export interface SendOptions {
  /**
   * What to do when the server refuses some of the recipients: `"some"` delivers to the others, `"all"` to nobody.
   * Default: `"some"`.
   */
  recipients?: "some" | "all";
  /** Gives up. What became of the message then stands in the error's `outcome`. */
  signal?: AbortSignal;
  /**
   * Told again and again how much of the content was handed over. Where the message goes in several transactions, all of
   * them count.
   */
  onProgress?: (progress: Progress) => void;
  /**
   * What to do with a message that the server cannot take as it is: one with bytes above 127 where 8BITMIME is not offered, or
   * a binary one where BINARYMIME is not. `"never"`: it is an error. A function makes ASCII of it: `toSevenBit` of
   * `./compose`, which is also what `"auto"` stands for once `./compose` is imported. Default: `"never"`.
   */
  encode?: "never" | "auto" | ContentEncoder;
  /**
   * What to do with lines of more than 998 octets, which SMTP does not allow (RFC 5321, section 4.5.3.1.6) and many servers
   * cut: `"error"`, or `"allow"` to send them as they are. In a message that comes as a stream they are found on the
   * way: the session is then lost, unless the content goes with BDAT. Default: `"error"`.
   */
  lineLength?: "error" | "allow";
}

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
export class SmtpClient extends SmtpCommands implements AsyncDisposable {
  readonly #session: Session;
  #quitting: Promise<void> | undefined;
  /** What a message waits for that asks for more than to be delivered. */
  #loading: Promise<void> | undefined;

  private constructor(session: Session) {
    super(session);
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

  /**
   * Connects, waits for the greeting, and says nothing: for those who want to take each step by themselves, `ehlo()`,
   * `startTls()`, `authenticate()`, `mail()`.
   *
   * @param options Where to and how. `auth` is what `authenticate()` takes if it is given nothing.
   * @returns The client.
   * @throws As {@linkcode SmtpClient.connect}.
   */
  static async open(options: SmtpClientOptions = {}): Promise<SmtpClient> {
    return new SmtpClient(await Session.open(readOptions(options), "greeting"));
  }

  /**
   * Checks that a server can be reached, that TLS can be had as the options ask for it, and that it accepts the login. Nothing
   * is sent; the connection is closed again.
   *
   * @param options Where to and how.
   * @returns What was found.
   * @throws As {@linkcode SmtpClient.connect}.
   */
  static async verify(options: SmtpClientOptions = {}): Promise<Verification> {
    const client = await SmtpClient.connect(options);
    try {
      await client.noop();
      const { greeting, extensions, info, secure, authenticated } = client;
      return { greeting, extensions, info, secure, authenticated };
    } finally {
      await client.quit();
    }
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

  /** What is known about the connection: the addresses of both sides, what TLS has agreed on. */
  get info(): SocketInfo {
    return this.#session.info;
  }

  /** Whether anything can still be sent. */
  get usable(): boolean {
    return !this.#session.quitting && this.#session.pipeline.failure === undefined;
  }

  /** Resolves when the session is over, in good order or not. Never rejects. */
  get closed(): Promise<void> {
    return this.#session.closed;
  }

  /** How many messages and commands wait or are in flight. */
  get pending(): number {
    return this.#session.pipeline.pending;
  }

  /**
   * Sends a message.
   *
   * Where the server announces how many recipients it takes at a time (LIMITS, RFC 9422), or says it when there are too
   * many, the message goes in as many transactions as it takes, with one result. A stream that can be read only once is
   * kept in memory for that, up to 64 MiB.
   *
   * @param envelope Who it is from and who it is for.
   * @param message The message itself. A stream belongs to the call: at its end it was read or cancelled.
   * @param options How.
   * @returns What the server said, once it has taken the message for at least one recipient.
   * @throws {SmtpError} If it has not; `outcome` says what became of the message, `usable` whether the client can go on.
   */
  async send(envelope: Envelope, message: Message, options: SendOptions = {}): Promise<Receipt> {
    let sending: Sending;
    try {
      if (asked === undefined && (options.encode !== undefined || asksForMore(envelope))) {
        this.#loading ??= loadAsked().finally(() => this.#loading = undefined);
      }
      // Messages leave in the order of the calls.
      if (this.#loading !== undefined) await this.#loading;
      if (this.stepping) throw badSequence("Cannot send: a transaction that was begun with mail() is open");
      sending = new Sending(this.#session, envelope, message, options, asked);
    } catch (error) {
      discardMessage(message, error);
      throw error;
    }
    const result = sending.run();
    this.#quitInTime();
    try {
      return await result;
    } finally {
      this.#quitInTime(); // after as many transactions as it took
    }
  }

  /** The server has said how many transactions it takes in a session (MAILMAX, RFC 9422). */
  #quitInTime(): void {
    if (this.#session.exhausted && !this.stepping) void this.quit();
  }

  /**
   * Ends the session as RFC 5321 wants it: waits for what is in flight, says QUIT, and closes. A transaction that was begun
   * with `mail()` and has no end is given up.
   *
   * @returns Resolves when the connection is closed. Never rejects: whether the server has a word for QUIT changes nothing.
   */
  quit(): Promise<void> {
    return this.#quitting ??= this.#quit();
  }

  async #quit(): Promise<void> {
    const { pipeline } = this.#session;
    this.#session.quitting = true;
    if (this.stepping) return await this.close();
    if (pipeline.failure === undefined) {
      try {
        await this.#session.converse((conversation) => conversation.say("QUIT\r\n", "quit"));
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

  /** Ends the session with {@linkcode quit}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.quit();
  }
}
