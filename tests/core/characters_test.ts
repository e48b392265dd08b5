import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  ATEXT,
  DCONTENT,
  ESMTP_VALUE,
  every,
  is,
  isAscii,
  isBase64,
  isControl,
  isDigit,
  LET_DIG,
  MECHANISM,
  printable,
  QTEXT,
  XCHAR,
} from "../../src/core/characters.ts";
import { show } from "../../src/core/errors.ts";
import { test } from "../support/unwatched.ts";

/** The classes as their RFCs write them. */
const GRAMMAR: [name: string, kind: number, grammar: RegExp][] = [
  ["Let-dig", LET_DIG, /[A-Za-z0-9]/],
  ["atext", ATEXT, /[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]/],
  ["qtextSMTP", QTEXT, /[\x20-\x21\x23-\x5b\x5d-\x7e]/],
  ["esmtp-value", ESMTP_VALUE, /[\x21-\x3c\x3e-\x7e]/],
  ["xchar", XCHAR, /[\x21-\x2a\x2c-\x3c\x3e-\x7e]/],
  ["dcontent", DCONTENT, /[\x21-\x5a\x5e-\x7e]/],
  ["mech-char", MECHANISM, /[A-Z0-9_-]/],
];

for (const [name, kind, grammar] of GRAMMAR) {
  test(`is() knows ${name} as the grammar has it, for each of the 65,536 code units`, () => {
    for (let code = 0; code < 0x10000; code++) {
      const expected = code < 0x80 && grammar.test(String.fromCharCode(code));
      if (is(code, kind) !== expected) assertEquals([code, is(code, kind)], [code, expected]);
    }
    assertEquals(is(NaN, kind), false);
  });
}

test("every() is is() for each character, and false for nothing", () => {
  assertEquals(every("", LET_DIG), false);
  assertEquals(every("a.b", LET_DIG), false);
  assertEquals(every("a.b", LET_DIG, 2), true);
  assertEquals(every("a.b", LET_DIG, 0, 1), true);
  assertEquals(every("aé", LET_DIG), false);
});

test("isDigit() and isControl() know their ranges", () => {
  for (let code = 0; code < 0x200; code++) {
    assertEquals(isDigit(code), code >= 48 && code <= 57);
    assertEquals(isControl(code), code < 32 || (code >= 127 && code < 160));
  }
});

test("isAscii() is false from U+0080 on", () => {
  assertEquals(isAscii(""), true);
  assertEquals(isAscii("a\x7f"), true);
  assertEquals(isAscii("a\x80"), false);
  assertEquals(isAscii("😀"), false);
});

test("isBase64() takes what btoa() makes and the lone equals sign", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
    assertEquals(isBase64(btoa(String.fromCharCode(...bytes))), true);
  }));
  assertEquals(isBase64("="), true);
  for (const bad of ["", "a", "abc", "a===", "====", "ab=c", "ab c", "abcd\n", "ab-_", "abcé", "=abc"]) {
    assertEquals([bad, isBase64(bad)], [bad, false]);
  }
});

test("show() escapes what a terminal or a log would act on", () => {
  assertEquals(show('a"b\\'), '"a\\"b\\\\"');
  assertEquals(show("a\r\nb\0\x1b[2J\x7f\x9b"), '"a\\r\\nb\\x00\\x1b[2J\\x7f\\x9b"');
  assertEquals(show("\u2028\u2029"), '"\\u2028\\u2029"');
  assertEquals(show("jörg😀"), '"jörg😀"');
  assertEquals(show("\ud800a\udc00"), '"\\ud800a\\udc00"');
  assertEquals(show("\ud800"), '"\\ud800"');
});

test("show() cuts long texts and gives well-formed ones without control characters", () => {
  assertEquals(show("a".repeat(80)), `"${"a".repeat(80)}"`);
  assertEquals(show("a".repeat(81)), `"${"a".repeat(80)}…"`);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
    const shown = show(text);
    assertEquals(shown.isWellFormed(), true);
    for (let i = 0; i < shown.length; i++) assertEquals(isControl(shown.charCodeAt(i)), false);
  }));
});

test("printable() keeps visible ASCII and spaces, up to a length", () => {
  assertEquals(printable("a b~", 10), "a b~");
  assertEquals(printable("\x1b\x7fé😀", 10), "????");
  assertEquals(printable("abcdef", 3), "abc");
});
