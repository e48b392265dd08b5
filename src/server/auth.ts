/**
 * AUTH (RFC 4954): the responses of a SASL mechanism in base64, and the replies to them.
 *
 * @module
 */
import { isBase64 } from "../core/characters.ts";
import type { Reply } from "../core/reply.ts";
import { decodeBase64, encodeBase64 } from "../sasl/base64.ts";
import { loginServer } from "../sasl/login.ts";
import { plainServer } from "../sasl/plain.ts";
import type { ServerMechanism } from "../sasl/server_mechanism.ts";
import type { AuthCredentials } from "./handlers.ts";
import { BAD_BASE64, BAD_CREDENTIALS, BAD_RESPONSE } from "./replies.ts";

/** What follows a response: another challenge in base64, the credentials, or a refusal. */
type AuthStep =
  | { readonly kind: "challenge"; readonly text: string }
  | { readonly kind: "credentials"; readonly credentials: AuthCredentials }
  | { readonly kind: "refusal"; readonly reply: Reply };

const MECHANISMS: ReadonlyMap<string, () => ServerMechanism> = new Map([
  ["PLAIN", plainServer],
  ["LOGIN", loginServer],
]);

/** The names of the mechanisms, the preferred one first. */
export const AUTH_MECHANISMS: readonly string[] = Object.freeze([...MECHANISMS.keys()]);

/** One attempt to authenticate. */
export class AuthAttempt {
  readonly #mechanism: ServerMechanism;
  #started = false;

  /** @param name One of {@linkcode AUTH_MECHANISMS}. */
  constructor(name: string) {
    this.#mechanism = MECHANISMS.get(name)!();
  }

  /**
   * Takes a response.
   *
   * @param response In base64; `undefined` if AUTH came without one.
   * @returns What follows.
   */
  step(response: string | undefined): AuthStep {
    const bytes = response === undefined ? undefined : decode(response, !this.#started);
    this.#started = true;
    if (bytes === null) return { kind: "refusal", reply: BAD_BASE64 };
    const step = this.#mechanism.respond(bytes);
    switch (step.kind) {
      case "challenge":
        return { kind: "challenge", text: encodeBase64(step.challenge) };
      case "credentials": {
        const { user, pass } = step;
        return { kind: "credentials", credentials: { mechanism: this.#mechanism.name, user, pass } };
      }
      case "malformed":
        return { kind: "refusal", reply: BAD_RESPONSE };
      case "refused":
        return { kind: "refusal", reply: BAD_CREDENTIALS };
    }
  }
}

/**
 * `null` for what is not base64 as this server would write it itself. The last character may have bits that no byte takes: with
 * them, two texts are the same password, and whoever counts or compares logins on their way sees two (RFC 4648, section
 * 3.5). `=` is the empty response of the AUTH command, and of nothing else (RFC 4954, section 4).
 */
function decode(response: string, initial: boolean): Uint8Array | null {
  if (response === "" || (response === "=" && initial)) return new Uint8Array();
  if (response === "=" || !isBase64(response)) return null;
  const bytes = decodeBase64(response);
  return encodeBase64(bytes) === response ? bytes : null;
}
