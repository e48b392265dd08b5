/**
 * What was given to log in with, checked.
 *
 * @module
 */
import { mechanismsFor } from "../sasl/choose.ts";
import type { Auth, MechanismAuth } from "./options.ts";

/** What tells one kind of {@linkcode Auth} from the others. */
const AUTH_KINDS = ["pass", "accessToken", "external", "anonymous", "mechanism"] as const;

/**
 * Checks what was given to log in with.
 *
 * @param auth What the caller gives.
 * @throws {TypeError} If it makes no sense. The message shows no secret.
 */
export function checkAuth(auth: Auth): void {
  const given = AUTH_KINDS.filter((kind) => kind in auth);
  if (given.length !== 1) {
    throw new TypeError(
      `Cannot log in: auth must have one of ${AUTH_KINDS.join(", ")}, it has ${
        given.join(" and ") || "none"
      }`,
    );
  }
  if ("mechanism" in auth) {
    if (typeof auth.mechanism === "function") return;
    throw new TypeError("Cannot log in: auth.mechanism must be a function that makes a mechanism");
  }
  if ("pass" in auth) {
    checkText("user", auth.user);
    checkText("pass", auth.pass);
    if (auth.authzid !== undefined) checkText("authzid", auth.authzid);
  }
  if ("accessToken" in auth) {
    checkText("user", auth.user);
    if (typeof auth.accessToken !== "function") checkText("accessToken", auth.accessToken);
  }
  if ("external" in auth && auth.external !== true) checkText("external", auth.external);
  if ("anonymous" in auth) checkText("anonymous", auth.anonymous);
  checkMechanisms(auth);
}

/** NUL parts the words of PLAIN: one more would shift name and password. */
function checkText(name: string, value: unknown): void {
  if (typeof value === "string" && !value.includes("\0")) return;
  throw new TypeError(`Cannot log in: auth.${name} must be a string without NUL`);
}

function checkMechanisms(auth: Exclude<Auth, MechanismAuth>): void {
  if (auth.mechanisms === undefined) return;
  const known = mechanismsFor(auth);
  const unknown = auth.mechanisms.filter((name) => !known.includes(name.toUpperCase()));
  if (auth.mechanisms.length > 0 && unknown.length === 0) return;
  throw new TypeError(
    `Cannot log in: auth.mechanisms must be some of ${known.join(", ")}, it is ${
      JSON.stringify(auth.mechanisms)
    }`,
  );
}
