/**
 * XOAUTH2, the forerunner of OAUTHBEARER, as Google and Microsoft have it.
 *
 * @module
 */
import { checkToken, checkUser, readRefusal } from "./bearer.ts";
import type { ClientFirstMechanism, TokenCredentials } from "./mechanism.ts";

/**
 * XOAUTH2: an OAuth 2.0 access token, as in https://developers.google.com/gmail/imap/xoauth2-protocol.
 *
 * A server that refuses it says why in a challenge, and sends its reply after the client has answered that with an empty
 * response.
 *
 * @param credentials The user's name and the token.
 * @returns The mechanism.
 * @throws {TypeError} If the token or the name has characters that cannot be sent.
 */
export function xoauth2(credentials: TokenCredentials): ClientFirstMechanism {
  const { user, accessToken } = credentials;
  checkToken("XOAUTH2", accessToken);
  checkUser("XOAUTH2", user);
  let refusal: string | undefined;
  return {
    name: "XOAUTH2",
    initialResponse: new TextEncoder().encode(`user=${user}\x01auth=Bearer ${accessToken}\x01\x01`),
    acceptsAnyChallenge: true, // it is the reason of a refusal, and the reply comes only after an answer
    get refusal() {
      return refusal;
    },
    respond(challenge: Uint8Array): Uint8Array {
      if (refusal !== undefined) throw new Error("Cannot answer a second challenge: XOAUTH2 has only one");
      refusal = readRefusal(challenge);
      return new Uint8Array();
    },
    finish(): void {
      if (refusal !== undefined) {
        throw new Error(`The server has refused the token and accepted it: ${refusal}`);
      }
    },
  };
}
