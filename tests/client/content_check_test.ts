import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { ByteKinds } from "../../src/client/content_check.ts";
import { ContentCheck, findKinds, rulesFor } from "../../src/client/content_check.ts";
import { Extensions } from "../../src/core/extensions.ts";
import { Reply } from "../../src/core/reply.ts";
import { SmtpError } from "../../src/errors.ts";
import { DataEncoder } from "../../src/streams/data_encoder.ts";
import { test } from "../support/harness.ts";

const ANYTHING = { eightBit: "allowed", longLines: false } as const;

/** What is wrong with a content, found the simple way: by looking at the whole of it. */
function reference(content: string): "nul" | "long" | undefined {
  if (content.includes("\0")) return "nul";
  return content.split(/\r\n|\r|\n/).some((line) => line.length > 998) ? "long" : undefined;
}

function check(content: string, cuts: readonly number[]): "nul" | "long" | undefined {
  const bytes = new TextEncoder().encode(content);
  const check = new ContentCheck(ANYTHING);
  try {
    for (const [index, from] of [0, ...cuts].entries()) check.push(bytes.subarray(from, cuts[index]));
  } catch (error) {
    assertEquals([(error as SmtpError).code, (error as SmtpError).usable], ["invalid-message", true]);
    return (error as SmtpError).message.includes("NUL") ? "nul" : "long";
  }
  return undefined;
}

test("ContentCheck takes lines of 998 octets and none of 999, cut at every position", () => {
  for (const end of ["\r\n", "\n", "\r", ""]) {
    for (const length of [998, 999]) {
      const content = "x".repeat(length) + end;
      const expected = length === 999 ? "long" : undefined;
      assertEquals(reference(content), expected);
      for (let at = 0; at <= content.length; at++) {
        assertEquals(check(content, [at]), expected, `${length} ${at}`);
      }
    }
  }
});

test("ContentCheck counts octets, not characters", () => {
  assertEquals(check("é".repeat(499), []), undefined);
  assertEquals(check("é".repeat(499) + "x", []), "long");
});

test("ContentCheck agrees with the simple reference, whatever the content and its pieces", () => {
  const part = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("\r\n", "\n", "\r", "\n\r", "\r\r\n", "") },
    {
      weight: 4,
      arbitrary: fc.constantFrom(997, 998, 999, 1, 500, 1996).map((length) => "x".repeat(length)),
    },
    { weight: 1, arbitrary: fc.constantFrom("\0", "abc") },
  );
  const parts = fc.array(part, { maxLength: 12 });
  fc.assert(
    fc.property(parts, fc.array(fc.nat(6000), { maxLength: 6 }), (parts, positions) => {
      const content = parts.join("");
      const cuts = positions.filter((at) => at <= content.length).sort((a, b) => a - b);
      const actual = check(content, cuts);
      const expected = reference(content);
      // Of two faults the first may be found first.
      assertEquals(actual === undefined, expected === undefined);
      if (!content.includes("\0")) assertEquals(actual, expected);
    }),
    { numRuns: 2000 },
  );
});

test("ContentCheck lets long lines be where they are allowed", () => {
  new ContentCheck({ eightBit: "allowed", longLines: true }).push(new Uint8Array(5000).fill(0x78));
});

test("ContentCheck says why bytes above 127 must not be", () => {
  const bytes = new TextEncoder().encode("é");
  const missing = assertThrows(
    () => new ContentCheck({ eightBit: "not-offered", longLines: false }).push(bytes),
    SmtpError,
    "does not offer 8BITMIME",
  );
  assertEquals([missing.code, missing.usable], ["extension-missing", true]);
  const excluded = assertThrows(
    () => new ContentCheck({ eightBit: "excluded", longLines: false }).push(bytes),
    SmtpError,
    'body is "7bit"',
  );
  assertEquals(excluded.code, "invalid-message");
});

/** What findKinds() should find, a byte at a time. */
function look(bytes: Uint8Array): ByteKinds {
  const encoder = new DataEncoder({ transparency: false });
  const length = encoder.encode(bytes).length + encoder.end().length;
  return { eightBit: bytes.some((b) => b > 127), nul: bytes.includes(0), growth: length - bytes.length };
}

test("findKinds() finds NUL and bytes above 127 at every place of every alignment", () => {
  for (let offset = 0; offset < 4; offset++) {
    for (let length = 0; length <= 13; length++) {
      for (let at = -1; at < length; at++) {
        for (const byte of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
          for (const other of [0x01, 0x7f, 0x20]) {
            const bytes = new Uint8Array(offset + length + 4).subarray(offset, offset + length).fill(other);
            if (at >= 0) bytes[at] = byte;
            assertEquals(findKinds(bytes), look(bytes));
          }
        }
      }
    }
  }
});

test("findKinds() agrees with a look at each byte", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assertEquals(findKinds(bytes), look(bytes));
    }),
  );
});

test("findKinds() counts what the line ends of a message grow by, wherever it is cut from", () => {
  const byte = fc.constantFrom(0x0d, 0x0a, 0x41, 0x0b, 0x0e, 0x8d, 0x8a, 0xff, 0);
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 40 }), fc.nat(4), fc.nat(4), (list, start, end) => {
      const bytes = Uint8Array.from(list).subarray(start, Math.max(start, list.length - end));
      assertEquals(findKinds(bytes), look(bytes));
    }),
    { numRuns: 5_000 },
  );
});

for (
  const [body, keywords, expected] of [
    [undefined, ["8BITMIME"], "allowed"],
    [undefined, [], "not-offered"],
    ["8bitmime", ["8BITMIME"], "allowed"],
    ["7bit", ["8BITMIME"], "excluded"],
    ["7bit", [], "excluded"],
    ["binarymime", ["BINARYMIME"], undefined],
  ] as const
) {
  test(`rulesFor() says ${expected} for ${body} and ${keywords.join() || "nothing on offer"}`, () => {
    const extensions = Extensions.parse(new Reply(250, ["mx.test", ...keywords]));
    assertEquals(rulesFor(body, "error", extensions)?.eightBit, expected);
    assertEquals(rulesFor(body, "allow", extensions)?.longLines, expected && true);
  });
}
