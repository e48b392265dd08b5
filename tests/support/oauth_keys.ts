/**
 * Keys to sign assertions with.
 * @module
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** A pair of keys. */
export interface AssertionKeys {
  /** The private key, PEM (PKCS #8). */
  pem: string;
  /** The private key, which signs. */
  privateKey: CryptoKey;
  /** The public key, which verifies. */
  publicKey: CryptoKey;
}

const RSA = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" };

const ALGORITHMS: Record<string, RsaHashedKeyGenParams | EcKeyGenParams> = {
  RS256: { name: "RSASSA-PKCS1-v1_5", ...RSA },
  PS256: { name: "RSA-PSS", ...RSA },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
};

/** Makes keys. */
export async function makeKey(algorithm: "RS256" | "PS256" | "ES256"): Promise<AssertionKeys> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(ALGORITHMS[algorithm]!, true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const der = await crypto.subtle.exportKey("pkcs8", privateKey);
  return { pem: x509.PemConverter.encode(der, "PRIVATE KEY"), privateKey, publicKey };
}

/** The thumbprint of a certificate as `x5t#S256` has it (RFC 7515, section 4.1.8). */
export async function thumbprintOf(pem: string): Promise<string> {
  const digest = await new x509.X509Certificate(pem).getThumbprint("SHA-256");
  return btoa(String.fromCharCode(...new Uint8Array(digest)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
