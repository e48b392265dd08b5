import { assertEquals, assertInstanceOf } from "@std/assert";
import { ProtocolError } from "../../src/core/errors.ts";
import { test } from "../support/unwatched.ts";

test("ProtocolError is an error with a name and a cause of its own", () => {
  const cause = new Error("below");
  const error = new ProtocolError("A line is too long", { cause });
  assertInstanceOf(error, Error);
  assertEquals(error.name, "ProtocolError");
  assertEquals(error.message, "A line is too long");
  assertEquals(error.cause, cause);
});
