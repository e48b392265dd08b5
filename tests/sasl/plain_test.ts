import { assertEquals, assertThrows } from "@std/assert";
import { plain } from "../../src/sasl/plain.ts";
import { test } from "../support/unwatched.ts";

const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

test("plain() says name and password at once, without an authorization identity (RFC 4616, section 4)", () => {
  const mechanism = plain({ user: "tim", pass: "tanstaaftanstaaf" });
  assertEquals(mechanism.name, "PLAIN");
  assertEquals(decode(mechanism.initialResponse), "\0tim\0tanstaaftanstaaf");
});

test("plain() writes UTF-8", () => {
  assertEquals(decode(plain({ user: "jürgen", pass: "pässwörd€" }).initialResponse), "\0jürgen\0pässwörd€");
});

test("plain() has no answer to a challenge", () => {
  assertThrows(() => plain({ user: "a", pass: "b" }).respond(new Uint8Array()), Error, "only one response");
});

for (const [what, user, pass] of [["name", "a\0b", "c"], ["password", "a", "b\0c"]] as const) {
  test(`plain() refuses NUL in the ${what}, and does not show it`, () => {
    const error = assertThrows(() => plain({ user, pass }), TypeError, "NUL");
    assertEquals(error.message.includes("\0"), false);
  });
}
