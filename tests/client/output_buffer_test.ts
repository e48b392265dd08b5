import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { OutputBuffer } from "../../src/client/output_buffer.ts";
import { DataEncoder } from "../../src/streams/data_encoder.ts";
import { test } from "../support/harness.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("OutputBuffer gives everything in order, whatever its size", () =>
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.string({ unit: "grapheme" }), fc.nat(3_000))), (parts) => {
      const output = new OutputBuffer();
      let expected = "";
      for (const [asText, text, times] of parts) {
        const part = text.repeat(times % 300);
        if (asText) output.text(part);
        else output.bytes(encode(part));
        expected += part;
        assertEquals(output.length, encode(expected).length);
      }
      assertEquals(decode(output.take()) === expected.toWellFormed(), true);
      assertEquals(output.length, 0);
    }),
  ));

test("OutputBuffer.take() hands out memory that it does not write to again", () => {
  const output = new OutputBuffer();
  output.text("first");
  const first = output.take();
  output.text("other");
  assertEquals([decode(first), decode(output.take())], ["first", "other"]);
});

test("OutputBuffer.clear() forgets what waits", () => {
  const output = new OutputBuffer();
  output.text("first");
  output.clear();
  output.text("second");
  assertEquals(decode(output.take()), "second");
});

for (const size of [0, 1, 5, 6, 7, 8, 9, 10, 95, 98, 99, 100, 999, 9_998, 9_999, 20_000]) {
  test(`OutputBuffer.lastChunk() announces what stands behind it: ${size} bytes`, () => {
    for (
      const content of ["x".repeat(size), "\n".repeat(size), `${"x".repeat(size)}\r`, `${"\r".repeat(size)}.`]
    ) {
      const output = new OutputBuffer();
      output.text("before\r\n");
      const announced = output.lastChunk(new DataEncoder({ transparency: false }), encode(content));
      output.text("behind");
      const expected = content === ""
        ? ""
        : content.replace(/\r\n|\r|\n/g, "\r\n").replace(/(?<!\r\n)$/, "\r\n");
      assertEquals(announced, expected.length);
      assertEquals(
        decode(output.take()) === `before\r\nBDAT ${expected.length} LAST\r\n${expected}behind`,
        true,
        JSON.stringify(content.slice(0, 20)),
      );
    }
  });
}
