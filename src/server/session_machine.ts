/**
 * The state machine of one session, without I/O: bytes go in, events and bytes come out.
 *
 * @module
 */
import { formatMailbox, type Mailbox } from "../core/address.ts";
import type { Command, EsmtpParameters } from "../core/command.ts";
import { Reply } from "../core/reply.ts";
import type { SecureTransport } from "../sockets/socket.ts";
import { offeredKeywords, refusalOf } from "./command_checks.ts";
import { type MachineState, SEQUENCE } from "./command_order.ts";
import { CommandSyntaxError, hasVerb, isHttp, parseCommand } from "./command_parser.ts";
import { type ContentEvent, ContentReader } from "./content_reader.ts";
import type { ServerRecipient, ServerSender } from "./handlers.ts";
import { LineDecoder, type RefusedLine, TOO_LONG } from "./line_decoder.ts";
import type { SessionSettings } from "./options.ts";
import * as replies from "./replies.ts";
import type { SessionData } from "./session_view.ts";

/**
 * What {@linkcode SessionMachine.next} gives. `connect`, `greet`, `auth`, `auth-response`, `mail`, `rcpt` and the last
 * `content` have to be answered before anything else.
 */
export type SessionEvent =
  /** The connection is open, and the greeting is due. */
  | { readonly kind: "connect" }
  /** EHLO or HELO. */
  | { readonly kind: "greet"; readonly name: string; readonly esmtp: boolean }
  /** AUTH; `response` is the initial response in base64. */
  | { readonly kind: "auth"; readonly mechanism: string; readonly response: string | undefined }
  /** The response to a challenge, in base64. */
  | { readonly kind: "auth-response"; readonly response: string }
  /** AUTH has ended without a response: cancelled, or malformed. */
  | { readonly kind: "auth-end" }
  /** MAIL. */
  | { readonly kind: "mail"; readonly sender: ServerSender }
  /** RCPT. */
  | { readonly kind: "rcpt"; readonly recipient: ServerRecipient }
  | ContentEvent
  /** The client has given up the transaction, by RSET or a new EHLO. */
  | { readonly kind: "reset" }
  /** The reply to STARTTLS has to be sent, then TLS begins and `secured()` is called. */
  | { readonly kind: "starttls" }
  /** The output has to be sent, then the connection ends. */
  | { readonly kind: "close" };

/**
 * What the machine waits for: the next command, the response to a challenge, content, the answer to its last event, TLS,
 * or nothing more.
 */
type Expected = "command" | "response" | "content" | "answer" | "tls" | "nothing";

const CLOSE: SessionEvent = { kind: "close" };
const RESET: SessionEvent = { kind: "reset" };
const START_TLS: SessionEvent = { kind: "starttls" };
const AUTH_END: SessionEvent = { kind: "auth-end" };
const NO_PARAMETERS: EsmtpParameters = Object.freeze({});

/**
 * The state machine of one session. Call `next()` until it gives `undefined`; then send what `takeOutput()` gives and
 * pass on more bytes with `receive()`. An event that asks for a decision is followed by `answer()`, `challenge()` or
 * `authenticated()`. Replies collect in the output until then, so that those to a pipelined group leave together
 * (RFC 2920, section 3.2).
 */
export class SessionMachine {
  readonly #settings: SessionSettings;
  readonly #session: SessionData;
  readonly #lines: LineDecoder;
  readonly #content: ContentReader;
  readonly #encoder: TextEncoder = new TextEncoder();
  readonly #withoutEnhancedCodes: boolean;
  readonly #withoutPipelining: boolean;

  #expected: Expected = "command";
  #state: MachineState = "start";
  /** The event that waits for its answer. */
  #pending: SessionEvent | undefined;
  /** An event that follows one that was answered. */
  #deferred: SessionEvent | undefined = { kind: "connect" };
  #output = "";

  #errors = 0;
  #unrecognized = 0;
  #unauthenticated = 0;

  /**
   * @param settings The settings.
   * @param secureTransport How the connection is protected.
   */
  constructor(settings: SessionSettings, secureTransport: SecureTransport) {
    this.#settings = settings;
    this.#session = { secureTransport, clientName: "", esmtp: false, user: undefined, envelope: undefined };
    this.#content = new ContentReader(settings);
    this.#lines = new LineDecoder(settings.maxLineLength, settings.bareLineEnds === "allow");
    this.#withoutEnhancedCodes = settings.hide.has("ENHANCEDSTATUSCODES");
    this.#withoutPipelining = settings.hide.has("PIPELINING");
  }

