/**
 * Fields of the header that have no content of their own.
 *
 * @module
 */
import { fieldName, headerText, onlyKnown, wrong } from "./checks.ts";
import type { MailHeaders, MailList } from "./mail.ts";

/** A field, as the library takes it. */
export interface Field {
  key: string;
  value: string;
}

/** Fields that options speak for, or that describe a content: said twice they mean two things. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
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

const LIST_KEYS: ReadonlySet<string> = new Set([...LIST_URLS, "oneClick", "id"]);

const PRIORITIES: Readonly<Record<string, readonly Field[]>> = {
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
 * Checks fields of the caller's own.
 *
 * @param headers The fields.
 * @returns Them.
 * @throws {TypeError} If one is none, or has an option of its own.
 */
export function customFields(headers: MailHeaders = {}): Field[] {
  return Object.entries(headers).flatMap(([name, values]) => {
    const key = fieldName(name);
    if (OWN_FIELDS.has(key.toLowerCase())) {
      throw wrong("headers", `must not have ${key}: there is an option for it, or it goes by the content`);
    }
    const list: readonly string[] = Array.isArray(values) ? values : [values];
    return list.map((value) => ({ key, value: headerText(`headers.${key}`, value) }));
  });
}

/**
 * Writes how urgent the mail is.
 *
 * @param priority How urgent.
 * @returns The fields.
 * @throws {TypeError} If it is no priority.
 */
export function priorityFields(priority: string = "normal"): readonly Field[] {
  const fields = Object.hasOwn(PRIORITIES, priority) ? PRIORITIES[priority] : undefined;
  if (fields !== undefined) return fields;
  throw wrong("priority", `must be high, normal or low, it is ${JSON.stringify(priority)}`);
}

/**
 * Writes what a mailing list says of itself.
 *
 * @param list What it says.
 * @returns The fields.
 * @throws {TypeError} If something is no URL.
 */
export function listFields(list: MailList = {}): Field[] {
  onlyKnown("list", list, LIST_KEYS);
  const fields: Field[] = [];
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
      throw wrong("list.oneClick", "needs an unsubscribe URL with https: (RFC 8058, section 3.1)");
    }
    fields.push({ key: "List-Unsubscribe-Post", value: "List-Unsubscribe=One-Click" });
  }
  if (list.id !== undefined) {
    const id = headerText("list.id", list.id);
    if (!/^[\w!#$%&'*+/=?^`{|}~.-]+$/.test(id)) {
      throw wrong("list.id", `must be a name with dots, it is ${JSON.stringify(id)}`);
    }
    fields.push({ key: "List-ID", value: `<${id}>` });
  }
  return fields;
}

function checkUrl(what: string, value: unknown): string {
  const url = URL.parse(headerText(what, value));
  if (url === null) throw wrong(what, `must be an absolute URL, it is ${JSON.stringify(value)}`);
  // Brackets, commas and white space part the URLs (RFC 2369, section 2); parsing leaves some in mailto:.
  return `<${url.href.replace(/[\s<>,]/g, (character) => encodeURIComponent(character))}>`;
}
