/**
 * Mails composed of a subject, text, HTML and attachments, and messages made ASCII for servers that take nothing else. On
 * `nodemailer/lib/mail-composer` and `@zone-eu/mailsplit`, which are loaded when first used. They need the streams of Node:
 * Deno, Bun and Node have them, Workers with the compatibility flag `nodejs_compat`.
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
import { provideEncoder } from "./client/encode.ts";
import { toSevenBit } from "./compose/seven_bit.ts";

provideEncoder(toSevenBit);

export { compose } from "./compose/compose.ts";
export type { ComposedEnvelope, ComposedMail } from "./compose/compose.ts";
export { ConversionError } from "./compose/conversion_error.ts";
export type { ConversionErrorCode } from "./compose/conversion_error.ts";
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
} from "./compose/mail.ts";
export { toSevenBit };
