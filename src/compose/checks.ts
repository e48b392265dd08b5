/**
 * What may stand in a header, and what may be asked for.
 *
 * @module
 */

/** Controls end a field or a header (header injection), and are allowed in none (RFC 5322, section 2.2). */
// deno-lint-ignore no-control-regex -- it is what is looked for
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

/** A field's name (RFC 5322, section 3.6.8), no longer than any that is registered. */
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]{1,76}$/;

/** A type, and parameters that are taken apart elsewhere (RFC 2045, section 5.1). */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\s\S]*)?$/;

/** What goes between the angle brackets of an identifier: no white space, no brackets, ASCII (RFC 5322, section 3.6.4). */
const MESSAGE_ID = /^[\x21-\x3b\x3d\x3f-\x7e]+$/;

/**
 * Refuses text that could not stand in a field.
 *
 * @param what What it is, for the error.
 * @param value The text.
 * @returns It.
 * @throws {TypeError} If it is no string or has control characters.
 */
export function headerText(what: string, value: unknown): string {
  if (typeof value !== "string") throw wrong(what, `must be a string, it is ${nameOf(value)}`);
  if (CONTROLS.test(value)) throw wrong(what, `must not have control characters: ${JSON.stringify(value)}`);
  return value;
}

/**
 * Refuses what is no name of a field.
 *
 * @param name The name.
 * @returns It.
 * @throws {TypeError} If it is none.
 */
export function fieldName(name: string): string {
  if (FIELD_NAME.test(name)) return name;
  throw wrong("headers", `must have names of fields, ${JSON.stringify(name)} is none`);
}

/**
 * Refuses what is no media type.
 *
 * @param what What it is, for the error.
 * @param value The type.
 * @returns It.
 * @throws {TypeError} If it is none.
 */
export function mediaType(what: string, value: unknown): string {
  const type = headerText(what, value);
  if (MEDIA_TYPE.test(type)) return type;
  throw wrong(what, `must be a media type, it is ${JSON.stringify(type)}`);
}

/**
 * Reads an identifier.
 *
 * @param what What it is, for the error.
 * @param value The identifier, with or without angle brackets.
 * @returns It, with them.
 * @throws {TypeError} If it is none.
 */
export function messageIdentifier(what: string, value: unknown): string {
  const text = headerText(what, value).trim();
  const bare = text.startsWith("<") && text.endsWith(">") ? text.slice(1, -1) : text;
  if (MESSAGE_ID.test(bare)) return `<${bare}>`;
  throw wrong(what, `must be an identifier such as "<id@example.com>", it is ${JSON.stringify(text)}`);
}

/**
 * Refuses what nobody would look at, and what would be read from files and URLs.
 *
 * @param what What it is, for the error.
 * @param value The object.
 * @param known The members that it may have.
 * @throws {TypeError} If it has others, or is no object.
 */
export function onlyKnown(what: string, value: unknown, known: ReadonlySet<string>): void {
  if (typeof value !== "object" || value === null) {
    throw wrong(what, `must be an object, it is ${nameOf(value)}`);
  }
  for (const [key, member] of Object.entries(value)) {
    if (known.has(key) || member === undefined) continue;
    if (key === "path" || key === "href") {
      // In nodemailer a mail made of a stranger's JSON so reads /etc/passwd, or a cloud's metadata.
      throw wrong(what, `must hold its content: "${key}" is not opened, neither files nor URLs are`);
    }
    throw wrong(what, `must have ${[...known].join(", ")} only, it has ${JSON.stringify(key)}`);
  }
}

/**
 * Makes the error for something wrong in a mail.
 *
 * @param what What is wrong.
 * @param why How.
 * @returns The error.
 */
export function wrong(what: string, why: string): TypeError {
  return new TypeError(`Cannot compose the mail: ${what} ${why}`);
}

/**
 * Names the kind of a value.
 *
 * @param value The value.
 * @returns Its kind.
 */
export function nameOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}
