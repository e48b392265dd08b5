/**
 * PLAIN (RFC 4616).
 *
 * @module
 */
import type { PasswordCredentials, SaslMechanism } from "./mechanism.ts";

/**
 * PLAIN: name and password in one response. Only under TLS.
 *
 * @param credentials The user's name and password. Neither may contain NUL (RFC 4616, section 2).
 * @returns The mechanism.
 * @throws {TypeError} If one contains NUL.
 */
export function plain(credentials: PasswordCredentials): SaslMechanism {
  const { user, pass } = credentials;
  // The response separates its parts with NUL: a NUL inside would shift name and password.
  if (user.includes("\0") || pass.includes("\0")) {
    throw new TypeError("Cannot authenticate with PLAIN: the user or the password contains NUL");
  }
  return {
    name: "PLAIN",
    initialResponse: new TextEncoder().encode(`\0${user}\0${pass}`),
    respond(): never {
      throw new Error("Cannot answer a second challenge: PLAIN has only one response");
    },
  };
}
