/**
 * Header fields that callers add, and those that stand for the options `priority` and `list`.
 *
 * @module
 */
import { show } from "../core/errors.ts";
import { invalidOption, invalidValue } from "./errors.ts";
import type { MailHeaders, MailList } from "./mail.ts";
import { checkMembers, fieldName, headerText } from "./validation.ts";

/** A field, as the library takes it. */
export interface HeaderField {
  key: string;
  value: string;
}

/** Fields that have an option of their own or describe a content: a second one would contradict the first. */
const RESERVED_FIELDS: ReadonlySet<string> = new Set([
  "from",
  "sender",
  "to",
  "cc",
  "bcc",
  "reply-to",
  "subject",
  "date",
  "message-id",
  "in-reply-to",
  "references",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
  "content-id",
]);

/** The fields of a mailing list that hold URLs (RFC 2369). */
const LIST_URLS = ["unsubscribe", "subscribe", "help", "post", "owner", "archive"] as const;

/** A URL cannot be folded, and must fit into a line. */
const MAX_URL = 900;

const LIST_KEYS: ReadonlySet<string> = new Set([...LIST_URLS, "oneClick", "id"]);

const PRIORITIES: Readonly<Record<string, readonly HeaderField[]>> = {
  high: [
    { key: "X-Priority", value: "1 (Highest)" },
    { key: "X-MSMail-Priority", value: "High" },
    { key: "Importance", value: "High" },
  ],
  normal: [],
  low: [
    { key: "X-Priority", value: "5 (Lowest)" },
    { key: "X-MSMail-Priority", value: "Low" },
    { key: "Importance", value: "Low" },
  ],
};

/**
 * Checks the fields that the caller adds.
 *
 * @param headers The fields.
 * @returns The fields in a list.
 * @throws {TypeError} If one is invalid, or has an option of its own.
 */
export function customFields(headers: MailHeaders = {}): HeaderField[] {
  return Object.entries(headers).flatMap(([name, values]) => {
    const key = fieldName(name);
    if (RESERVED_FIELDS.has(key.toLowerCase())) {
      throw invalidOption(
        "headers",
        `must not have ${show(key)}: an option or the content decides that field`,
      );
    }
    const list: readonly string[] = Array.isArray(values) ? values : [values];
    return list.map((value) => ({ key, value: headerText(`headers.${key}`, value) }));
  });
}

/**
 * Makes the fields that mark a mail as urgent or not.
 *
 * @param priority The priority.
 * @returns The fields.
 * @throws {TypeError} If it is not a priority.
 */
export function priorityFields(priority: string = "normal"): readonly HeaderField[] {
  const fields = Object.hasOwn(PRIORITIES, priority) ? PRIORITIES[priority] : undefined;
  if (fields !== undefined) return fields;
  throw invalidValue("priority", '"high", "normal" or "low"', priority);
}

/**
 * Makes the fields that describe a mailing list.
 *
 * @param list The description.
 * @returns The fields.
 * @throws {TypeError} If a URL or the identifier is invalid.
 */
export function listFields(list: MailList = {}): HeaderField[] {
  checkMembers("list", list, LIST_KEYS);
  const fields: HeaderField[] = [];
  for (const name of LIST_URLS) {
    const given = list[name];
    if (given === undefined) continue;
    const urls = (typeof given === "string" ? [given] : [...given]).map((url) =>
      checkUrl(`list.${name}`, url)
    );
    fields.push({ key: `List-${name[0]!.toUpperCase()}${name.slice(1)}`, value: urls.join(", ") });
  }
  if (list.oneClick) {
    const urls = [list.unsubscribe ?? []].flat();
    if (!urls.some((url) => /^https:/i.test(url))) {
      throw invalidOption("list.oneClick", "needs an unsubscribe URL with https: (RFC 8058, section 3.1)");
    }
    fields.push({ key: "List-Unsubscribe-Post", value: "List-Unsubscribe=One-Click" });
  }
  if (list.id !== undefined) {
    const id = headerText("list.id", list.id);
    if (!/^[\w!#$%&'*+/=?^`{|}~.-]{1,255}$/.test(id)) {
      throw invalidValue("list.id", 'a name such as "news.example.com"', id);
    }
    fields.push({ key: "List-ID", value: `<${id}>` });
  }
  return fields;
}

function checkUrl(option: string, value: unknown): string {
  const url = URL.parse(headerText(option, value));
  if (url === null) throw invalidValue(option, "an absolute URL", value);
  // Brackets, commas and white space separate URLs (RFC 2369, section 2); the parser leaves some in mailto: URLs.
  const written = url.href.replace(/[\s<>,"]/g, (character) => encodeURIComponent(character));
  if (written.length > MAX_URL) throw invalidOption(option, `must be URLs of at most ${MAX_URL} characters`);
  return `<${written}>`;
}
