/**
 * Names, passwords and messages as text: UTF-8, SASLprep (RFC 4013), and names inside of messages.
 *
 * @module
 */
import { isAscii, isControl, isUnsafe } from "../core/characters.ts";

/**
 * Decodes a message of the peer.
 *
 * @param bytes The message.
 * @returns The text; `undefined` if it is not UTF-8.
 */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Whether a name or a password that a client has sent can be one: without control characters and those that turn text around,
 * which SASLprep forbids (RFC 4013, section 2.3). They would reach the files, queries and logs of whoever checks it.
 *
 * @param text The name or password.
 */
export function isProper(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (isUnsafe(text.charCodeAt(i))) return false;
  }
  return true;
}

/**
 * Escapes a name for SCRAM and the GS2 header (RFC 5801, section 4; RFC 5802, section 5.1).
 *
 * @param name The name.
 * @returns The name with `=3D` for `=` and `=2C` for `,`.
 */
export function escapeSaslName(name: string): string {
  return name.replaceAll("=", "=3D").replaceAll(",", "=2C");
}

/**
 * Prepares a name or a password: SASLprep makes one form of those that can be typed in several. ASCII is its own prepared
 * form; for anything else `@mongodb-js/saslprep` is loaded.
 *
 * @param what What the text is, for the error, which does not show the text.
 * @param text The text.
 * @param options `query`: whether the text may have characters that Unicode 3.2 does not know, as a name to look up may
 * (RFC 3454, section 7). Default: `false`.
 * @returns The prepared form.
 * @throws {TypeError} If the text has no prepared form, or an empty one.
 */
export async function saslPrep(
  what: string,
  text: string,
  options: { query?: boolean } = {},
): Promise<string> {
  const prepared = isAscii(text) ? text : await prepare(what, text, options.query ?? false);
  // RFC 5802, section 5.1: neither a name nor a password may be empty once it is prepared.
  if (prepared === "") throw new TypeError(`Cannot prepare the ${what} with SASLprep: nothing is left of it`);
  // RFC 3454, tables C.2.1 and C.2.2.
  for (let i = 0; i < prepared.length; i++) {
    if (isControl(prepared.charCodeAt(i))) {
      throw new TypeError(`Cannot prepare the ${what} with SASLprep: it has control characters`);
    }
  }
  return prepared;
}

async function prepare(what: string, text: string, allowUnassigned: boolean): Promise<string> {
  const { saslprep } = await import("@mongodb-js/saslprep");
  try {
    return saslprep(text, { allowUnassigned });
  } catch (cause) {
    // The library's message says which rule was broken, and shows nothing of the text.
    throw new TypeError(`Cannot prepare the ${what} with SASLprep: ${(cause as Error).message}`, { cause });
  }
}
