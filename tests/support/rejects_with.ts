/** What tests of the client ask of an error. @module */
import { assertEquals, assertRejects } from "@std/assert";
import { SmtpError } from "../../src/errors.ts";
import type { SmtpErrorCode } from "../../src/errors.ts";

/** Fails unless the promise rejects with an `SmtpError` of that code. */
export async function rejectsWith(code: SmtpErrorCode, body: () => Promise<unknown>): Promise<SmtpError> {
  const error = await assertRejects(body, SmtpError);
  assertEquals(error.code, code, error.message);
  return error;
}
