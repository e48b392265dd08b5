/**
 * What OAUTHBEARER and XOAUTH2 share: the checks of token and user, and the reason of a server that refuses the token.
 *
 * @module
 */
import { printable } from "../core/characters.ts";

/** The longest status that is shown: `insufficient_scope` has 18 characters, a token has more than this. */
const MAX_STATUS = 40;

/** The longest list of scopes that is shown. */
const MAX_SCOPE = 200;

/**
 * Refuses a token that the response cannot hold: 0x01 separates its parts.
 *
 * @param mechanism The mechanism's name, for the error.
 * @param accessToken The token.
 * @throws {TypeError} If the token is empty or has characters beyond those of `b64token` and other visible ASCII (RFC
 * 6750, section 2.1). The message does not show it.
 */
export function checkToken(mechanism: string, accessToken: string): void {
  let visible = accessToken.length > 0;
  for (let i = 0; i < accessToken.length; i++) {
    const code = accessToken.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) visible = false;
  }
  if (!visible) {
    throw new TypeError(
      `Cannot authenticate with ${mechanism}: the access token must be visible ASCII characters, without white space`,
    );
  }
}

/**
 * Refuses a user's name with characters that separate parts of the response.
 *
 * @param mechanism The mechanism's name, for the error.
 * @param user The name.
 * @throws {TypeError} If it has control characters.
 */
export function checkUser(mechanism: string, user: string): void {
  for (let i = 0; i < user.length; i++) {
    if (user.charCodeAt(i) < 0x20) {
      throw new TypeError(`Cannot authenticate with ${mechanism}: the user has control characters`);
    }
  }
}

/**
 * Reads the challenge of a server that refuses a token: JSON with `status` and sometimes `scope` (RFC 7628, section
 * 3.2.2).
 *
 * @param challenge The challenge.
 * @returns The reason, for a person to read.
 */
export function readRefusal(challenge: Uint8Array): string {
  let words: unknown;
  try {
    words = JSON.parse(new TextDecoder().decode(challenge));
  } catch {
    return "the server does not say why";
  }
  const { status, scope } = (words ?? {}) as Record<string, unknown>;
  if (typeof status !== "string" && typeof status !== "number") return "the server does not say why";
  const wanted = typeof scope === "string" && scope !== "" ? `, scope ${printable(scope, MAX_SCOPE)}` : "";
  return `status ${printable(String(status), MAX_STATUS)}${wanted}`;
}
