/**
 * ANONYMOUS (RFC 4505).
 *
 * @module
 */
import { isControl } from "../core/characters.ts";
import type { ClientFirstMechanism } from "./mechanism.ts";

/** The longest trace information, in characters (RFC 4505, section 2). */
const MAX_TRACE = 255;

/**
 * ANONYMOUS: no credentials, only a text for the server's log.
 *
 * @param trace A mail address, or a text without `@`. Default: empty.
 * @returns The mechanism.
 * @throws {TypeError} If the text is longer than 255 characters or has control characters.
 */
export function anonymous(trace = ""): ClientFirstMechanism {
  if ([...trace].length > MAX_TRACE || !trace.isWellFormed() || hasControl(trace)) {
    throw new TypeError(
      `Cannot authenticate with ANONYMOUS: the trace information must be up to ${MAX_TRACE} characters without control characters`,
    );
  }
  return {
    name: "ANONYMOUS",
    initialResponse: new TextEncoder().encode(trace),
    respond(): never {
      throw new Error("Cannot answer a second challenge: ANONYMOUS has only one response");
    },
  };
}

/** Control characters are the most important of those that the stringprep profile "trace" forbids. */
function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (isControl(text.charCodeAt(i))) return true;
  }
  return false;
}
