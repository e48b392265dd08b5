import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ASCII, domainForm, INVALID, isDomain, toAscii, UTF8 } from "../../src/core/domain.ts";
import { test } from "../support/unwatched.ts";

function form(text: string): 0 | 1 | 2 {
  return domainForm(text, 0, text.length);
}

test("isDomain() takes names in ASCII", () => {
  const label = "a".repeat(63);
  for (
    const text of [
      "localhost",
      "example.org",
      "a.b.c",
      "xn--bcher-kva.example",
      "a--b.example",
      "1.example",
      "192.0.2.1",
      "MY_PC",
      "_dmarc.example.org",
      label,
      `${label}.${label}.${label}.${"a".repeat(63)}`,
    ]
  ) {
    assertEquals([text, isDomain(text)], [text, true]);
  }
});

test("isDomain() takes nothing else", () => {
  const label = "a".repeat(63);
  for (
    const text of [
      "",
      ".",
      ".a",
      "a.",
      "a..b",
      "-a",
      "a-",
      "a-.b",
      "a.-b",
      "-",
      "a b",
      "a\r\n",
      "a\0",
      "a>b",
      "a/b",
      "a@b",
      "a:25",
      "a%41",
      "bücher.example",
      "[192.0.2.1]",
      "[IPv6:::1]",
      "a".repeat(64),
      `${"a".repeat(64)}.b`,
      `${label}.${label}.${label}.${label}.a`,
    ]
  ) {
    assertEquals([text, isDomain(text)], [text, false]);
  }
});

test("isDomain() agrees with the grammar", () => {
  const char = fc.constantFrom("a", "Z", "0", "-", ".", "_", " ", "ü");
  fc.assert(
    fc.property(fc.string({ unit: char, maxLength: 10 }), (text) => {
      const expected =
        /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;
      assertEquals(isDomain(text), expected.test(text));
    }),
    { numRuns: 3000 },
  );
});

test("domainForm() tells ASCII, internationalised and invalid apart, within a range", () => {
  assertEquals(form("example.org"), ASCII);
  assertEquals(form("[192.0.2.1]"), ASCII);
  assertEquals(form("bücher.example"), UTF8);
  assertEquals(form("例え.テスト"), UTF8);
  for (const text of ["bücher..example", "bü\x85cher", "bü\ud800cher", "[bücher]", "bü cher"]) {
    assertEquals([text, form(text)], [text, INVALID]);
  }
  assertEquals(domainForm("x@example.org>", 2, 13), ASCII);
  assertEquals(domainForm("x@a->", 2, 4), INVALID);
});

test("toAscii() gives A-labels", () => {
  assertEquals(toAscii("bücher.example"), "xn--bcher-kva.example");
  assertEquals(toAscii("Bücher.Example"), "xn--bcher-kva.example");
  assertEquals(toAscii("例え.テスト"), "xn--r8jz45g.xn--zckzah");
  assertEquals(toAscii("straße.de"), "xn--strae-oqa.de");
});

test("toAscii() gives nothing if a character turns into one that a domain may not hold", () => {
  for (
    const text of [
      "a／b", // full-width slash
      "a＠b", // full-width at
      "a：25", // full-width colon
      "a％41", // full-width percent sign
      "℀.example", // a/c
      "a\u3000b", // ideographic space
      "１２７.０.０.１", // full-width digits: an IPv4 address
      "a.１",
      "\u00ad", // soft hyphen: nothing is left
      "a。。b", // ideographic full stops: an empty label
      "a。", // and at the end
      "\u202ea.example", // right-to-left override
      "ü".repeat(64),
      "bücher." + "a".repeat(250),
    ]
  ) {
    assertEquals([text, toAscii(text)], [text, undefined]);
  }
  assertEquals(toAscii("é1.2b"), "xn--1-9fa.2b");
});

test("toAscii() gives a domain in ASCII or nothing, whatever it gets", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(text, (text) => {
      const ascii = toAscii(text);
      if (form(text) === UTF8 && ascii !== undefined) assertEquals(isDomain(ascii), true);
    }),
    { numRuns: 2000 },
  );
});
