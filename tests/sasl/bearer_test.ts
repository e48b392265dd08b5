import { assertEquals } from "@std/assert";
import { readRefusal } from "../../src/sasl/bearer.ts";
import { test } from "../support/unwatched.ts";

const read = (text: string) => readRefusal(new TextEncoder().encode(text));

test("readRefusal() reads status and scope", () => {
  assertEquals(read('{"status":"invalid_token"}'), "status invalid_token");
  assertEquals(read('{"status":400,"scope":""}'), "status 400");
  assertEquals(read('{"status":"401","scope":"mail"}'), "status 401, scope mail");
});

for (const text of ["", "{", "null", "[]", '"401"', '{"status":null}', '{"status":{}}', "\xff"]) {
  test(`readRefusal() makes nothing of ${JSON.stringify(text)}`, () => {
    assertEquals(read(text), "the server does not say why");
  });
}

test("readRefusal() lets nothing through that a terminal would act on, and nothing without end", () => {
  assertEquals(read('{"status":"\\u001b[2J\\r\\n\\u00fc"}'), "status ?[2J???");
  assertEquals(read(JSON.stringify({ status: "x".repeat(10_000) })).length, "status ".length + 40);
  assertEquals(
    read(JSON.stringify({ status: 1, scope: "x".repeat(10_000) })).length,
    "status 1, scope ".length + 200,
  );
});
