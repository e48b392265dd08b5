/**
 * What stands behind the commands that are said step by step. Loaded when the first of them is: most programs only send.
 *
 * @module
 */
import { isAsciiMailbox } from "../core/address.ts";
import { parseAddressList } from "../core/address_list.ts";
import { renderCommand, renderLine } from "../core/command.ts";
import type { MailParameters } from "../core/parameters.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";
import type { TlsOptions } from "../sockets/socket.ts";
import * as asked from "./asked.ts";
import type { AddressList } from "./commands.ts";
import { rulesFor } from "./content_check.ts";
import { needsSmtpUtf8, parseRecipient, parseReversePath, renderMailFor, renderRcptFor } from "./envelope.ts";
import type { Recipient } from "./envelope.ts";
import type { MessageWriter } from "./message_writer.ts";
import type { Auth } from "./options.ts";
import type { Receipt } from "./receipt.ts";
import { badSequence, refusedStep } from "./refusal.ts";
import type { Session } from "./session.ts";
import { StepTransaction } from "./step_transaction.ts";
import { renderAttributes } from "./xclient.ts";
import type { XclientAttributes, XforwardAttributes } from "./xclient.ts";

/** Commands that change the dialogue itself: said as a line of one's own they would tear it apart. */
const NOT_ALONE: ReadonlySet<string> = new Set([
  ...["EHLO", "HELO", "LHLO", "DATA", "BDAT", "STARTTLS", "AUTH", "QUIT", "XCLIENT"],
]);

/** Whether a transaction is open behind a command, which then has to be a step of its own in one of ours. */
const OPENING: ReadonlyMap<string, boolean> = new Map([
  ...["MAIL", "RCPT", "SEND", "SOML", "SAML"].map((verb) => [verb, true] as const),
  ["RSET", false],
]);

/** The steps of one session. */
export class Steps {
  readonly #session: Session;
  #transaction: StepTransaction | undefined;
  #parameters: MailParameters = {};
  #smtpUtf8 = false;

  /** @param session Whose. */
  constructor(session: Session) {
    this.#session = session;
  }

  /** The transaction that is open. */
  get open(): StepTransaction | undefined {
    return this.#transaction?.over === false ? this.#transaction : undefined;
  }

