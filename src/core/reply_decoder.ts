/**
 * Finds replies in a server's bytes (RFC 5321, section 4.2).
 *
 * @module
 */
import { mustBe, show } from "./errors.ts";
import { ProtocolError } from "./errors.ts";
import { type Reply, replyFromWire } from "./reply.ts";
import { decodeText } from "./reply_text.ts";

const LF = 0x0a;
const CR = 0x0d;
const HYPHEN = 0x2d;
const ZERO = 0x30;

/** Options of {@linkcode ReplyDecoder}: its limits. */
export interface ReplyDecoderOptions {
  /** The longest line accepted, in bytes with its line end. Default: 12,288. */
  maxLineLength?: number | undefined;
  /**
   * The longest reply accepted, in bytes with all codes and line ends. The number of lines has no limit of its own.
   * Default: 262,144.
   */
  maxReplyLength?: number | undefined;
}

/**
 * RFC 5321, section 4.5.3.1.5, says 512. Servers put whole URLs and policies into a line, and the challenge of a SASL
 * mechanism is as long as the response to it, for which RFC 4954, section 4, allows 12,288.
 */
const MAX_LINE_LENGTH = 12_288;

/** 512 lines of the 512 bytes of RFC 5321, section 4.5.3.1.5: long enough for HELP, and for a list from EXPN. */
const MAX_REPLY_LENGTH = 262_144;

/** Chunks are copied into slabs of at least this size. A reply whose text nobody has read yet keeps its slab alive. */
const SLAB_SIZE = 4_096;

/**
 * Finds the replies in a server's bytes, however they are split into chunks.
 *
 * It reads replies as servers write them:
 *
 * - A line ends at CRLF or at a bare LF.
 * - The three digits decide. A hyphen right after them means that more lines follow; anything else means that this is the
 *   last one: nothing at all (`250`, RFC 5321, section 4.2), a space, a tab (`250<TAB>Ok`), text (`250Ok`). Only a fourth
 *   digit is an error: nobody can say which three of them are the code. One hyphen, space or tab after the code is not
 *   part of the text.
 * - The lines of one reply should have the same code (section 4.2.1). Where only the later digits differ, the code of the
 *   last line counts, as in Postfix. Where the first digit differs (`554-no`, `250 or yes`) nobody can say whether the
 *   server did what it was asked to do: that is an error.
 * - Text is UTF-8; `Reply.bytes` gives what is not.
 *
 * @example
 * ```ts
 * import { ReplyDecoder } from "@streams/smtp/streams";
 *
 * const decoder = new ReplyDecoder();
 * decoder.push(new TextEncoder().encode("250-mx.test\r\n250 SIZE 10"));
 * console.log(decoder.next()); // undefined
 * decoder.push(new TextEncoder().encode("00\r\n"));
 * console.log(decoder.next()?.lines); // ["mx.test", "SIZE 1000"]
 * ```
 */
export class ReplyDecoder {
  readonly #maxLineLength: number;
  readonly #maxReplyLength: number;
  /** Only ever written after `#end`, because replies whose text was not read yet point into it. */
  #bytes: Uint8Array = new Uint8Array(SLAB_SIZE);
  /** The indices at which the current reply begins, its last line begins, the search for a line end continues, the bytes end. */
  #start = 0;
  #line = 0;
  #scanned = 0;
  #end = 0;
  #failure: ProtocolError | undefined;

  /**
   * Makes a decoder for one connection. After STARTTLS, make a new one.
   *
   * @param options The limits.
   * @throws {RangeError} If a limit is not a whole number from 1 up.
   */
  constructor(options?: ReplyDecoderOptions) {
    this.#maxLineLength = limit("maxLineLength", options?.maxLineLength, MAX_LINE_LENGTH);
    this.#maxReplyLength = limit("maxReplyLength", options?.maxReplyLength, MAX_REPLY_LENGTH);
  }

  /** How many bytes were received that are not part of a reply already returned. */
  get bufferedLength(): number {
    return this.#end - this.#start;
  }

