/**
 * Counts the kinds of octets in a body (RFC 2045, sections 2.7 to 2.9), and normalizes its line ends.
 *
 * @module
 */

const CR = 0x0d;
const LF = 0x0a;

/** The longest line of 7bit and 8bit data (RFC 2045, section 2.7). */
const MAX_LINE_LENGTH = 998;

/** Counts octets, piece by piece. */
export class OctetCount {
  /** The number of octets. */
  total = 0;
  /** The number of octets that 7bit data cannot have: those above 127, and NUL. */
  foreign = 0;
  /** The number of octets that take three characters in quoted-printable. */
  escaped = 0;
  /** Whether there was a CR without an LF, or an LF without a CR. */
  bareEnds = false;
  /** Whether there was a line of more than 998 octets. */
  longLines = false;
  #column = 0;
  #last = 0;

  /**
   * Counts the next piece.
   *
   * @param piece The piece.
   */
  push(piece: Uint8Array): void {
    for (const octet of piece) {
      if (octet === LF) {
        if (this.#last !== CR) this.bareEnds = true;
        this.#column = 0;
      } else {
        if (this.#last === CR) {
          this.bareEnds = true;
          this.#column = 0;
        }
        if (octet > 0x7e || octet === 0) {
          if (octet !== 0x7f) this.foreign++;
          this.escaped++;
        } else if (octet === 0x3d || (octet < 0x20 && octet !== 0x09 && octet !== CR)) this.escaped++;
        if (octet !== CR && ++this.#column > MAX_LINE_LENGTH) this.longLines = true;
      }
      this.#last = octet;
    }
    this.total += piece.length;
  }

  /** Ends the count: a CR at the very end has no LF. */
  end(): void {
    if (this.#last === CR) this.bareEnds = true;
  }
}

/**
 * Tells whether all octets are ASCII.
 *
 * @param octets The octets.
 */
export function isAsciiOnly(octets: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < octets.length; i++) bits |= octets[i]!;
  return bits < 0x80;
}

/**
 * Ends every line with CRLF, as encoded text must (RFC 2045, section 6.8).
 *
 * @param body The body in pieces.
 * @returns The same with CRLF for each CR, LF and CRLF.
 */
export async function* withCrlf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  let afterCr = false;
  for await (const piece of body) {
    const out = new Uint8Array(piece.length * 2);
    let length = 0;
    for (const octet of piece) {
      if (octet === LF) {
        if (afterCr) {
          afterCr = false;
          continue; // was written with its CR
        }
        out[length++] = CR;
        out[length++] = LF;
      } else {
        afterCr = octet === CR;
        out[length++] = octet;
        if (octet === CR) out[length++] = LF;
      }
    }
    if (length > 0) yield out.subarray(0, length);
  }
}
