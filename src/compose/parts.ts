/**
 * The parts of a mail besides its text.
 *
 * @module
 */
import { headerText, mediaType, nameOf, onlyKnown, wrong } from "./checks.ts";
import { readContent } from "./content.ts";
import type { Content } from "./content.ts";
import { customFields } from "./headers.ts";
import type { Field } from "./headers.ts";
import type { Attachment, MailPart } from "./mail.ts";

/** A part, checked. */
export interface Part {
  readonly content: Content;
  readonly contentType: string | undefined;
  readonly fields: readonly Field[];
}

/** An attachment, checked. */
export interface AttachedPart extends Part {
  readonly filename: string | undefined;
  readonly contentDisposition: string | undefined;
  readonly cid: string | undefined;
}

const PART_KEYS: ReadonlySet<string> = new Set(["content", "contentType", "headers"]);

const ATTACHMENT_KEYS: ReadonlySet<string> = new Set([
  ...PART_KEYS,
  "filename",
  "contentDisposition",
  "cid",
]);

/**
 * Checks other forms of the text.
 *
 * @param alternatives The forms.
 * @returns Them.
 * @throws {TypeError} If one is none.
 */
export function alternativeParts(alternatives: readonly MailPart[]): Part[] {
  return toArray("alternatives", alternatives).map((given, i) => {
    const what = `alternatives[${i}]`;
    onlyKnown(what, given, PART_KEYS);
    const part = readPart(what, given);
    if (part.contentType === undefined) throw wrong(`${what}.contentType`, "must be given");
    return part;
  });
}

/**
 * Checks what is attached.
 *
 * @param attachments The attachments.
 * @returns Them.
 * @throws {TypeError} If one is none.
 */
export function attachedParts(attachments: readonly (Attachment | File)[]): AttachedPart[] {
  return toArray("attachments", attachments).map((entry, i) => {
    const what = `attachments[${i}]`;
    const given: Attachment = entry instanceof Blob ? { content: entry } : entry;
    onlyKnown(what, given, ATTACHMENT_KEYS);
    const { content, contentDisposition, cid } = given;
    const filename = given.filename ?? (content instanceof File ? content.name : undefined);
    if (contentDisposition !== undefined && !["attachment", "inline"].includes(contentDisposition)) {
      throw wrong(`${what}.contentDisposition`, `must be attachment or inline, it is ${contentDisposition}`);
    }
    return {
      ...readPart(what, given),
      filename: filename === undefined || filename === ""
        ? undefined
        : headerText(`${what}.filename`, filename),
      contentDisposition,
      cid: cid === undefined ? undefined : readCid(`${what}.cid`, cid),
    };
  });
}

function readPart(what: string, given: MailPart): Part {
  const content = readContent(`${what}.content`, given.content);
  const ofBlob = given.content instanceof Blob && given.content.type !== "" ? given.content.type : undefined;
  const contentType = given.contentType ?? ofBlob;
  return {
    content,
    contentType: contentType === undefined ? undefined : readType(`${what}.contentType`, contentType),
    fields: customFields(given.headers),
  };
}

/** A multipart would need parts, which a content is not. */
function readType(what: string, given: string): string {
  const type = mediaType(what, given);
  if (/^multipart\//i.test(type)) throw wrong(what, "must not be multipart: a content is one part");
  return type;
}

/** What stands in a URL (RFC 2392), and between angle brackets. */
function readCid(what: string, cid: unknown): string {
  const text = headerText(what, cid);
  if (/^[^\s<>]+$/.test(text)) return text;
  throw wrong(what, `must be a name without white space and brackets, it is ${JSON.stringify(text)}`);
}

function toArray<T>(what: string, value: readonly T[]): readonly T[] {
  if (Array.isArray(value)) return value;
  throw wrong(what, `must be an array, it is ${nameOf(value)}`);
}
