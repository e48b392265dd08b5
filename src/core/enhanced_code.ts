/**
 * Enhanced status codes in the text of replies (RFC 3463, RFC 2034).
 *
 * @module
 */
import { isDigit } from "./characters.ts";

const ZERO = 0x30;

/**
 * Finds the length of the enhanced status code at the start of a line: `class "." subject "." detail`, with up to
 * three digits each (RFC 3463, section 2). 0 if there is none, or if it is of another class than the code: a text such
 * as `250 4.2.1 is our version` has none.
 *
 * @param line The line, without its reply code.
 * @param code The reply code.
 * @returns The length in characters.
 */
export function enhancedCodeLength(line: string, code: number): number {
  const digit = Math.floor(code / 100);
  if (digit === 3 || line.charCodeAt(0) !== ZERO + digit || line[1] !== ".") return 0;
  let i = 2;
  while (i < 5 && isDigit(line.charCodeAt(i))) i++;
  if (i === 2 || line[i] !== ".") return 0;
  const detail = ++i;
  while (i < detail + 3 && isDigit(line.charCodeAt(i))) i++;
  if (i === detail || (i < line.length && line[i] !== " ")) return 0;
  return i;
}

/**
 * Takes the enhanced status code off a line.
 *
 * @param line The line, without its reply code.
 * @param code The reply code.
 * @returns The rest of the line; the line itself where it has none.
 */
export function withoutEnhancedCode(line: string, code: number): string {
  const length = enhancedCodeLength(line, code);
  return length === 0 ? line : line.slice(length + 1);
}
