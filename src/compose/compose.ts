/**
 * From a subject, a text and attachments to an envelope and a message.
 *
 * @module
 */
import { parseMailbox, toAsciiDomain } from "../core/address.ts";
import { bareAddresses, parseAddresses } from "./addresses.ts";
import { headerText, messageIdentifier, nameOf, onlyKnown, wrong } from "./checks.ts";
import { customFields, listFields, priorityFields } from "./headers.ts";
import type { Mail } from "./mail.ts";
import { openMessage } from "./message.ts";
import type { MessagePlan } from "./message.ts";
import { alternativeParts, attachedParts } from "./parts.ts";

/** Who a mail is from and who it is for, as the server is told. */
export interface ComposedEnvelope {
  /** Where bounces go: a bare address, `null` or `""` for nowhere. */
  readonly from: string | null;
  /** Who gets it: bare addresses, each once. */
  readonly to: readonly string[];
}

/** A mail, ready to be sent: `client.send(mail.envelope, mail.message)`. */
export interface ComposedMail {
  /** Who it is from and who it is for, bcc too. */
  readonly envelope: ComposedEnvelope;
  /**
   * The message. Nothing is read before it is, and no faster; cancelling it cancels the streams that are attached.
   */
  readonly message: ReadableStream<Uint8Array>;
  /**
   * Opens the same message once more, byte for byte: what to send where it may have to be sent again. A stream that is
   * attached can be read only once: attach a function that opens it.
   */
  readonly open: () => ReadableStream<Uint8Array>;
  /** The identifier that it bears, with its angle brackets. */
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
 * Composes a mail: MIME with an alternative in HTML, attachments, encoded words, everything in ASCII but addresses that have
 * no other form. On `nodemailer/lib/mail-composer`.
 *
 * Nothing in a mail names a file or a URL to be opened, and nothing in it can begin a field of the header that was not asked
 * for: both are refused before anything is read.
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
 * @param mail What it is made of.
 * @returns The envelope and the message.
 * @throws {TypeError} If something in it makes no sense, or could do harm.
 */
export function compose(mail: Mail): ComposedMail {
  onlyKnown("the mail", mail, MAIL_KEYS);
  const addresses = {
    from: parseAddresses("from", mail.from),
    sender: parseAddresses("sender", mail.sender),
    to: parseAddresses("to", mail.to),
    cc: parseAddresses("cc", mail.cc),
    replyTo: parseAddresses("replyTo", mail.replyTo),
  };
  const bcc = bareAddresses(parseAddresses("bcc", mail.bcc));
  const [from] = bareAddresses(addresses.from);
  if (from === undefined) throw wrong("from", "must have an address");
  if (bareAddresses(addresses.sender).length > 1) throw wrong("sender", "must be one address");
  const envelope = readEnvelope(mail, from, [
    ...bareAddresses(addresses.to),
    ...bareAddresses(addresses.cc),
    ...bcc,
  ]);
  const messageId = mail.messageId === undefined
    ? `<${crypto.randomUUID()}@${toAsciiDomain(parseMailbox(from)).domain}>`
    : messageIdentifier("messageId", mail.messageId);
  const plan: MessagePlan = {
    addresses,
    subject: headerText("subject", mail.subject ?? ""),
    text: readText("text", mail.text),
    html: readText("html", mail.html),
    alternatives: alternativeParts(mail.alternatives ?? []),
    attachments: attachedParts(mail.attachments ?? []),
    fields: [...customFields(mail.headers), ...priorityFields(mail.priority), ...listFields(mail.list)],
    date: readDate(mail.date),
    messageId,
    inReplyTo: mail.inReplyTo === undefined ? undefined : messageIdentifier("inReplyTo", mail.inReplyTo),
    references: readReferences(mail.references),
    encoding: readEncoding(mail.encoding),
    boundary: crypto.randomUUID(),
  };
  const open = () => openMessage(plan);
  return { envelope, message: open(), open, messageId };
}

function readEnvelope(mail: Mail, sender: string, recipients: string[]): ComposedEnvelope {
  const { envelope = {} } = mail;
  onlyKnown("envelope", envelope, ENVELOPE_KEYS);
  const from = envelope.from === undefined ? sender : envelope.from;
  const to = [...new Set(envelope.to === undefined ? recipients : [envelope.to].flat())];
  if (to.length === 0) throw wrong("to", "must have an address, or cc or bcc must");
  for (const address of from === null || from === "" ? to : [from, ...to]) {
    try {
      parseMailbox(address);
    } catch (cause) {
      throw wrong("envelope", `must have bare addresses: ${(cause as Error).message}`);
    }
  }
  return { from, to };
}

/** Lines end in CRLF, whatever they ended in. */
function readText(what: string, text: unknown): string | undefined {
  if (text === undefined) return undefined;
  if (typeof text === "string") return text.replaceAll(/\r\n|\r|\n/g, "\r\n");
  if (typeof text === "object" && text !== null) onlyKnown(what, text, new Set());
  throw wrong(what, `must be a string, it is ${nameOf(text)}`);
}

function readDate(date: Date = new Date()): Date {
  if (date instanceof Date && !Number.isNaN(date.getTime())) return date;
  throw wrong("date", "must be a valid Date");
}

function readReferences(references: string | readonly string[] = []): string[] {
  const list = typeof references === "string"
    ? headerText("references", references).split(/\s+/).filter((id) => id !== "")
    : [...references];
  return list.map((id) => messageIdentifier("references", id));
}

function readEncoding(encoding: Mail["encoding"]): Mail["encoding"] {
  if (encoding === undefined || encoding === "quoted-printable" || encoding === "base64") return encoding;
  throw wrong("encoding", `must be quoted-printable or base64, it is ${JSON.stringify(encoding)}`);
}
