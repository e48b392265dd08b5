/**
 * One session of a server, without I/O: bytes go in, events and bytes come out.
 *
 * @module
 */
import { formatMailbox, isAsciiMailbox } from "./address.ts";
import { type Command, CommandSyntaxError, parseCommand } from "./command.ts";
import type { EsmtpParameters } from "./command_line.ts";
import { LineDecoder } from "./line_decoder.ts";
import { Reply } from "./reply.ts";
import { isHttp, mailFault } from "./session_checks.ts";
import { ContentReader } from "./session_content.ts";
import type { Recipient, Sender, ServerEnvelope, SessionEvent } from "./session_events.ts";
import { offeredKeywords, offersAuth, offersStartTls } from "./session_offers.ts";
import type { ContentDecoder, ServerSessionOptions } from "./session_options.ts";
import * as replies from "./session_replies.ts";
import { SEQUENCE, type SessionState } from "./session_table.ts";

/**
 * What the session waits for: the next command, the answer to a challenge, content, the answer to its last event, TLS,
 * or nothing more.
 */
type Phase = "command" | "auth" | "content" | "answer" | "tls" | "closed";

interface OpenEnvelope extends ServerEnvelope {
  readonly to: string[];
  readonly recipients: Recipient[];
}

const CLOSE: SessionEvent = { kind: "close" };
const RESET: SessionEvent = { kind: "reset" };
const START_TLS: SessionEvent = { kind: "starttls" };
const AUTH_END: SessionEvent = { kind: "auth-end" };
const NO_PARAMETERS: EsmtpParameters = Object.freeze({});

/**
 * The state machine of one session. Call `next()` until it gives `undefined`; then send what `takeOutput()` gives and
 * hand over more bytes with `receive()`. An event that asks for a decision is followed by `answer()`, `challenge()` or
 * `authenticated()`. Replies gather in the output until then, so that those to a pipelined group leave together
 * (RFC 2920, section 3.2).
 */
export class ServerSession {
  readonly #options: ServerSessionOptions;
  readonly #lines: LineDecoder;
  readonly #content: ContentReader;
  readonly #encoder: TextEncoder = new TextEncoder();
  readonly #withoutEnhancedCodes: boolean;
  readonly #withoutPipelining: boolean;

  #phase: Phase = "command";
  #state: SessionState = "start";
  /** The event that waits for its answer. */
  #pending: SessionEvent | undefined;
  /** An event that follows one that was answered. */
  #deferred: SessionEvent | undefined = { kind: "connect" };
  #output = "";

  #secure: boolean;
  #clientName = "";
  #esmtp = false;
  #user: string | undefined;
  #envelope: OpenEnvelope | undefined;
  #smtpUtf8 = false;

  #errors = 0;
  #unrecognized = 0;
  #unauthenticated = 0;

