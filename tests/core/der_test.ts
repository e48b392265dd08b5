import { assertEquals, assertThrows } from "@std/assert";
import { Der, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE } from "../../src/core/der.ts";
import { test } from "../support/harness.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

test("Der reads one value after the other", () => {
  const reader = new Der(bytes(SEQUENCE, 7, OBJECT_IDENTIFIER, 2, 0x2a, 3, OCTET_STRING, 1, 9)).enter(
    SEQUENCE,
  );
  assertEquals([reader.done, reader.tag], [false, OBJECT_IDENTIFIER]);
  assertEquals(reader.identifier(), "2a03");
  assertEquals(reader.take(OCTET_STRING), bytes(9));
  assertEquals([reader.done, reader.tag], [true, -1]);
});

test("Der reads lengths of one to three bytes", () => {
  for (
    const [header, length] of [[[0x81, 200], 200], [[0x82, 1, 0], 256], [[0x83, 1, 0, 0], 65_536]] as const
  ) {
    const reader = new Der(bytes(OCTET_STRING, ...header, ...new Uint8Array(length), 1));
    assertEquals(reader.take(OCTET_STRING).length, length);
    assertEquals(reader.tag, 1);
  }
});

for (
  const [what, value] of [
    ["another tag", bytes(SEQUENCE, 0)],
    ["nothing", bytes()],
    ["a tag alone", bytes(OCTET_STRING, 1)],
    ["a value that is cut off", bytes(OCTET_STRING, 2, 1)],
    ["a length that is cut off", bytes(OCTET_STRING, 0x82, 1)],
    ["an indefinite length", bytes(OCTET_STRING, 0x80, 1, 0, 0)],
    ["a length of four bytes", bytes(OCTET_STRING, 0x84, 0, 0, 0, 1, 1)],
  ] as const
) {
  test(`Der refuses ${what}`, () => {
    assertThrows(() => new Der(value).take(OCTET_STRING), SyntaxError, "Cannot read the certificate");
  });
}

test("Der refuses a tag of several bytes, and to skip past the end", () => {
  assertThrows(() => new Der(bytes(0x1f, 0)).skip(), SyntaxError);
  assertThrows(() => new Der(bytes()).skip(), SyntaxError);
});
