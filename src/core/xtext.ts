/**
 * The encodings of addresses and identifiers in parameters: xtext (RFC 3461, section 4) and its relatives for addresses
 * beyond ASCII (RFC 6533, section 3).
 *
 * @module
 */
import { is, XCHAR } from "./characters.ts";
import { show } from "./errors.ts";

const BACKSLASH = 0x5c;

/**
 * Encodes a text as xtext: every character that is not printable ASCII, and `+` and `=`, becomes `+` and two hexadecimal
 * digits. For `ENVID`, `ORCPT=rfc822;…` and the `AUTH` parameter of MAIL.
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
 * characters beyond ASCII are not changed.
 *
 * @param address The address.
 * @returns The address encoded.
 * @throws {RangeError} If the address holds a lone surrogate.
 */
export function encodeUtf8AddrUnitext(address: string): string {
  return encodeUtf8Addr(address, true);
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
