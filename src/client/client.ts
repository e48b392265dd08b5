/**
 * The middle level: one session with one server.
 *
 * @module
 */
import { isAsciiMailbox } from "../core/address.ts";
import { parseAddressList, renderQuery } from "./address_list.ts";
import type { NamedAddress } from "./address_list.ts";
import { renderCommand, renderLine } from "../core/command.ts";
import type { Extensions } from "../core/extensions.ts";
import { mustExist } from "../core/option_names.ts";
import type { MailParameters } from "../core/parameters.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";
import type { SocketInfo, TlsOptions } from "../sockets/socket.ts";
import { endSession, hello, introduce, login, openSession, startTls } from "./connect.ts";
import { discardMessage } from "./content.ts";
import type { Message } from "./content.ts";
import { rulesFor } from "./content_check.ts";
import { Conversation } from "./conversation.ts";
import {
  addressOf,
  checkMailParameters,
  mustOfferSmtpUtf8,
  needsSmtpUtf8,
  parseRecipient,
  parseReversePath,
  renderMailCommand,
  renderRcptCommand,
} from "./envelope.ts";
import type { Envelope, Recipient } from "./envelope.ts";
import { badSequence, commandRefused, extensionMissing, leadToCaller } from "./failure.ts";
import { ManualDelivery } from "./manual_delivery.ts";
import type { MessageWriter } from "./message_writer.ts";
import { readOptions } from "./options.ts";
import type { Auth, SendOptions, SmtpClientOptions } from "./options.ts";
import { sayQuit } from "./quit.ts";
import type { Receipt } from "./receipt.ts";
import { admit, mustBeReady, mustBeUsable, readMessage } from "./send.ts";
import type { Session } from "./session.ts";
import { mayGrow, sendSplit } from "./split.ts";
import { renderAttributes } from "./xclient.ts";
import type { XclientAttributes, XforwardAttributes } from "./xclient.ts";

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

/** What a server knows about an address or a list. */
export interface AddressList {
  /** The server's reply. */
  readonly reply: Reply;
  /** Whether the server has looked: `false` for 252, "cannot tell, but will try" (RFC 5321, section 3.5.3). */
  readonly verified: boolean;
  /** The addresses that it names. */
  readonly addresses: readonly NamedAddress[];
}

/** Commands that change the dialogue itself: sent as a plain line they would break it. */
const NOT_ALONE: ReadonlySet<string> = new Set([
  ...["EHLO", "HELO", "LHLO", "DATA", "BDAT", "STARTTLS", "AUTH", "QUIT", "XCLIENT"],
]);

/** Commands that open or end a transaction: inside one that was begun with `mail()` they have methods of their own. */
const TRANSACTION_COMMANDS: ReadonlyMap<string, "unknown" | "none"> = new Map([
  ...["MAIL", "RCPT", "SEND", "SOML", "SAML"].map((verb) => [verb, "unknown"] as const),
  ["RSET", "none"],
]);

/** A transaction that was begun with `mail()`, with what its commands need to know. */
interface OpenTransaction {
  readonly delivery: ManualDelivery;
  readonly parameters: MailParameters;
}

