/**
 * Composes mails from a subject, text, HTML and attachments, and converts messages to ASCII for servers that take nothing
 * else. Install `nodemailer` and `@zone-eu/mailsplit` to use it. They need Node's streams, which Deno, Bun and Node have,
 * and Workers with the compatibility flag `nodejs_compat`.
 *
 * Importing this entry point makes `encode: "auto"` of `client.send()` work.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@streams/smtp";
 * import { compose } from "@streams/smtp/compose";
 *
 * async function greet(client: SmtpClient): Promise<void> {
 *   const { envelope, message } = compose({
 *     from: "Jane Doe <jane@example.com>",
 *     to: "you@example.org",
 *     subject: "Hello",
 *     text: "How are you?",
 *     attachments: [new File(["a,b\r\n"], "table.csv", { type: "text/csv" })],
 *   });
 *   await client.send(envelope, message);
 * }
 * ```
 *
 * @module
 */
import { provideEncoder } from "../client/content_encoder.ts";
import { toSevenBit } from "./seven_bit.ts";

provideEncoder(toSevenBit);

export { compose } from "./compose.ts";
export type { ComposedEnvelope, ComposedMail } from "./compose.ts";
export { ConversionError } from "./errors.ts";
export type { ConversionErrorCode } from "./errors.ts";
export type {
  Attachment,
  ContentStream,
  Mail,
  MailAddress,
  MailAddresses,
  MailContent,
  MailHeaders,
  MailList,
  MailPart,
  StoredContent,
} from "./mail.ts";
export { toSevenBit };
