/**
 * What the stand-in for `@std/assert` wants of `node:util`, which Workers do not have: enough for the conformance suite,
 * whose values are text, numbers, truth values and arrays of them.
 * @module
 */

/** Shows a value. */
export function inspect(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Whether two values are the same, or arrays of the same. */
export function isDeepStrictEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!Array.isArray(a) || !Array.isArray(b)) return false;
  return a.length === b.length && a.every((value, i) => isDeepStrictEqual(value, b[i]));
}
