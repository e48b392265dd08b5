/**
 * Checks the parts of a mail besides its text and HTML: alternatives and attachments.
 *
 * @module
 */
import { contentSource } from "./content_source.ts";
import type { ContentSource } from "./content_source.ts";
import { invalidOption, invalidValue } from "./errors.ts";
import { customFields } from "./header_fields.ts";
import type { HeaderField } from "./header_fields.ts";
import type { Attachment, MailPart } from "./mail.ts";
import { checkMembers, contentIdentifier, mediaType, shownText } from "./validation.ts";

/** A part, checked. */
export interface CheckedPart {
  readonly content: ContentSource;
  readonly contentType: string | undefined;
  readonly fields: readonly HeaderField[];
}

/** An attachment, checked. */
export interface CheckedAttachment extends CheckedPart {
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
 * Checks the alternatives to the text.
 *
 * @param alternatives The alternatives.
 * @returns The same, checked.
 * @throws {TypeError} If one is invalid.
 */
export function checkAlternatives(alternatives: readonly MailPart[]): CheckedPart[] {
  return toArray("alternatives", alternatives).map((given, i) => {
    const option = `alternatives[${i}]`;
    checkMembers(option, given, PART_KEYS);
    const part = checkPart(option, given);
    if (part.contentType === undefined) throw invalidOption(`${option}.contentType`, "must be given");
    return part;
  });
}

/**
 * Checks the attachments.
 *
 * @param attachments The attachments.
 * @returns The same, checked.
 * @throws {TypeError} If one is invalid.
 */
export function checkAttachments(attachments: readonly (Attachment | File)[]): CheckedAttachment[] {
  return toArray("attachments", attachments).map((entry, i) => {
    const option = `attachments[${i}]`;
    const given: Attachment = entry instanceof Blob ? { content: entry } : entry;
    checkMembers(option, given, ATTACHMENT_KEYS);
    const { content, contentDisposition, cid } = given;
    const filename = given.filename ?? (content instanceof File ? content.name : undefined);
    if (contentDisposition !== undefined && !["attachment", "inline"].includes(contentDisposition)) {
      throw invalidValue(`${option}.contentDisposition`, '"attachment" or "inline"', contentDisposition);
    }
    return {
      ...checkPart(option, given),
      filename: filename === undefined || filename === ""
        ? undefined
        : shownText(`${option}.filename`, filename),
      contentDisposition,
      cid: cid === undefined ? undefined : contentIdentifier(`${option}.cid`, cid),
    };
  });
}

function checkPart(option: string, given: MailPart): CheckedPart {
  const content = contentSource(`Cannot compose the mail: ${option}.content`, given.content);
  const blobType = given.content instanceof Blob && given.content.type !== ""
    ? given.content.type
    : undefined;
  const contentType = given.contentType ?? blobType;
  return {
    content,
    contentType: contentType === undefined ? undefined : checkType(`${option}.contentType`, contentType),
    fields: customFields(given.headers),
  };
}

/** A content is one part, so its type cannot be a multipart. */
function checkType(option: string, given: string): string {
  const type = mediaType(option, given);
  if (/^multipart\//i.test(type)) throw invalidValue(option, "a type other than multipart", type);
  return type;
}

function toArray<T>(option: string, value: readonly T[]): readonly T[] {
  if (Array.isArray(value)) return value;
  throw invalidValue(option, "an array", value);
}
