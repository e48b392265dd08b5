/**
 * Cuts what a client sends into command lines.
 *
 * @module
 */
import { Reply } from "../core/reply.ts";

const LF = 0x0a;
const CR = 0x0d;

const EMPTY: Uint8Array = new Uint8Array(0);

/** Refuses a line that is too long. */
export const TOO_LONG: Reply = new Reply(500, "Line is too long", { enhancedCode: "5.5.2" });
const BARE_LINE_FEED: Reply = new Reply(500, "Line does not end with CR LF", { enhancedCode: "5.5.2" });
const NOT_UTF8: Reply = new Reply(500, "Line is not UTF-8", { enhancedCode: "5.5.2" });

/** How many bytes of one line are read and thrown away at most: as many as of a message that is too large. Our choice. */
export const MAX_UNENDED = 1024 * 1024;

/** How many bytes of a refused line are reported: a verb of four letters, and the byte after it. */
const START_LENGTH = 5;

/** A line that is not a command line at all. */
export interface RefusedLine {
  /** Why. */
  readonly reply: Reply;
  /** Its first bytes, one character each: enough to tell whether content follows it. */
  readonly start: string;
  /** Whether it has had no end for so long that reading on is useless. */
  readonly endless?: boolean;
}

/**
 * Cuts a client's bytes into command lines, without looking further than the next line: the bytes after `DATA` or
 * `STARTTLS` may not be lines at all. It keeps at most one line.
 *
 * Only CR LF ends a line (RFC 5321, section 2.3.8). A line feed alone refuses the line that it is in, up to its CR LF: what
 * follows it must not become a command, because whoever put it there, in an address for example, is somebody other than
 * the client (SMTP command injection).
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
  /** Whether the byte before the next one is a CR of this line. */
  #endsWithCr = false;
  /** Inside a line that is refused: its bytes are dropped up to its end. */
  #skipping = false;
  /** Whether the line that is refused has had its reply. */
  #told = false;
  /** How many bytes of a line without an end have been read. */
  #unended = 0;
  /** How many lines were returned. */
  #count = 0;
  /** How the line that is refused begins. */
  #refusedStart = "";

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

  /** How many lines have ended so far. */
  get count(): number {
    return this.#count;
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
   * @returns The line without its line end; `undefined` if more bytes are needed; a `RefusedLine` if the line is too long,
   * holds a line feed without a CR before it or is not UTF-8. The line after it comes next. After one that is `endless`
   * nothing comes.
   */
  next(): string | RefusedLine | undefined {
    const chunk = this.#chunk;
    for (;;) {
      const start = this.#position;
      const lineFeed = start < chunk.length ? chunk.indexOf(LF, start) : -1;
      if (lineFeed === -1) {
        if (start < chunk.length) this.#keep(chunk.subarray(start));
        this.#chunk = EMPTY;
        this.#position = 0;
        this.#unended += chunk.length - start;
        return this.#unended > MAX_UNENDED ? this.#endless() : undefined;
      }
      const end = this.#position = lineFeed + 1;
      const afterCr = lineFeed > start ? chunk[lineFeed - 1] === CR : this.#endsWithCr;
      const tooLong = this.#partialLength + end - start > this.#maxLength;
      if (!afterCr && !this.#bareLineFeeds) {
        this.#unended += end - start;
        if (this.#skip(tooLong, chunk.subarray(start, end))) return this.#refused(BARE_LINE_FEED);
        if (this.#unended > MAX_UNENDED) return this.#endless();
        continue;
      }
      this.#count++;
      if (this.#skipping || tooLong) {
        const told = this.#told;
        this.#beginSkipping(chunk.subarray(start, end));
        this.#startLine();
        if (told) continue;
        return this.#refused(TOO_LONG);
      }
      const lineEnd = afterCr ? 2 : 1;
      if (this.#partialLength === 0) return this.#decode(chunk, start, end - lineEnd);
      this.#keep(chunk.subarray(start, end));
      const length = this.#partialLength;
      this.#startLine();
      return this.#decode(this.#partial, 0, length - lineEnd);
    }
  }

  /** Forgets everything received. */
  clear(): void {
    this.#chunk = EMPTY;
    this.#position = 0;
    this.#startLine();
  }

  #startLine(): void {
    this.#partialLength = this.#unended = 0;
    this.#endsWithCr = this.#skipping = this.#told = false;
  }

  /**
   * Drops the rest of a line at a line feed that does not end it. Somebody who types at a terminal has to learn at once
   * why nothing happens, so the reply does not wait for the end of the line.
   *
   * @returns Whether the line is to be refused now: one reply for each line.
   */
  #skip(tooLong: boolean, piece: Uint8Array): boolean {
    const tell = !this.#skipping && !tooLong;
    this.#beginSkipping(piece);
    this.#endsWithCr = false;
    this.#told ||= tell;
    return tell;
  }

  /** Drops the line so far, and remembers how it began: in an earlier chunk or with this piece. */
  #beginSkipping(piece: Uint8Array): void {
    if (this.#skipping) return;
    const kept = this.#partial.subarray(0, Math.min(this.#partialLength, START_LENGTH));
    this.#refusedStart = String.fromCharCode(...kept, ...piece.subarray(0, START_LENGTH - kept.length));
    this.#partialLength = 0;
    this.#skipping = true;
  }

  #refused(reply: Reply): RefusedLine {
    return { reply, start: this.#refusedStart };
  }

  #endless(): RefusedLine {
    return { reply: TOO_LONG, start: this.#refusedStart, endless: true };
  }

  #keep(piece: Uint8Array): void {
    this.#endsWithCr = piece[piece.length - 1] === CR;
    if (this.#skipping) return;
    const length = this.#partialLength + piece.length;
    if (length > this.#maxLength) return this.#beginSkipping(piece);
    if (this.#partial.length === 0) this.#partial = new Uint8Array(this.#maxLength);
    this.#partial.set(piece, this.#partialLength);
    this.#partialLength = length;
  }

  #decode(bytes: Uint8Array, start: number, end: number): string | RefusedLine {
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
  #decodeUtf8(bytes: Uint8Array): string | RefusedLine {
    try {
      return this.#text.decode(bytes);
    } catch {
      return { reply: NOT_UTF8, start: String.fromCharCode(...bytes.subarray(0, START_LENGTH)) };
    }
  }
}