/**
 * A session with a server: connected, greeted, protected and logged in as the options ask.
 *
 * `send()` may be called again before the last call has ended: as many messages are in flight as the server allows.
 *
 * Each command of SMTP has a method of its own, too. The client knows the state of the session: a command that the protocol
 * forbids at this point is an `SmtpError` with the code `"bad-sequence"`, and nothing is sent. A negative reply is an error that
 * holds the reply, and the session goes on; only {@linkcode SmtpClient.command} returns every reply as it is. From `mail()` to the
 * end of the transaction (`data()`, the last `bdat()`, or `reset()`) the connection belongs to that transaction: a `send()`
 * meanwhile is refused.
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
  /** Messages on their way that may need another transaction: QUIT has to wait for them. */
  readonly #growing: Set<Promise<Receipt>> = new Set();
  #transaction: OpenTransaction | undefined;
  /** What `mail()` waits for: its turn, or its reply. */
  #opening: Promise<unknown> | undefined;

  private constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Opens a connection, and goes through greeting, EHLO, STARTTLS and AUTH as the options ask for them.
   *
   * @param options Where to and how.
   * @returns The client, ready to send.
   * @throws {TypeError | RangeError} If an option makes no sense; nothing was opened.
   * @throws {SmtpError} If the session cannot be opened; its `code` and `phase` say why.
   */
  static async connect(options: SmtpClientOptions = {}): Promise<SmtpClient> {
    return new SmtpClient(await openSession(readOptions(options), "ready"));
  }

  /**
   * Opens a connection, waits for the greeting, and sends nothing: for programs that take each step by themselves with `ehlo()`,
   * `startTls()`, `authenticate()` and `mail()`.
   *
   * @param options Where to and how. `authenticate()` uses `auth` if it is called without credentials.
   * @returns The client.
   * @throws As {@linkcode SmtpClient.connect}.
   */
  static async open(options: SmtpClientOptions = {}): Promise<SmtpClient> {
    return new SmtpClient(await openSession(readOptions(options), "greeting"));
  }

  /**
   * Checks that a server can be reached, that TLS works as the options ask for it, and that the server accepts the login. No
   * message is sent; the connection is closed again.
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
    return this.#session.agreed.greeting!;
  }

  /** What the server offers, from its last reply to EHLO. */
  get extensions(): Extensions {
    return this.#session.extensions;
  }

  /** Whether the session is protected by TLS. */
  get secure(): boolean {
    return this.#session.link.secure;
  }

  /** Whether the server has accepted the credentials. */
  get authenticated(): boolean {
    return this.#session.agreed.authenticated;
  }

  /** What is known about the connection: the addresses of both sides, what TLS has agreed on. */
  get info(): SocketInfo {
    return this.#session.agreed.info;
  }

  /** Whether anything can still be sent. */
  get usable(): boolean {
    return !this.#session.quitting && this.#session.pipeline.failure === undefined;
  }

  /** Resolves when the session is over, in good order or not, also if the server ends it while nothing is sent. Never rejects. */
  get closed(): Promise<void> {
    return this.#session.pipeline.closed;
  }

  /** How many messages and commands wait or are in flight. */
  get pending(): number {
    return this.#session.pipeline.pending;
  }

  /**
   * Sends a message.
   *
   * If the server announces how many recipients it takes at a time (LIMITS, RFC 9422), or says so when there are too
   * many, the message goes in as many transactions as it takes, with one result. A stream that can be read only once is
   * kept in memory for that, up to 64 MiB.
   *
   * @param envelope Who it is from and who it is for.
   * @param message The message itself. A stream belongs to the call: when the call ends, it was read or cancelled.
   * @param options How.
   * @returns What the server said, once it has taken the message for at least one recipient.
   * @throws {SmtpError} If it has not; `outcome` says what became of the message, `usable` whether the client can go on.
   */
  async send(envelope: Envelope, message: Message, options: SendOptions = {}): Promise<Receipt> {
    if (this.#isTransactionOpen) {
      const error = transactionOpen("Cannot send");
      discardMessage(message, error);
      throw error;
    }
    const ready = readMessage(this.#session, envelope, message, options);
    const result = sendSplit(this.#session, ready);
    const grows = mayGrow(ready);
    if (grows) this.#growing.add(result);
    this.#quitIfExhausted();
    try {
      return await result;
    } catch (error) {
      throw leadToCaller(error);
    } finally {
      if (grows) this.#growing.delete(result);
      this.#quitIfExhausted(); // after as many transactions as it took
    }
  }

  /** The server has said how many transactions it takes in a session (MAILMAX, RFC 9422). */
  #quitIfExhausted(): void {
    if (this.#session.exhausted && !this.#isTransactionOpen) void this.quit();
  }

  /**
   * EHLO, or LHLO over LMTP: greets the server and learns what it offers. It ends a transaction that is open on the server
   * (RFC 5321, section 4.1.4). `connect()` has done it.
   *
   * @param domain The client's name: a domain or an address literal. Default: as the options say.
   * @returns The reply; {@linkcode SmtpClient.extensions} has what it says.
   */
  async ehlo(domain?: string): Promise<Reply> {
    return await this.#hello(this.#session.settings.protocol === "lmtp" ? "LHLO" : "EHLO", domain);
  }

  /**
   * HELO: greets a server that does not know EHLO. It then offers no extensions.
   *
   * @param domain The client's name: a domain or an address literal. Default: as the options say.
   * @returns The reply.
   */
  async helo(domain?: string): Promise<Reply> {
    if (this.#session.settings.protocol === "lmtp") {
      throw badSequence("Cannot say HELO: LMTP has only LHLO (RFC 2033)");
    }
    return await this.#hello("HELO", domain);
  }

  async #hello(verb: "EHLO" | "HELO" | "LHLO", domain: string | undefined): Promise<Reply> {
    this.#mustBeOutside(verb);
    if (domain !== undefined) renderCommand({ verb, domain }); // throws if it is not valid
    return await this.#converse(async (conversation) => {
      const reply = await hello(this.#session, conversation, verb, domain);
      if (reply.positive) return reply;
      throw commandRefused(verb, "ehlo", reply);
    });
  }

  /**
   * STARTTLS: switches to TLS, and greets the server anew, since what was learnt before TLS may have been somebody
   * else's words (RFC 3207). `connect()` has done it if the options ask for it.
   *
   * @param tls How, where not as the options say.
   * @throws {TypeError} If an option of TLS is not valid, contradicts one of the session's, or cannot be honoured here; nothing
   * was sent, and the session goes on.
   * @throws {SmtpError} `"starttls-unavailable"` if it is not offered or refused; the session can go on then.
   */
  async startTls(tls: TlsOptions = this.#session.settings.tls): Promise<void> {
    this.#mustBeGreeted("STARTTLS");
    if (this.#session.link.secure) throw badSequence("Cannot say STARTTLS: the session is already under TLS");
    await this.#converse((conversation) => startTls(this.#session, conversation, tls));
  }

  /**
   * AUTH: logs in, with the first mechanism, in the order of `auth.mechanisms`, that the server offers and the
   * credentials allow (RFC 4954). `connect()` has done it if the options have `auth`. After a refusal it may be called again.
   *
   * @param auth The credentials. Default: as the options say.
   * @returns The name of the mechanism that worked.
   * @throws {SmtpError} `"auth-failed"`, `"auth-unsupported"` or `"auth-insecure"`; `usable` says whether the session goes on.
   * @throws {TypeError} If there are no credentials, or `auth` makes no sense.
   */
  async authenticate(auth: Auth | undefined = this.#session.settings.auth): Promise<string> {
    this.#mustBeGreeted("AUTH");
    if (auth === undefined) throw new TypeError("Cannot log in: auth is missing");
    // RFC 4954, section 4: once and no more.
    if (this.authenticated) throw badSequence("Cannot say AUTH: the server has already accepted a login");
    const { checkAuth } = await import("./authenticate.ts");
    const checked = checkAuth(auth);
    return await this.#converse((conversation) => login(this.#session, conversation, checked));
  }

  /**
   * MAIL: begins a transaction, once everything that is in flight has ended.
   *
   * @param from Where bounces go; `null` or `""` for nowhere.
   * @param parameters What is asked for with the message.
   * @returns The reply.
   * @throws {SmtpError} `"sender-refused"`; or why it was not sent.
   */
  async mail(from: string | null, parameters: MailParameters = {}): Promise<Reply> {
    if (this.#isTransactionOpen) throw transactionOpen("Cannot say MAIL");
    const session = this.#session;
    const own = checkMailParameters(parameters);
    mustBeReady(session);
    const path = parseReversePath(from);
    const smtpUtf8 = own.smtpUtf8 ?? needsSmtpUtf8([path]);
    if (smtpUtf8) mustOfferSmtpUtf8([path], this.extensions);
    const wanted = Object.assign(own, { smtpUtf8 });
    const mail = renderMailCommand(path, wanted, { size: undefined, kinds: undefined }, session);
    admit(session);
    const rules = rulesFor(own.body, "error", this.extensions);
    const started = ManualDelivery.start(session, mail, rules);
    this.#opening = started;
    try {
      const [delivery, reply] = await this.#watched(started);
      this.#transaction = { delivery, parameters: wanted };
      return reply;
    } finally {
      this.#opening = undefined;
    }
  }

  /**
   * RCPT: names a recipient of the transaction.
   *
   * @param recipient The address, or the address with what is asked for.
   * @returns The reply.
   * @throws {SmtpError} `"recipients-refused"`: the transaction goes on with the others.
   */
  async rcpt(recipient: string | Recipient): Promise<Reply> {
    const { delivery, parameters } = this.#mustBeInside("RCPT");
    const address = addressOf(recipient);
    let line: string;
    try {
      const path = parseRecipient(recipient, "recipient");
      if (!parameters.smtpUtf8 && !isAsciiMailbox(path)) {
        throw badSequence(
          "Cannot say RCPT: the local part is not ASCII and mail() was called without smtpUtf8",
        );
      }
      line = renderRcptCommand(path, recipient, parameters, this.#session);
    } catch (error) {
      if (error instanceof SmtpError && typeof address === "string") {
        delivery.noteInvalid({ recipient: address, error });
      }
      throw error;
    }
    return await this.#watched(delivery.rcpt(line, address));
  }

  /**
   * DATA: returns a stream to write the message to. Closing it ends the transaction, aborting it cuts the connection.
   *
   * @returns The stream; its `receipt` has what the server says at the end.
   * @throws {SmtpError} `"message-refused"` if the server does not want it.
   */
  async data(): Promise<MessageWriter> {
    return await this.#watched(this.#mustBeInside("DATA").delivery.data());
  }

  /**
   * BDAT: a chunk of the message, sent exactly as it is (RFC 3030). The last one ends the transaction.
   *
   * @param chunk The bytes. Line ends have to be CRLF, unless the body is BINARYMIME; dots need no care.
   * @param options `last`: whether it is the last chunk. Default: `false`.
   * @returns The reply, or the receipt after the last chunk.
   * @throws {SmtpError} `"message-refused"`: only `reset()` is possible then.
   */
  bdat(chunk: Uint8Array, options: { last: true }): Promise<Receipt>;
  /**
   * BDAT: a chunk that is not the last.
   *
   * @param chunk The bytes.
   * @param options Nothing, or `last: false`.
   * @returns The reply.
   */
  bdat(chunk: Uint8Array, options?: { last?: false }): Promise<Reply>;
  async bdat(chunk: Uint8Array, options: { last?: boolean } = {}): Promise<Reply | Receipt> {
    mustExist("say BDAT", options, { last: true });
    const { last = false } = options;
    if (!this.extensions.chunking) throw extensionMissing("BDAT", "CHUNKING");
    return await this.#watched(this.#mustBeInside("BDAT").delivery.bdat(chunk, last));
  }

  /**
   * RSET: makes the server forget the transaction that was begun.
   *
   * @returns Its reply.
   */
  async reset(): Promise<Reply> {
    const open = this.#openTransaction("RSET");
    if (open !== undefined) return await this.#watched(open.delivery.reset());
    return await this.#positive("RSET\r\n", "reset", "none");
  }

  /**
   * NOOP: asks whether the server is still there.
   *
   * @returns Its reply.
   */
  async noop(): Promise<Reply> {
    return await this.#positive("NOOP\r\n");
  }

  /**
   * VRFY: asks who an address or a name is. The domain of an address goes in ASCII (A-labels); what is beyond ASCII
   * otherwise needs SMTPUTF8 (RFC 6531, section 3.7.4.2).
   *
   * @param address The address, or the name of a user.
   * @returns What the server knows.
   * @throws {SmtpError} `"command-refused"`: there is no such user, or the server does not tell. `"extension-missing"`:
   * SMTPUTF8 is needed and not offered.
   */
  async vrfy(address: string): Promise<AddressList> {
    return await this.#list("VRFY", address);
  }

  /**
   * EXPN: asks who is on a list, whose name goes as that of {@linkcode SmtpClient.vrfy}.
   *
   * @param list The name of the list.
   * @returns Its members.
   * @throws {SmtpError} `"command-refused"`: there is no such list, or the server does not tell. `"extension-missing"`:
   * SMTPUTF8 is needed and not offered.
   */
  async expn(list: string): Promise<AddressList> {
    return await this.#list("EXPN", list);
  }

  async #list(verb: "VRFY" | "EXPN", argument: string): Promise<AddressList> {
    const reply = await this.#positive(renderQuery(verb, argument, this.extensions));
    return { reply, verified: reply.code !== 252, addresses: parseAddressList(reply) };
  }

  /**
   * HELP: asks for help.
   *
   * @param topic The topic. Default: help in general.
   * @returns The reply; its `text` is the help.
   */
  async help(topic?: string): Promise<Reply> {
    return await this.#positive(
      renderCommand({ verb: "HELP", ...(topic !== undefined && { argument: topic }) }),
    );
  }

  /**
   * ETRN: asks the server to send what it holds for a node (RFC 1985).
   *
   * @param node The node's domain; with `@` before it for its subdomains too, with `#` before it the name of a queue.
   * @returns The reply.
   */
  async etrn(node: string): Promise<Reply> {
    this.#mustBeOutside("ETRN");
    if (!this.extensions.has("ETRN")) throw extensionMissing("ETRN", "ETRN");
    return await this.#positive(renderCommand({ verb: "ETRN", argument: node }));
  }

  /**
   * XCLIENT: tells a Postfix that trusts us which client we speak for. The session then begins anew, as that client's.
   *
   * @param attributes What to tell. `login` makes the session one that has logged in.
   * @returns The reply.
   */
  async xclient(attributes: XclientAttributes): Promise<Reply> {
    this.#mustBeOutside("XCLIENT");
    const [line] = renderAttributes("XCLIENT", attributes, this.extensions);
    return await this.#converse(async (conversation) => {
      const reply = await conversation.say(line!, "command");
      if (!reply.positive) throw commandRefused("XCLIENT", "command", reply);
      const authenticated = attributes.login !== undefined && attributes.login !== null;
      this.#session.agreed = { ...this.#session.agreed, authenticated };
      await introduce(this.#session, conversation);
      return reply;
    });
  }

  /**
   * XFORWARD: tells a Postfix that trusts us what to log about the client that the next message comes from.
   *
   * @param attributes What to tell.
   * @returns The last reply.
   */
  async xforward(attributes: XforwardAttributes): Promise<Reply> {
    this.#mustBeOutside("XFORWARD");
    const lines = renderAttributes("XFORWARD", attributes, this.extensions);
    return await this.#converse(async (conversation) => {
      let reply: Reply | undefined;
      for (const line of lines) {
        reply = await conversation.say(line, "command");
        if (!reply.positive) throw commandRefused("XFORWARD", "command", reply);
      }
      return reply!;
    });
  }

  /**
   * Sends a command that has no method of its own, and returns the reply, whatever it is. Only a 3xx ends the session: the
   * server would take the next command for something else.
   *
   * @param line The command without its line end.
   * @returns The server's reply.
   * @throws {TypeError} If the line has control characters, or is a command that changes the dialogue itself.
   */
  async command(line: string): Promise<Reply> {
    const rendered = renderLine(line, { smtpUtf8: this.extensions.smtpUtf8 });
    const verb = line.trim().split(" ", 1)[0]!.toUpperCase();
    if (NOT_ALONE.has(verb)) throw new TypeError(`Cannot say ${verb} as a single command`);
    return await this.#say(rendered, "command", TRANSACTION_COMMANDS.get(verb));
  }

  /**
   * Ends the session as RFC 5321 asks: says QUIT after what is in flight, waits for the replies, and closes. With PIPELINING,
   * QUIT leaves in one group with the last message; called in the same turn as `send()`, it costs no round trip. A transaction
   * that was begun with `mail()` and has no end is given up.
   *
   * @returns Resolves when the connection is closed. Never rejects: the server's answer to QUIT changes nothing.
   */
  quit(): Promise<void> {
    return this.#quitting ??= this.#quit();
  }

  async #quit(): Promise<void> {
    this.#session.quitting = true;
    if (this.#opening !== undefined) await this.#opening.catch(() => {}); // it waits for what is in flight
    if (this.#isTransactionOpen) return await this.close();
    // What may need another transaction has to have its last reply first. All else is in the pipeline already.
    if (this.#growing.size > 0) await Promise.allSettled(this.#growing);
    await sayQuit(this.#session);
  }

  /**
   * Closes the connection at once. What is in flight fails, with the outcome that is true for it.
   *
   * @returns Resolves when the connection is closed.
   */
  async close(): Promise<void> {
    const { pipeline, link } = this.#session;
    pipeline.fail(new SmtpError("client-closed", "The client was closed", { phase: "quit" }));
    await link.close().catch(() => {});
  }

  /** Ends the session with {@linkcode quit}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.quit();
  }

  async #positive(line: string, phase: Phase = "command", held?: "unknown" | "none"): Promise<Reply> {
    const reply = await this.#say(line, phase, held);
    if (reply.positive) return reply;
    const name = line.slice(0, -2).split(" ", 1)[0]!;
    return await this.#watched(Promise.reject(commandRefused(name, phase, reply)));
  }

  /** Sends a command within the transaction that is open, or after what is in flight. */
  async #say(line: string, phase: Phase, held?: "unknown" | "none"): Promise<Reply> {
    const session = this.#session;
    mustBeUsable(session);
    const open = this.#openTransaction("a command");
    if (open === undefined) {
      // Exim adds the recipients of the next message to a transaction that is open: that message begins with RSET then.
      const reply = await this.#watched(Conversation.command(session, line, phase, held));
      if (held === "none" && !reply.positive) session.held = "unknown";
      return reply;
    }
    if (held !== undefined) throw transactionOpen("Cannot say this");
    return await this.#watched(open.delivery.command(line));
  }

  #converse<T>(body: (conversation: Conversation) => Promise<T>): Promise<T> {
    return this.#watched(Conversation.hold(this.#session, body));
  }

  /** A server that breaks the protocol is not spoken to any longer, nor is one after TLS or a login broke down. */
  async #watched<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      const own = leadToCaller(error, this.#session.pipeline.failure);
      if (own instanceof SmtpError && !own.usable) endSession(this.#session, own);
      throw own;
    }
  }

  /** The transaction that was begun with `mail()`, if there is one. */
  #openTransaction(verb: string): OpenTransaction | undefined {
    // The command would wait for the end of the transaction.
    if (this.#opening !== undefined) throw badSequence(`Cannot say ${verb}: mail() waits for its reply`);
    return this.#transaction?.delivery.over === false ? this.#transaction : undefined;
  }

  get #isTransactionOpen(): boolean {
    return this.#opening !== undefined || this.#transaction?.delivery.over === false;
  }

  #mustBeInside(verb: string): OpenTransaction {
    const open = this.#openTransaction(verb);
    mustBeUsable(this.#session);
    if (open !== undefined) return open;
    throw badSequence(`Cannot say ${verb}: no transaction is open, say mail() first`);
  }

  #mustBeGreeted(verb: string): void {
    this.#mustBeOutside(verb);
    if (this.#session.agreed.hello !== undefined) return;
    throw badSequence(`Cannot say ${verb}: the server was not greeted, say ehlo() first`);
  }

  #mustBeOutside(verb: string): void {
    const open = this.#openTransaction(verb);
    mustBeUsable(this.#session);
    if (open !== undefined) throw transactionOpen(`Cannot say ${verb}`);
  }
}

function transactionOpen(what: string): SmtpError {
  return badSequence(`${what}: a transaction that was begun with mail() is open`);
}
