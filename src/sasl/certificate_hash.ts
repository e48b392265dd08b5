/**
 * Finds the hash function of a certificate's signature (RFC 5280, section 4.1.1.2).
 *
 * @module
 */
import { Der, SEQUENCE } from "../core/der.ts";

/** A hash function of WebCrypto. */
type CertificateHash = "SHA-256" | "SHA-384" | "SHA-512";

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
  if (parameters.tag !== CONTEXT_0) return "SHA-256";
  return HASHES.get(new Der(new Der(parameters.enter(CONTEXT_0)).enter(SEQUENCE)).identifier());
}
