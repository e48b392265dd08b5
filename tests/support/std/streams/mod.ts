/**
 * A stand-in for `@std/streams` with the functions that our tests use, for machines that cannot reach JSR.
 * @module
 */
export { toBytes } from "./to_bytes.ts";
export { toText } from "./to_text.ts";
