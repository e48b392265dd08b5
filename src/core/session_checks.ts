/**
 * What a server checks in a command's arguments, apart from their grammar.
 *
 * @module
 */
import type { EsmtpParameters } from "./command_line.ts";
import type { Reply } from "./reply.ts";
import type { ServerSessionOptions } from "./session_options.ts";
import * as replies from "./session_replies.ts";

/** What `mailFault` has to know of the session. */
export interface MailContext {
  /** Whether the client said EHLO. */
  readonly esmtp: boolean;
  /** Whether AUTH is on offer. */
  readonly auth: boolean;
}

/**
 * Checks the parameters of MAIL.
 *
 * @param parameters The parameters, keywords in upper case.
 * @param options The settings.
 * @param context The session.
 * @returns The reply that refuses them; `undefined` if they are right.
 */
export function mailFault(
  parameters: EsmtpParameters,
  { hide, maxMessageSize }: ServerSessionOptions,
  { esmtp, auth }: MailContext,
): Reply | undefined {
  for (const keyword in parameters) {
    const value = parameters[keyword]!;
    // Parameters belong to extensions, and HELO knows none.
    if (!esmtp) return replies.UNKNOWN_PARAMETER;
    let fault: Reply | undefined;
    if (keyword === "SIZE" && !hide.has("SIZE")) fault = declaredSizeFault(value, maxMessageSize);
    else if (keyword === "BODY" && !hide.has("8BITMIME")) fault = bodyFault(value);
    else if (keyword === "SMTPUTF8" && !hide.has("SMTPUTF8")) {
      fault = value === true ? undefined : replies.BAD_SMTPUTF8;
    } // RFC 4954, section 5: taken, and not believed.
    else if (keyword === "AUTH" && auth) fault = undefined;
    else fault = replies.UNKNOWN_PARAMETER;
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function bodyFault(value: string | true): Reply | undefined {
  const body = value === true ? "" : value.toUpperCase();
  return body === "7BIT" || body === "8BITMIME" ? undefined : replies.BAD_BODY;
}

/** RFC 1870, section 4: `size-value ::= 1*20DIGIT`. */
function declaredSizeFault(value: string | true, maxMessageSize: number): Reply | undefined {
  if (value === true || value.length === 0 || value.length > 20) return replies.BAD_SIZE;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return replies.BAD_SIZE;
  }
  return sizeFault(Number(value), maxMessageSize);
}

/**
 * Checks a message's size.
 *
 * @param size Octets, CRLF included, dots not stuffed (RFC 1870, section 5).
 * @param maxMessageSize The limit.
 * @returns The reply that refuses it; `undefined` if it is not too large.
 */
export function sizeFault(size: number, maxMessageSize: number): Reply | undefined {
  return size > maxMessageSize ? replies.TOO_LARGE : undefined;
}

/** Methods that browsers, and those who abuse them, begin a request with. */
const HTTP_METHODS: ReadonlySet<string> = new Set(
  ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PRI"],
);

/**
 * Tells whether a line begins a HTTP request: a web page can make a browser send mail by posting a form whose body is
 * SMTP commands, unless the server goes away at the first line.
 *
 * @param line A line that is no command.
 * @returns Whether its first word is a method of HTTP.
 */
export function isHttp(line: string): boolean {
  const end = line.indexOf(" ");
  return end > 0 && HTTP_METHODS.has(line.slice(0, end).toUpperCase());
}