  /** What client and server have agreed on so far. */
  get session(): Readonly<SessionData> {
    return this.#session;
  }

  /** How many of the client's lines have ended. */
  get lines(): number {
    return this.#lines.count;
  }

  /** Whether the client has said something that waits to be read as commands. */
  get hasMore(): boolean {
    return this.#lines.bufferedLength > 0;
  }

  /** Whether the session is over. */
  get closed(): boolean {
    return this.#expected === "nothing";
  }

  /**
   * Takes bytes from the client.
   *
   * @param chunk The bytes. They are kept until `next()` gives `undefined` and no longer, except for views of them in
   * `content` events.
   */
  receive(chunk: Uint8Array): void {
    if (this.#expected === "content") this.#content.push(chunk);
    else if (!this.closed) this.#lines.push(chunk);
  }

  /**
   * Gives the next event.
   *
   * @returns The event; `undefined` when more bytes are needed.
   * @throws {Error} If the last event still waits for its answer.
   */
  next(): SessionEvent | undefined {
    const deferred = this.#deferred;
    if (deferred !== undefined) {
      this.#deferred = undefined;
      return deferred.kind === "connect" ? this.#ask(deferred) : deferred;
    }
    for (;;) {
      if (this.#expected === "content") return this.#nextContent();
      if (this.#expected === "nothing") return CLOSE;
      if (this.#expected === "answer" || this.#expected === "tls") {
        throw new Error(
          `Cannot continue the session: "${this.#pending?.kind ?? "starttls"}" waits for its answer`,
        );
      }
      const line = this.#lines.next();
      if (line === undefined) return undefined;
      if (typeof line !== "string" && line.endless) {
        this.close(line.reply);
        return CLOSE;
      }
      const event = this.#expected === "response" ? this.#onResponse(line) : this.#onLine(line);
      if (event !== undefined) return event;
    }
  }

  /**
   * Takes all output that has collected.
   *
   * @returns The bytes to send; `undefined` if there are none.
   */
  takeOutput(): Uint8Array | undefined {
    if (this.#output === "") return undefined;
    const bytes = this.#encoder.encode(this.#output);
    this.#output = "";
    return bytes;
  }

  /**
   * Answers the last event.
   *
   * @param reply The reply to the client: 2xx accepts, 421 ends the session, anything else refuses. Default: accept with
   * the usual reply. Without a reply `auth` is refused: only `authenticated()` lets a client in.
   */
  answer(reply?: Reply): void {
    const event = this.#pending;
    if (event === undefined) throw new Error("Cannot answer: no event waits for an answer");
    this.#pending = undefined;
    this.#expected = "command";
    if (reply?.code === 421) return this.close(reply);
    const accepted = reply === undefined || reply.positive;
    switch (event.kind) {
      case "connect":
        return this.#onConnected(accepted, reply);
      case "greet":
        return this.#onGreeted(event.name, event.esmtp, accepted, reply);
      case "mail":
        return this.#onSender(event.sender, accepted, reply);
      case "rcpt":
        if (accepted) {
          const envelope = this.#session.envelope!;
          envelope.to.push(event.recipient.address);
          envelope.recipients.push(event.recipient);
          this.#state = "rcpt";
        }
        return this.#send(reply ?? replies.RECIPIENT_OK);
      case "content":
        return this.#onMessage(accepted, reply);
      default:
        return this.#refuse(reply ?? replies.BAD_CREDENTIALS);
    }
  }

  /**
   * Answers `auth` or `auth-response` with a challenge.
   *
   * @param text The challenge in base64; empty if the mechanism has none.
   */
  challenge(text: string): void {
    this.#pending = undefined;
    this.#expected = "response";
    this.#output += `334 ${text}\r\n`;
  }

  /**
   * Answers `auth` or `auth-response` with success.
   *
   * @param user The user who is authenticated.
   * @param reply The reply to the client. Default: 235 2.7.0.
   */
  authenticated(user: string, reply: Reply = replies.AUTHENTICATED): void {
    this.#pending = undefined;
    this.#expected = "command";
    this.#session.user = user;
    this.#send(reply);
  }

  /** TLS is on. Forgets everything that the client said before (RFC 3207, section 4.2). */
  secured(): void {
    this.#expected = "command";
    this.#state = "start";
    Object.assign(this.#session, { secureTransport: "on", clientName: "", esmtp: false, user: undefined });
    this.#lines.clear();
  }

  /**
   * Ends the session: for a shutdown, a time limit, a local error.
   *
   * @param reply The reply to the client. Default: none, as for a client that has gone.
   */
  close(reply?: Reply): void {
    if (this.closed) return;
    if (reply !== undefined) this.#send(reply);
    this.#expected = "nothing";
    this.#pending = undefined;
    this.#deferred = undefined;
    this.#lines.clear();
  }

  #send(reply: Reply): void {
    if (this.#withoutEnhancedCodes && reply.enhancedCode !== undefined) {
      this.#output += new Reply(reply.code, reply.text.split("\n")).toWire();
    } else {
      this.#output += replies.toWire(reply);
    }
  }

  #ask(event: SessionEvent): SessionEvent {
    this.#pending = event;
    this.#expected = "answer";
    return event;
  }

  #reply(reply: Reply): undefined {
    this.#send(reply);
  }

  #end(reply: Reply): undefined {
    this.close(reply);
  }

  /** Refuses because of an error of the client's. */
  #refuse(reply: Reply): undefined {
    this.#send(reply);
    if (++this.#errors >= this.#settings.maxErrors) this.close(replies.TOO_MANY_ERRORS);
  }

  #onLine(line: string | RefusedLine): SessionEvent | undefined {
    if (typeof line !== "string") {
      // The rest of a line that is refused may be buffered too: that is not pipelining.
      if (!this.#endsBeforeContent(line.start, line.reply)) this.#refuse(line.reply);
      return undefined;
    }
    if (this.#withoutPipelining && this.#lines.bufferedLength > 0) return this.#end(replies.NO_PIPELINING);
    if (isHttp(line)) return this.#end(replies.NOT_HTTP);
    let command: Command;
    try {
      command = parseCommand(line, this.#settings.lenientAddresses);
    } catch (error) {
      if (!(error instanceof CommandSyntaxError)) throw error;
      return this.#onMalformed(line, error.reply);
    }
    const { requireAuth, maxUnauthenticatedCommands } = this.#settings;
    if (
      requireAuth && this.#session.user === undefined && ++this.#unauthenticated > maxUnauthenticatedCommands
    ) {
      if (command.verb !== "AUTH" && command.verb !== "QUIT") {
        return this.#end(replies.TOO_MANY_COMMANDS);
      }
    }
    const refusal = SEQUENCE[command.verb][this.#state];
    if (refusal !== undefined) return this.#onOutOfSequence(command, refusal);
    return this.#onCommand(command);
  }

  /**
   * Ends the session if content follows a line that is refused: reading it as commands would be an injection.
   *
   * @param line The line, or how it begins.
   * @param reply The refusal.
   * @returns Whether the session has ended.
   */
  #endsBeforeContent(line: string, reply: Reply): boolean {
    if (hasVerb(line, "BDAT")) this.close(reply);
    else if (hasVerb(line, "DATA") && this.#lines.bufferedLength > 0) this.close(replies.BYTES_AFTER_DATA);
    return this.closed;
  }

  #onMalformed(line: string, reply: Reply): undefined {
    if (this.#endsBeforeContent(line, reply)) return;
    if (reply.code !== 500) return this.#refuse(reply);
    this.#onUnrecognized(reply);
  }

  #onUnrecognized(reply: Reply): void {
    this.#refuse(reply);
    if (++this.#unrecognized >= this.#settings.maxUnrecognized) this.close(replies.TOO_MANY_ERRORS);
  }

  #onOutOfSequence(command: Command, reply: Reply): undefined {
    if (this.#endsBeforeContent(command.verb, reply)) return;
    if (reply === replies.UNRECOGNIZED) return void this.#onUnrecognized(reply);
    // A pipelining client could not know; and a list of a hundred recipients is not a hundred errors.
    const innocent = this.#state === "refused" || reply === replies.NO_RECIPIENTS;
    if (innocent) this.#send(reply);
    else this.#refuse(reply);
  }

  #onRefused(command: Command, reply: Reply): undefined {
    if (command.verb === "MAIL") this.#state = "refused";
    // A list that is too long is not an error for each further recipient.
    if (reply === replies.TOO_MANY_RECIPIENTS) this.#send(reply);
    else this.#refuse(reply);
  }

  #onCommand(command: Command): SessionEvent | undefined {
    const refusal = refusalOf(command, this.#settings, this.#session);
    if (refusal !== undefined) return this.#onRefused(command, refusal);
    switch (command.verb) {
      case "EHLO":
      case "HELO":
        return this.#ask({ kind: "greet", name: command.domain, esmtp: command.verb === "EHLO" });
      case "MAIL":
        return this.#ask({ kind: "mail", sender: toSender(command.reversePath, command.parameters) });
      case "RCPT":
        return this.#ask({ kind: "rcpt", recipient: toRecipient(command.forwardPath, command.parameters) });
      case "DATA":
        return this.#onData();
      case "RSET":
        this.#send(replies.OK);
        return this.#reset();
      case "NOOP":
        return this.#reply(replies.OK);
      case "VRFY":
        return this.#reply(replies.CANNOT_VRFY);
      case "HELP":
        return this.#reply(replies.HELP);
      case "QUIT":
        return this.#end(replies.BYE);
      case "STARTTLS":
        return this.#onStartTls();
      case "AUTH":
        return this.#ask({ kind: "auth", mechanism: command.mechanism, response: command.initialResponse });
      default:
        return this.#refuse(replies.NOT_IMPLEMENTED);
    }
  }

  #onConnected(accepted: boolean, reply: Reply | undefined): void {
    if (!accepted) {
      this.#state = "unserved";
      return this.#send(reply!);
    }
    this.#output += (reply ?? new Reply(220, `${this.#settings.serverName} ESMTP`)).toWire();
  }

  #onGreeted(name: string, esmtp: boolean, accepted: boolean, reply: Reply | undefined): void {
    if (!accepted) return this.#send(reply!);
    this.#session.clientName = name;
    this.#session.esmtp = esmtp;
    this.#deferred = this.#reset();
    this.#state = "ready";
    const lines = reply?.lines ?? [this.#settings.serverName];
    this.#output += new Reply(
      250,
      esmtp ? [...lines, ...offeredKeywords(this.#settings, this.#session)] : lines,
    ).toWire();
  }

  #onSender(sender: ServerSender, accepted: boolean, reply: Reply | undefined): void {
    this.#state = accepted ? "mail" : "refused";
    if (accepted) {
      this.#session.envelope = {
        from: sender.address,
        to: [],
        parameters: sender.parameters,
        sender,
        recipients: [],
      };
    }
    this.#send(reply ?? replies.SENDER_OK);
  }

  #onData(): undefined {
    // DATA ends a pipelined group (RFC 2920, section 3.1). Bytes after it would be content if it is accepted and commands
    // if it is not: smuggling.
    if (this.#lines.bufferedLength > 0) return this.#end(replies.BYTES_AFTER_DATA);
    this.#content.start();
    this.#expected = "content";
    this.#send(replies.START_CONTENT);
  }

  #nextContent(): SessionEvent | undefined {
    const content = this.#content;
    const event = content.next();
    if (event === undefined) return undefined;
    if (event.last) {
      this.#ask(event);
      this.#lines.push(content.rest);
    } else if (content.hopeless) {
      this.close(content.fault);
    }
    return event;
  }

