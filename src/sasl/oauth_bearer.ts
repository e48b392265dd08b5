/**
 * OAUTHBEARER (RFC 7628).
 *
 * @module
 */
import { checkToken, checkUser, readRefusal } from "./bearer.ts";
import type { ClientFirstMechanism, TokenCredentials } from "./mechanism.ts";
import { escapeSaslName } from "./text.ts";

/** Options of {@linkcode oauthBearer}. */
export interface OAuthBearerOptions {
  /** The host name of the server. Default: not sent. */
  hostname?: string | undefined;
  /** The port of the server. Default: not sent. */
  port?: number | undefined;
}

/**
 * OAUTHBEARER: an OAuth 2.0 access token.
 *
 * A server that refuses it says why in a challenge, and sends its reply after the client has answered that with 0x01 (RFC
 * 7628, section 3.2.3).
 *
 * @param credentials The user's name and the token.
 * @param options The server's host name and port.
 * @returns The mechanism.
 * @throws {TypeError} If the token or the name has characters that cannot be sent.
 */
export function oauthBearer(
  credentials: TokenCredentials,
  options: OAuthBearerOptions = {},
): ClientFirstMechanism {
  const { user, accessToken } = credentials;
  const { hostname, port } = options;
  checkToken("OAUTHBEARER", accessToken);
  checkUser("OAUTHBEARER", user);
  const pairs = [
    `n,a=${escapeSaslName(user)},`,
    ...(hostname === undefined ? [] : [`host=${hostname}`]),
    ...(port === undefined ? [] : [`port=${port}`]),
    `auth=Bearer ${accessToken}`,
  ];
  let refusal: string | undefined;
  return {
    name: "OAUTHBEARER",
    initialResponse: new TextEncoder().encode(`${pairs.join("\x01")}\x01\x01`),
    acceptsAnyChallenge: true, // it is the reason of a refusal, and the reply comes only after an answer
    get refusal() {
      return refusal;
    },
    respond(challenge: Uint8Array): Uint8Array {
      if (refusal !== undefined) {
        throw new Error("Cannot answer a second challenge: OAUTHBEARER has only one");
      }
      refusal = readRefusal(challenge);
      return Uint8Array.of(1);
    },
    finish(): void {
      if (refusal !== undefined) {
        throw new Error(`The server has refused the token and accepted it: ${refusal}`);
      }
    },
  };
}
