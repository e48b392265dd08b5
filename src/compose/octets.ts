/**
 * What kinds of octets there are in a body (RFC 2045, sections 2.7 to 2.9).
 *
 * @module
 */

const CR = 0x0d;
const LF = 0x0a;

/** The longest line of 7bit and 8bit data (RFC 2045, section 2.7). */
const MAX_LINE_LENGTH = 998;

/** Looks at octets piece by piece. */
export class OctetCount {
  /** How many there were. */
  total = 0;
  /** How many have no place in 7bit data: above 127, and NUL. */
  foreign = 0;
  /** How many quoted-printable writes with three characters. */
  escaped = 0;
  /** Whether a CR or LF stood alone. */
  bareEnds = false;
  /** Whether a line was longer than 998 octets. */
  longLines = false;
  #column = 0;
  #last = 0;

  /**
   * Looks at the next piece.
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

  /** Whether a CR at the end stands alone: known only there. */
  end(): void {
    if (this.#last === CR) this.bareEnds = true;
  }
}

/**
 * Tells whether all octets are below 128.
 *
 * @param octets The octets.
 * @returns Whether they are.
 */
export function isAsciiOnly(octets: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < octets.length; i++) bits |= octets[i]!;
  return bits < 0x80;
}

/** Makes every line end CRLF, piece by piece: an encoded text has no other (RFC 2045, section 6.8). */
export class LineEnds {
  #afterCr = false;

  /**
   * Does the next piece.
   *
   * @param piece The piece.
   * @returns It, with its line ends.
   */
  push(piece: Uint8Array): Uint8Array {
    const out = new Uint8Array(piece.length * 2);
    let length = 0;
    for (const octet of piece) {
      if (octet === LF) {
        if (this.#afterCr) {
          this.#afterCr = false;
          continue; // written with its CR
        }
        out[length++] = CR;
        out[length++] = LF;
      } else {
        this.#afterCr = octet === CR;
        out[length++] = octet;
        if (octet === CR) out[length++] = LF;
      }
    }
    return out.subarray(0, length);
  }
}
