import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decodeBase64, encodeBase64 } from "../../src/sasl/base64.ts";
import { test } from "../support/unwatched.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

// RFC 4648, section 10.
for (
  const [text, encoded] of [
    ["", ""],
    ["f", "Zg=="],
    ["fo", "Zm8="],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg=="],
    ["fooba", "Zm9vYmE="],
    ["foobar", "Zm9vYmFy"],
  ] as const
) {
  test(`encodeBase64() and decodeBase64() turn "${text}" into "${encoded}" and back`, () => {
    assertEquals(encodeBase64(bytes(text)), encoded);
    assertEquals(decodeBase64(encoded), bytes(text));
  });
}

test("decodeBase64() gives back what encodeBase64() was given", () =>
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
    assertEquals([...decodeBase64(encodeBase64(value))], [...value]);
  })));

test("encodeBase64() takes more bytes than a function takes arguments", () => {
  assertEquals(
    decodeBase64(encodeBase64(new Uint8Array(300_000).fill(255))),
    new Uint8Array(300_000).fill(255),
  );
});

// curl's tests 932 and 935 have "Rubbish" and a space inside of a challenge.
for (
  const text of [
    ...[
      "Zg=",
      "Zg",
      "Zm8",
      "Z",
      "Zm9v!",
      "Zm-_",
      "Zg==Zg==",
      "=",
      "==",
      "====",
      "Zg==\n",
      " Zg==",
      "Zm9v\tZm9v",
    ],
    ...["Rubbish", "PDFAbXg+ IA", "Zm9v Zm9v", "Zm\u00e99v"],
  ]
) {
  test(`decodeBase64() refuses ${JSON.stringify(text)}`, () => {
    assertThrows(() => decodeBase64(text), SyntaxError, "Cannot decode base64");
  });
}