  /**
   * Takes bytes from the server, of any length, split anywhere. Call {@linkcode next} afterwards until it returns
   * `undefined`.
   *
   * @param chunk The bytes. They are copied; after a failure they are dropped.
   */
  push(chunk: Uint8Array): void {
    if (this.#failure !== undefined) return;
    const length = chunk.length;
    if (length > this.#bytes.length - this.#end) this.#makeRoom(length);
    const bytes = this.#bytes;
    const end = this.#end;
    // A call of set() costs as much as copying a short reply.
    if (length > 32) bytes.set(chunk, end);
    else for (let i = 0; i < length; i++) bytes[end + i] = chunk[i]!;
    this.#end = end + length;
  }

  /**
   * Returns the next reply.
   *
   * @returns The reply, or `undefined` when it needs more bytes.
   * @throws {ProtocolError} If the bytes are not a reply, or a line or a reply is too long. Every later call throws it too.
   */
  next(): Reply | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const bytes = this.#bytes;
    const end = this.#end;
    let line = this.#line;
    let i = this.#scanned;
    while (i < end) {
      const limit = line + this.#maxLineLength;
      const stop = limit < end ? limit : end;
      while (i < stop && bytes[i] !== LF) i++;
      if (i === limit) this.#fail(`A line of the reply is longer than ${this.#maxLineLength} bytes`);
      if (i === end) break;
      const textEnd = i > line && bytes[i - 1] === CR ? i - 1 : i;
      const code = codeAt(bytes, line, textEnd);
      if (code < 200) this.#failAt(line, textEnd);
      if (bytes[line] !== bytes[this.#start]) this.#failBetween(this.#start, code);
      const more = bytes[line + 3] === HYPHEN;
      line = ++i;
      if (i - this.#start > this.#maxReplyLength) break;
      if (more) continue;
      const reply = replyFromWire(code, bytes, this.#start, i);
      this.#start = this.#line = this.#scanned = i;
      return reply;
    }
    if (i - this.#start > this.#maxReplyLength) {
      this.#fail(`The reply is longer than ${this.#maxReplyLength} bytes`);
    }
    // A peer that speaks TLS or an unknown protocol may never send a line end: fail as soon as it is clear.
    if (codeAt(bytes, line, end) === 0) this.#failAt(line, end);
    this.#line = line;
    this.#scanned = i;
    return undefined;
  }

  /**
   * Ends the input: the server has closed the connection.
   *
   * @throws {ProtocolError} If a reply has arrived only in part.
   */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.bufferedLength > 0) {
      this.#fail(`The connection ended within a reply: ${this.#show(this.#start, this.#end)}`);
    }
  }

  /** Makes room for more bytes, in new memory. It doubles, so that a reply that arrives byte by byte is not copied each time. */
  #makeRoom(length: number): void {
    const pending = this.#end - this.#start;
    const bytes = new Uint8Array(Math.max(SLAB_SIZE, 2 * pending, pending + length));
    bytes.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = bytes;
    this.#line -= this.#start;
    this.#scanned -= this.#start;
    this.#start = 0;
    this.#end = pending;
  }

  #failAt(start: number, end: number): never {
    // The first bytes of a TLS record: handshake or alert, version 3.x.
    const tls = this.#bytes[start]! >= 0x14 && this.#bytes[start]! <= 0x17 && this.#bytes[start + 1] === 0x03;
    this.#fail(`A line is ${tls ? "TLS and " : ""}not an SMTP reply: ${this.#show(start, end)}`);
  }

  #failBetween(start: number, code: number): never {
    const first = codeAt(this.#bytes, start, start + 3);
    this.#fail(`The lines of a reply contradict each other: ${first}, then ${code}`);
  }

  #fail(message: string): never {
    this.#failure = new ProtocolError(message);
    throw this.#failure;
  }

  #show(start: number, end: number): string {
    return show(decodeText(this.#bytes, start, Math.min(end, start + 256)));
  }
}

function limit(name: string, value: number | undefined, standard: number): number {
  if (value === undefined) return standard;
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(
      mustBe("decode replies", name, "a whole number from 1 up", value),
    );
  }
  return value;
}

/**
 * Reads the code at the start of a line: 0 if there is none, 1 if the line ends before the code is complete. Four digits
 * are no code.
 */
function codeAt(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length === 0) return 1;
  const first = bytes[start]! - ZERO;
  if (first < 2 || first > 5) return 0;
  if (length === 1) return 1;
  const second = bytes[start + 1]! - ZERO;
  if (second < 0 || second > 9) return 0;
  if (length === 2) return 1;
  const third = bytes[start + 2]! - ZERO;
  if (third < 0 || third > 9) return 0;
  if (length > 3 && bytes[start + 3]! >= ZERO && bytes[start + 3]! < ZERO + 10) return 0;
  return first * 100 + second * 10 + third;
}
