import { assertEquals, assertInstanceOf } from "@std/assert";
import { ProtocolError, show } from "../../src/core/errors.ts";
import { test } from "../support/unwatched.ts";

test("ProtocolError is an error with a name and a cause of its own", () => {
  const cause = new Error("below");
  const error = new ProtocolError("A line is too long", { cause });
  assertInstanceOf(error, Error);
  assertEquals(error.name, "ProtocolError");
  assertEquals(error.message, "A line is too long");
  assertEquals(error.cause, cause);
});

test("show() escapes what turns text around or acts on a terminal, and cuts no character in two", () => {
  assertEquals(
    show('a"\\\r\n\x1b\u202e\u2066\u2028\udc00'),
    String.raw`"a\"\\\r\n\x1b\u202e\u2066\u2028\udc00"`,
  );
  assertEquals(show("x".repeat(79) + "\ud83d\udd11y"), `"${"x".repeat(79)}\ud83d\udd11…"`);
  assertEquals(show("x".repeat(80)), `"${"x".repeat(80)}"`);
});
