/**
 * Mailboxes and paths of the envelope: parsed into local part and domain, and quoted again when they are written
 * (RFC 5321, sections 4.1.2 and 4.1.3; RFC 6531, section 3.3).
 *
 * @module
 */
import { addressHint } from "./address_hint.ts";
import { ATEXT, is, isAscii, isUnsafe, QTEXT } from "./characters.ts";
import { show } from "./errors.ts";
import { ASCII, domainForm, type Form, INVALID, toAscii, UTF8 } from "./domain.ts";

export { isAddressLiteral } from "./address_literal.ts";
export { isDomain } from "./domain.ts";

const QUOTE = 0x22;
const DOT = 0x2e;
const LESS = 0x3c;
const GREATER = 0x3e;
const AT = 0x40;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;

/** The one mailbox without a domain, in any case of letters (RFC 5321, section 4.5.1). */
const POSTMASTER = "postmaster";

/** An address of the envelope, in its parts. */
export interface Mailbox {
  /** The part before the `@`, without quotes and backslashes. */
  readonly localPart: string;
  /**
   * The part after the `@`: `"example.org"`, `"[192.0.2.1]"`, `"[IPv6:2001:db8::1]"`. `""` only for the
   * `Postmaster` without a domain that every server accepts (RFC 5321, section 4.5.1).
   */
  readonly domain: string;
}

/**
 * Parses an address of an envelope: a local part, as a dot-atom or quoted, `@`, and a domain, in ASCII or
 * internationalised, or an address literal. Nothing else: no display name, angle brackets, comments or white space, because
 * a text meant for a header can send mail to the wrong address (nodemailer GHSA-mm7p-fcc7-pg87). The local part may have
 * any length: addresses beyond the 64 bytes of section 4.5.3.1.1 are in use.
 *
 * @param text The address.
 * @returns Its parts.
 * @throws {SyntaxError} If it is not such an address; the message shows what was probably meant.
 *
 * @example
 * ```ts
 * console.log(parseMailbox('"jane doe"@example.org')); // { localPart: "jane doe", domain: "example.org" }
 * ```
 */
export function parseMailbox(text: string): Mailbox {
  try {
    return parseRange(text, 0, text.length);
  } catch (error) {
    throw new SyntaxError((error as Error).message + addressHint(text, isMailbox));
  }
}

function isMailbox(text: string): boolean {
  try {
    parseRange(text, 0, text.length);
    return true;
  } catch {
    return false;
  }
}

/**
 * Parses a path of a command: an address in angle brackets. A source route is accepted and dropped (RFC 5321, section
 * 4.1.1.3 and appendix C).
 *
 * @param text The path, such as `"<jane@example.org>"`.
 * @returns The parts of the address, with an empty domain for `<Postmaster>`; `null` for the null path `<>`.
 * @throws {SyntaxError} If it is not a path.
 */
export function parsePath(text: string): Mailbox | null {
  const end = text.length - 1;
  if (text.charCodeAt(0) !== LESS || end < 1 || text.charCodeAt(end) !== GREATER) {
    fail(text, "it must be in angle brackets");
  }
  if (end === 1) return null;
  const start = text.charCodeAt(1) === AT ? sourceRouteEnd(text, end) : 1;
  if (end === 1 + POSTMASTER.length && isPostmaster(text.slice(1, end))) {
    return { localPart: text.slice(1, end), domain: "" };
  }
  return parseRange(text, start, end);
}

/**
 * Finds the end of the path at the start of a text, which may continue after it. A `>` inside quotes or brackets does not
 * end the path.
 *
 * @param text A text that begins with `<`.
 * @returns The index after the closing `>`, or -1 if there is none.
 */
export function pathEnd(text: string): number {
  for (let i = 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === GREATER) return i + 1;
    if (code === QUOTE) {
      for (i++; i < text.length && text.charCodeAt(i) !== QUOTE; i++) {
        if (text.charCodeAt(i) === BACKSLASH) i++;
      }
    } else if (code === BRACKET) {
      const close = text.indexOf("]", i);
      if (close < 0) return -1;
      i = close;
    }
  }
  return -1;
}

/**
 * Writes an address of an envelope. It is quoted again from its parts, and only if it must be, so that nothing in a local
 * part can end the path (`"a> ORCPT=x"@example.org`, CVE-2025-59937).
 *
 * @param mailbox The parts of the address.
 * @returns The address, without angle brackets.
 * @throws {TypeError} If the local part holds a control character, one that turns text around included, or a lone surrogate, or the domain is not valid.
 */
export function formatMailbox(mailbox: Mailbox): string {
  const { localPart, domain } = mailbox;
  if (domain === "") {
    if (!isPostmaster(localPart)) {
      throw new TypeError(`Cannot write the address of ${show(localPart)}: it has no domain`);
    }
    return localPart;
  }
  if (domainForm(domain, 0, domain.length) === INVALID) {
    throw new TypeError(`Cannot write an address: ${show(domain)} is not a domain`);
  }
  if (dotAtomForm(localPart, 0, localPart.length) !== INVALID) return localPart + "@" + domain;
  return quote(localPart) + "@" + domain;
}

