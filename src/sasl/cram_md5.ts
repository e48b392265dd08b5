/**
 * CRAM-MD5 (RFC 2195).
 *
 * @module
 */
import type { PasswordCredentials, SaslMechanism } from "./mechanism.ts";

/**
 * CRAM-MD5: the client sends a hash of the password and the server's challenge, not the password. An eavesdropper can still
 * guess a weak password, and the server proves nothing: SCRAM has replaced it (RFC 5802, section 1).
 *
 * WebCrypto has no MD5: it comes from `@noble/hashes`, loaded when the challenge is answered.
 *
 * @param credentials The user's name and password.
 * @returns The mechanism.
 */
export function cramMd5(credentials: PasswordCredentials): SaslMechanism {
  const { user, pass } = credentials;
  let answered = false;
  return {
    name: "CRAM-MD5",
    async respond(challenge: Uint8Array): Promise<Uint8Array> {
      if (answered) throw new Error("Cannot answer a second challenge: CRAM-MD5 has only one");
      answered = true;
      const encoder = new TextEncoder();
      const { hmac, md5 } = await load();
      const digest = hmac(md5, encoder.encode(pass), challenge);
      const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return encoder.encode(`${user} ${hex}`);
    },
    finish(): void {
      if (!answered) throw new Error("The server has accepted a login with CRAM-MD5 without a challenge");
    },
  };
}

async function load() {
  const [{ hmac }, { md5 }] = await Promise.all([
    import("@noble/hashes/hmac.js"),
    import("@noble/hashes/legacy.js"),
  ]);
  return { hmac, md5 };
}
