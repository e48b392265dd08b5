/**
 * A server's no, as an error.
 *
 * @module
 */
import type { Transaction } from "../core/transaction.ts";
import { SmtpError } from "../errors.ts";

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
