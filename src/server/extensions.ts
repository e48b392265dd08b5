/**
 * The extensions that a server offers, and the parameters of MAIL that belong to them.
 *
 * @module
 */
import { isDigit } from "../core/characters.ts";
import type { EsmtpParameters } from "../core/command.ts";
import type { Reply } from "../core/reply.ts";
import type { SecureTransport } from "../sockets/socket.ts";
import type { SessionSettings } from "./options.ts";
import * as replies from "./replies.ts";

/**
 * Tells whether STARTTLS is offered.
 *
 * @param settings The settings.
 * @param secureTransport How the connection is protected now.
 * @returns Whether it is.
 */
export function offersStartTls({ hide }: SessionSettings, secureTransport: SecureTransport): boolean {
  return secureTransport === "starttls" && !hide.has("STARTTLS");
}

/**
 * Tells whether AUTH is offered.
 *
 * @param settings The settings.
 * @param secureTransport How the connection is protected now.
 * @returns Whether it is.
 */
function offersAuth(settings: SessionSettings, secureTransport: SecureTransport): boolean {
  const { authMechanisms, allowInsecureAuth, hide } = settings;
  return authMechanisms.length > 0 && (secureTransport === "on" || allowInsecureAuth) && !hide.has("AUTH");
}

/**
 * Lists the extensions, for the reply to EHLO.
 *
 * @param settings The settings.
 * @param secureTransport How the connection is protected now.
 * @returns The keywords with their parameters.
 */
export function offeredKeywords(settings: SessionSettings, secureTransport: SecureTransport): string[] {
  const { maxMessageSize, hide, authMechanisms } = settings;
  const keywords = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
  // Zero is "no fixed limit" (RFC 1870, section 4).
  keywords.push(`SIZE ${maxMessageSize === Infinity ? 0 : maxMessageSize}`);
  if (offersStartTls(settings, secureTransport)) keywords.push("STARTTLS");
  if (offersAuth(settings, secureTransport)) keywords.push(`AUTH ${authMechanisms.join(" ")}`);
  return keywords.filter((keyword) => !hide.has(keyword.split(" ", 1)[0]!));
}

/**
 * Checks the parameters of MAIL.
 *
 * @param parameters The parameters, keywords in upper case.
 * @param settings The settings.
 * @param session How the connection is protected now, and whether the client sent EHLO.
 * @returns The reply that refuses them; `undefined` if they are right.
 */
export function mailFault(
  parameters: EsmtpParameters,
  settings: SessionSettings,
  session: { readonly secureTransport: SecureTransport; readonly esmtp: boolean },
): Reply | undefined {
  for (const keyword in parameters) {
    const fault = parameterFault(keyword, parameters[keyword]!, settings, session);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function parameterFault(
  keyword: string,
  value: string | true,
  settings: SessionSettings,
  { secureTransport, esmtp }: Parameters<typeof mailFault>[2],
): Reply | undefined {
  const { hide, maxMessageSize } = settings;
  // Parameters belong to extensions, and HELO has none.
  if (!esmtp) return replies.UNKNOWN_PARAMETER;
  if (keyword === "SIZE" && !hide.has("SIZE")) return sizeFault(value, maxMessageSize);
  if (keyword === "BODY" && !hide.has("8BITMIME")) return bodyFault(value);
  if (keyword === "SMTPUTF8" && !hide.has("SMTPUTF8")) {
    return value === true ? undefined : replies.BAD_SMTPUTF8;
  }
  // RFC 4954, section 5: accepted, and not believed.
  if (keyword === "AUTH" && offersAuth(settings, secureTransport)) return undefined;
  return replies.UNKNOWN_PARAMETER;
}

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