  /** EHLO, HELO or LHLO. */
  async hello(verb: "EHLO" | "HELO", domain: string | undefined): Promise<Reply> {
    const isLmtp = this.#session.settings.protocol === "lmtp";
    if (isLmtp && verb === "HELO") throw badSequence("Cannot say HELO: LMTP has LHLO alone (RFC 2033)");
    const word = isLmtp ? "LHLO" : verb;
    this.#mustBeOutside(word);
    if (domain !== undefined) renderCommand({ verb: word, domain }); // throws where it is none
    return await this.#session.converse(async (conversation) => {
      const reply = await this.#session.sayHello(conversation, word, domain);
      if (reply.positive) return reply;
      throw this.#seen(refusedStep("command-refused", "ehlo", reply));
    });
  }

  /** STARTTLS. */
  async startTls(tls: TlsOptions | undefined): Promise<void> {
    this.#mustBeGreeted("STARTTLS");
    if (this.#session.link.secure) throw badSequence("Cannot say STARTTLS: the session is under TLS");
    const session = this.#session;
    const { startTls } = await import("./start_tls.ts");
    await this.#watched(
      session.converse((conversation) => startTls(session, conversation, tls ?? session.settings.tls)),
    );
  }

  /** AUTH. */
  async authenticate(auth: Auth | undefined): Promise<string> {
    this.#mustBeGreeted("AUTH");
    if (auth === undefined) throw new TypeError("Cannot log in: auth is missing");
    // RFC 4954, section 4: once and no more.
    if (this.#session.authenticated) throw badSequence("Cannot say AUTH: the server has accepted a login");
    const { checkAuth, login } = await import("./login.ts");
    checkAuth(auth);
    return await this.#watched(
      this.#session.converse((conversation) => login(this.#session, conversation, auth)),
    );
  }

  /** MAIL. */
  async mail(from: string | null, parameters: MailParameters): Promise<Reply> {
    const session = this.#session;
    const { extensions } = session;
    session.mustBeReady();
    const path = parseReversePath(from);
    const smtpUtf8 = parameters.smtpUtf8 ?? (path !== null && !isAsciiMailbox(path));
    if (smtpUtf8 && !extensions.smtpUtf8) throw needsSmtpUtf8(path ?? undefined);
    const unknown = { size: undefined, kinds: undefined };
    const mail = renderMailFor(path, parameters, unknown, session.envelopeContext, smtpUtf8, asked);
    session.admit();
    const plan = { mail, rules: rulesFor(parameters.body, "error", extensions) };
    const [transaction, reply] = await this.#watched(StepTransaction.begin(session, plan));
    this.#transaction = transaction;
    this.#parameters = parameters;
    this.#smtpUtf8 = smtpUtf8;
    return reply;
  }

  /** RCPT. */
  async rcpt(recipient: string | Recipient): Promise<Reply> {
    const transaction = this.#mustBeInside("RCPT");
    const path = parseRecipient(recipient);
    if (!this.#smtpUtf8 && !isAsciiMailbox(path)) {
      throw badSequence("Cannot say RCPT: the local part is not ASCII and mail() was not told smtpUtf8");
    }
    const { extensions } = this.#session;
    const line = renderRcptFor(path, recipient, this.#parameters.dsn, extensions, this.#smtpUtf8, asked);
    const address = typeof recipient === "string" ? recipient : recipient.address;
    return await this.#watched(transaction.rcpt(line, address));
  }

  /** DATA. */
  async data(): Promise<MessageWriter> {
    return await this.#watched(this.#mustBeInside("DATA").data());
  }

  /** BDAT. */
  async bdat(chunk: Uint8Array, last: boolean): Promise<Reply | Receipt> {
    if (!this.#session.extensions.chunking) throw missing("BDAT", "CHUNKING");
    return await this.#watched(this.#mustBeInside("BDAT").bdat(chunk, last));
  }

  /** RSET. */
  async reset(): Promise<Reply> {
    if (this.open !== undefined) return await this.#watched(this.open.reset());
    return await this.#positive("RSET\r\n", "reset", false);
  }

  /** NOOP. */
  noop(): Promise<Reply> {
    return this.#positive("NOOP\r\n");
  }

  /** A line of the caller's. */
  async command(line: string): Promise<Reply> {
    const rendered = renderLine(line, { smtpUtf8: this.#session.extensions.smtpUtf8 });
    const verb = line.trim().split(" ", 1)[0]!.toUpperCase();
    if (NOT_ALONE.has(verb)) throw new TypeError(`Cannot say ${verb} as a single command`);
    return await this.#say(rendered, "command", OPENING.get(verb));
  }

  /** VRFY or EXPN. */
  async list(verb: "VRFY" | "EXPN", argument: string): Promise<AddressList> {
    const { smtpUtf8 } = this.#session.extensions;
    const line = renderCommand({ verb, argument }, { smtpUtf8 });
    // RFC 6531, section 3.7.4.2: the reply may then be beyond ASCII, too.
    const isForeign = line.length !== new TextEncoder().encode(line).length;
    const reply = await this.#positive(isForeign ? `${line.slice(0, -2)} SMTPUTF8\r\n` : line);
    return { reply, verified: reply.code !== 252, addresses: parseAddressList(reply) };
  }

  /** HELP. */
  help(topic: string | undefined): Promise<Reply> {
    return this.#positive(renderCommand({ verb: "HELP", ...(topic !== undefined && { argument: topic }) }));
  }

  /** ETRN. */
  etrn(node: string): Promise<Reply> {
    this.#mustBeOutside("ETRN");
    if (!this.#session.extensions.has("ETRN")) throw missing("ETRN", "ETRN");
    return this.#positive(renderCommand({ verb: "ETRN", argument: node }));
  }

  /** XCLIENT, and what begins anew with it. */
  async xclient(attributes: XclientAttributes): Promise<Reply> {
    const [line] = this.#attributes("XCLIENT", attributes);
    return await this.#watched(this.#session.converse(async (conversation) => {
      const reply = await conversation.say(line!, "command");
      if (!reply.positive) throw refusedStep("command-refused", "command", reply);
      this.#session.authenticated = attributes.login !== undefined && attributes.login !== null;
      await this.#session.hello(conversation);
      return reply;
    }));
  }

  /** XFORWARD. */
  async xforward(attributes: XforwardAttributes): Promise<Reply> {
    const lines = this.#attributes("XFORWARD", attributes);
    return await this.#session.converse(async (conversation) => {
      let reply: Reply | undefined;
      for (const line of lines) {
        reply = await conversation.say(line, "command");
        if (!reply.positive) throw this.#seen(refusedStep("command-refused", "command", reply));
      }
      return reply!;
    });
  }

  #attributes(verb: "XCLIENT" | "XFORWARD", attributes: XclientAttributes | XforwardAttributes): string[] {
    this.#mustBeOutside(verb);
    return renderAttributes(verb, attributes, this.#session.extensions);
  }

  async #positive(line: string, phase: Phase = "command", transactionOpen?: boolean): Promise<Reply> {
    const reply = await this.#say(line, phase, transactionOpen);
    if (reply.positive) return reply;
    throw this.#seen(refusedStep("command-refused", phase, reply));
  }

  /** Says a command within the transaction that is open, or behind what is in flight. */
  async #say(line: string, phase: Phase, transactionOpen?: boolean): Promise<Reply> {
    const session = this.#session;
    session.mustBeUsable();
    const { open } = this;
    if (open === undefined) {
      // Exim takes the recipients of the next message into a transaction that is open: that one begins with RSET then.
      const reply = await session.command(line, phase, { transactionOpen });
      if (transactionOpen === false && !reply.positive) session.transactionOpen = true;
      return reply;
    }
    if (transactionOpen !== undefined) {
      throw badSequence("Cannot say this: a transaction that was begun with mail() is open");
    }
    return await open.command(line, phase);
  }

  async #watched<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw this.#seen(error);
    }
  }

  /** A server that breaks the protocol is not spoken to any longer, nor is one that TLS or a login broke down with. */
  #seen(error: unknown): unknown {
    if (error instanceof SmtpError && !error.usable) this.#session.end(error);
    return error;
  }

  #mustBeInside(verb: string): StepTransaction {
    this.#session.mustBeUsable();
    if (this.open !== undefined) return this.open;
    throw badSequence(`Cannot say ${verb}: no transaction is open, say mail() first`);
  }

  #mustBeGreeted(verb: string): void {
    this.#mustBeOutside(verb);
    if (!this.#session.greeted) {
      throw badSequence(`Cannot say ${verb}: the server was not greeted, say ehlo() first`);
    }
  }

  #mustBeOutside(verb: string): void {
    this.#session.mustBeUsable();
    if (this.open === undefined) return;
    throw badSequence(`Cannot say ${verb}: a transaction that was begun with mail() is open`);
  }
}

function missing(verb: string, extension: string): SmtpError {
  return new SmtpError("extension-missing", `Cannot say ${verb}: the server does not offer ${extension}`, {
    phase: "command",
    usable: true,
  });
}
