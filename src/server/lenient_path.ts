/**
 * Paths as some devices write them, for the option `lenientAddresses`: rewritten into the spelling that the grammar wants,
 * and then read by the strict parser as any other. So nothing gets through that could not be said strictly: no control
 * character, no `>` that ends the path, no parameter inside of it.
 *
 * @module
 */
import { ATEXT, is } from "../core/characters.ts";

const QUOTE = 0x22;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/**
 * Finds the end of a path without angle brackets: the first blank that is not in quotes (HP iLO, RAID controllers).
 *
 * @param text A text that begins with the path.
 * @returns The index after the path. 0 if there is none.
 */
export function barePathEnd(text: string): number {
  let i = 0;
  for (let quoted = false; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) quoted = !quoted;
    else if (code === BACKSLASH && quoted) i++;
    else if (!quoted && (code === 0x20 || code === 0x09)) break;
  }
  return Math.min(i, text.length);
}

/**
 * Puts a local part in quotes that has a dot too many, such as `<local.@example.com>` or `<a..b@docomo.ne.jp>`.
 *
 * @param path A path in angle brackets.
 * @returns The path that says the same in the grammar of RFC 5321, section 4.1.2; anything else unchanged.
 */
export function quoteLocalPart(path: string): string {
  // An address literal may have an @ in it, and begins with the only bracket: `<a@[tag:b@c]>`.
  const literal = path.endsWith("]>") ? path.lastIndexOf("@[") : -1;
  const at = literal < 0 ? path.lastIndexOf("@") : literal;
  // After a source route, if there is one: a colon has no place in what is quoted here.
  const start = path.lastIndexOf(":", at) + 1 || 1;
  if (at <= start) return path;
  for (let i = start; i < at; i++) {
    const code = path.charCodeAt(i);
    if (!is(code, ATEXT) && code !== DOT && code < 0x80) return path;
  }
  return `${path.slice(0, start)}"${path.slice(start, at)}"${path.slice(at)}`;
}
