/**
 * A server's no, as an error.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import type { Transaction } from "../core/transaction.ts";
import { SmtpError } from "../errors.ts";
import type { Phase, SmtpErrorCode } from "../errors.ts";
import { serviceClosing } from "./failure.ts";

const REFUSAL_CODES = {
  mail: "sender-refused",
  rcpt: "recipients-refused",
  data: "message-refused",
  content: "message-refused",
} as const;

const REFUSAL_TEXTS = {
  mail: "The server refuses the sender",
  rcpt: "The server refuses the recipients",
  data: "The server refuses the message",
  content: "The server refuses the message",
} as const;

/**
 * Says what a refused transaction comes to.
 *
 * @param transaction The transaction, refused.
 * @param usable Whether the session goes on.
 * @returns The error for whoever waits for the message.
 */
export function refusalOf(transaction: Transaction, usable: boolean): SmtpError {
  const { command, reply } = transaction.refusal!;
  const { rejected } = transaction;
  const closing = reply.code === 421;
  // 421 ahead of the content is no word about this message: another connection may take it.
  if (closing && command !== "content") {
    return new SmtpError("service-unavailable", `The server closes the session: ${reply.text}`, {
      outcome: "not-sent",
      phase: command,
      reply,
      rejected,
    });
  }
  return new SmtpError(REFUSAL_CODES[command], `${REFUSAL_TEXTS[command]}: ${reply.toString()}`, {
    outcome: "refused",
    phase: command,
    reply,
    rejected,
    recipient: command === "rcpt" && rejected.length === 1 ? rejected[0]!.recipient : undefined,
    usable: usable && !closing,
  });
}

/** The caller asks for what the protocol forbids at this point; nothing was sent. */
export function badSequence(message: string): SmtpError {
  return new SmtpError("bad-sequence", message, { phase: "command", usable: true });
}

const TEXTS: Partial<Record<SmtpErrorCode, string>> = {
  "sender-refused": "The server refuses the sender",
  "recipients-refused": "The server refuses the recipient",
  "message-refused": "The server refuses the message",
};

/** The server says no to a step; the session goes on, unless it breaks the protocol or says 421. */
export function refusedStep(code: SmtpErrorCode, phase: Phase, reply: Reply, recipient?: string): SmtpError {
  // No word about this message: another connection may take it.
  if (reply.code === 421) return serviceClosing(reply, phase);
  const what = phase === "command" ? "the command" : phase.toUpperCase();
  const text = TEXTS[code] ?? `The server refuses ${what}`;
  const negative = reply.temporary || reply.permanent;
  return new SmtpError(negative ? code : "protocol-error", `${text}: ${reply.toString()}`, {
    outcome: negative ? "refused" : "not-sent",
    phase,
    reply,
    recipient,
    rejected: recipient === undefined ? [] : [{ recipient, reply }],
    usable: negative,
  });
}
