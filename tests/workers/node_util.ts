/**
 * The part of `node:util` that the stand-in for `@std/assert` needs, and Workers do not have: enough for the conformance
 * suite, whose values are text, numbers, booleans and arrays of them.
 * @module
 */

/** Renders a value. */
export function inspect(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Whether two values are equal, or arrays of equal values. */
export function isDeepStrictEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!Array.isArray(a) || !Array.isArray(b)) return false;
  return a.length === b.length && a.every((value, i) => isDeepStrictEqual(value, b[i]));
}
