/**
 * Address literals, `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[tag:text]` (RFC 5321, section 4.1.3), and the addresses in them.
 *
 * @module
 */
import { DCONTENT, every, is, isDigit, LET_DIG } from "./characters.ts";

const HYPHEN = 0x2d;
const COLON = 0x3a;

/**
 * Tells whether a text is an address literal, which a host without a name sends with EHLO.
 *
 * @param text The text, with its brackets.
 * @returns Whether it is.
 */
export function isAddressLiteral(text: string): boolean {
  const end = text.length - 1;
  if (end < 2 || text[0] !== "[" || text[end] !== "]") return false;
  if (isIPv4(text, 1, end)) return true;
  const colon = text.indexOf(":");
  if (colon < 0) return false;
  if (colon === 5 && text.slice(1, 5).toLowerCase() === "ipv6") return isIPv6(text, colon + 1, end);
  return isTag(text, 1, colon) && every(text, DCONTENT, colon + 1, end);
}

/**
 * Tells whether a text is an IP address, without brackets.
 *
 * @param text The text.
 * @returns Its version; `undefined` if it is none.
 */
export function ipVersion(text: string): 4 | 6 | undefined {
  if (isIPv4(text, 0, text.length)) return 4;
  return isIPv6(text, 0, text.length) ? 6 : undefined;
}

/** Four numbers of one to three digits, up to 255. */
function isIPv4(text: string, start: number, end: number): boolean {
  let numbers = 0;
  let value = 0;
  let digits = 0;
  for (let i = start; i <= end; i++) {
    const code = i === end ? 0x2e : text.charCodeAt(i);
    if (isDigit(code)) {
      value = value * 10 + code - 0x30;
      if (++digits > 3 || value > 255) return false;
    } else if (code === 0x2e && digits > 0) {
      numbers++;
      value = digits = 0;
    } else return false;
  }
  return numbers === 4;
}

/**
 * IPv6-addr of RFC 5321, section 4.1.3: eight groups of one to four hexadecimal digits; an IPv4 address may replace the
 * last two; one `::` replaces two groups or more.
 */
function isIPv6(text: string, start: number, end: number): boolean {
  let groups = 0;
  let compressed = false;
  let i = start;
  if (text.charCodeAt(i) === COLON && text.charCodeAt(i + 1) === COLON) {
    compressed = true;
    i += 2;
    if (i === end) return true;
  }
  while (groups < 8) {
    const group = i;
    while (i < end && i - group < 4 && isHexDigit(text.charCodeAt(i))) i++;
    if (i === group) return false;
    if (i < end && text.charCodeAt(i) !== COLON) {
      return isIPv4(text, group, end) && (compressed ? groups <= 4 : groups === 6);
    }
    groups++;
    if (i === end) break;
    i++;
    if (text.charCodeAt(i) !== COLON) continue;
    if (compressed) return false;
    compressed = true;
    i++;
    if (i === end) break;
  }
  return i === end && (compressed ? groups <= 6 : groups === 8 && text.charCodeAt(end - 1) !== COLON);
}

function isHexDigit(code: number): boolean {
  return isDigit(code) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);
}

/** Standardized-tag: letters, digits and hyphens, the last one not a hyphen. */
function isTag(text: string, start: number, end: number): boolean {
  if (start >= end || text.charCodeAt(end - 1) === HYPHEN) return false;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code !== HYPHEN && !is(code, LET_DIG)) return false;
  }
  return true;
}
