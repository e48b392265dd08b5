/**
 * The error of a peer that breaks the protocol, and the wording of errors about values.
 *
 * @module
 */
import { isUnsafe } from "./characters.ts";

/**
 * The peer has sent something that SMTP does not allow, or more than the limits permit. It is never the caller's fault,
 * and the connection cannot be used any more: nobody knows where the next reply or command begins.
 */
export class ProtocolError extends Error {
  /** `"ProtocolError"`. */
  override name = "ProtocolError";
}

/**
 * The message for an option or an argument that is not valid: the same grammar everywhere.
 *
 * @param action What cannot be done, as in "send".
 * @param name The name of the option or the argument.
 * @param rule What it must be, as in "a whole number from 1".
 * @param value What it is. Never a secret.
 * @returns The message.
 */
export function mustBe(action: string, name: string, rule: string, value: unknown): string {
  return `Cannot ${action}: ${name} must be ${rule}, the current value is ${describe(value)}`;
}

/** Names a value for an error message: text in quotes, of an object only its kind. */
export function describe(value: unknown): string {
  if (typeof value === "string") return show(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

/** How much of a text from the peer or the caller an error message shows. */
const MAX_SHOWN = 80;

/**
 * Prepares a text for an error message: in double quotes, what {@linkcode escapeUnsafe} escapes escaped, and cut if it is
 * long.
 *
 * @param text The text.
 * @returns The text in quotes.
 */
export function show(text: string): string {
  let end = Math.min(text.length, MAX_SHOWN);
  // Not through the middle of a character.
  if (end < text.length && text.codePointAt(end - 1)! > 0xffff) end++;
  const quoted = text.slice(0, end).replace(/["\\]/g, "\\$&").replaceAll("\r", "\\r").replaceAll("\n", "\\n");
  return `"${escapeUnsafe(quoted)}${text.length > end ? "…" : ""}"`;
}

/**
 * Escapes what a terminal or a log would act on or break on: see {@linkcode isUnsafe}, and lone surrogates.
 *
 * @param text The text.
 * @returns The text with `\x1b` or `\u202e` for such a character.
 */
export function escapeUnsafe(text: string): string {
  let safe = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    safe += isUnsafe(code) || (code >= 0xd800 && code <= 0xdfff) ? escapeUnit(code) : character;
  }
  return safe;
}

function escapeUnit(code: number): string {
  return code < 0x100
    ? "\\x" + code.toString(16).padStart(2, "0")
    : "\\u" + code.toString(16).padStart(4, "0");
}

/**
 * Takes whatever was thrown, where its text is about to be read.
 *
 * @param thrown A thrown value, from code that is not ours.
 * @returns The value itself; an error in its place, with it as the `cause`, if it has no text that can be read: it is a revoked
 * proxy, a getter of it throws, or the `message` is not a string.
 */
export function readable(thrown: unknown): unknown {
  try {
    if (!(thrown instanceof Error)) {
      String(thrown);
      return thrown;
    }
    void (thrown as { code?: unknown }).code;
    if (typeof thrown.name === "string" && typeof thrown.message === "string") return thrown;
  } catch {
    // As if it had no text.
  }
  return new Error("what was thrown has no text that can be read", { cause: thrown });
}

/** The text of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  const error = readable(thrown);
  return error instanceof Error ? error.message : String(error);
}
