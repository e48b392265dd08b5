/**
 * AUTH in a session. Loaded where somebody logs in.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import { authenticate } from "./authenticate.ts";
import { channelBindingOf } from "./channel_binding.ts";
import type { Conversation } from "./conversation.ts";
import type { Auth } from "./options.ts";
import type { Session } from "./session.ts";

export { checkAuth } from "./auth_options.ts";

/**
 * Logs in. Credentials travel under TLS, or where the caller has said "none".
 *
 * @param session Where.
 * @param conversation Where to.
 * @param auth Who as, checked.
 * @returns The mechanism that worked.
 * @throws {SmtpError} `"auth-insecure"`, `"auth-unsupported"` or `"auth-failed"`.
 */
export async function login(session: Session, conversation: Conversation, auth: Auth): Promise<string> {
  const { link, settings: { security, address }, extensions, info } = session;
  if (!link.secure && security !== "none") {
    throw new SmtpError(
      "auth-insecure",
      'Cannot log in: the session is not protected by TLS, and security is not "none"',
      { phase: "auth", usable: true },
    );
  }
  // OAUTHBEARER tells the server what it was called (RFC 7628, section 3.1).
  const server = address !== undefined && "hostname" in address ? address : {};
  const channelBinding = await channelBindingOf(info);
  const mechanism = await authenticate(conversation, extensions.auth, auth, { ...server, channelBinding });
  session.authenticated = true;
  session.state("authenticated", mechanism);
  return mechanism;
}
