/**
 * LOGIN (draft-murchison-sasl-login), which only old servers still need.
 *
 * @module
 */
import type { PasswordCredentials, SaslMechanism } from "./mechanism.ts";

/**
 * LOGIN: the name, then the password, each asked for. Only under TLS.
 *
 * What the challenges say is not looked at: servers write "Username:", "User Name" and other things.
 *
 * @param credentials The user's name and password.
 * @returns The mechanism.
 */
export function login(credentials: PasswordCredentials): SaslMechanism {
  const encoder = new TextEncoder();
  const responses = [encoder.encode(credentials.user), encoder.encode(credentials.pass)];
  return {
    name: "LOGIN",
    respond(): Uint8Array {
      const response = responses.shift();
      if (response === undefined) {
        throw new Error("Cannot answer a third challenge: LOGIN asks for a name and a password");
      }
      return response;
    },
  };
}
