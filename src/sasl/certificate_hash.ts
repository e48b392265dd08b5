/**
 * Finds the hash function of a certificate's signature (RFC 5280, section 4.1.1.2), with just enough DER for that.
 *
 * @module
 */

/** A hash function of WebCrypto. */
type CertificateHash = "SHA-256" | "SHA-384" | "SHA-512";

const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const CONTEXT_0 = 0xa0;

/** RSASSA-PSS, which names its hash function in its parameters (RFC 4055, section 3.1). */
const RSASSA_PSS = "2a864886f70d01010a";

/**
 * Object identifiers, in hexadecimal: of signature algorithms, and of hash functions for RSASSA-PSS. SHA-256 replaces MD5
 * and SHA-1 (RFC 5929, section 4.1).
 */
const HASHES: ReadonlyMap<string, CertificateHash> = new Map([
  ["2a864886f70d010104", "SHA-256"], // md5WithRSAEncryption
  ["2a864886f70d010105", "SHA-256"], // sha1WithRSAEncryption
  ["2a864886f70d01010b", "SHA-256"], // sha256WithRSAEncryption
  ["2a864886f70d01010c", "SHA-384"],
  ["2a864886f70d01010d", "SHA-512"],
  ["2a8648ce3d0401", "SHA-256"], // ecdsa-with-SHA1
  ["2a8648ce3d040302", "SHA-256"], // ecdsa-with-SHA256
  ["2a8648ce3d040303", "SHA-384"],
  ["2a8648ce3d040304", "SHA-512"],
  ["2b0e03021a", "SHA-256"], // SHA-1
  ["608648016503040201", "SHA-256"],
  ["608648016503040202", "SHA-384"],
  ["608648016503040203", "SHA-512"],
]);

/**
 * Finds the hash function for the channel binding `tls-server-end-point`.
 *
 * @param certificate The certificate, DER.
 * @returns The hash function; `undefined` if none is defined or the platform lacks it.
 * @throws {SyntaxError} If it is not a certificate.
 */
export function certificateHash(certificate: Uint8Array): CertificateHash | undefined {
  const algorithm = new Der(new Der(certificate).enter(SEQUENCE).skip().enter(SEQUENCE));
  const name = algorithm.identifier();
  if (name !== RSASSA_PSS) return HASHES.get(name);
  const parameters = new Der(algorithm.enter(SEQUENCE));
  // The hash function is the first parameter, [0]. Default: SHA-1.
  if (!parameters.at(CONTEXT_0)) return "SHA-256";
  return HASHES.get(new Der(new Der(parameters.enter(CONTEXT_0)).enter(SEQUENCE)).identifier());
}

/** Reads values in DER, one after the other. */
class Der {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(source: Uint8Array | Der) {
    this.#bytes = source instanceof Der ? source.#bytes.subarray(source.#offset) : source;
  }

  /** Whether the next value has a tag. */
  at(tag: number): boolean {
    return this.#bytes[this.#offset] === tag;
  }

  /** A reader for the next value's content. */
  enter(tag: number): Der {
    return new Der(this.#take(tag));
  }

  /** Skips the next value. */
  skip(): this {
    this.#take(this.#bytes[this.#offset] ?? -1);
    return this;
  }

  /** The next value, an object identifier, in hexadecimal. */
  identifier(): string {
    const content = this.#take(OBJECT_IDENTIFIER);
    return Array.from(content, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  #take(tag: number): Uint8Array {
    const bytes = this.#bytes;
    let offset = this.#offset;
    if (bytes[offset++] !== tag) throw notCertificate();
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
