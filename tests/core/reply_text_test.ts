import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { copyText, decodeLines, decodeText } from "../../src/core/reply_text.ts";
import { test } from "../support/unwatched.ts";

test("decodeText() gives ASCII of every length as it is", () => {
  const text = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");
  const bytes = new TextEncoder().encode(text);
  for (let start = 0; start <= bytes.length; start++) {
    for (let end = start; end <= bytes.length; end++) {
      if (decodeText(bytes, start, end) !== text.slice(start, end)) {
        assertEquals(decodeText(bytes, start, end), text.slice(start, end));
      }
    }
  }
});

test("decodeText() gives nothing when the range is empty or turned round", () => {
  assertEquals(decodeText(Uint8Array.of(65, 66), 1, 1), "");
  assertEquals(decodeText(Uint8Array.of(65, 66), 2, 1), "");
});

test("decodeText() is UTF-8 with control characters replaced", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
    const expected = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    assertEquals(
      decodeText(bytes, 0, bytes.length),
      // deno-lint-ignore no-control-regex
      expected.replace(/[\0-\x08\x0a-\x1f\x7f-\x9f]/g, "\ufffd"),
    );
  }));
});

test("decodeLines() takes off codes and line ends", () => {
  const bytes = new TextEncoder().encode("xx250-a\r\n250\r\n250 \n250-b\n250\tc\r\n250d\nyy");
  assertEquals(decodeLines(bytes, 2, bytes.length - 2), ["a", "", "", "b", "c", "d"]);
  assertEquals(new TextDecoder().decode(copyText(bytes, 2, bytes.length - 2)), "a\n\n\nb\nc\nd");
});