  #onMessage(accepted: boolean, reply: Reply | undefined): void {
    this.#session.envelope = undefined;
    this.#state = "ready";
    const { fault } = this.#content;
    if (accepted && fault === undefined) this.#errors = 0;
    this.#send(fault ?? reply ?? replies.OK);
  }

  /** Gives up the open transaction, if there is one. */
  #reset(): SessionEvent | undefined {
    if (this.#state !== "start") this.#state = "ready";
    if (this.#session.envelope === undefined) return undefined;
    this.#session.envelope = undefined;
    return RESET;
  }

  #onStartTls(): SessionEvent | undefined {
    // Commands that somebody injected before TLS would be carried out under TLS (CVE-2011-0411).
    if (this.#lines.bufferedLength > 0) return this.#end(replies.BYTES_AFTER_STARTTLS);
    this.#send(replies.READY_FOR_TLS);
    this.#expected = "tls";
    return START_TLS;
  }

  #onResponse(line: string | RefusedLine): SessionEvent {
    this.#expected = "command";
    if (typeof line !== "string") {
      this.#refuse(line.reply === TOO_LONG ? replies.AUTH_LINE_TOO_LONG : line.reply);
    } else if (line === "*") this.#refuse(replies.AUTH_CANCELLED);
    else return this.#ask({ kind: "auth-response", response: line });
    return AUTH_END;
  }
}

function toSender(mailbox: Mailbox | null, parameters: EsmtpParameters = NO_PARAMETERS): ServerSender {
  return { address: mailbox === null ? null : formatMailbox(mailbox), mailbox, parameters };
}

function toRecipient(mailbox: Mailbox, parameters: EsmtpParameters = NO_PARAMETERS): ServerRecipient {
  const address = mailbox.domain === "" ? "postmaster" : formatMailbox(mailbox);
  return { address, mailbox, parameters };
}
