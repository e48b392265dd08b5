import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { encodeUtf8AddrUnitext, encodeUtf8AddrXtext, encodeXtext } from "../../src/core/xtext.ts";
import { test } from "../support/unwatched.ts";

test("encodeXtext() encodes what xtext may not hold", () => {
  assertEquals(encodeXtext(""), "");
  assertEquals(encodeXtext("jane@example.org"), "jane@example.org");
  assertEquals(encodeXtext("a+b=c d"), "a+2Bb+3Dc+20d");
  assertEquals(encodeXtext("a\r\n\0\x7f"), "a+0D+0A+00+7F");
});

test("encodeXtext() throws RangeError beyond ASCII", () => {
  assertThrows(() => encodeXtext("jörg"), RangeError, "beyond ASCII");
});

/** RFC 3461, section 4, read straight from the page. */
function decodeXtext(text: string): string {
  return text.replace(/\+([0-9A-F]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
}

/** RFC 6533, section 3, read straight from the page. */
function decodeUtf8Addr(text: string): string {
  return text.replace(/\\x\{([0-9A-F]+)\}/g, (_, digits) => String.fromCodePoint(parseInt(digits, 16)));
}

test("encodeXtext() loses nothing of a text in ASCII, and gives what a parameter may hold", () => {
  fc.assert(fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
    const encoded = encodeXtext(text);
    assertEquals(/^([!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(encoded), true);
    assertEquals(decodeXtext(encoded), text);
  }));
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

test("encodeUtf8AddrXtext() and encodeUtf8AddrUnitext() lose nothing, and give what a parameter may hold", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const xtext = encodeUtf8AddrXtext(text);
    const unitext = encodeUtf8AddrUnitext(text);
    assertEquals(/^[!-*,-<>-~]*$/.test(xtext), true);
    assertEquals(/^[!-*,-<>-~\u00a0-\uffff]*$/.test(unitext), true);
    assertEquals(decodeUtf8Addr(xtext), text);
    assertEquals(decodeUtf8Addr(unitext), text);
  }));
});
