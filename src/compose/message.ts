/**
 * A message, as the library composes it.
 *
 * @module
 */
import type { ParsedAddress } from "./addresses.ts";
import type { Content, Reading } from "./content.ts";
import type { Field } from "./headers.ts";
import type { Mail } from "./mail.ts";
import { loadLibrary, loadNodeStreams } from "./load.ts";
import type { AttachedPart, Part } from "./parts.ts";
import { toWebStream } from "./web_stream.ts";
import type { NodeReadable } from "./web_stream.ts";

/** All that a message is made of, checked. */
export interface MessagePlan {
  readonly addresses: Readonly<Record<"from" | "sender" | "to" | "cc" | "replyTo", readonly ParsedAddress[]>>;
  readonly subject: string;
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly alternatives: readonly Part[];
  readonly attachments: readonly AttachedPart[];
  readonly fields: readonly Field[];
  readonly date: Date;
  readonly messageId: string;
  readonly inReplyTo: string | undefined;
  readonly references: readonly string[];
  readonly encoding: Mail["encoding"];
  readonly boundary: string;
}

/** As much of the library as is used. */
interface Library {
  default: new (mail: Record<string, unknown>) => { compile(): { createReadStream(): NodeReadable } };
}

/**
 * Opens a message.
 *
 * @param plan What it is made of.
 * @returns The message. The same plan gives the same bytes. Nothing is read before it is, and when it is cancelled or fails,
 * every content is let go of.
 */
export function openMessage(plan: MessagePlan): ReadableStream<Uint8Array> {
  const readings = new Map<Content, Reading>();
  const read = (content: Content) => {
    const reading = content.open();
    readings.set(content, reading);
    return reading;
  };
  const release = async (reason: unknown) => {
    const contents = [...plan.alternatives, ...plan.attachments].map(({ content }) => content);
    await Promise.allSettled(contents.map((content) => (readings.get(content) ?? content).cancel(reason)));
  };
  return toWebStream(() => openNode(plan, read), release);
}

async function openNode(plan: MessagePlan, read: (content: Content) => Reading): Promise<NodeReadable> {
  const { toNodeReadable } = await loadNodeStreams();
  const { default: MailComposer } = await loadLibrary<Library>(
    "nodemailer",
    () => import("nodemailer/lib/mail-composer"),
  );
  const { addresses, subject, text, html, date, messageId, inReplyTo, references, encoding } = plan;
  const partOf = ({ content, contentType, fields }: Part) => ({
    content: content.stored ?? toNodeReadable(() => read(content)),
    contentType,
    headers: fields.map((field) => ({ ...field })),
  });
  // The library changes what it is given: everything is made anew each time.
  const composer = new MailComposer({
    from: structuredClone(addresses.from),
    sender: structuredClone(addresses.sender),
    to: structuredClone(addresses.to),
    cc: structuredClone(addresses.cc),
    replyTo: structuredClone(addresses.replyTo),
    subject,
    text,
    html,
    alternatives: plan.alternatives.map(partOf),
    attachments: plan.attachments.map((part) => {
      const { filename, contentDisposition, cid } = part;
      return { ...partOf(part), filename, contentDisposition, cid };
    }),
    headers: plan.fields.map((field) => ({ ...field })),
    date,
    messageId,
    inReplyTo,
    references: references.length === 0 ? undefined : references.join(" "),
    encoding,
    baseBoundary: plan.boundary,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return composer.compile().createReadStream();
}
