/**
 * The encodings of addresses and identifiers in parameters: xtext (RFC 3461, section 4) and its relatives for addresses
 * beyond ASCII (RFC 6533, section 3).
 *
 * @module
 */
import { is, isControl, isDigit, show, XCHAR } from "./characters.ts";

const PLUS = 0x2b;
const BACKSLASH = 0x5c;

/**
 * Encodes a text as xtext: what is not printable ASCII, and `+` and `=`, becomes `+` and two hexadecimal digits. For
 * `ENVID`, for `ORCPT=rfc822;…` and for the `AUTH` parameter of MAIL.
 *
 * @param text Text in ASCII.
 * @returns The text as xtext.
 * @throws {RangeError} If a character is beyond ASCII: see {@linkcode encodeUtf8AddrXtext}.
 */
export function encodeXtext(text: string): string {
  let result = "";
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (is(code, XCHAR)) continue;
    if (code > 0x7f) {
      throw new RangeError(`Cannot encode ${show(text)} as xtext: a character is beyond ASCII`);
    }
    result += text.slice(from, i) + "+" + hex(code);
    from = i + 1;
  }
  return result + text.slice(from);
}

/**
 * Decodes xtext.
 *
 * @param text The text as xtext.
 * @returns The text, in ASCII. It may hold control characters.
 * @throws {SyntaxError} If it is not xtext.
 */
export function decodeXtext(text: string): string {
  let result = "";
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (is(code, XCHAR)) continue;
    const value = code === PLUS ? hexValue(text, i + 1, i + 3) : -1;
    if (value < 0 || value > 0x7f) throw new SyntaxError(`Cannot decode ${show(text)}: it is not xtext`);
    result += text.slice(from, i) + String.fromCharCode(value);
    i += 2;
    from = i + 1;
  }
  return result + text.slice(from);
}

/**
 * Encodes an address for `ORCPT=utf-8;…` to a server without SMTPUTF8 (`utf-8-addr-xtext`, RFC 6533, section 3): in
 * ASCII, with `\x{…}` for everything else.
 *
 * @param address The address.
 * @returns The address encoded.
 * @throws {RangeError} If the address holds a lone surrogate.
 */
export function encodeUtf8AddrXtext(address: string): string {
  return encodeUtf8Addr(address, false);
}

/**
 * Encodes an address for `ORCPT=utf-8;…` to a server with SMTPUTF8 (`utf-8-addr-unitext`, RFC 6533, section 3):
 * characters beyond ASCII stay as they are.
 *
 * @param address The address.
 * @returns The address encoded.
 * @throws {RangeError} If the address holds a lone surrogate.
 */
export function encodeUtf8AddrUnitext(address: string): string {
  return encodeUtf8Addr(address, true);
}

/**
 * Decodes an address of `ORCPT=utf-8;…` in each of its forms (`utf-8-enc-addr`, RFC 6533, section 3).
 *
 * @param text The address encoded.
 * @returns The address.
 * @throws {SyntaxError} If it is not encoded so.
 */
export function decodeUtf8Addr(text: string): string {
  let result = "";
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code !== BACKSLASH) {
      if (is(code, XCHAR) || (code > 0x7f && !isControl(code))) continue;
      failUtf8(text);
    }
    // "\x{", then the closing brace within the six digits that the last code point has.
    const close = text.indexOf("}", i);
    const value = text.startsWith("\\x{", i) && close >= i + 5 && close <= i + 9
      ? hexValue(text, i + 3, close)
      : -1;
    if (value < 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) failUtf8(text);
    result += text.slice(from, i) + String.fromCodePoint(value);
    i = close;
    from = i + 1;
  }
  result += text.slice(from);
  if (!result.isWellFormed()) failUtf8(text);
  return result;
}

function failUtf8(text: string): never {
  throw new SyntaxError(`Cannot decode ${show(text)}: it is not an address as of RFC 6533`);
}

function encodeUtf8Addr(address: string, unitext: boolean): string {
  if (!address.isWellFormed()) {
    throw new RangeError(`Cannot encode ${show(address)}: it holds a lone surrogate`);
  }
  let result = "";
  for (const char of address) {
    const code = char.codePointAt(0)!;
    const plain = is(code, XCHAR) ? code !== BACKSLASH : unitext && code > 0x9f;
    result += plain ? char : `\\x{${hex(code)}}`;
  }
  return result;
}

function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, "0");
}

/** Reads hexadecimal digits, in upper or lower case; -1 if there is something else. */
function hexValue(text: string, start: number, end: number): number {
  if (end > text.length) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    const lower = code | 0x20;
    if (isDigit(code)) value = value * 16 + code - 0x30;
    else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x57;
    else return -1;
  }
  return value;
}
