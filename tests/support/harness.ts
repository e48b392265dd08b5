/**
 * Declares tests that are watched: no secret that a client logs in with may show up in anything that can be seen.
 * @module
 */
import { watchSecrets } from "./secrets.ts";
import { type Body, test as declare, type TestOptions } from "./unwatched.ts";

export { sendMail } from "./secrets.ts";
export { after, runtime } from "./unwatched.ts";

/** Declares a test. */
export function test(name: string, body: Body): void;
/** Declares a test with options. */
export function test(name: string, options: TestOptions, body: Body): void;
export function test(name: string, optionsOrBody: TestOptions | Body, maybeBody?: Body): void {
  const options = typeof optionsOrBody === "function" ? {} : optionsOrBody;
  const body = typeof optionsOrBody === "function" ? optionsOrBody : maybeBody!;
  declare(name, options, () => watchSecrets(body));
}
