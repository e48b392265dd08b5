/**
 * Writes a mail as a MIME message, with `nodemailer/lib/mail-composer`.
 *
 * @module
 */
import { isAscii } from "../core/characters.ts";
import type { ParsedAddress } from "./addresses.ts";
import type { CheckedAttachment, CheckedPart } from "./attachments.ts";
import type { ContentReader, ContentSource } from "./content_source.ts";
import { canFold, foldHeader } from "./folding.ts";
import type { HeaderField } from "./header_fields.ts";
import type { Mail } from "./mail.ts";
import { loadLibrary, toNodeReadable, toWebStream } from "./node_streams.ts";
import type { NodeReadable } from "./node_streams.ts";

/** The length of an encoded word: with the name of the field before it, a line of it is short enough. */
const WORD_LENGTH = 52;

/** A mail of which every option was checked. */
export interface CheckedMail {
  readonly addresses: Readonly<Record<"from" | "sender" | "to" | "cc" | "replyTo", readonly ParsedAddress[]>>;
  readonly subject: string;
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly alternatives: readonly CheckedPart[];
  readonly attachments: readonly CheckedAttachment[];
  readonly fields: readonly HeaderField[];
  readonly date: Date;
  readonly messageId: string;
  readonly inReplyTo: string | undefined;
  readonly references: readonly string[];
  readonly encoding: Mail["encoding"];
  readonly boundary: string;
}

/** The parts of the library that are used here. */
interface Composer {
  default: new (mail: Record<string, unknown>) => { compile(): Node };
}

interface Node {
  readonly childNodes: readonly Node[];
  buildHeaders(): string;
  createReadStream(): NodeReadable;
}

interface NodeClass {
  default: { encodeHeaderValue(name: string, value: string): string };
}

interface Words {
  encodeWord(text: string, encoding: "Q" | "B", maxLength: number): string;
}

/**
 * Opens the message of a mail.
 *
 * @param mail The mail.
 * @returns The message. The same mail gives the same bytes each time. Contents are read as the message is; when it is
 * cancelled or fails, all of them are cancelled.
 */
export function openMessage(mail: CheckedMail): ReadableStream<Uint8Array> {
  const readers = new Map<ContentSource, ContentReader>();
  const read = (content: ContentSource) => {
    const reader = content.open();
    readers.set(content, reader);
    return reader;
  };
  const release = async (reason: unknown) => {
    const contents = [...mail.alternatives, ...mail.attachments].map(({ content }) => content);
    await Promise.allSettled(contents.map((content) => (readers.get(content) ?? content).cancel(reason)));
  };
  return toWebStream(() => openNodeStream(mail, read), release);
}

async function openNodeStream(
  mail: CheckedMail,
  read: (content: ContentSource) => ContentReader,
): Promise<NodeReadable> {
  const [{ default: MailComposer }, { default: MimeNode }, { encodeWord }] = await Promise.all([
    loadLibrary<Composer>("nodemailer", () => import("nodemailer/lib/mail-composer")),
    loadLibrary<NodeClass>("nodemailer", () => import("nodemailer/lib/mime-node")),
    loadLibrary<Words>("nodemailer", () => import("nodemailer/lib/mime-funcs")),
  ]);
  // Any name will do that the library has no rule of its own for. What cannot be folded it would leave as it is.
  const encode = (value: string) =>
    isAscii(value) && !canFold(value)
      ? encodeWord(value, "Q", WORD_LENGTH)
      : MimeNode.encodeHeaderValue("Comments", value);
  const toFields = (fields: readonly HeaderField[]) =>
    fields.map(({ key, value }) => ({ key, value: encode(value) }));
  const { addresses, subject, text, html, date, messageId, inReplyTo, references, encoding } = mail;
  const toPart = async ({ content, contentType, fields }: CheckedPart) => ({
    content: content.stored ?? await toNodeReadable(() => read(content)),
    contentType,
    headers: toFields(fields),
  });
  const composer = new MailComposer({
    // The library changes what it is given, so each message gets copies.
    from: structuredClone(addresses.from),
    sender: structuredClone(addresses.sender),
    to: structuredClone(addresses.to),
    cc: structuredClone(addresses.cc),
    replyTo: structuredClone(addresses.replyTo),
    subject: encode(subject),
    text,
    html,
    alternatives: await Promise.all(mail.alternatives.map(toPart)),
    attachments: await Promise.all(mail.attachments.map(async (part) => {
      const { filename, contentDisposition, cid } = part;
      return { ...await toPart(part), filename, contentDisposition, cid };
    })),
    headers: toFields(mail.fields),
    date,
    messageId,
    inReplyTo,
    references: references.length === 0 ? undefined : references.join(" "),
    encoding,
    baseBoundary: mail.boundary,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const message = composer.compile();
  foldAnew(message);
  return message.createReadStream();
}

function foldAnew(node: Node): void {
  const build = node.buildHeaders.bind(node);
  node.buildHeaders = () => foldHeader(build());
  node.childNodes.forEach(foldAnew);
}
