/**
 * Keys that sign assertions, as files have them.
 *
 * @module
 */
import { decodeBase64 } from "../sasl/base64.ts";
import { TokenError } from "./token_error.ts";

/** How an assertion is signed (RFC 7518, section 3.1). */
export type SigningAlgorithm = "RS256" | "PS256" | "ES256";

const ALGORITHMS: Readonly<Record<SigningAlgorithm, RsaHashedImportParams | EcKeyImportParams>> = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
};

/**
 * Imports a private key.
 *
 * @param der The key (PKCS #8, DER).
 * @param algorithm What it is for. Default: what fits, RSA taken for `"RS256"`.
 * @returns The key, which cannot be exported.
 * @throws {TokenError} `"key-unusable"` if it is no such key.
 */
export async function importPrivateKey(
  der: Uint8Array<ArrayBuffer>,
  algorithm?: SigningAlgorithm,
): Promise<CryptoKey> {
  const candidates: readonly SigningAlgorithm[] = algorithm === undefined ? ["RS256", "ES256"] : [algorithm];
  for (const candidate of candidates) {
    try {
      return await crypto.subtle.importKey("pkcs8", der, ALGORITHMS[candidate], false, ["sign"]);
    } catch {
      // The next may fit. What the runtime says of a key is nobody's business.
    }
  }
  throw new TokenError("key-unusable", `The private key is none for ${candidates.join(" or ")}`);
}

/**
 * Reads the first block of a kind in a PEM text (RFC 7468).
 *
 * @param what What it is, for the error, which does not show the text.
 * @param label The kind: `"PRIVATE KEY"` or `"CERTIFICATE"`.
 * @param text The text. Line ends may be written `\n`, as in environment variables.
 * @returns Its bytes.
 * @throws {TypeError} If there is none.
 */
export function decodePem(what: string, label: string, text: string): Uint8Array<ArrayBuffer> {
  const begin = `-----BEGIN ${label}-----`;
  const start = text.indexOf(begin);
  const end = start < 0 ? -1 : text.indexOf(`-----END ${label}-----`, start);
  if (end < 0) throw new TypeError(`Cannot read the ${what}: it must be PEM with "${begin}"${hint(text)}`);
  const lines = text.slice(start + begin.length, end).replaceAll("\\r", "").replaceAll("\\n", "");
  try {
    return new Uint8Array(decodeBase64(lines.replaceAll(/\s/g, "")));
  } catch {
    throw new TypeError(`Cannot read the ${what}: what stands in the PEM is not base64`);
  }
}

function hint(text: string): string {
  return /BEGIN (?:RSA|EC|ENCRYPTED) PRIVATE KEY/.test(text)
    ? '; "openssl pkcs8 -topk8 -nodes" makes one of what was given'
    : "";
}
