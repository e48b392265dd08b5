/**
 * The extensions that a server offers, and whether a command may be carried out that comes in the right order.
 *
 * @module
 */
import { isAsciiMailbox, type Mailbox } from "../core/address.ts";
import { isDigit } from "../core/characters.ts";
import type { Command, EsmtpParameters } from "../core/command.ts";
import type { Reply } from "../core/reply.ts";
import type { SessionSettings } from "./options.ts";
import * as replies from "./replies.ts";
import type { SessionData } from "./session_view.ts";

/**
 * Lists the extensions, for the reply to EHLO.
 *
 * @param settings The settings.
 * @param session The session.
 * @returns The keywords with their parameters.
 */
export function offeredKeywords(settings: SessionSettings, session: SessionData): string[] {
  const { maxMessageSize, hide, authMechanisms } = settings;
  const keywords = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
  // Zero is "no fixed limit" (RFC 1870, section 4).
  keywords.push(`SIZE ${maxMessageSize === Infinity ? 0 : maxMessageSize}`);
  if (offersStartTls(settings, session)) keywords.push("STARTTLS");
  if (offersAuth(settings, session)) keywords.push(`AUTH ${authMechanisms.join(" ")}`);
  return keywords.filter((keyword) => !hide.has(keyword.split(" ", 1)[0]!));
}

function offersStartTls({ hide }: SessionSettings, { secureTransport }: SessionData): boolean {
  return secureTransport === "starttls" && !hide.has("STARTTLS");
}

function offersAuth(settings: SessionSettings, { secureTransport }: SessionData): boolean {
  const { authMechanisms, allowInsecureAuth, hide } = settings;
  return authMechanisms.length > 0 && (secureTransport === "on" || allowInsecureAuth) && !hide.has("AUTH");
}

/**
 * Checks a command that comes in the right order.
 *
 * @param command The command.
 * @param settings The settings.
 * @param session The session.
 * @returns The reply that refuses it; `undefined` if it may be carried out.
 */
export function refusalOf(
  command: Command,
  settings: SessionSettings,
  session: SessionData,
): Reply | undefined {
  switch (command.verb) {
    case "EHLO":
      return settings.hide.has("EHLO") ? replies.NOT_IMPLEMENTED : undefined;
    case "MAIL":
      return refusalOfMail(command.reversePath, command.parameters, settings, session);
    case "RCPT":
      return refusalOfRcpt(command.forwardPath, command.parameters, settings, session);
    case "VRFY":
      return lacksAuth(settings, session) ? replies.AUTH_REQUIRED : undefined;
    case "STARTTLS":
      if (session.secureTransport === "on") return replies.ALREADY_SECURE;
      return offersStartTls(settings, session) ? undefined : replies.NOT_IMPLEMENTED;
    case "AUTH":
      return refusalOfAuth(command.mechanism, settings, session);
    default:
      return undefined;
  }
}

function lacksAuth({ requireAuth }: SessionSettings, { user }: SessionData): boolean {
  return requireAuth && user === undefined;
}

function refusalOfMail(
  reversePath: Mailbox | null,
  parameters: EsmtpParameters | undefined,
  settings: SessionSettings,
  session: SessionData,
): Reply | undefined {
  if (settings.requireTls && session.secureTransport !== "on") return replies.TLS_REQUIRED;
  if (lacksAuth(settings, session)) return replies.AUTH_REQUIRED;
  for (const keyword in parameters) {
    const fault = parameterFault(keyword, parameters[keyword]!, settings, session);
    if (fault !== undefined) return fault;
  }
  const isAscii = reversePath === null || isAsciiMailbox(reversePath);
  return isAscii || parameters?.["SMTPUTF8"] !== undefined ? undefined : replies.NEEDS_SMTPUTF8;
}

function refusalOfRcpt(
  forwardPath: Mailbox,
  parameters: EsmtpParameters | undefined,
  { maxRecipients }: SessionSettings,
  { envelope }: SessionData,
): Reply | undefined {
  if (envelope!.to.length >= maxRecipients) return replies.TOO_MANY_RECIPIENTS;
  for (const _ in parameters) return replies.UNKNOWN_PARAMETER;
  const isAscii = isAsciiMailbox(forwardPath);
  return isAscii || envelope!.parameters["SMTPUTF8"] !== undefined ? undefined : replies.NEEDS_SMTPUTF8;
}

function refusalOfAuth(
  mechanism: string,
  { authMechanisms, allowInsecureAuth, hide }: SessionSettings,
  { secureTransport, esmtp, user }: SessionData,
): Reply | undefined {
  if (authMechanisms.length === 0 || hide.has("AUTH")) return replies.NOT_IMPLEMENTED;
  if (!esmtp) return replies.EHLO_FIRST;
  if (user !== undefined) return replies.ALREADY_AUTHENTICATED;
  if (secureTransport !== "on" && !allowInsecureAuth) return replies.AUTH_NEEDS_TLS;
  return authMechanisms.includes(mechanism) ? undefined : replies.UNKNOWN_MECHANISM;
}

function parameterFault(
  keyword: string,
  value: string | true,
  settings: SessionSettings,
  session: SessionData,
): Reply | undefined {
  const { hide, maxMessageSize } = settings;
  // Parameters belong to extensions, and HELO has none.
  if (!session.esmtp) return replies.UNKNOWN_PARAMETER;
  if (keyword === "SIZE" && !hide.has("SIZE")) return sizeFault(value, maxMessageSize);
  if (keyword === "BODY" && !hide.has("8BITMIME")) return bodyFault(value);
  if (keyword === "SMTPUTF8" && !hide.has("SMTPUTF8")) {
    return value === true ? undefined : replies.BAD_SMTPUTF8;
  }
  // RFC 4954, section 5: accepted, and not believed.
  if (keyword === "AUTH" && offersAuth(settings, session)) {
    return value === true || !XTEXT.test(value) ? replies.BAD_AUTH : undefined;
  }
  return replies.UNKNOWN_PARAMETER;
}

/**
 * `<>`, or a mailbox as xtext (RFC 3461, section 4). No address has a control character, and one in disguise (`+0D+0A`)
 * would end up where a handler writes the decoded value. Linear: no character fits both ways.
 */
const XTEXT = /^(?:[!-*,-<>-~]|\+(?:[2-689A-F][0-9A-F]|7[0-9A-E]))+$/;

function bodyFault(value: string | true): Reply | undefined {
  const body = value === true ? "" : value.toUpperCase();
  return body === "7BIT" || body === "8BITMIME" ? undefined : replies.BAD_BODY;
}

/** RFC 1870, section 4: `size-value ::= 1*20DIGIT`. */
function sizeFault(value: string | true, maxMessageSize: number): Reply | undefined {
  if (value === true || value.length === 0 || value.length > 20) return replies.BAD_SIZE;
  for (let i = 0; i < value.length; i++) {
    if (!isDigit(value.charCodeAt(i))) return replies.BAD_SIZE;
  }
  return Number(value) > maxMessageSize ? replies.TOO_LARGE : undefined;
}
