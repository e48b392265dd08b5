/**
 * Checks the options of a mail: text that may go into a header, names, types and identifiers. Whatever could add a field
 * to the header, or name a file to be read, is refused here.
 *
 * @module
 */
import { isAscii } from "../core/characters.ts";
import { show } from "../core/errors.ts";
import { mustExist } from "../core/option_names.ts";
import type { OptionHints } from "../core/option_names.ts";
import { invalidOption, invalidValue } from "./errors.ts";
import { canFold, MAX_RUN } from "./folding.ts";

/** Control characters end a field or the header (header injection), and no field may have them (RFC 5322, section 2.2). */
// deno-lint-ignore no-control-regex -- the expression looks for control characters
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

/** The name of a field (RFC 5322, section 3.6.8). No registered name is longer. */
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]{1,76}$/;

/**
 * A media type (RFC 2045, section 5.1; the lengths are those of RFC 6838, section 4.2). The value of a parameter is a quoted
 * string, or whatever the library can encode.
 */
const MEDIA_TYPE =
  /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}[ \t]*(?:;[ \t]*(?:[\w!#$%&'*+.^`{|}~-]{1,76}[ \t]*=(?:[ \t]*"(?:[^"\\]|\\.)*"[ \t]*|[^";]*))?)*$/;

/**
 * An identifier without its angle brackets: ASCII without white space and brackets (RFC 5322, section 3.6.4), short enough
 * for a line.
 */
const IDENTIFIER = /^[\x21-\x3b\x3d\x3f-\x7e]{1,900}$/;

/**
 * Checks a text that goes into a header.
 *
 * @param option The option, for the error.
 * @param value The text.
 * @returns The text.
 * @throws {TypeError} If it is not a string or has control characters.
 */
export function headerText(option: string, value: unknown): string {
  if (typeof value !== "string") throw invalidValue(option, "a string", value);
  if (CONTROLS.test(value)) throw invalidValue(option, "text without control characters", value);
  return value;
}

/**
 * Checks a text that people are shown: the name of a person or of a file.
 *
 * @param option The option, for the error.
 * @param value The text.
 * @returns The text.
 * @throws {TypeError} If it is not a string, has control characters, or cannot be folded.
 */
export function shownText(option: string, value: unknown): string {
  const text = headerText(option, value);
  if (!isAscii(text) || canFold(text)) return text;
  throw invalidOption(
    option,
    `must not have more than ${MAX_RUN} characters without a space, or that many spaces`,
  );
}

/**
 * Checks the name of a field.
 *
 * @param name The name.
 * @returns The name.
 * @throws {TypeError} If no field can have it.
 */
export function fieldName(name: string): string {
  if (FIELD_NAME.test(name)) return name;
  throw invalidOption("headers", `must have valid field names, ${show(name)} is not one`);
}

/**
 * Checks a media type.
 *
 * @param option The option, for the error.
 * @param value The type.
 * @returns The type.
 * @throws {TypeError} If it is not a media type.
 */
export function mediaType(option: string, value: unknown): string {
  const type = headerText(option, value);
  if (MEDIA_TYPE.test(type)) return type;
  throw invalidValue(option, "a media type", type);
}

/**
 * Checks a message identifier.
 *
 * @param option The option, for the error.
 * @param value The identifier, with or without angle brackets.
 * @returns The identifier with angle brackets.
 * @throws {TypeError} If it is not an identifier.
 */
export function messageIdentifier(option: string, value: unknown): string {
  const text = headerText(option, value).trim();
  const bare = text.startsWith("<") && text.endsWith(">") ? text.slice(1, -1) : text;
  if (IDENTIFIER.test(bare)) return `<${bare}>`;
  throw invalidValue(option, 'an identifier such as "<id@example.com>"', text);
}

/**
 * Checks the identifier of a part, which goes into a URL (RFC 2392) and between angle brackets.
 *
 * @param option The option, for the error.
 * @param value The identifier.
 * @returns The identifier.
 * @throws {TypeError} If it is not an identifier.
 */
export function contentIdentifier(option: string, value: unknown): string {
  const text = headerText(option, value);
  if (IDENTIFIER.test(text)) return text;
  throw invalidValue(option, "a name in ASCII without white space and angle brackets", text);
}

// With nodemailer, a mail made from a stranger's JSON reads /etc/passwd or a cloud's metadata this way.
const NOT_OPENED = "give the content itself: neither files nor URLs are opened";

/** For the options of nodemailer. */
const HINTS: OptionHints = {
  amp: "use alternatives",
  attachment: "use attachments",
  body: "use text or html",
  dkim: "sign the message, and send it as it is",
  dsn: "use it in the envelope for send()",
  href: NOT_OPENED,
  icalEvent: "use alternatives",
  path: NOT_OPENED,
  raw: "give it to send() as it is",
  textEncoding: "use encoding",
};

/**
 * Refuses an object with unknown members, which would be ignored, and with members that name a file or a URL.
 *
 * @param option The option, for the error.
 * @param value The object.
 * @param known The members that it may have.
 * @throws {TypeError} If it has others, or is not an object.
 */
export function checkMembers(option: string, value: unknown, known: ReadonlySet<string>): void {
  const names = Object.fromEntries([...known].map((name) => [name, true] as const));
  mustExist("compose the mail", value, names, { within: option, hints: HINTS });
}
