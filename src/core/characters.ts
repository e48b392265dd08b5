/**
 * Character classes of the SMTP grammar, by table lookup: no regular expression ever runs over a peer's bytes.
 *
 * @module
 */

/** Letters and digits of ASCII: `Let-dig` (RFC 5321, section 4.1.2). */
export const LET_DIG = 1;
/** Characters of an atom: `atext` (RFC 5322, section 3.2.3). */
export const ATEXT = 2;
/** Characters of a quoted string that need no backslash: `qtextSMTP` (RFC 5321, section 4.1.2). */
export const QTEXT = 4;
/** Characters of a parameter's value: `esmtp-value` (RFC 5321, section 4.1.2). */
export const ESMTP_VALUE = 8;
/** Characters that xtext does not change: `xchar` (RFC 3461, section 4). */
export const XCHAR = 16;
/** Characters of a tagged address literal: `dcontent` (RFC 5321, section 4.1.3). */
export const DCONTENT = 32;
/** Characters of a SASL mechanism's name (RFC 4422, section 3.1). */
export const MECHANISM = 64;
/** Characters of base64, without the padding (RFC 4648, section 4). */
const BASE64 = 128;

/** The longest name of a SASL mechanism (RFC 4422, section 3.1). */
export const MAX_MECHANISM_LENGTH = 20;

const table: Uint8Array = new Uint8Array(128);

for (let code = 0x21; code <= 0x7e; code++) {
  const char = String.fromCharCode(code);
  const upper = char >= "A" && char <= "Z";
  const digit = char >= "0" && char <= "9";
  const letDig = upper || digit || (char >= "a" && char <= "z");
  table[code] = (letDig ? LET_DIG : 0) |
    (letDig || "!#$%&'*+-/=?^_`{|}~".includes(char) ? ATEXT : 0) |
    (char !== '"' && char !== "\\" ? QTEXT : 0) |
    (char !== "=" ? ESMTP_VALUE : 0) |
    (char !== "+" && char !== "=" ? XCHAR : 0) |
    (char !== "[" && char !== "\\" && char !== "]" ? DCONTENT : 0) |
    (upper || digit || char === "-" || char === "_" ? MECHANISM : 0) |
    (letDig || char === "+" || char === "/" ? BASE64 : 0);
}
table[0x20] = QTEXT;

/**
 * Tells whether an ASCII character belongs to a class.
 *
 * @param code A UTF-16 code unit.
 * @param kind One of the classes of this module, or several with `|`.
 * @returns `false` for every code beyond ASCII.
 */
export function is(code: number, kind: number): boolean {
  return code < 128 && (table[code]! & kind) !== 0;
}

/**
 * Tells whether every character of a text is ASCII and belongs to a class.
 *
 * @param text The text.
 * @param kind One of the classes of this module.
 * @param start Where to begin. Default: 0.
 * @param end Where to end, exclusive. Default: the end of the text.
 * @returns `false` for an empty range.
 */
export function every(text: string, kind: number, start = 0, end: number = text.length): boolean {
  if (start >= end) return false;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code >= 128 || (table[code]! & kind) === 0) return false;
  }
  return true;
}

/**
 * Tells whether a character is a digit.
 *
 * @param code A UTF-16 code unit, or a byte.
 * @returns Whether it is one of `0` to `9`.
 */
export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/**
 * Tells whether a character is a control character: C0, DEL or C1.
 *
 * @param code A UTF-16 code unit.
 * @returns Whether it is one; the tab is one too.
 */
export function isControl(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

/**
 * Tells whether a terminal or a log would act on a character instead of showing it: a control character, the line separators
 * U+2028 and U+2029, and the controls that turn the direction of text around, so that it reads as something else (Unicode
 * TR36, section 2.5; CVE-2021-42574).
 *
 * @param code A code point, or a UTF-16 code unit.
 * @returns Whether it is one.
 */
export function isUnsafe(code: number): boolean {
  return isControl(code) || code === 0x061c || code === 0x200e || code === 0x200f ||
    (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/**
 * Tells whether a text is all ASCII.
 *
 * @param text The text.
 * @returns Whether it is; so is the empty text.
 */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return false;
  }
  return true;
}

/**
 * Tells whether a text is a SASL response as a command carries it (RFC 4954, section 4): base64 with its padding, or `=`
 * for an empty one.
 *
 * @param text The text.
 * @returns Whether it is; the empty text is not.
 */
export function isBase64(text: string): boolean {
  if (text === "=") return true;
  const { length } = text;
  if (length === 0 || length % 4 !== 0) return false;
  const padding = text[length - 1] !== "=" ? 0 : text[length - 2] !== "=" ? 1 : 2;
  return every(text, BASE64, 0, length - padding);
}

/**
 * Takes everything out of a peer's text that a terminal would act on, and whatever is too long to read.
 *
 * @param text The text.
 * @param maxLength How much is kept, in UTF-16 code units.
 * @returns Visible ASCII and spaces; `?` for anything else.
 */
export function printable(text: string, maxLength: number): string {
  let safe = "";
  for (const character of text.slice(0, maxLength)) {
    const code = character.codePointAt(0)!;
    safe += code >= 0x20 && code < 0x7f ? character : "?";
  }
  return safe;
}
