/**
 * One message, one call.
 *
 * @module
 */
import { SmtpClient } from "./client.ts";
import { discardMessage } from "./content.ts";
import type { Message } from "./content.ts";
import type { Envelope } from "./envelope.ts";
import { divideOptions } from "./options.ts";
import type { SendOptions, SmtpClientOptions } from "./options.ts";
import type { Receipt } from "./receipt.ts";

/**
 * Connects, sends one message, and quits. For more than one, use {@linkcode SmtpClient}.
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
  let session: SmtpClient;
  let options: SendOptions;
  try {
    [client, options] = divideOptions(client);
    session = await SmtpClient.connect(client);
  } catch (error) {
    discardMessage(message, error);
    throw error;
  }
  try {
    return await session.send(envelope, message, options);
  } finally {
    await session.quit();
  }
}
