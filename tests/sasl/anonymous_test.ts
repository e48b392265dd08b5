import { assertEquals, assertThrows } from "@std/assert";
import { anonymous } from "../../src/sasl/anonymous.ts";
import { test } from "../support/unwatched.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("anonymous() sends the trace information of RFC 4505, section 3", () => {
  const mechanism = anonymous("sirhc");
  assertEquals([mechanism.name, btoa(text(mechanism.initialResponse))], ["ANONYMOUS", "c2lyaGM="]);
});

test("anonymous() sends nothing by default", () => {
  assertEquals(anonymous().initialResponse, new Uint8Array());
});

test("anonymous() counts characters, not bytes", () => {
  assertEquals(text(anonymous("😀".repeat(255)).initialResponse), "😀".repeat(255));
  assertThrows(() => anonymous("x".repeat(256)), TypeError, "255 characters");
});

for (const trace of ["a\r\nb", "\0", "\x7f", "\x85", "\ud800"]) {
  test(`anonymous() refuses ${JSON.stringify(trace)}`, () => {
    assertThrows(() => anonymous(trace), TypeError, "control characters");
  });
}

test("anonymous() has no answer to a challenge", () => {
  assertThrows(() => anonymous().respond(new Uint8Array()), Error, "only one response");
});
