/**
 * A stand-in for `@std/assert` with the functions that our tests use, for machines that cannot reach JSR. Names,
 * parameters and meaning are those of the real package: `deno task test:jsr` runs the same tests on it.
 * @module
 */
import { inspect, isDeepStrictEqual } from "node:util";

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** What a failed assertion throws. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

function show(value: unknown): string {
  return inspect(value, { depth: 8, maxArrayLength: 64, maxStringLength: 2_000, sorted: true });
}

function failWith(message: string, extra?: string): never {
  throw new AssertionError(extra === undefined ? message : `${message}: ${extra}`);
}

/** Fails. */
export function fail(msg?: string): never {
  failWith("Failed assertion", msg);
}

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails unless `expr` is falsy. */
export function assertFalse(expr: unknown, msg?: string): void {
  if (expr) failWith("Expected value to be falsy", msg);
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  failWith(`Values are not equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`, msg);
}

/** Fails if both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) failWith(`Expected values to differ: ${show(actual)}`, msg);
}

/** Fails unless both are the same value. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (!Object.is(actual, expected)) {
    failWith(
      `Values are not strictly equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`,
      msg,
    );
  }
}

/** Fails if `actual` is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) failWith("Expected value to exist", msg);
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) failWith(`Expected ${show(actual)} to contain ${show(expected)}`, msg);
}

/** Fails unless `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) failWith(`Expected ${show(actual)} to match ${expected}`, msg);
}

/** Fails unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) failWith(`Expected ${show(actual)} > ${show(expected)}`, msg);
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) failWith(`Expected ${show(actual)} >= ${show(expected)}`, msg);
}

/** Fails unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) failWith(`Expected ${show(actual)} < ${show(expected)}`, msg);
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) failWith(`Expected ${show(actual)} <= ${show(expected)}`, msg);
}

/** Fails unless `actual` is an instance of `expectedType`. */
// deno-lint-ignore no-explicit-any
export function assertInstanceOf<T extends abstract new (...args: any[]) => any>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (!(actual instanceof expectedType)) {
    failWith(`Expected object to be an instance of "${expectedType.name}" but was ${show(actual)}`, msg);
  }
}

/** Fails unless `error` is an error of the class with the text in its message. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorClass<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) failWith(`Expected "error" to be an Error object: ${show(error)}`, msg);
  if (ErrorClass !== undefined && !(error instanceof ErrorClass)) {
    failWith(`Expected error to be instance of "${ErrorClass.name}", but was ${show(error)}`, msg);
  }
  const matches = msgMatches === undefined ||
    (typeof msgMatches === "string" ? error.message.includes(msgMatches) : msgMatches.test(error.message));
  if (!matches) {
    failWith(`Expected error message to include ${show(msgMatches)}, but got ${show(error.message)}`, msg);
  }
}

/** Fails unless `fn` throws. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Fails unless `fn` throws an error of the class with the text in its message. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  classOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const ErrorClass = typeof classOrMsg === "string" ? undefined : classOrMsg;
  const note = typeof classOrMsg === "string" ? classOrMsg : msg;
  try {
    fn();
  } catch (error) {
    if (ErrorClass !== undefined) assertIsError(error, ErrorClass, msgIncludes, note);
    return error;
  }
  failWith("Expected function to throw", note);
}

/** Fails unless the promise rejects. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Fails unless the promise rejects with an error of the class with the text in its message. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const ErrorClass = typeof classOrMsg === "string" ? undefined : classOrMsg;
  const note = typeof classOrMsg === "string" ? classOrMsg : msg;
  try {
    await fn();
  } catch (error) {
    if (ErrorClass !== undefined) assertIsError(error, ErrorClass, msgIncludes, note);
    return error;
  }
  failWith("Expected function to reject", note);
}
