import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  decodeUtf8Addr,
  decodeXtext,
  encodeUtf8AddrUnitext,
  encodeUtf8AddrXtext,
  encodeXtext,
} from "../../src/core/xtext.ts";
import { test } from "../support/harness.ts";

test("encodeXtext() encodes what may not stand in xtext", () => {
  assertEquals(encodeXtext(""), "");
  assertEquals(encodeXtext("jane@example.org"), "jane@example.org");
  assertEquals(encodeXtext("a+b=c d"), "a+2Bb+3Dc+20d");
  assertEquals(encodeXtext("a\r\n\0\x7f"), "a+0D+0A+00+7F");
});

test("encodeXtext() throws RangeError beyond ASCII", () => {
  assertThrows(() => encodeXtext("jörg"), RangeError, "beyond ASCII");
});

test("decodeXtext() brings back each text in ASCII, and what it encodes may stand in a parameter", () => {
  fc.assert(fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
    const encoded = encodeXtext(text);
    assertEquals(/^([!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(encoded), true);
    assertEquals(decodeXtext(encoded), text);
  }));
});

test("decodeXtext() takes hexadecimal digits in lower case", () => {
  assertEquals(decodeXtext("a+2bb+3dc"), "a+b=c");
});

test("decodeXtext() throws SyntaxError for what is not xtext", () => {
  for (
    const text of ["+", "a+", "a+2", "+2g", "+g2", "a b", "a=b", "+80", "+FF", "jörg", "a\r\n", "+-1", "+ 1"]
  ) {
    assertThrows(() => decodeXtext(text), SyntaxError, "it is not xtext");
  }
});

test("encodeUtf8AddrXtext() gives ASCII (RFC 6533, section 3)", () => {
  assertEquals(encodeUtf8AddrXtext("jörg+x@bücher.example"), "j\\x{F6}rg\\x{2B}x@b\\x{FC}cher.example");
  assertEquals(encodeUtf8AddrXtext("a b=c\\d"), "a\\x{20}b\\x{3D}c\\x{5C}d");
  assertEquals(encodeUtf8AddrXtext("😀\x01"), "\\x{1F600}\\x{01}");
});

test("encodeUtf8AddrUnitext() keeps characters beyond ASCII", () => {
  assertEquals(encodeUtf8AddrUnitext("jörg+x@b"), "jörg\\x{2B}x@b");
  assertEquals(encodeUtf8AddrUnitext("😀\x7f\x85"), "😀\\x{7F}\\x{85}");
});

test("encodeUtf8AddrXtext() and encodeUtf8AddrUnitext() throw RangeError for a lone surrogate", () => {
  assertThrows(() => encodeUtf8AddrXtext("a\ud800"), RangeError, "lone surrogate");
  assertThrows(() => encodeUtf8AddrUnitext("\udc00"), RangeError, "lone surrogate");
});

test("decodeUtf8Addr() brings back what either encoder wrote, without a character that a parameter refuses", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const xtext = encodeUtf8AddrXtext(text);
    const unitext = encodeUtf8AddrUnitext(text);
    assertEquals(/^[!-*,-<>-~]*$/.test(xtext), true);
    assertEquals(/^[!-*,-<>-~\u00a0-\uffff]*$/.test(unitext), true);
    assertEquals(decodeUtf8Addr(xtext), text);
    assertEquals(decodeUtf8Addr(unitext), text);
  }));
});

test("decodeUtf8Addr() throws SyntaxError for what is not encoded so", () => {
  for (
    const text of [
      "a b",
      "a+b",
      "a=b",
      "a\\b",
      "\\x",
      "\\x{",
      "\\x{}",
      "\\x{4}",
      "\\x{41",
      "\\x{4G}",
      "\\x{0000041}",
      "\\x{110000}",
      "\\x{D800}",
      "\\x{DFFF}",
      "\\X{41}",
      "\\x(41)",
      "a\x85",
      "\ud800",
      "a\r\n",
      "\\\\x{41}",
    ]
  ) {
    assertThrows(() => decodeUtf8Addr(text), SyntaxError, "RFC 6533");
  }
});
