/**
 * The replies that a server gives by itself. Each has an enhanced status code (RFC 3463, RFC 2034), except where RFC 2034
 * forbids it: the greeting, the replies to EHLO and HELO, and 3xx.
 *
 * @module
 */
import { Reply } from "../core/reply.ts";

/** The wire form of the replies below, made once: replies are a quarter of the cost of a small message. */
const wire: Map<Reply, string> = new Map();

/**
 * Writes a reply.
 *
 * @param reply Any reply.
 * @returns Its lines with their line ends.
 */
export function toWire(reply: Reply): string {
  return wire.get(reply) ?? reply.toWire();
}

function fixed(code: number, enhancedCode: string, text: string): Reply {
  const reply = new Reply(code, text, enhancedCode === "" ? {} : { enhancedCode });
  wire.set(reply, reply.toWire());
  return reply;
}

export const READY_FOR_TLS: Reply = fixed(220, "2.0.0", "Ready to start TLS");
export const BYE: Reply = fixed(221, "2.0.0", "Bye");
export const AUTHENTICATED: Reply = fixed(235, "2.7.0", "Authentication successful");
export const OK: Reply = fixed(250, "2.0.0", "Ok");
export const SENDER_OK: Reply = fixed(250, "2.1.0", "Sender ok");
export const RECIPIENT_OK: Reply = fixed(250, "2.1.5", "Recipient ok");
export const CANNOT_VRFY: Reply = fixed(252, "2.5.2", "Cannot verify, but will take the message and try");
export const HELP: Reply = fixed(214, "2.0.0", "See RFC 5321");
export const START_CONTENT: Reply = fixed(354, "", "End data with <CR><LF>.<CR><LF>");

export const SHUTTING_DOWN: Reply = fixed(421, "4.3.2", "Service is shutting down");
export const TIMED_OUT: Reply = fixed(421, "4.4.2", "Waited too long");
export const TOO_MANY_CONNECTIONS: Reply = fixed(421, "4.7.0", "Too many connections");
export const TOO_MANY_ERRORS: Reply = fixed(421, "4.7.0", "Too many errors");
export const TOO_MANY_COMMANDS: Reply = fixed(421, "4.7.0", "Too many commands without authentication");
export const NOT_HTTP: Reply = fixed(421, "4.7.0", "This is not a web server");
export const CANNOT_CONNECT: Reply = fixed(421, "4.3.0", "Local error");
export const LOCAL_ERROR: Reply = fixed(451, "4.3.0", "Local error in processing");
export const TOO_MANY_RECIPIENTS: Reply = fixed(452, "4.5.3", "Too many recipients");

export const UNRECOGNIZED: Reply = fixed(500, "5.5.1", "Command not recognized");
export const AUTH_LINE_TOO_LONG: Reply = fixed(500, "5.5.6", "Authentication line is too long");
export const BAD_BASE64: Reply = fixed(501, "5.5.2", "Response is not base64");
export const BAD_RESPONSE: Reply = fixed(501, "5.5.2", "Response is malformed, or has a control character");
export const AUTH_CANCELLED: Reply = fixed(501, "5.7.0", "Authentication cancelled");
export const BAD_SIZE: Reply = fixed(501, "5.5.4", "SIZE is not a number");
export const BAD_BODY: Reply = fixed(501, "5.5.4", "BODY is neither 7BIT nor 8BITMIME");
export const BAD_AUTH: Reply = fixed(501, "5.5.4", "AUTH is not an address in xtext");
export const BAD_SMTPUTF8: Reply = fixed(501, "5.5.4", "SMTPUTF8 takes no value");
export const NOT_IMPLEMENTED: Reply = fixed(502, "5.5.1", "Command not implemented");
export const GREET_FIRST: Reply = fixed(503, "5.5.1", "Send EHLO first");
export const EHLO_FIRST: Reply = fixed(503, "5.5.1", "Send EHLO, not HELO, first");
export const MAIL_FIRST: Reply = fixed(503, "5.5.1", "Send MAIL first");
export const SENDER_GIVEN: Reply = fixed(503, "5.5.1", "Sender already given");
export const IN_TRANSACTION: Reply = fixed(503, "5.5.1", "Not during a mail transaction");
export const ALREADY_SECURE: Reply = fixed(503, "5.5.1", "TLS is already on");
export const ALREADY_AUTHENTICATED: Reply = fixed(503, "5.5.1", "Already authenticated");
export const NOT_SERVED: Reply = fixed(503, "5.5.1", "No service here, only QUIT");
export const UNKNOWN_MECHANISM: Reply = fixed(504, "5.5.4", "Authentication mechanism not implemented");
export const TLS_REQUIRED: Reply = fixed(530, "5.7.0", "Send STARTTLS first");
export const AUTH_REQUIRED: Reply = fixed(530, "5.7.0", "Authentication required");
export const BAD_CREDENTIALS: Reply = fixed(535, "5.7.8", "Authentication credentials invalid");
export const AUTH_NEEDS_TLS: Reply = fixed(538, "5.7.11", "Encryption required for authentication");
export const BARE_LINE_ENDS: Reply = fixed(
  550,
  "5.6.0",
  "Message has a bare CR or LF, see RFC 5321 section 2.3.8",
);
export const TOO_LARGE: Reply = fixed(552, "5.3.4", "Message is too large");
export const NEEDS_SMTPUTF8: Reply = fixed(
  553,
  "5.6.7",
  "Address is not ASCII, and SMTPUTF8 was not asked for",
);
export const EARLY_TALKER: Reply = fixed(554, "5.5.1", "Wait for the greeting");
export const NO_RECIPIENTS: Reply = fixed(554, "5.5.1", "No valid recipients");
export const BYTES_AFTER_STARTTLS: Reply = fixed(554, "5.5.1", "Nothing may stand behind STARTTLS");
export const BYTES_AFTER_DATA: Reply = fixed(554, "5.5.1", "Wait for the reply to DATA");
export const NO_PIPELINING: Reply = fixed(554, "5.5.1", "Wait for the reply, PIPELINING is not offered");
export const UNKNOWN_PARAMETER: Reply = fixed(555, "5.5.4", "Parameter not recognized or not implemented");
