/**
 * Verifies assertions as the authorisation server does: JSON Web Tokens (RFC 7519), checked for real.
 * @module
 */

/** An assertion that is not valid. */
export class JwtError extends Error {}

const ALGORITHMS: Record<string, { name: string; verify: AlgorithmIdentifier | RsaPssParams | EcdsaParams }> =
  {
    RS256: { name: "RSASSA-PKCS1-v1_5", verify: "RSASSA-PKCS1-v1_5" },
    PS256: { name: "RSA-PSS", verify: { name: "RSA-PSS", saltLength: 32 } },
    ES256: { name: "ECDSA", verify: { name: "ECDSA", hash: "SHA-256" } },
  };

/** How long an assertion may be valid, in seconds. */
const MAX_LIFE = 3600;

/** Verifies an assertion; throws a `JwtError` that shows it, as careless servers do. */
export async function verifyJwt(
  assertion: string,
  publicKey: CryptoKey,
  { audience, now }: { audience: string; now: number },
): Promise<{ header: Record<string, unknown>; claims: Record<string, unknown> }> {
  const [head = "", payload = "", signature = ""] = assertion.split(".");
  const header = JSON.parse(new TextDecoder().decode(decode(head)));
  const claims = JSON.parse(new TextDecoder().decode(decode(payload)));
  const algorithm = ALGORITHMS[header.alg];
  if (algorithm?.name !== publicKey.algorithm.name || header.typ !== "JWT") {
    throw new JwtError(`Not signed as it should be: ${header.alg}, ${header.typ}`);
  }
  const signed = new TextEncoder().encode(`${head}.${payload}`);
  if (!await crypto.subtle.verify(algorithm.verify, publicKey, decode(signature), signed)) {
    throw new JwtError(`The signature of ${assertion} is wrong`);
  }
  const seconds = now / 1000;
  if (claims.aud !== audience) throw new JwtError(`The audience is ${claims.aud}`);
  if (!(claims.iat <= seconds && seconds < claims.exp && claims.exp - claims.iat <= MAX_LIFE)) {
    throw new JwtError(`Not now: from ${claims.iat} to ${claims.exp}`);
  }
  return { header, claims };
}

function decode(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}
