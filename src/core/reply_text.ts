/**
 * Decodes the text of replies.
 *
 * @module
 */
import { isControl } from "./characters.ts";

const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const SPACE = 0x20;
const HYPHEN = 0x2d;

const decoder: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Splits one reply into lines.
 *
 * @param bytes Bytes whose form the decoder has checked.
 * @param start The index at which the reply begins.
 * @param end The index after its last line feed.
 * @returns The text of each line, without code and line end.
 */
export function decodeLines(bytes: Uint8Array, start: number, end: number): string[] {
  const lines: string[] = [];
  while (start < end) {
    const lineFeed = bytes.indexOf(LF, start);
    lines.push(decodeText(bytes, textStart(bytes, start), textEnd(bytes, lineFeed)));
    start = lineFeed + 1;
  }
  return lines;
}

/**
 * Copies the text of one reply as the server sent it.
 *
 * @param bytes Bytes whose form the decoder has checked.
 * @param start The index at which the reply begins.
 * @param end The index after its last line feed.
 * @returns The bytes of each line, without code and line end, joined by a line feed.
 */
export function copyText(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  let length = 0;
  while (start < end) {
    const lineFeed = bytes.indexOf(LF, start);
    const text = bytes.subarray(textStart(bytes, start), textEnd(bytes, lineFeed));
    copy.set(text, length);
    length += text.length;
    copy[length++] = LF;
    start = lineFeed + 1;
  }
  return copy.slice(0, length - 1);
}

/** Where the text of a line begins: what separates it from the code may be missing, and is not always a space. */
function textStart(bytes: Uint8Array, line: number): number {
  const mark = bytes[line + 3];
  return mark === SPACE || mark === HYPHEN || mark === TAB ? line + 4 : line + 3;
}

function textEnd(bytes: Uint8Array, lineFeed: number): number {
  return bytes[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
}

/**
 * Decodes UTF-8. Malformed bytes and control characters become U+FFFD.
 *
 * @param bytes The bytes.
 * @param start The index at which the text begins. Beyond `end`, the text is empty.
 * @param end The index at which the text ends, exclusive.
 * @returns The text.
 */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  let plain = true;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte < 0x20 || byte > 0x7e) {
      plain = false;
      break;
    }
  }
  if (!plain) return replaceControls(decoder.decode(bytes.subarray(start, end)));
  if (end - start > 32) return decoder.decode(bytes.subarray(start, end));
  // Short text, the usual case: 76 ns for 8 bytes on Deno, where a TextDecoder takes 338.
  let text = "";
  let i = start;
  for (; i + 4 <= end; i += 4) {
    text += String.fromCharCode(bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!);
  }
  for (; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

/** A server must not control the terminal or the log that shows its text; the tab is text (RFC 5321, section 4.2). */
function replaceControls(text: string): string {
  let clean = "";
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isControl(code) || code === 0x09) continue;
    clean += text.slice(from, i) + "\ufffd";
    from = i + 1;
  }
  return from === 0 ? text : clean + text.slice(from);
}
