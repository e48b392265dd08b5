/**
 * EXTERNAL (RFC 4422, appendix A).
 *
 * @module
 */
import type { ClientFirstMechanism } from "./mechanism.ts";

/**
 * EXTERNAL: the server already knows who the client is, from its certificate or its socket.
 *
 * @param authzid The name to act as. Default: none, the server derives it.
 * @returns The mechanism.
 * @throws {TypeError} If the name contains NUL.
 */
export function external(authzid = ""): ClientFirstMechanism {
  if (authzid.includes("\0")) {
    throw new TypeError("Cannot authenticate with EXTERNAL: the name to act as contains NUL");
  }
  return {
    name: "EXTERNAL",
    initialResponse: new TextEncoder().encode(authzid),
    respond(): never {
      throw new Error("Cannot answer a second challenge: EXTERNAL has only one response");
    },
  };
}
