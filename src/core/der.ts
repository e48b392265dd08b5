/**
 * Reads values in DER (X.690), just as much of it as certificates need.
 *
 * @module
 */

/** Tags of DER. */
export const SEQUENCE = 0x30;
/** See {@linkcode SEQUENCE}. */
export const OCTET_STRING = 0x04;
/** See {@linkcode SEQUENCE}. */
export const OBJECT_IDENTIFIER = 0x06;

/** Reads values in DER, one after the other. */
export class Der {
  readonly #bytes: Uint8Array;
  #offset = 0;

  /**
   * @param source The bytes, or a reader of which this one takes over the rest.
   */
  constructor(source: Uint8Array | Der) {
    this.#bytes = source instanceof Der ? source.#bytes.subarray(source.#offset) : source;
  }

  /** Whether there is no further value. */
  get done(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The tag of the next value; `-1` if there is none. */
  get tag(): number {
    return this.#bytes[this.#offset] ?? -1;
  }

  /** A reader for the next value's content, which must have a tag. */
  enter(tag: number): Der {
    return new Der(this.take(tag));
  }

  /** Skips the next value. */
  skip(): this {
    this.take(this.tag);
    return this;
  }

  /** The next value, an object identifier, in hexadecimal. */
  identifier(): string {
    const content = this.take(OBJECT_IDENTIFIER);
    return Array.from(content, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /**
   * The next value's content.
   *
   * @param tag The tag that it must have.
   * @throws {SyntaxError} If it has another, or is cut off.
   */
  take(tag: number): Uint8Array {
    const bytes = this.#bytes;
    let offset = this.#offset;
    // A tag that ends in 31 goes on in the bytes that follow; certificates have none.
    if (bytes[offset++] !== tag || (tag & 0x1f) === 0x1f) throw notCertificate();
    let length = bytes[offset++] ?? 0;
    if (length >= 0x80) {
      // Three bytes of length are 16 MiB: more than any certificate that TLS can carry.
      const count = length & 0x7f;
      if (count === 0 || count > 3) throw notCertificate();
      length = 0;
      for (let i = 0; i < count; i++) length = length << 8 | (bytes[offset++] ?? 0);
    }
    const end = offset + length;
    if (end > bytes.length) throw notCertificate();
    this.#offset = end;
    return bytes.subarray(offset, end);
  }
}

function notCertificate(): SyntaxError {
  return new SyntaxError("Cannot read the certificate: it is not DER, or is cut off");
}
