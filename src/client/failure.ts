/**
 * The errors of a session: what the link, the server or the order of the calls has made fail.
 *
 * @module
 */
import { messageOf, ProtocolError, readable } from "../core/errors.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { Outcome, Phase, RejectedRecipient, SmtpErrorInit } from "../errors.ts";
import type { Refusal } from "./transaction.ts";

/**
 * What is awaited: the reply to something, `"block"` that the server takes more of the content, `"end"` its reply to the
 * content, `"source"` that the caller provides more of it.
 */
export type Wait = Phase | "block" | "end" | "source";

/** The phase in which something is awaited. */
export function phaseOf(awaited: Wait): Phase {
  return awaited === "block" || awaited === "end" || awaited === "source" ? "content" : awaited;
}

/** A time limit was reached. */
export function timedOut(awaited: Wait, limit: number): SmtpError {
  return new SmtpError("timeout", `No answer within ${limit} ms: ${describe(awaited)}`, {
    phase: phaseOf(awaited),
    temporary: true,
  });
}

/** What has not come in time. */
function describe(awaited: Wait): string {
  switch (awaited) {
    case "block":
      return "the server takes no more of the content";
    case "end":
      return "the reply to the content is missing";
    case "greeting":
      return "the server does not greet";
    default:
      return `the reply to ${awaited.toUpperCase()} is missing`;
  }
}

const SILENT: ReadonlySet<string> = new Set(["timeout", "connection-lost", "connection-reset"]);

/**
 * Says what may be wrong if a server does not greet in the clear, or not in words: one that expects TLS from the first byte
 * waits for it, hangs up, or sends an alert (RFC 8446, section 6).
 *
 * @param error Why the session has ended.
 * @param secure Whether it was under TLS.
 * @returns The same error, with advice in its message where it helps.
 */
export function ungreeted(error: SmtpError, secure: boolean): SmtpError {
  const { code, message, cause } = error;
  const isTls = code === "protocol-error" && message.startsWith("A line is TLS"); // says the decoder
  if (secure || error.phase !== "greeting" || error.reply !== undefined || !(isTls || SILENT.has(code))) {
    return error;
  }
  return new SmtpError(code, `${message}; if it expects TLS at once, use security: "tls"`, {
    ...error,
    cause,
  });
}

/** The server said 421, or is about to hang up: another connection may take the message. */
export function serviceClosing(reply: Reply, phase: Phase, cause?: unknown): SmtpError {
  return new SmtpError("service-unavailable", `The server closes the session: ${reply.text}`, {
    phase,
    reply,
    temporary: true,
    cause,
  });
}

/** Turns what a socket, a decoder or a stream threw into an {@linkcode SmtpError}. */
export function toSmtpError(thrown: unknown, phase: Phase): SmtpError {
  const error = readable(thrown);
  if (error instanceof SmtpError) return error;
  if (error instanceof ProtocolError) {
    return new SmtpError("protocol-error", error.message, { phase, cause: error });
  }
  if (error instanceof Error && error.name === "SocketError" && "code" in error) {
    const code = error.code as SmtpError["code"] | "closed";
    return new SmtpError(code === "closed" ? "client-closed" : code, error.message, {
      phase,
      temporary: TEMPORARY.has(code),
      cause: error,
    });
  }
  return new SmtpError("connection-lost", `The connection failed: ${messageOf(error)}`, {
    phase,
    temporary: true,
    cause: error,
  });
}

const TEMPORARY: ReadonlySet<string> = new Set([
  "connection-refused",
  "connection-reset",
  "timed-out",
  "unreachable",
  "network",
]);

/** Whether the connection ended, in good order or not, without a word that says why. */
export function isLost({ code }: SmtpError): boolean {
  return code === "connection-lost" || code === "connection-reset";
}

/**
 * Whether a message that has not begun may go over another connection, now that this one has ended: nothing is wrong with the
 * message. What a server has said out of turn need not be what the next one says.
 */
export function leavesHope({ code, temporary }: SmtpError): boolean {
  return temporary || code === "protocol-error";
}

export { messageOf };

/** A connection was cut, so that a server does not take a part of a message for the whole. */
export function cutShort(): SmtpError {
  return new SmtpError(
    "connection-lost",
    "The connection was cut so that the server does not take a part of a message for the whole",
    { phase: "content", temporary: true },
  );
}

/**
 * The server has refused RSET, and its recipients of the message before may still be there: another connection may take what
 * is left.
 */
