/**
 * Domains, in ASCII and internationalised (RFC 5321, section 4.1.2; RFC 5890).
 *
 * @module
 */
import { isAddressLiteral } from "./address_literal.ts";
import { is, isDigit, isUnsafe, LET_DIG } from "./characters.ts";

const HYPHEN = 0x2d;
const DOT = 0x2e;
const BRACKET = 0x5b;
const UNDERSCORE = 0x5f;

/** RFC 5321, section 4.5.3.1.2. */
const MAX_DOMAIN_LENGTH = 255;
/** RFC 1035, section 2.3.4. */
const MAX_LABEL_LENGTH = 63;

/** The form of a part of an address: not valid, ASCII, or with characters beyond ASCII. */
export type Form = 0 | 1 | 2;
/** Not valid. */
export const INVALID = 0;
/** Valid, and ASCII. */
export const ASCII = 1;
/** Valid, with characters beyond ASCII. */
export const UTF8 = 2;

/**
 * Tells whether a text is a domain name in ASCII (RFC 5321, section 4.1.2), as EHLO needs it. An underscore counts as a
 * letter: host names have it, on Windows among others.
 *
 * @param text The text.
 * @returns Whether it is; an address literal is not.
 */
export function isDomain(text: string): boolean {
  return text.charCodeAt(0) !== BRACKET && domainForm(text, 0, text.length) === ASCII;
}

/**
 * Checks a domain or address-literal of RFC 5321, section 4.1.2. Beyond ASCII only control characters are refused, those included that turn text around:
 * {@linkcode toAscii} checks the rest.
 *
 * @param text A text.
 * @param start The index at which the domain begins.
 * @param end The index at which it ends, exclusive.
 * @returns Its form.
 */
export function domainForm(text: string, start: number, end: number): Form {
  const length = end - start;
  if (length === 0 || length > MAX_DOMAIN_LENGTH) return INVALID;
  if (text.charCodeAt(start) === BRACKET) return isAddressLiteral(text.slice(start, end)) ? ASCII : INVALID;
  let ascii = true;
  let label = start;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (is(code, LET_DIG) || code === UNDERSCORE) continue;
    if (code === DOT || code === HYPHEN) {
      // A label neither begins nor ends with a hyphen, and is not empty.
      const next = i + 1 === end ? DOT : text.charCodeAt(i + 1);
      if (i === label || (next === DOT && code === HYPHEN) || i + 1 === end) return INVALID;
      if (code === HYPHEN) continue;
      if (i - label > MAX_LABEL_LENGTH) return INVALID;
      label = i + 1;
    } else if (code > 0x7f && !isUnsafe(code)) ascii = false;
    else return INVALID;
  }
  if (end - label > MAX_LABEL_LENGTH) return INVALID;
  if (ascii) return ASCII;
  return text.slice(start, end).isWellFormed() ? UTF8 : INVALID;
}

/**
 * Converts an internationalised domain to ASCII (A-labels, RFC 5890, section 2.3.2.1).
 *
 * @param domain A domain of the form `UTF8`.
 * @returns The domain in ASCII; `undefined` if IDNA forbids it.
 */
export function toAscii(domain: string): string | undefined {
  let hostname: string;
  try {
    hostname = new URL(`http://${domain}/`).hostname;
  } catch {
    return undefined;
  }
  if (domainForm(hostname, 0, hostname.length) !== ASCII) return undefined;
  // Digits beyond ASCII, such as full-width ones, can make an IPv4 address of a domain.
  return isDigit(hostname.charCodeAt(hostname.length - 1)) && isNumber(hostname) ? undefined : hostname;
}

/** Whether the last label is a number, as in an IPv4 address. */
function isNumber(hostname: string): boolean {
  let i = hostname.length - 1;
  while (i >= 0 && isDigit(hostname.charCodeAt(i))) i--;
  return i < 0 || hostname.charCodeAt(i) === DOT;
}
