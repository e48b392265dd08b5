/**
 * The errors of sending mail, and what became of the message.
 *
 * @module
 */
import { escapeUnsafe } from "./core/errors.ts";
import type { Reply } from "./core/reply.ts";
import type { SocketErrorCode } from "./sockets/socket.ts";

/**
 * What became of the message.
 *
 * - `"refused"`: the server said no, with a reply. Nobody gets the message.
 * - `"not-sent"`: something failed before the content was complete. Nobody gets the message; it is safe to try again.
 * - `"unknown"`: the connection failed after the last byte of content was handed over and before the reply came. The
 *   server may or may not have taken the message (RFC 5321, section 4.5.4.1, and RFC 1047). Only the caller can decide
 *   to send it again.
 */
export type Outcome = "refused" | "not-sent" | "unknown";

/** What the session was doing when an error came. */
export type Phase =
  | "connect"
  | "greeting"
  | "ehlo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "content"
  | "reset"
  | "quit"
  | "command";

/** What went wrong. Those of {@linkcode SocketErrorCode} come from the connection underneath. */
export type SmtpErrorCode =
  | Exclude<SocketErrorCode, "closed" | "address-in-use">
  /** A wait has reached its limit; `phase` says which. */
  | "timeout"
  /** The connection ended though the session had not. */
  | "connection-lost"
  /** The client was closed, by its owner or after an earlier error, before the call was done. */
  | "client-closed"
  /** The server refuses to serve (554 instead of a greeting, 421 at any time). */
  | "service-unavailable"
  /** The server broke the protocol. */
  | "protocol-error"
  /** TLS was required and is not offered, or was refused. */
  | "starttls-unavailable"
  /** Bytes followed the reply to STARTTLS: somebody injects replies into the session. */
  | "starttls-injection"
  /** Credentials were given and would travel in the clear. */
  | "auth-insecure"
  /** The server offers no mechanism that the credentials allow. */
  | "auth-unsupported"
  /** The server refuses the credentials. */
  | "auth-failed"
  /** The envelope is not valid; nothing was sent. */
  | "invalid-envelope"
  /** The message is not one that can be sent; nothing of it was sent. */
  | "invalid-message"
  /** The stream or iterable that the message comes from failed. */
  | "source-failed"
  /** The message needs an extension that the server does not offer. */
  | "extension-missing"
  /** The message is larger than the server takes. */
  | "message-too-large"
  /** The server refuses the sender. */
  | "sender-refused"
  /** The server refuses every recipient or, with `recipients: "all"`, one of them. */
  | "recipients-refused"
  /** The server refuses the message. */
  | "message-refused"
  /** The server refuses a command. */
  | "command-refused"
  /** The protocol does not allow this now: a step out of order, or one of another transaction. Nothing was sent. */
  | "bad-sequence";

/** A recipient that the server refused, and its reply. */
export interface RefusedRecipient {
  /** The address, as it was given. */
  readonly recipient: string;
  /** What the server said. */
  readonly reply: Reply;
  /** Nothing: the reply says it. */
  readonly error?: undefined;
}

/** A recipient that the server was not asked about: the address is not valid, or not one that this server can take. */
export interface InvalidRecipient {
  /** The address, as it was given. */
  readonly recipient: string;
  /** Nothing: the server was not asked. */
  readonly reply?: undefined;
  /** What is wrong with the address: `"invalid-envelope"`, or `"extension-missing"` without SMTPUTF8. */
  readonly error: SmtpError;
}

/** A recipient who does not get the message: either the server's `reply` says why, or our own `error`. */
export type RejectedRecipient = RefusedRecipient | InvalidRecipient;

/** A mechanism that a login was tried with, and how the server ended it. */
export interface LoginAttempt {
  /** The mechanism's name, such as `"SCRAM-SHA-256"`. */
  readonly mechanism: string;
  /** What the server said, with nothing in it of what was sent. */
  readonly reply: Reply;
  /** The reason that the mechanism itself has carried, such as `"invalid-proof"` of SCRAM. Most servers give none. */
  readonly reason?: string;
}

