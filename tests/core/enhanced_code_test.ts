import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { enhancedCodeLength, withoutEnhancedCode } from "../../src/core/enhanced_code.ts";
import { test } from "../support/harness.ts";

/** RFC 3463, section 2, read straight from the page. */
function reference(line: string, code: number): number {
  const match = /^([245])\.\d{1,3}\.\d{1,3}(?= |$)/.exec(line);
  return match !== null && match[1] === String(code)[0] ? match[0].length : 0;
}

test("enhancedCodeLength() finds codes of the reply's class", () => {
  assertEquals(enhancedCodeLength("2.1.0 Ok", 250), 5);
  assertEquals(enhancedCodeLength("5.7.999", 550), 7);
  assertEquals(enhancedCodeLength("4.123.45 Later", 450), 8);
});

test("enhancedCodeLength() finds none where the class, the form or the end is another", () => {
  for (
    const [line, code] of [
      ["4.2.1 is our version", 250],
      ["3.0.0 Go on", 354],
      ["2.1", 250],
      ["2.1.", 250],
      ["2..1 x", 250],
      ["2.1234.1 x", 250],
      ["2.1.1234 x", 250],
      ["2.1.0x", 250],
      ["2.1.0.1", 250],
      ["", 250],
      [" 2.1.0", 250],
    ] as const
  ) {
    assertEquals([line, enhancedCodeLength(line, code)], [line, 0]);
    assertEquals(withoutEnhancedCode(line, code), line);
  }
});

test("enhancedCodeLength() agrees with the grammar", () => {
  const line = fc.string({
    unit: fc.constantFrom("2", "4", "5", "3", "1", "0", ".", " ", "x"),
    maxLength: 12,
  });
  fc.assert(
    fc.property(line, fc.constantFrom(250, 354, 450, 550), (text, code) => {
      assertEquals(enhancedCodeLength(text, code), reference(text, code));
    }),
    { numRuns: 3000 },
  );
});

test("withoutEnhancedCode() takes the code and the space off", () => {
  assertEquals(withoutEnhancedCode("2.1.0 Ok", 250), "Ok");
  assertEquals(withoutEnhancedCode("2.1.0", 250), "");
  assertEquals(withoutEnhancedCode("2.1.0  Ok", 250), " Ok");
});
