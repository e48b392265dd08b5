import { assertEquals, assertInstanceOf } from "@std/assert";
import { messageOf, ProtocolError, readable, show } from "../../src/core/errors.ts";
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

test("messageOf() gives a text, whatever was thrown", () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const throwing = Object.defineProperty(new Error("x"), "message", {
    get() {
      throw null;
    },
  });
  for (
    const thrown of [
      Object.assign(new Error("x"), { message: null }),
      throwing,
      revoked.proxy,
      Object.create(null),
    ]
  ) {
    assertEquals(messageOf(thrown), "what was thrown has no text that can be read");
  }
  for (const thrown of [null, undefined, Symbol("x"), 1n, "a", {}]) {
    assertEquals(messageOf(thrown), String(thrown));
    assertEquals(readable(thrown), thrown);
  }
  const error = new Error("x");
  assertEquals(messageOf(error), "x");
  assertEquals(readable(error), error);
});
