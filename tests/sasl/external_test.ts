import { assertEquals, assertThrows } from "@std/assert";
import { external } from "../../src/sasl/external.ts";
import { test } from "../support/unwatched.ts";

test("external() sends the name to act as, or nothing", () => {
  assertEquals(external().name, "EXTERNAL");
  assertEquals(external().initialResponse, new Uint8Array());
  assertEquals(new TextDecoder().decode(external("fred@example.com").initialResponse), "fred@example.com");
});

test("external() refuses NUL", () => {
  assertThrows(() => external("a\0b"), TypeError, "NUL");
});

test("external() has no answer to a challenge", () => {
  assertThrows(() => external().respond(new Uint8Array()), Error, "only one response");
});
