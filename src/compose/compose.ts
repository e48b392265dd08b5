/**
 * Composes a mail: from a subject, a text and attachments to an envelope and a message.
 *
 * @module
 */
import { parseMailbox, toAsciiDomain } from "../core/address.ts";
import { bareAddresses, parseAddresses } from "./addresses.ts";
import { checkAlternatives, checkAttachments } from "./attachments.ts";
import { invalidOption, invalidValue } from "./errors.ts";
import { customFields, listFields, priorityFields } from "./header_fields.ts";
import type { Mail } from "./mail.ts";
import { openMessage } from "./mime_message.ts";
import type { CheckedMail } from "./mime_message.ts";
import { checkMembers, headerText, messageIdentifier } from "./validation.ts";

/** The envelope of a composed mail. */
export interface ComposedEnvelope {
  /** The address for bounces, without a name; `null` or `""` for no bounces. */
  readonly from: string | null;
  /** The recipients: addresses without names, each once. */
  readonly to: readonly string[];
}

/** A mail, ready to be sent: `client.send(mail.envelope, mail.message)`. */
export interface ComposedMail {
  /** The sender and all recipients, those in `bcc` too. */
  readonly envelope: ComposedEnvelope;
  /**
   * The message. Attached streams are read only as it is read; cancelling it cancels them.
   */
  readonly message: ReadableStream<Uint8Array>;
  /**
   * Opens the same message again, byte for byte. Pass it to `send()` where a mail may have to be sent again. An attached
   * stream can be read only once: attach a function that opens the stream.
   */
  readonly open: () => ReadableStream<Uint8Array>;
  /** The message's identifier, with angle brackets. */
  readonly messageId: string;
}

const MAIL_KEYS: ReadonlySet<string> = new Set([
  "from",
  "sender",
  "to",
  "cc",
  "bcc",
  "replyTo",
  "subject",
  "text",
  "html",
  "alternatives",
  "attachments",
  "headers",
  "date",
  "messageId",
  "inReplyTo",
  "references",
  "priority",
  "list",
  "encoding",
  "envelope",
]);

const ENVELOPE_KEYS: ReadonlySet<string> = new Set(["from", "to"]);

/**
 * Composes a mail: MIME with an HTML alternative, attachments and encoded words. The message is ASCII, except for addresses
 * that ASCII cannot express. Uses `nodemailer/lib/mail-composer`.
 *
 * A mail cannot name a file or a URL to be opened, and no option can add a header field that was not asked for: both are
 * refused before anything is read.
 *
 * @example
 * ```ts
 * import { compose } from "@streams/smtp/compose";
 *
 * const { envelope, message } = compose({
 *   from: "Jane Doe <jane@example.com>",
 *   to: ["you@example.org", { name: "Jürgen", address: "juergen@example.org" }],
 *   bcc: "archive@example.com",
 *   subject: "Grüße",
 *   text: "Hello",
 *   html: "<p>Hello <img src='cid:logo'></p>",
 *   attachments: [
 *     { filename: "logo.png", cid: "logo", content: new Uint8Array([0x89, 0x50]) },
 *     new File(["a,b\r\n"], "table.csv", { type: "text/csv" }),
 *   ],
 * });
 * console.log(envelope.to); // ["you@example.org", "juergen@example.org", "archive@example.com"]
 * console.log(await new Response(message).text());
 * ```
 *
 * @param mail The mail.
 * @returns The envelope and the message.
 * @throws {TypeError} If an option is invalid.
 */
export function compose(mail: Mail): ComposedMail {
  checkMembers("mail", mail, MAIL_KEYS);
  const addresses = {
    from: parseAddresses("from", mail.from),
    sender: parseAddresses("sender", mail.sender),
    to: parseAddresses("to", mail.to),
    cc: parseAddresses("cc", mail.cc),
    replyTo: parseAddresses("replyTo", mail.replyTo),
  };
  const bcc = bareAddresses(parseAddresses("bcc", mail.bcc));
  const [from] = bareAddresses(addresses.from);
  if (from === undefined) throw invalidOption("from", "must have an address");
  if (bareAddresses(addresses.sender).length > 1) throw invalidOption("sender", "must be one address");
  const envelope = readEnvelope(mail, from, [
    ...bareAddresses(addresses.to),
    ...bareAddresses(addresses.cc),
    ...bcc,
  ]);
  const messageId = mail.messageId === undefined
    ? `<${crypto.randomUUID()}@${toAsciiDomain(parseMailbox(from)).domain}>`
    : messageIdentifier("messageId", mail.messageId);
  const checked: CheckedMail = {
    addresses,
    subject: headerText("subject", mail.subject ?? ""),
    text: readText("text", mail.text),
    html: readText("html", mail.html),
    alternatives: checkAlternatives(mail.alternatives ?? []),
    attachments: checkAttachments(mail.attachments ?? []),
    fields: [...customFields(mail.headers), ...priorityFields(mail.priority), ...listFields(mail.list)],
    date: readDate(mail.date),
    messageId,
    inReplyTo: mail.inReplyTo === undefined ? undefined : messageIdentifier("inReplyTo", mail.inReplyTo),
    references: readReferences(mail.references),
    encoding: readEncoding(mail.encoding),
    boundary: crypto.randomUUID(),
  };
  const open = () => openMessage(checked);
  return { envelope, message: open(), open, messageId };
}

function readEnvelope(mail: Mail, sender: string, recipients: string[]): ComposedEnvelope {
  const { envelope = {} } = mail;
  checkMembers("envelope", envelope, ENVELOPE_KEYS);
  const from = envelope.from === undefined ? sender : envelope.from;
  const to = [...new Set(envelope.to === undefined ? recipients : [envelope.to].flat())];
  if (to.length === 0) throw invalidOption("to", "must have an address, unless cc or bcc has one");
  for (const address of from === null || from === "" ? to : [from, ...to]) {
    try {
      parseMailbox(address);
    } catch (cause) {
      throw invalidOption("envelope", `must have bare addresses: ${(cause as Error).message}`, { cause });
    }
  }
  return { from, to };
}

/** Normalizes line ends to CRLF. */
function readText(option: string, text: unknown): string | undefined {
  if (text === undefined) return undefined;
  if (typeof text === "string") return text.replaceAll(/\r\n|\r|\n/g, "\r\n");
  if (typeof text === "object" && text !== null && ("path" in text || "href" in text)) {
    checkMembers(option, text, new Set());
  }
  throw invalidValue(option, "a string", text);
}

function readDate(date: Date = new Date()): Date {
  if (date instanceof Date && !Number.isNaN(date.getTime())) return new Date(date);
  throw invalidOption("date", "must be a valid Date");
}

function readReferences(references: string | readonly string[] = []): string[] {
  const list = typeof references === "string"
    ? headerText("references", references).split(/\s+/).filter((id) => id !== "")
    : [...references];
  return list.map((id) => messageIdentifier("references", id));
}

function readEncoding(encoding: Mail["encoding"]): Mail["encoding"] {
  if (encoding === undefined || encoding === "quoted-printable" || encoding === "base64") return encoding;
  throw invalidValue("encoding", '"quoted-printable" or "base64"', encoding);
}
