/**
 * Rejects content that SMTP forbids, before it is sent.
 *
 * @module
 */
import type { Extensions } from "../core/extensions.ts";
import type { MailParameters } from "../core/parameters.ts";
import { SmtpError } from "../errors.ts";

/** What is allowed in a content. */
export interface ContentRules {
  /** Whether bytes above 127 are: not without 8BITMIME, and not if the caller says that there are none. */
  readonly eightBit: "allowed" | "not-offered" | "excluded";
  /** Whether lines of more than 998 octets are. */
  readonly longLines: boolean;
}

/** RFC 5321, section 4.5.3.1.6: 1,000 octets with the line end. Servers cut longer lines, which breaks signatures. */
const MAX_LINE_LENGTH = 998;

const CR = 0x0d;
const LF = 0x0a;

/** What kinds of bytes there are in a piece. */
export interface ByteKinds {
  /** Whether there are bytes above 127. */
  readonly eightBit: boolean;
  /** Whether there is a NUL. */
  readonly nul: boolean;
  /** How many bytes a whole message grows by when every line, the last too, gets CRLF as its end. */
  readonly growth: number;
}

/** Looks at a content piece by piece. */
export class ContentCheck {
  readonly #rules: ContentRules;
  /** How many bytes of the line that is not complete have come. */
  #column = 0;
  /** Whether the last byte was a CR: a following LF belongs to the same line end. */
  #afterCr = false;

  /** @param rules What is allowed. */
  constructor(rules: ContentRules) {
    this.#rules = rules;
  }

  /**
   * Looks at the next piece.
   *
   * @param piece Any part of the content.
   * @param kinds What kinds of bytes are in it, if that is known.
   * @throws {SmtpError} `"invalid-message"` or `"extension-missing"`.
   */
  push(piece: Uint8Array, kinds: ByteKinds = findKinds(piece)): void {
    if (kinds.nul) {
      throw invalid("Cannot send: the message has a NUL byte in it, which only BINARYMIME allows (RFC 5322)");
    }
    if (kinds.eightBit && this.#rules.eightBit !== "allowed") {
      throw this.#rules.eightBit === "excluded" ? notSevenBit() : needsEightBitMime();
    }
    if (!this.#rules.longLines) this.#measure(piece);
  }

  /** In jumps of 998 bytes, back to the last line end: most of the content is never touched, 64 KiB take 1 us. */
  #measure(piece: Uint8Array): void {
    let start = this.#afterCr && piece[0] === LF ? 1 : 0;
    while (start < piece.length) {
      // Where the line has to end at the latest.
      const latest = start + MAX_LINE_LENGTH - this.#column;
      const last = Math.min(latest, piece.length - 1);
      let end = last;
      while (end >= start && piece[end] !== LF && piece[end] !== CR) end--;
      if (end >= start) {
        this.#column = 0;
        start = end + (piece[end] === CR && piece[end + 1] === LF ? 2 : 1);
      } else if (last < latest) {
        this.#column += piece.length - start;
        break;
      } else {
        throw invalid(
          `Cannot send: the message has a line of more than ${MAX_LINE_LENGTH} octets (RFC 5321); ` +
            'encode it as quoted-printable or base64, or set lineLength to "allow"',
        );
      }
    }
    if (piece.length > 0) this.#afterCr = piece[piece.length - 1] === CR;
  }
}

/** What is taken from each byte of a word to find those below 0x0E: NUL, CR, LF, and hardly anything else in text. */
const LIMITS = 0x0e0e0e0e;

/**
 * Looks for bytes above 127, for NUL and for line ends that are not CRLF, four bytes at a time. Text takes 0.4 us a KiB; to
 * look for line ends only when SIZE is written would take as long again.
 */
export function findKinds(bytes: Uint8Array): ByteKinds {
  const { length } = bytes;
  const aligned = Math.min(-bytes.byteOffset & 3, length);
  const count = (length - aligned) >> 2;
  // Of a view that ends before it is aligned nothing is left.
  const words = new Int32Array(bytes.buffer, count === 0 ? 0 : bytes.byteOffset + aligned, count);
  let high = 0;
  let nul = 0;
  let growth = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    high |= word;
    // The highest bit of a byte is set where that byte is below 0x0E. (`~word` keeps bytes above 127 out of it.)
    if (((word - LIMITS) & ~word & 0x80808080) === 0) continue;
    nul |= equal(word, 0);
    const lf = equal(word, 0x0a0a0a0a);
    const cr = equal(word, 0x0d0d0d0d);
    const before = i > 0 && words[i - 1]! >>> 24 === CR ? 1 : 0;
    growth += count4(lf | cr) - 2 * count4(((cr << 8) | before) & lf);
  }
  // The few bytes before and after the words, and the pairs that cross their borders.
  const end = aligned + count * 4;
  for (let i = 0; i < length; i++) {
    if (i === aligned) {
      if (count > 0 && i > 0 && bytes[i] === LF && bytes[i - 1] === CR) growth -= 2;
      i = end;
      if (i === length) break;
    }
    const byte = bytes[i]!;
    high |= byte;
    if (byte === 0) nul = 1;
    else if (byte === LF) growth += bytes[i - 1] === CR ? -1 : 1;
    else if (byte === CR) growth++;
  }
  const last = bytes[length - 1];
  if (length > 0 && last !== LF && last !== CR) growth += 2;
  return { eightBit: (high & 0x80808080) !== 0, nul: nul !== 0, growth };
}

/** 1 in each byte of a word that is the same as in the other. */
function equal(word: number, other: number): number {
  const difference = word ^ other;
  return (~(((difference & 0x7f7f7f7f) + 0x7f7f7f7f) | difference) & 0x80808080) >>> 7;
}

/** How many of the four bytes are 1. */
function count4(ones: number): number {
  return Math.imul(ones, 0x01010101) >>> 24;
}

/** The server takes ASCII only. */
export function needsEightBitMime(): SmtpError {
  return new SmtpError(
    "extension-missing",
    "Cannot send: the message has bytes above 127 and the server does not offer 8BITMIME; `encode` converts it",
    { phase: "content", usable: true },
  );
}

/** The caller has said that there are no such bytes. */
export function notSevenBit(): SmtpError {
  return invalid('Cannot send: body is "7bit" and the message has bytes above 127');
}

/**
 * What is allowed in a content.
 *
 * @param body What the caller says that it is.
 * @param lineLength What the caller wants with long lines.
 * @param extensions What the server offers.
 * @returns The rules; `undefined` if anything is.
 */
export function rulesFor(
  body: MailParameters["body"],
  lineLength: "error" | "allow",
  extensions: Extensions,
): ContentRules | undefined {
  if (body === "binarymime") return undefined;
  const eightBit = body === "7bit" ? "excluded" : extensions.eightBitMime ? "allowed" : "not-offered";
  return { eightBit, longLines: lineLength === "allow" };
}

function invalid(message: string): SmtpError {
  return new SmtpError("invalid-message", message, { phase: "content", usable: true });
}