export function resetRefused(reply: Reply, outcome: Outcome = "not-sent"): SmtpError {
  return new SmtpError("command-refused", `The server refuses RSET: ${reply.toString()}`, {
    phase: "reset",
    reply,
    command: "RSET",
    temporary: true,
    outcome,
  });
}

/** The same error, for a session that has ended with it before a message could be sent. */
export function unopened(error: SmtpError): SmtpError {
  if (!error.usable && error.outcome === "not-sent") return error;
  return copyOf(error, { outcome: "not-sent", usable: false });
}

/**
 * Makes the stack of an error lead to the caller. What the server's reply or the end of the connection has made fail was made
 * where nobody knows who waits; the engine knows again in an async function that goes on after `await`, and only there may this
 * be called. Nothing is paid for it until something fails.
 *
 * @param error What was thrown.
 * @param shared The error of the whole session, if that may be it: each caller gets an own one, since each has an own stack.
 * @returns What to throw.
 */
export function leadToCaller(error: unknown, shared?: SmtpError): unknown {
  if (!(error instanceof SmtpError)) return error;
  const own = error === shared ? copyOf(error, {}) : error;
  const { captureStackTrace } = Error as {
    captureStackTrace?: (error: Error, above: typeof leadToCaller) => void;
  };
  captureStackTrace?.(own, leadToCaller);
  return own;
}

function copyOf(error: SmtpError, changes: Partial<SmtpErrorInit>): SmtpError {
  const { code, message, cause } = error;
  return new SmtpError(code, message, { ...error, cause, ...changes });
}

/** The caller's signal was aborted. */
export function aborted(signal: AbortSignal, phase: Phase): SmtpError {
  return new SmtpError("aborted", "The session was aborted", { phase, cause: signal.reason });
}

/** A function of the caller's has thrown: that is as good as an abort. */
export function thrown(name: string, cause: unknown, phase: Phase): SmtpError {
  return new SmtpError("aborted", `Aborted because ${name} has thrown: ${messageOf(cause)}`, {
    phase,
    cause,
  });
}

/** The protocol does not allow this now; nothing was sent. */
export function badSequence(message: string): SmtpError {
  return new SmtpError("bad-sequence", message, { phase: "command", usable: true });
}

/** The server lacks the extension that a command belongs to; nothing was sent. */
export function extensionMissing(verb: string, extension: string): SmtpError {
  return new SmtpError(
    "extension-missing",
    `Cannot say ${verb}: the server does not offer ${extension}`,
    { phase: "command", usable: true },
  );
}

const REFUSALS = {
  mail: ["sender-refused", "The server refuses the sender"],
  rcpt: ["recipients-refused", "The server refuses the recipients"],
  data: ["message-refused", "The server refuses the message"],
  chunk: ["message-refused", "The server refuses the message"],
  end: ["message-refused", "The server refuses the message"],
} as const;

/**
 * The server refused a message, or a part of its envelope.
 *
 * @param refusal Which command, and with what reply.
 * @param rejected The recipients that were refused.
 * @param usable Whether the session goes on. Default: `true`, unless the reply is a 421.
 * @returns The error.
 */
export function messageRefused(
  { command, reply }: Refusal,
  rejected: readonly RejectedRecipient[],
  usable = true,
): SmtpError {
  const closing = reply.code === 421;
  const phase = command === "chunk" || command === "end" ? "content" : command;
  // A 421 before the end of the content says nothing about this message: another connection may take it.
  if (closing && command !== "end") {
    const error = serviceClosing(reply, phase);
    return new SmtpError(error.code, error.message, { ...error, rejected });
  }
  const [code, text] = REFUSALS[command];
  return new SmtpError(code, `${text}: ${reply.toString()}`, {
    outcome: "refused",
    phase,
    reply,
    rejected,
    recipient: command === "rcpt" && rejected.length === 1 ? rejected[0]!.recipient : undefined,
    usable: usable && !closing,
  });
}

/**
 * The server refused a command that is not about a message.
 *
 * @param command The command's name, for the text.
 * @param phase What the session was doing.
 * @param reply The reply.
 * @param usable Whether the session can go on. Default: `true`.
 * @returns The error; `"service-unavailable"` if the reply is 421.
 */
export function commandRefused(command: string, phase: Phase, reply: Reply, usable = true): SmtpError {
  if (reply.code === 421) return serviceClosing(reply, phase);
  return new SmtpError("command-refused", `The server refuses ${command}: ${reply.toString()}`, {
    outcome: "refused",
    phase,
    reply,
    command,
    usable,
  });
}
