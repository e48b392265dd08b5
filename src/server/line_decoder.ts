/**
 * Cuts what a client sends into command lines.
 *
 * @module
 */
import { Reply } from "../core/reply.ts";

const LF = 0x0a;
const CR = 0x0d;

const EMPTY: Uint8Array = new Uint8Array(0);

const TOO_LONG: Reply = new Reply(500, "Line is too long", { enhancedCode: "5.5.2" });
const BARE_LINE_FEED: Reply = new Reply(500, "Line does not end with CR LF", { enhancedCode: "5.5.2" });
const NOT_UTF8: Reply = new Reply(500, "Line is not UTF-8", { enhancedCode: "5.5.2" });

/**
 * Cuts a client's bytes into command lines, without looking further than the next line: the bytes after `DATA` or
 * `STARTTLS` may not be lines at all. It keeps at most one line.
 */
export class LineDecoder {
  readonly #maxLength: number;
  readonly #bareLineFeeds: boolean;
  readonly #text: TextDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** The chunk that is being read, and the position in it. */
  #chunk: Uint8Array = EMPTY;
  #position = 0;
  /** The line that began in an earlier chunk; it grows up to `#maxLength` and no further. */
  #partial: Uint8Array = EMPTY;
  #partialLength = 0;
  /** Inside a line that is too long: its bytes are dropped up to its end. */
  #skipping = false;

  /**
   * @param maxLength The most octets of a line, its line end included.
   * @param bareLineFeeds Whether a line feed alone ends a line too.
   */
  constructor(maxLength: number, bareLineFeeds: boolean) {
    this.#maxLength = maxLength;
    this.#bareLineFeeds = bareLineFeeds;
  }

  /** How many received bytes are not part of a line that was returned. */
  get bufferedLength(): number {
    return this.#partialLength + this.#chunk.length - this.#position;
  }

  /**
   * Takes bytes. All complete lines of the previous chunk must have been taken with `next()`.
   *
   * @param chunk The bytes. They are read until `next()` returns `undefined`, and kept no longer.
   */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#position = 0;
  }

  /**
   * Returns the next line.
   *
   * @returns The line without its line end; `undefined` if more bytes are needed; a `Reply` that refuses a line which is
   * too long, ends with a line feed alone or is not UTF-8. The line after it comes next.
   */
  next(): string | Reply | undefined {
    let line = this.#chunk;
    let start = this.#position;
    if (start >= line.length) return undefined;
    const lineFeed = line.indexOf(LF, start);
    if (lineFeed === -1) {
      this.#keep(line.subarray(start));
      this.#chunk = EMPTY;
      this.#position = 0;
      return undefined;
    }
    this.#position = lineFeed + 1;
    let end = lineFeed + 1;
    if (this.#partialLength > 0) {
      this.#keep(line.subarray(start, end));
      line = this.#partial;
      start = 0;
      end = this.#partialLength;
      this.#partialLength = 0;
    }
    if (this.#skipping || end - start > this.#maxLength) {
      this.#skipping = false;
      return TOO_LONG;
    }
    if (end - start >= 2 && line[end - 2] === CR) return this.#decode(line, start, end - 2);
    return this.#bareLineFeeds ? this.#decode(line, start, end - 1) : BARE_LINE_FEED;
  }

  /** Forgets everything received. */
  clear(): void {
    this.#chunk = EMPTY;
    this.#position = 0;
    this.#partialLength = 0;
    this.#skipping = false;
  }

  #keep(piece: Uint8Array): void {
    if (this.#skipping) return;
    const length = this.#partialLength + piece.length;
    if (length > this.#maxLength) {
      this.#skipping = true;
      this.#partialLength = 0;
      return;
    }
    if (this.#partial.length === 0) this.#partial = new Uint8Array(this.#maxLength);
    this.#partial.set(piece, this.#partialLength);
    this.#partialLength = length;
  }

  #decode(bytes: Uint8Array, start: number, end: number): string | Reply {
    // Eight at a time: 390 ns for a line of 35 bytes on Deno, where a TextDecoder takes 970 and one at a time 770.
    let text = "";
    let i = start;
    for (; i + 8 <= end; i += 8) {
      const a = bytes[i]!, b = bytes[i + 1]!, c = bytes[i + 2]!, d = bytes[i + 3]!;
      const e = bytes[i + 4]!, f = bytes[i + 5]!, g = bytes[i + 6]!, h = bytes[i + 7]!;
      if ((a | b | c | d | e | f | g | h) > 0x7f) return this.#decodeUtf8(bytes.subarray(start, end));
      text += String.fromCharCode(a, b, c, d, e, f, g, h);
    }
    for (; i < end; i++) {
      const byte = bytes[i]!;
      if (byte > 0x7f) return this.#decodeUtf8(bytes.subarray(start, end));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** Malformed bytes are never replaced: an address must not become another one. */
  #decodeUtf8(bytes: Uint8Array): string | Reply {
    try {
      return this.#text.decode(bytes);
    } catch {
      return NOT_UTF8;
    }
  }
}
