/**
 * The arithmetic of SCRAM (RFC 5802, section 3), on WebCrypto.
 *
 * @module
 */

/** The hash function of a SCRAM mechanism, by its WebCrypto name. */
export type ScramHash = "SHA-1" | "SHA-256" | "SHA-512";

/** Length of the hash functions' results, in bits. */
const BITS: Readonly<Record<ScramHash, number>> = { "SHA-1": 160, "SHA-256": 256, "SHA-512": 512 };

/** The proofs of both sides. */
interface ScramProofs {
  /** Proves that the client knows the password. */
  readonly clientProof: Uint8Array;
  /** Proves that the server knows the password's hash. */
  readonly serverSignature: Uint8Array;
}

/** The input of the proofs. */
interface ScramSecrets {
  /** The prepared password. */
  readonly password: string;
  /** The salt that the server keeps. */
  readonly salt: Uint8Array;
  /** The number of times that the hash function is applied. */
  readonly iterations: number;
  /** All messages so far, as `AuthMessage`. */
  readonly authMessage: string;
}

/**
 * Computes the proof that the client sends and the one that the server has to send.
 *
 * @param hash The hash function.
 * @param secrets The input of the proofs.
 * @returns Both proofs.
 */
export async function computeProofs(hash: ScramHash, secrets: ScramSecrets): Promise<ScramProofs> {
  const { password, salt, iterations, authMessage } = secrets;
  const encoder = new TextEncoder();
  const material = await crypto.subtle.importKey("raw", encoder.encode(password), "PBKDF2", false, [
    "deriveBits",
  ]);
  const saltedPassword = new Uint8Array(
    await crypto.subtle.deriveBits(
      { name: "PBKDF2", hash, salt: new Uint8Array(salt), iterations },
      material,
      BITS[hash],
    ),
  );
  const message = encoder.encode(authMessage);
  const clientKey = await hmac(hash, saltedPassword, encoder.encode("Client Key"));
  const storedKey = new Uint8Array(await crypto.subtle.digest(hash, clientKey));
  const clientSignature = await hmac(hash, storedKey, message);
  const serverKey = await hmac(hash, saltedPassword, encoder.encode("Server Key"));
  return {
    clientProof: clientKey.map((byte, i) => byte ^ clientSignature[i]!),
    serverSignature: await hmac(hash, serverKey, message),
  };
}

async function hmac(
  hash: ScramHash,
  key: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

/**
 * Compares bytes in a time that does not depend on where they differ.
 *
 * @param a Some bytes.
 * @param b Other bytes.
 * @returns Whether they are the same.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
