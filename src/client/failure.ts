/**
 * What ends a session, in our words.
 *
 * @module
 */
import { ProtocolError } from "../core/protocol_error.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";

/**
 * What is awaited: the reply to something, `"block"` that the server takes more of a content, `"end"` its reply to it,
 * `"source"` that the caller gives more of it.
 */
export type Awaited = Phase | "block" | "end" | "source";

/** The phase in which something is awaited. */
export function phaseOf(awaited: Awaited): Phase {
  return awaited === "block" || awaited === "end" || awaited === "source" ? "content" : awaited;
}

/** A limit of time was reached. */
export function timedOut(awaited: Awaited, limit: number): SmtpError {
  return new SmtpError("timeout", `No answer within ${limit} ms: ${describe(awaited)}`, {
    phase: phaseOf(awaited),
    temporary: true,
  });
}

/** What has not come in time. */
function describe(awaited: Awaited): string {
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

/** The server has said 421. */
export function serviceClosing(reply: Reply, phase: Phase): SmtpError {
  return new SmtpError("service-unavailable", `The server closes the session: ${reply.text}`, {
    phase,
    reply,
    temporary: true,
  });
}

/** Puts what a socket, a decoder or a stream threw into our words. */
export function toSmtpError(error: unknown, phase: Phase): SmtpError {
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

/** A connection was cut, so that a server does not take a part of a message for the whole. */
export function cutShort(): SmtpError {
  return new SmtpError(
    "connection-lost",
    "The connection was cut so that the server does not take a part of a message for the whole",
    { phase: "content", temporary: true },
  );
}

/** The same error, of a session that has ended with it. */
export function unusable(error: SmtpError): SmtpError {
  if (!error.usable) return error;
  return new SmtpError(error.code, error.message, { ...error, cause: error.cause, usable: false });
}

const TEMPORARY: ReadonlySet<string> = new Set([
  "connection-refused",
  "connection-reset",
  "timed-out",
  "unreachable",
  "network",
]);

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
