/**
 * One message, one call.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import { openSession } from "./connect.ts";
import { discardMessage, keep } from "./content.ts";
import type { Message } from "./content.ts";
import { keepEnvelope } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import { leadToCaller, unopened } from "./failure.ts";
import { divideOptions, readOptions } from "./options.ts";
import type { SendOptions, Settings, SmtpClientOptions } from "./options.ts";
import { isMisread, sayQuit } from "./quit.ts";
import type { Receipt } from "./receipt.ts";
import { mustHaveMessage, readMessage } from "./send.ts";
import type { ReadyMessage } from "./send.ts";
import type { Session } from "./session.ts";
import { mayGrow, sendLast } from "./split.ts";

/**
 * Connects, sends one message, and quits. For more than one, use `SmtpClient`.
 *
 * With PIPELINING, QUIT leaves in one group with the message, which saves a round trip. A server that cannot stand that is given
 * QUIT alone the next time. If the server turns out to fail at an extension that it announces, and has certainly not taken the
 * message, the message is sent once more without that extension, on another connection. So are recipients that were too many at
 * a time.
 *
 * @example A first mail
 * ```ts
 * import { sendMail } from "@streams/smtp";
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" });
 * const { hostname, port } = await server.listening;
 *
 * const receipt = await sendMail(
 *   { hostname, port },
 *   { from: "me@example.com", to: "you@example.org" },
 *   "Subject: Hi\r\n\r\nHello",
 * );
 * console.log(receipt.reply.text);
 * ```
 *
 * @param client The options of the client and of this message. A `signal` stops all of it.
 * @param envelope Who it is from and who it is for.
 * @param message The message itself.
 * @returns What the server said.
 * @throws {SmtpError} As `SmtpClient.connect()` and `SmtpClient.send()`.
 */
export async function sendMail(
  client: SmtpClientOptions & SendOptions,
  envelope: Envelope,
  message: Message,
): Promise<Receipt> {
  try {
    return await connectAndSend(client, envelope, message);
  } catch (error) {
    throw leadToCaller(error);
  }
}

async function connectAndSend(
  all: SmtpClientOptions & SendOptions,
  envelope: Envelope,
  message: Message,
): Promise<Receipt> {
  let settings: Settings;
  let options: SendOptions;
  let session: Session;
  try {
    const divided = divideOptions(all);
    options = divided[1];
    settings = readOptions(divided[0]);
    mustHaveMessage(envelope, message);
    envelope = keepEnvelope(envelope);
    message = keep(message);
    session = await openSession(settings, "ready");
    // The server may have said more than it was asked, in the packet of its last reply.
    if (session.pipeline.failure !== undefined) throw unopened(session.pipeline.failure);
  } catch (error) {
    discardMessage(message, error);
    throw error;
  }
  const open = () => openSession(settings, "ready");
  const ready = await read(session, envelope, message, options);
  const known = session.quirks.broken;
  // A socket of the caller's opens one session and no other.
  const isSingle = settings.socket !== undefined && typeof settings.socket !== "function";
  try {
    return await sendLast(session, ready, isSingle && mayGrow(ready) ? undefined : open);
  } catch (error) {
    const learnt = session.quirks.broken !== known && owesToFlaw(error);
    if (isSingle || !learnt || !ready.content.repeatable) throw error;
    const next = await open();
    return await sendLast(next, await read(next, envelope, message, options), open);
  }
}

/** Whether the server has certainly not taken the message, and only because it fails at an extension. */
function owesToFlaw(error: unknown): boolean {
  if (!(error instanceof SmtpError) || error.accepted.length > 0) return false;
  const { outcome, phase, reply } = error;
  return outcome === "not-sent" || (outcome === "refused" && phase === "content" && isMisread(reply!));
}

/** Reads the arguments; if they make no sense, the session ends. */
async function read(
  session: Session,
  envelope: Envelope,
  message: Message,
  options: SendOptions,
): Promise<ReadyMessage> {
  try {
    return readMessage(session, envelope, message, options);
  } catch (error) {
    await sayQuit(session);
    throw error;
  }
}