  /**
   * @param options The settings.
   * @param decoder Finds the content behind DATA.
   */
  constructor(options: ServerSessionOptions, decoder: ContentDecoder) {
    this.#options = options;
    this.#content = new ContentReader(decoder, options);
    this.#secure = options.secure;
    this.#withoutEnhancedCodes = options.hide.has("ENHANCEDSTATUSCODES");
    this.#withoutPipelining = options.hide.has("PIPELINING");
    this.#lines = new LineDecoder({
      maxLineLength: options.maxLineLength,
      bareLineFeeds: options.bareLineEnds === "allow",
    });
  }

  /** Whether TLS is on. */
  get secure(): boolean {
    return this.#secure;
  }

  /** The name that the client gave with EHLO or HELO; empty before. */
  get clientName(): string {
    return this.#clientName;
  }

  /** Whether the client said EHLO. */
  get esmtp(): boolean {
    return this.#esmtp;
  }

  /** Who is authenticated. */
  get user(): string | undefined {
    return this.#user;
  }

  /** The envelope of the open transaction. */
  get envelope(): ServerEnvelope | undefined {
    return this.#envelope;
  }

  /** Whether the session is over. */
  get closed(): boolean {
    return this.#phase === "closed";
  }

  /**
   * Takes bytes from the client.
   *
   * @param chunk What came. It is not kept longer than until `next()` gives `undefined`, save for views of it in
   * `content` events.
   */
  receive(chunk: Uint8Array): void {
    if (this.#phase === "content") this.#content.push(chunk);
    else if (this.#phase !== "closed") this.#lines.push(chunk);
  }

  /**
   * Tells what happens next.
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
      if (this.#phase === "content") return this.#nextContent();
      if (this.#phase === "closed") return CLOSE;
      if (this.#phase === "answer" || this.#phase === "tls") {
        throw new Error(
          `Cannot go on with the session: "${this.#pending?.kind ?? "starttls"}" waits for its answer`,
        );
      }
      const line = this.#lines.next();
      if (line === undefined) return undefined;
      const event = this.#phase === "auth" ? this.#onResponse(line) : this.#onLine(line);
      if (event !== undefined) return event;
    }
  }

  /**
   * Takes all output gathered so far.
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
   * @param reply What the client is told: 2xx accepts, 421 ends the session, anything else refuses. Default: accept
   * with the usual reply. Without a reply `auth` is refused: only `authenticated()` lets a client in.
   */
  answer(reply?: Reply): void {
    const event = this.#pending;
    if (event === undefined) throw new Error("Cannot answer: no event waits for an answer");
    this.#pending = undefined;
    this.#phase = "command";
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
          this.#envelope!.to.push(event.recipient.address);
          this.#envelope!.recipients.push(event.recipient);
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
   * @param text The challenge in base64; empty if the mechanism has none to give.
   */
  challenge(text: string): void {
    this.#pending = undefined;
    this.#phase = "auth";
    this.#output += `334 ${text}\r\n`;
  }

  /**
   * Answers `auth` or `auth-response` with success.
   *
   * @param user Who is authenticated.
   * @param reply What the client is told. Default: 235 2.7.0.
   */
  authenticated(user: string, reply: Reply = replies.AUTHENTICATED): void {
    this.#pending = undefined;
    this.#phase = "command";
    this.#user = user;
    this.#send(reply);
  }

  /** Tells that TLS is on. All that the client said before is forgotten (RFC 3207, section 4.2). */
  secured(): void {
    this.#phase = "command";
    this.#state = "start";
    this.#secure = true;
    this.#clientName = "";
    this.#esmtp = false;
    this.#user = undefined;
    this.#lines.clear();
  }

  /**
   * Ends the session: for a shutdown, a time limit, a local error.
   *
   * @param reply What the client is told; nothing if left out, as when it is gone itself.
   */
  close(reply?: Reply): void {
    if (this.#phase === "closed") return;
    if (reply !== undefined) this.#send(reply);
    this.#phase = "closed";
    this.#pending = undefined;
    this.#deferred = undefined;
    this.#lines.clear();
  }

  /** Ends the session of a client that speaks before it was greeted (RFC 5321, section 3.1). */
  earlyTalker(): void {
    this.close(replies.EARLY_TALKER);
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
    this.#phase = "answer";
    return event;
  }

  #reply(reply: Reply): undefined {
    this.#send(reply);
  }

  #end(reply: Reply): undefined {
    this.close(reply);
  }

  /** Refuses for a fault of the client's. */
  #refuse(reply: Reply): undefined {
    this.#send(reply);
    if (++this.#errors >= this.#options.maxErrors) this.close(replies.TOO_MANY_ERRORS);
  }

  #onLine(line: string | Reply): SessionEvent | undefined {
    if (this.#withoutPipelining && this.#lines.bufferedLength > 0) return this.#end(replies.NO_PIPELINING);
    if (typeof line !== "string") return this.#refuse(line);
    let command: Command;
    try {
      command = parseCommand(line);
    } catch (error) {
      if (!(error instanceof CommandSyntaxError)) throw error;
      return this.#onMalformed(line, error.reply);
    }
    const { requireAuth, maxUnauthenticatedCommands } = this.#options;
    if (requireAuth && this.#user === undefined && ++this.#unauthenticated > maxUnauthenticatedCommands) {
      if (command.verb !== "AUTH" && command.verb !== "QUIT") {
        return this.#end(replies.TOO_MANY_COMMANDS);
      }
    }
    const refusal = SEQUENCE[command.verb][this.#state];
    if (refusal !== undefined) return this.#onOutOfSequence(command, refusal);
    return this.#onCommand(command);
  }

  #onMalformed(line: string, reply: Reply): undefined {
    if (reply.code !== 500) return this.#refuse(reply);
    if (isHttp(line)) return this.#end(replies.NOT_HTTP);
    this.#refuse(reply);
    if (++this.#unrecognized >= this.#options.maxUnrecognized) this.close(replies.TOO_MANY_ERRORS);
  }

  #onOutOfSequence(command: Command, reply: Reply): undefined {
    // What follows BDAT is content; taken for commands it would be an injection.
    if (command.verb === "BDAT") return this.#end(reply);
    if (command.verb === "DATA" && this.#lines.bufferedLength > 0) {
      return this.#end(replies.BYTES_BEHIND_DATA);
    }
    // A pipelining client could not know; and a list of a hundred recipients is not a hundred errors.
    const innocent = this.#state === "refused" || reply === replies.NO_RECIPIENTS;
    if (innocent) this.#send(reply);
    else this.#refuse(reply);
  }

  #onCommand(command: Command): SessionEvent | undefined {
    switch (command.verb) {
      case "EHLO":
      case "HELO":
        if (command.verb === "EHLO" && this.#options.hide.has("EHLO")) {
          return this.#refuse(replies.NOT_IMPLEMENTED);
        }
        return this.#ask({ kind: "greet", name: command.domain, esmtp: command.verb === "EHLO" });
      case "MAIL":
        return this.#onMail(command.reversePath, command.parameters ?? NO_PARAMETERS);
      case "RCPT":
        return this.#onRcpt(command.forwardPath, command.parameters ?? NO_PARAMETERS);
      case "DATA":
        return this.#onData();
      case "RSET":
        this.#send(replies.OK);
        return this.#reset();
      case "NOOP":
        return this.#reply(replies.OK);
      case "VRFY":
        if (this.#lacksAuth()) return this.#refuse(replies.AUTH_REQUIRED);
        return this.#reply(replies.CANNOT_VRFY);
      case "HELP":
        return this.#reply(replies.HELP);
      case "QUIT":
        return this.#end(replies.BYE);
      case "STARTTLS":
        return this.#onStartTls();
      case "AUTH":
        return this.#onAuth(command.mechanism, command.initialResponse);
      default:
        return this.#refuse(replies.NOT_IMPLEMENTED);
    }
  }

  #lacksAuth(): boolean {
    return this.#options.requireAuth && this.#user === undefined;
  }

  #onConnected(accepted: boolean, reply: Reply | undefined): void {
    if (!accepted) {
      this.#state = "unserved";
      return this.#send(reply!);
    }
    this.#output += (reply ?? new Reply(220, `${this.#options.serverName} ESMTP`)).toWire();
  }

  #onGreeted(name: string, esmtp: boolean, accepted: boolean, reply: Reply | undefined): void {
    if (!accepted) return this.#send(reply!);
    this.#clientName = name;
    this.#esmtp = esmtp;
    this.#deferred = this.#reset();
    this.#state = "ready";
    const lines = reply?.lines ?? [this.#options.serverName];
    this.#output += new Reply(
      250,
      esmtp ? [...lines, ...offeredKeywords(this.#options, this.#secure)] : lines,
    ).toWire();
  }

  #onMail(mailbox: Sender["mailbox"], parameters: EsmtpParameters): SessionEvent | undefined {
    if (this.#options.requireTls && !this.#secure) return this.#refuseMail(replies.TLS_REQUIRED);
    if (this.#lacksAuth()) return this.#refuseMail(replies.AUTH_REQUIRED);
    if (parameters !== NO_PARAMETERS) {
      const fault = mailFault(parameters, this.#options, {
        esmtp: this.#esmtp,
        auth: offersAuth(this.#options, this.#secure),
      });
      if (fault !== undefined) return this.#refuseMail(fault);
    }
    this.#smtpUtf8 = parameters["SMTPUTF8"] !== undefined;
    if (mailbox !== null && !this.#smtpUtf8 && !isAsciiMailbox(mailbox)) {
      return this.#refuseMail(replies.NEEDS_SMTPUTF8);
    }
    const address = mailbox === null ? null : formatMailbox(mailbox);
    return this.#ask({ kind: "mail", sender: { address, mailbox, parameters } });
  }

  #refuseMail(reply: Reply): undefined {
    this.#state = "refused";
    return this.#refuse(reply);
  }

  #onSender(sender: Sender, accepted: boolean, reply: Reply | undefined): void {
    this.#state = accepted ? "mail" : "refused";
    if (accepted) {
      this.#envelope = {
        from: sender.address,
        to: [],
        parameters: sender.parameters,
        sender,
        recipients: [],
      };
    }
    this.#send(reply ?? replies.SENDER_OK);
  }

  #onRcpt(mailbox: Recipient["mailbox"], parameters: EsmtpParameters): SessionEvent | undefined {
    if (this.#envelope!.to.length >= this.#options.maxRecipients) {
      return this.#reply(replies.TOO_MANY_RECIPIENTS);
    }
    for (const _ in parameters) return this.#refuse(replies.UNKNOWN_PARAMETER);
    if (!this.#smtpUtf8 && !isAsciiMailbox(mailbox)) return this.#refuse(replies.NEEDS_SMTPUTF8);
    const address = mailbox.domain === "" ? "postmaster" : formatMailbox(mailbox);
    return this.#ask({ kind: "rcpt", recipient: { address, mailbox, parameters } });
  }

  #onData(): undefined {
    // DATA ends a pipelined group (RFC 2920, section 3.1). Bytes behind it would be content if it is accepted and
    // commands if it is not: smuggling.
    if (this.#lines.bufferedLength > 0) return this.#end(replies.BYTES_BEHIND_DATA);
    this.#content.start();
    this.#phase = "content";
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
    this.#envelope = undefined;
    this.#state = "ready";
    const { fault } = this.#content;
    if (accepted && fault === undefined) this.#errors = 0;
    this.#send(fault ?? reply ?? replies.OK);
  }

  /** Gives up the open transaction, if there is one. */
  #reset(): SessionEvent | undefined {
    if (this.#state !== "start") this.#state = "ready";
    if (this.#envelope === undefined) return undefined;
    this.#envelope = undefined;
    return RESET;
  }

  #onStartTls(): SessionEvent | undefined {
    if (this.#secure) return this.#refuse(replies.ALREADY_SECURE);
    if (!offersStartTls(this.#options, this.#secure)) return this.#refuse(replies.NOT_IMPLEMENTED);
    // Commands that somebody injected in the clear would be carried out under TLS (CVE-2011-0411).
    if (this.#lines.bufferedLength > 0) return this.#end(replies.BYTES_BEHIND_STARTTLS);
    this.#send(replies.READY_FOR_TLS);
    this.#phase = "tls";
    return START_TLS;
  }

  #onAuth(mechanism: string, response: string | undefined): SessionEvent | undefined {
    const { authMechanisms, allowInsecureAuth, hide } = this.#options;
    if (authMechanisms.length === 0 || hide.has("AUTH")) return this.#refuse(replies.NOT_IMPLEMENTED);
    if (!this.#esmtp) return this.#refuse(replies.EHLO_FIRST);
    if (this.#user !== undefined) return this.#refuse(replies.ALREADY_AUTHENTICATED);
    if (!this.#secure && !allowInsecureAuth) return this.#refuse(replies.AUTH_NEEDS_TLS);
    if (!authMechanisms.includes(mechanism)) return this.#refuse(replies.UNKNOWN_MECHANISM);
    return this.#ask({ kind: "auth", mechanism, response });
  }

  #onResponse(line: string | Reply): SessionEvent {
    this.#phase = "command";
    if (typeof line === "string" && line !== "*") return this.#ask({ kind: "auth-response", response: line });
    this.#refuse(line === "*" ? replies.AUTH_CANCELLED : replies.AUTH_LINE_TOO_LONG);
    return AUTH_END;
  }
}
