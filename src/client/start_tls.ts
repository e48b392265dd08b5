/**
 * STARTTLS (RFC 3207). Loaded where a session begins in the clear.
 *
 * @module
 */
import { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { SocketInfo, TlsOptions } from "../sockets/socket.ts";
import type { Conversation } from "./conversation.ts";
import type { Session } from "./session.ts";

/**
 * Says STARTTLS, goes over to TLS, and greets anew.
 *
 * @param session Whose.
 * @param conversation Where to.
 * @param tls How.
 * @throws {SmtpError} `"starttls-unavailable"`; `usable` says whether the session can go on without.
 */
export async function startTls(session: Session, conversation: Conversation, tls: TlsOptions): Promise<void> {
  if (!session.link.canStartTls) {
    throw unavailable("TLS is required and the given socket cannot go over to it here");
  }
  if (!session.extensions.startTls) {
    throw unavailable("TLS is required and the server does not offer STARTTLS");
  }
  const reply = await conversation.say("STARTTLS\r\n", "starttls");
  if (!reply.positive) {
    throw unavailable(`TLS is required and the server refuses STARTTLS: ${reply.toString()}`, reply);
  }
  const { socket, address, tls: known } = session.settings;
  const name = address !== undefined && "hostname" in address ? { serverName: address.hostname } : {};
  // A socket that we have opened knows its options for TLS since then.
  const options = socket === undefined && tls === known ? {} : { ...name, ...tls };
  session.tls = tls;
  session.info = await session.within(upgrade(session, options), "starttls");
  session.state("secured");
  // What was learnt in the clear may have been somebody else's words (RFC 3207, section 4.2).
  session.extensions = Extensions.none;
  await session.hello(conversation);
}

async function upgrade({ link }: Session, options: TlsOptions): Promise<SocketInfo> {
  try {
    return await link.startTls(options);
  } catch (cause) {
    // A socket of the caller's that cannot do it. (A SocketError is a TypeError too, and says more.)
    if (!(cause instanceof TypeError) || cause.name === "SocketError") throw cause;
    throw new SmtpError("starttls-unavailable", cause.message, { phase: "starttls", cause });
  }
}

function unavailable(message: string, reply?: Reply): SmtpError {
  return new SmtpError("starttls-unavailable", message, {
    phase: "starttls",
    reply,
    usable: reply?.code !== 421,
  });
}
