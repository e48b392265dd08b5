/**
 * Writes a mail as a MIME message, with `nodemailer/lib/mail-composer`.
 *
 * @module
 */
import type { ParsedAddress } from "./addresses.ts";
import type { CheckedAttachment, CheckedPart } from "./attachments.ts";
import type { ContentReader, ContentSource } from "./content_source.ts";
import type { HeaderField } from "./header_fields.ts";
import type { Mail } from "./mail.ts";
import { loadLibrary, toNodeReadable, toWebStream } from "./node_streams.ts";
import type { NodeReadable } from "./node_streams.ts";

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

/** The part of the library that is used here. */
interface Library {
  default: new (mail: Record<string, unknown>) => { compile(): { createReadStream(): NodeReadable } };
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
  const { default: MailComposer } = await loadLibrary<Library>(
    "nodemailer",
    () => import("nodemailer/lib/mail-composer"),
  );
  const { addresses, subject, text, html, date, messageId, inReplyTo, references, encoding } = mail;
  const toPart = async ({ content, contentType, fields }: CheckedPart) => ({
    content: content.stored ?? await toNodeReadable(() => read(content)),
    contentType,
    headers: copyFields(fields),
  });
  const composer = new MailComposer({
    // The library changes what it is given, so each message gets copies.
    from: structuredClone(addresses.from),
    sender: structuredClone(addresses.sender),
    to: structuredClone(addresses.to),
    cc: structuredClone(addresses.cc),
    replyTo: structuredClone(addresses.replyTo),
    subject,
    text,
    html,
    alternatives: await Promise.all(mail.alternatives.map(toPart)),
    attachments: await Promise.all(mail.attachments.map(async (part) => {
      const { filename, contentDisposition, cid } = part;
      return { ...await toPart(part), filename, contentDisposition, cid };
    })),
    headers: copyFields(mail.fields),
    date,
    messageId,
    inReplyTo,
    references: references.length === 0 ? undefined : references.join(" "),
    encoding,
    baseBoundary: mail.boundary,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return composer.compile().createReadStream();
}

function copyFields(fields: readonly HeaderField[]): HeaderField[] {
  return fields.map((field) => ({ ...field }));
}