/** What an {@linkcode SmtpError} knows. */
export interface SmtpErrorInit extends ErrorOptions {
  /** What the session was doing. */
  phase: Phase;
  /** The reply that says so. */
  reply?: Reply | undefined;
  /** The command that was answered or under way, secrets masked. */
  command?: string | undefined;
  /** The recipient that it is about. */
  recipient?: string | undefined;
  /** Every recipient that was refused, by the server or before it was asked. */
  rejected?: readonly RejectedRecipient[] | undefined;
  /** Recipients for whom the server took the message before something failed. */
  accepted?: readonly string[] | undefined;
  /** The mechanisms that a login was tried with. */
  attempts?: readonly LoginAttempt[] | undefined;
  /** What became of the message. Default: `"not-sent"`. */
  outcome?: Outcome | undefined;
  /** Whether trying again later may help. Default: whether the reply is a 4xx. */
  temporary?: boolean | undefined;
  /** Whether the session can still be used. Default: `false`. */
  usable?: boolean | undefined;
}

/**
 * A mail, or a session, that failed. It says what became of the message (`outcome`), whether trying again may help
 * (`temporary`) and whether the session can still be used (`usable`).
 *
 * @example
 * ```ts
 * import { SmtpError } from "@streams/smtp";
 *
 * function shouldRetry(error: unknown): boolean {
 *   return error instanceof SmtpError && error.temporary && error.outcome !== "unknown";
 * }
 * ```
 */
export class SmtpError extends Error {
  /** `"SmtpError"`. */
  override name = "SmtpError";
  /** What went wrong. */
  readonly code: SmtpErrorCode;
  /** What the session was doing. */
  readonly phase: Phase;
  /** What became of the message. */
  readonly outcome: Outcome;
  /** The server's reply, if there is one. */
  readonly reply: Reply | undefined;
  /** The command that was answered or under way, secrets masked. */
  readonly command: string | undefined;
  /** The recipient that it is about. */
  readonly recipient: string | undefined;
  /** Every recipient that was refused: with the server's reply, or with the error of an address that it was not asked about. */
  readonly rejected: readonly RejectedRecipient[];
  /**
   * Recipients for whom the server took the message before something failed, over LMTP or if a message goes in several
   * transactions; `outcome` is about the others.
   */
  readonly accepted: readonly string[];
  /** Every mechanism that the login was tried with and the server refused, in that order, with its reply. */
  readonly attempts: readonly LoginAttempt[];
  /** Whether trying again later may help. */
  readonly temporary: boolean;
  /** Whether the session can still be used. */
  readonly usable: boolean;

  /**
   * Makes an error.
   *
   * @param code What went wrong.
   * @param message What to tell a person. It may quote the server: what a terminal would act on is escaped.
   * @param init What else is known.
   */
  constructor(code: SmtpErrorCode, message: string, init: SmtpErrorInit) {
    // It may quote a reply, whose lines it keeps.
    super(
      message.split("\n").map(escapeUnsafe).join("\n"),
      init.cause === undefined ? undefined : { cause: init.cause },
    );
    this.code = code;
    this.phase = init.phase;
    this.outcome = init.outcome ?? "not-sent";
    this.reply = init.reply;
    this.command = init.command;
    this.recipient = init.recipient;
    this.rejected = init.rejected ?? [];
    this.accepted = init.accepted ?? [];
    this.attempts = init.attempts ?? [];
    this.temporary = init.temporary ?? init.reply?.temporary ?? false;
    this.usable = init.usable ?? false;
  }

  /** The enhanced status code of the reply (RFC 3463), such as `"5.1.1"`. */
  get enhancedCode(): string | undefined {
    return this.reply?.enhancedCode;
  }
}
