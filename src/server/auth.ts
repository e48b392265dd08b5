/**
 * The server's side of AUTH PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login).
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { BAD_BASE64, BAD_CREDENTIALS } from "../core/session_replies.ts";
import type { AuthCredentials } from "./handlers.ts";

/** What comes of a response: another challenge in base64, the credentials, or a refusal. */
export type AuthStep =
  | { readonly kind: "challenge"; readonly text: string }
  | { readonly kind: "credentials"; readonly credentials: AuthCredentials }
  | { readonly kind: "refusal"; readonly reply: Reply };

/** One attempt to authenticate. */
export interface AuthExchange {
  /**
   * Takes a response.
   *
   * @param response In base64; `undefined` if AUTH came without one.
   * @returns What comes of it.
   */
  step(response: string | undefined): AuthStep;
}

const MALFORMED: AuthStep = { kind: "refusal", reply: BAD_BASE64 };

/**
 * Begins an attempt.
 *
 * @param mechanism `"PLAIN"` or `"LOGIN"`.
 * @returns The exchange.
 */
export function createAuthExchange(mechanism: string): AuthExchange {
  return mechanism === "LOGIN" ? new LoginExchange() : new PlainExchange();
}

class PlainExchange implements AuthExchange {
  step(response: string | undefined): AuthStep {
    if (response === undefined) return { kind: "challenge", text: "" };
    const parts = decode(response)?.split("\0");
    if (parts?.length !== 3) return MALFORMED;
    const [authorizationId, user, pass] = parts as [string, string, string];
    // Nobody acts for somebody else here; to take such a client for itself would be a surprise (RFC 4616, section 2).
    if (user === "" || (authorizationId !== "" && authorizationId !== user)) {
      return { kind: "refusal", reply: BAD_CREDENTIALS };
    }
    return { kind: "credentials", credentials: { mechanism: "PLAIN", user, pass } };
  }
}

class LoginExchange implements AuthExchange {
  #user: string | undefined;

  step(response: string | undefined): AuthStep {
    if (response === undefined) return { kind: "challenge", text: btoa("Username:") };
    const text = decode(response);
    if (text === undefined) return MALFORMED;
    if (this.#user === undefined) {
      this.#user = text;
      return { kind: "challenge", text: btoa("Password:") };
    }
    if (this.#user === "") return { kind: "refusal", reply: BAD_CREDENTIALS };
    return { kind: "credentials", credentials: { mechanism: "LOGIN", user: this.#user, pass: text } };
  }
}

/** Base64 of UTF-8; `undefined` for anything else. `=` is the empty response (RFC 4954, section 4). */
function decode(response: string): string | undefined {
  if (response === "=") return "";
  // atob() skips white space and does without padding; base64 on the wire has neither (RFC 4648, section 3).
  if (response.length % 4 !== 0 || response.includes(" ") || response.includes("\t")) return undefined;
  try {
    const bytes = Uint8Array.from(atob(response), (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
