/**
 * Which extensions a server has on offer.
 *
 * @module
 */
import type { ServerSessionOptions } from "./session_options.ts";

/**
 * Tells whether STARTTLS is on offer.
 *
 * @param options The settings.
 * @param secure Whether TLS is on.
 * @returns Whether it is.
 */
export function offersStartTls({ startTls, hide }: ServerSessionOptions, secure: boolean): boolean {
  return startTls && !secure && !hide.has("STARTTLS");
}

/**
 * Tells whether AUTH is on offer.
 *
 * @param options The settings.
 * @param secure Whether TLS is on.
 * @returns Whether it is.
 */
export function offersAuth(options: ServerSessionOptions, secure: boolean): boolean {
  const { authMechanisms, allowInsecureAuth, hide } = options;
  return authMechanisms.length > 0 && (secure || allowInsecureAuth) && !hide.has("AUTH");
}

/**
 * Gives the lines of the reply to EHLO.
 *
 * @param options The settings.
 * @param secure Whether TLS is on.
 * @returns The keywords with their parameters.
 */
export function offeredKeywords(options: ServerSessionOptions, secure: boolean): string[] {
  const { maxMessageSize, hide, authMechanisms } = options;
  const keywords = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
  // Zero is "no fixed limit" (RFC 1870, section 4).
  keywords.push(`SIZE ${maxMessageSize === Infinity ? 0 : maxMessageSize}`);
  if (offersStartTls(options, secure)) keywords.push("STARTTLS");
  if (offersAuth(options, secure)) keywords.push(`AUTH ${authMechanisms.join(" ")}`);
  return keywords.filter((keyword) => !hide.has(keyword.split(" ", 1)[0]!));
}
