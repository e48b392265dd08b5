/**
 * PLAIN (RFC 4616).
 *
 * @module
 */
import type { ClientFirstMechanism, PasswordCredentials } from "./mechanism.ts";
import type { ServerMechanism, ServerStep } from "./server_mechanism.ts";
import { decodeUtf8, isProper } from "./text.ts";

/**
 * PLAIN: name and password in one response. Only under TLS.
 *
 * Both are sent unchanged: the server prepares them for comparison (RFC 4616, section 2).
 *
 * @param credentials The user's name and password, and the name to act as. None may contain NUL (RFC 4616, section 2).
 * @returns The mechanism.
 * @throws {TypeError} If one contains NUL.
 */
export function plain(credentials: PasswordCredentials): ClientFirstMechanism {
  const { user, pass, authzid = "" } = credentials;
  // The response separates its parts with NUL: a NUL inside would shift name and password.
  if (user.includes("\0") || pass.includes("\0") || authzid.includes("\0")) {
    throw new TypeError("Cannot authenticate with PLAIN: the user, the password or the authzid contains NUL");
  }
  return {
    name: "PLAIN",
    initialResponse: new TextEncoder().encode(`${authzid}\0${user}\0${pass}`),
    respond(): never {
      throw new Error("Cannot answer a second challenge: PLAIN has only one response");
    },
  };
}

/**
 * The server's half of PLAIN.
 *
 * @returns The mechanism, for one attempt.
 */
export function plainServer(): ServerMechanism {
  return {
    name: "PLAIN",
    respond(response: Uint8Array | undefined): ServerStep {
      if (response === undefined) return { kind: "challenge", challenge: new Uint8Array() };
      const parts = decodeUtf8(response)?.split("\0");
      if (parts?.length !== 3 || !parts.every(isProper)) return { kind: "malformed" };
      const [authzid, user, pass] = parts as [string, string, string];
      // Nobody can act for another user here, and ignoring the request would be a surprise (RFC 4616, section 2).
      if (user === "" || (authzid !== "" && authzid !== user)) return { kind: "refused" };
      return { kind: "credentials", user, pass };
    },
  };
}
