/**
 * LOGIN (draft-murchison-sasl-login), which only old servers and clients still need.
 *
 * @module
 */
import type { PasswordCredentials, SaslMechanism } from "./mechanism.ts";
import type { ServerMechanism, ServerStep } from "./server_mechanism.ts";
import { decodeUtf8, isProper } from "./text.ts";

/**
 * LOGIN: the server asks for the name, then for the password. Only under TLS.
 *
 * The words of the challenges do not matter: servers write "Username:", "User Name" and other things, and not all of
 * them in base64.
 *
 * @param credentials The user's name and password.
 * @returns The mechanism.
 */
export function login(credentials: PasswordCredentials): SaslMechanism {
  const encoder = new TextEncoder();
  const responses = [encoder.encode(credentials.user), encoder.encode(credentials.pass)];
  return {
    name: "LOGIN",
    acceptsAnyChallenge: true,
    respond(): Uint8Array {
      const response = responses.shift();
      if (response === undefined) {
        throw new Error("Cannot answer a third challenge: LOGIN asks for a name and a password");
      }
      return response;
    },
  };
}

/**
 * The server's half of LOGIN.
 *
 * @returns The mechanism, for one attempt.
 */
export function loginServer(): ServerMechanism {
  const ask = (text: string): ServerStep => ({
    kind: "challenge",
    challenge: new TextEncoder().encode(text),
  });
  let user: string | undefined;
  return {
    name: "LOGIN",
    respond(response: Uint8Array | undefined): ServerStep {
      if (response === undefined) return ask("Username:");
      const text = decodeUtf8(response);
      if (text === undefined || !isProper(text)) return { kind: "malformed" };
      if (user === undefined) {
        user = text;
        return ask("Password:");
      }
      return user === "" ? { kind: "refused" } : { kind: "credentials", user, pass: text };
    },
  };
}
