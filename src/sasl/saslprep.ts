/**
 * SASLprep (RFC 4013): one form for names and passwords that can be typed in several.
 *
 * @module
 */

/** How to prepare. */
export interface SaslPrepOptions {
  /** Whether the text is a query and may have characters that Unicode 3.2 does not know (RFC 3454, section 7). Default: `false`. */
  query?: boolean;
}

/**
 * Prepares a name or a password. ASCII is its own prepared form; for anything else `@mongodb-js/saslprep` is loaded.
 *
 * @param what What the text is, for the error, which does not show the text.
 * @param text The text.
 * @param options How to prepare.
 * @returns The prepared form.
 * @throws {TypeError} If the text has no prepared form, or an empty one.
 */
export async function saslPrep(what: string, text: string, options: SaslPrepOptions = {}): Promise<string> {
  const prepared = isAscii(text) ? text : await prepare(what, text, options.query ?? false);
  // RFC 5802, section 5.1: neither a name nor a password may be empty once it is prepared.
  if (prepared === "") throw new TypeError(`Cannot prepare the ${what} with SASLprep: nothing is left of it`);
  if (hasControl(prepared)) {
    throw new TypeError(`Cannot prepare the ${what} with SASLprep: it has control characters`);
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

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** RFC 3454, table C.2.1. */
function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
