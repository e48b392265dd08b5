import { assertEquals, assertRejects } from "@std/assert";
import { decodeUtf8, escapeSaslName, saslPrep } from "../../src/sasl/text.ts";
import { test } from "../support/unwatched.ts";

// RFC 4013, section 3.
for (
  const [text, prepared] of [
    ["I\u00adX", "IX"],
    ["user", "user"],
    ["USER", "USER"],
    ["\u00aa", "a"],
    ["\u2168", "IX"],
  ] as const
) {
  test(`saslPrep() prepares ${JSON.stringify(text)} as RFC 4013 has it`, async () => {
    assertEquals(await saslPrep("password", text), prepared);
  });
}

for (
  const [what, text] of [
    ["a control character (RFC 4013, section 3)", "\u0007"],
    ["a control character beside others", "ü\u0007"],
    ["DEL", "secret\x7f"],
    ["text of both directions (RFC 4013, section 3)", "\u0627\u0031"],
    ["nothing", ""],
    ["what prepares to nothing", "\u00ad"],
  ] as const
) {
  test(`saslPrep() refuses ${what}, and does not show it`, async () => {
    const error = await assertRejects(() => saslPrep("password", text), TypeError, "the password");
    if (text !== "") assertEquals(error.message.includes(text), false);
  });
}

test("saslPrep() takes a character that Unicode 3.2 does not know in a query only", async () => {
  await assertRejects(() => saslPrep("password", "\u{1fae0}"), TypeError, "Unassigned");
  assertEquals(await saslPrep("user", "\u{1fae0}", { query: true }), "\u{1fae0}");
});

test("saslPrep() gives one form to what can be typed in two", async () => {
  assertEquals(await saslPrep("password", "cafe\u0301"), await saslPrep("password", "caf\u00e9"));
});

test("escapeSaslName() escapes the comma and the equals sign, once", () => {
  assertEquals(escapeSaslName("a,b=c,=2C"), "a=2Cb=3Dc=2C=3D2C");
  assertEquals(escapeSaslName("user@example.com"), "user@example.com");
});

test("decodeUtf8() decodes UTF-8, a byte order mark included, and nothing else", () => {
  assertEquals(decodeUtf8(new TextEncoder().encode("\ufeffjörg")), "\ufeffjörg");
  assertEquals(decodeUtf8(Uint8Array.of(0xff)), undefined);
});