/**
 * Tells whether an address is all ASCII. One that is not needs the extension SMTPUTF8 (RFC 6531).
 *
 * @param mailbox The address.
 * @returns Whether it is.
 */
export function isAsciiMailbox(mailbox: Mailbox): boolean {
  return isAscii(mailbox.domain) && isAscii(mailbox.localPart);
}

/**
 * Writes the domain of an address in ASCII (A-labels, RFC 5890, section 2.3.2.1), which every server understands. The
 * local part is not changed: only its own server knows what it means.
 *
 * @param mailbox The address.
 * @returns The address with its domain in ASCII; the same object where it is already.
 * @throws {SyntaxError} If the domain has no such form.
 */
export function toAsciiDomain(mailbox: Mailbox): Mailbox {
  if (isAscii(mailbox.domain)) return mailbox;
  const domain = toAscii(mailbox.domain);
  if (domain === undefined) fail(mailbox.domain, "the domain has no form in ASCII");
  return { localPart: mailbox.localPart, domain };
}

function parseRange(text: string, start: number, end: number): Mailbox {
  let at: number;
  let localPart: string;
  if (text.charCodeAt(start) === QUOTE) {
    at = quotedStringEnd(text, start, end);
    if (at < 0) fail(text, "the quoted local part has no end, or holds a character that is not allowed");
    if (at >= end || text.charCodeAt(at) !== AT) fail(text, "an @ must follow the quoted local part");
    localPart = unquote(text, start + 1, at - 1);
    if (!localPart.isWellFormed()) fail(text, "it holds a lone surrogate");
  } else {
    at = text.indexOf("@", start);
    if (at < 0 || at >= end) fail(text, "it has no @");
    if (dotAtomForm(text, start, at) === INVALID) {
      fail(text, "the local part is empty, has a dot too many, or holds a character that must be quoted");
    }
    localPart = text.slice(start, at);
  }
  const form = domainForm(text, at + 1, end);
  const domain = text.slice(at + 1, end);
  if (form === INVALID || (form === UTF8 && toAscii(domain) === undefined)) {
    fail(text, "the domain is not valid");
  }
  return { localPart, domain };
}

function fail(text: string, reason: string): never {
  throw new SyntaxError(`Cannot parse the address ${show(text)}: ${reason}`);
}

function isPostmaster(text: string): boolean {
  return isAscii(text) && text.toLowerCase() === POSTMASTER;
}

/** Finds the end of a source route, `@one.example,@two.example:`, that begins at index 1. */
function sourceRouteEnd(text: string, end: number): number {
  let i = 1;
  for (;;) {
    if (text.charCodeAt(i) !== AT) fail(text, "the source route is not valid");
    const start = ++i;
    if (text.charCodeAt(i) === BRACKET) i = Math.max(text.indexOf("]", i), i) + 1;
    else while (i < end && text[i] !== "," && text[i] !== ":") i++;
    if (i >= end || domainForm(text, start, i) === INVALID) fail(text, "the source route is not valid");
    if (text[i] === ":") return i + 1;
    if (text[i] !== ",") fail(text, "the source route is not valid");
    i++;
  }
}

/** Dot-string of RFC 5321, section 4.1.2, with the atext of RFC 6531, section 3.3. */
function dotAtomForm(text: string, start: number, end: number): Form {
  let ascii = true;
  let afterDot = true;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (is(code, ATEXT)) afterDot = false;
    else if (code === DOT) {
      if (afterDot) return INVALID;
      afterDot = true;
    } else if (code > 0x7f && !isUnsafe(code)) ascii = afterDot = false;
    else return INVALID;
  }
  if (afterDot) return INVALID;
  if (ascii) return ASCII;
  return text.slice(start, end).isWellFormed() ? UTF8 : INVALID;
}

/** Finds the index after the closing quote, -1 if there is none or a character is not allowed. */
function quotedStringEnd(text: string, start: number, end: number): number {
  for (let i = start + 1; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i + 1;
    if (code === BACKSLASH) {
      // quoted-pairSMTP: ASCII only, RFC 6531 adds nothing to it.
      const next = text.charCodeAt(++i);
      if (i >= end || next < 0x20 || next > 0x7e) return -1;
    } else if (!is(code, QTEXT) && (code < 0x80 || isUnsafe(code))) return -1;
  }
  return -1;
}

function unquote(text: string, start: number, end: number): string {
  let result = "";
  let from = start;
  for (let i = start; i < end; i++) {
    if (text.charCodeAt(i) !== BACKSLASH) continue;
    result += text.slice(from, i);
    from = ++i;
  }
  return result + text.slice(from, end);
}

function quote(localPart: string): string {
  let result = '"';
  let from = 0;
  for (let i = 0; i < localPart.length; i++) {
    const code = localPart.charCodeAt(i);
    if (isUnsafe(code)) {
      throw new TypeError(`Cannot write an address: ${show(localPart)} holds a control character`);
    }
    if (code !== QUOTE && code !== BACKSLASH) continue;
    result += localPart.slice(from, i) + "\\";
    from = i;
  }
  if (!localPart.isWellFormed()) {
    throw new TypeError(`Cannot write an address: ${show(localPart)} holds a lone surrogate`);
  }
  return result + localPart.slice(from) + '"';
}
