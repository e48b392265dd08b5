import { assertEquals, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  formatMailbox,
  isAddressLiteral,
  isAsciiMailbox,
  isDomain,
  type Mailbox,
  parseMailbox,
  parsePath,
  pathEnd,
  toAsciiDomain,
} from "../../src/core/address.ts";
import { test } from "../support/unwatched.ts";

const VALID: [text: string, localPart: string, domain: string, written?: string][] = [
  ["jane@example.org", "jane", "example.org"],
  ["jane.doe+tag@mail.example.org", "jane.doe+tag", "mail.example.org"],
  ["!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~", "example.org"],
  ["a@localhost", "a", "localhost"],
  ["a@my_host.example", "a", "my_host.example"],
  ["a@[192.0.2.1]", "a", "[192.0.2.1]"],
  ["a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]"],
  ["a@[tag:x>y]", "a", "[tag:x>y]"],
  ['"jane doe"@example.org', "jane doe", "example.org"],
  ['"jane.doe"@example.org', "jane.doe", "example.org", "jane.doe@example.org"],
  ['"j\\a\\n\\e"@example.org', "jane", "example.org", "jane@example.org"],
  ['""@example.org', "", "example.org"],
  ['"a..b"@example.org', "a..b", "example.org"],
  ['".a"@example.org', ".a", "example.org"],
  ['"a."@example.org', "a.", "example.org"],
  ['"a@b"@example.org', "a@b", "example.org"],
  ['"\\"\\\\"@example.org', '"\\', "example.org"],
  ['"a> ORCPT=x"@example.org', "a> ORCPT=x", "example.org"],
  ["jörg@example.org", "jörg", "example.org"],
  ["用户@例え.テスト", "用户", "例え.テスト"],
  ["😀@example.org", "😀", "example.org"],
  ['"jörg x"@example.org', "jörg x", "example.org"],
  ["a@bücher.example", "a", "bücher.example"],
  [`${"a".repeat(200)}@example.org`, "a".repeat(200), "example.org"],
];

for (const [text, localPart, domain, written = text] of VALID) {
  test(`parseMailbox() takes ${text.slice(0, 60)}, and formatMailbox() writes it again`, () => {
    assertEquals(parseMailbox(text), { localPart, domain });
    assertEquals(formatMailbox({ localPart, domain }), written);
    assertEquals(parsePath(`<${text}>`), { localPart, domain });
    assertEquals(pathEnd(`<${text}> SIZE=1>`), text.length + 2);
  });
}

const INVALID = [
  "",
  "@",
  "jane",
  "jane@",
  "@example.org",
  "jane@example.org.",
  "jane@.example.org",
  "jane@example..org",
  "jane@-example.org",
  "jane@example-.org",
  "jane@exa mple.org",
  "jane@example.org ",
  " jane@example.org",
  "jane @example.org",
  "jane@@example.org",
  "jane@a@b",
  "ja ne@example.org",
  ".jane@example.org",
  "jane.@example.org",
  "ja..ne@example.org",
  "ja,ne@example.org",
  "jane@example,org",
  "jane@[192.0.2]",
  "jane@[192.0.2.1",
  "jane@192.0.2.1]",
  "jane@[]",
  '"jane@example.org',
  '"jane"example.org',
  '"jane"',
  '"jane"x@example.org',
  '"ja"ne"@example.org',
  '"jane\\"@example.org',
  '"jane\\',
  '"',
  '"j\tane"@example.org',
  '"j\\\x01ane"@example.org',
  '"j\\é"@example.org',
  'jane"x"@example.org',
  "jane@example.org\n",
  "jane\0@example.org",
  "jane\x7f@example.org",
  "jane\x85@example.org",
  "ja\u202ene@example.org",
  "ja\u2028ne@example.org",
  '"ja\u2066ne"@example.org',
  "jane@exa\u200emple.org",
  "ja\ud800ne@example.org",
  '"ja\udc00ne"@example.org',
  "jane@b\ud800.example",
  "jane@a／b.example",
  "jane@１.２.３.４",
  `jane@${"a".repeat(64)}.example`,
  `jane@${"a.".repeat(127)}ab`,
];

for (const text of INVALID) {
  test(`parseMailbox() throws SyntaxError for ${JSON.stringify(text).slice(0, 60)}`, () => {
    assertThrows(() => parseMailbox(text), SyntaxError, "Cannot parse the address");
    if (text !== "") assertThrows(() => parsePath(`<${text}>`), SyntaxError, "Cannot parse the address");
  });
}

for (
  const text of [
    "Jane <jane@example.org>",
    "<jane@example.org>",
    '"Jane Doe" <jane@example.org>',
    '"evil@attacker.test" <jane@example.org>',
    "jane@example.org (Jane)",
    "jane(comment)@example.org",
    "jane@example.org, joe@example.org",
    "friends: jane@example.org;",
    "mailto:jane@example.org>",
    "jane@example.org\r\n joe",
  ]
) {
  test(`parseMailbox() refuses header text as an address (GHSA-mm7p-fcc7-pg87): ${JSON.stringify(text)}`, () => {
    assertThrows(() => parseMailbox(text), SyntaxError);
  });
}

test("parseMailbox() shows the address in its error, control characters escaped", () => {
  const error = assertThrows(() => parseMailbox("a\r\n\x1b[2J@b"), SyntaxError);
  assertStringIncludes(error.message, '"a\\r\\n\\x1b[2J@b"');
});

/** The grammar of RFC 5321 and RFC 6531, as regular expressions; literals and domains have tests of their own. */
function reference(text: string): Mailbox | undefined {
  const match = /^(?:([^"@]*)|"((?:[\x20!#-[\]-~\xa0-\uffff]|\\[ -~])*)")@([^@]*)$/.exec(text);
  if (match === null || !text.isWellFormed()) return undefined;
  const [, dotAtom, quoted, domain] = match;
  const atom = "[\\w!#$%&'*+\\-/=?^`{|}~\\xa0-\\uffff]+";
  if (dotAtom !== undefined && !new RegExp(`^${atom}(\\.${atom})*$`).test(dotAtom)) return undefined;
  if (!isDomain(domain!) && !isAddressLiteral(domain!)) return undefined;
  return { localPart: dotAtom ?? quoted!.replace(/\\(.)/g, "$1"), domain: domain! };
}

test("parseMailbox() agrees with the grammar on anything that looks like an address", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    ".",
    "@",
    '"',
    "\\",
    " ",
    ">",
    "-",
    "ü",
    "[192.0.2.1]",
    "=",
    "\t",
    "x.y",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), fc.constantFrom("", "@d", "@d.e"), (pieces, end) => {
      const text = pieces.join("") + end;
      const at = text.lastIndexOf("@");
      // A domain beyond ASCII is for toAscii(), which has tests of its own.
      fc.pre(!/[^\0-\x7f]/.test(text.slice(at + 1)) || at < 0);
      const expected = reference(text);
      if (expected === undefined) assertThrows(() => parseMailbox(text), SyntaxError);
      else assertEquals(parseMailbox(text), expected);
    }),
    { numRuns: 10_000 },
  );
});

test("parseMailbox() brings back every local part that formatMailbox() writes", () => {
  const localPart = fc.string({ unit: "binary", maxLength: 20 });
  fc.assert(
    fc.property(
      localPart,
      fc.constantFrom("example.org", "[192.0.2.1]", "bücher.example"),
      (localPart, domain) => {
        // deno-lint-ignore no-control-regex
        if (/[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(localPart)) {
          assertThrows(() => formatMailbox({ localPart, domain }), TypeError, "control character");
          return;
        }
        const text = formatMailbox({ localPart, domain });
        assertEquals(parseMailbox(text), { localPart, domain });
        assertEquals(parsePath(`<${text}>`), { localPart, domain });
        assertEquals(pathEnd(`<${text}>>`), text.length + 2);
      },
    ),
    { numRuns: 2000 },
  );
});

test("formatMailbox() quotes what could end the path (CVE-2025-59937)", () => {
  const mailbox = parseMailbox('"a> ORCPT=x"@example.org');
  assertEquals(formatMailbox(mailbox), '"a> ORCPT=x"@example.org');
  assertEquals(formatMailbox({ localPart: 'a"> ORCPT=x <"', domain: "b" }), '"a\\"> ORCPT=x <\\""@b');
});

test("formatMailbox() throws TypeError for what is no mailbox", () => {
  for (
    const domain of [
      "d> ORCPT=x",
      "d SIZE=1",
      "d\r\nDATA",
      "d>",
      "a@b",
      "-",
      ".",
      "d.",
      "[x]",
      "[x:>\r\n]",
      "b\x85ü",
      "b\u202eü",
      "\ud800",
    ]
  ) {
    assertThrows(() => formatMailbox({ localPart: "a", domain }), TypeError, "is not a domain");
  }
  for (const localPart of ["a\r\nDATA", "\0", "a\x7f", "\x85", "a\nb\ud800", "a\u202e", "a b\u2029"]) {
    assertThrows(() => formatMailbox({ localPart, domain: "d" }), TypeError, "control character");
  }
  assertThrows(() => formatMailbox({ localPart: "a\ud800", domain: "d" }), TypeError, "lone surrogate");
  assertThrows(() => formatMailbox({ localPart: "jane", domain: "" }), TypeError, "it has no domain");
});

test("parsePath() takes the null path", () => {
  assertEquals(parsePath("<>"), null);
});

test("parsePath() takes Postmaster without a domain", () => {
  assertEquals(parsePath("<Postmaster>"), { localPart: "Postmaster", domain: "" });
  assertEquals(parsePath("<postMASTER>"), { localPart: "postMASTER", domain: "" });
  assertEquals(formatMailbox({ localPart: "Postmaster", domain: "" }), "Postmaster");
  assertThrows(() => parsePath("<postmaſter>"), SyntaxError);
});

test("parsePath() takes a source route and drops it", () => {
  const jane = { localPart: "jane", domain: "example.org" };
  assertEquals(parsePath("<@one.example:jane@example.org>"), jane);
  assertEquals(parsePath("<@one.example,@two.example:jane@example.org>"), jane);
  assertEquals(parsePath("<@[192.0.2.1],@[IPv6:::1]:jane@example.org>"), jane);
  assertEquals(parsePath('<@bücher.example:"a:b"@c>'), { localPart: "a:b", domain: "c" });
});

for (
  const text of [
    "",
    "<",
    ">",
    "jane@example.org",
    "<jane@example.org",
    "jane@example.org>",
    "< jane@example.org>",
    "<<jane@example.org>>",
    "<@one.example>",
    "<@one.example:>",
    "<@:jane@example.org>",
    "<@one.example,two.example:jane@example.org>",
    "<@one.example,:jane@example.org>",
    "<@one.example;@two.example:jane@example.org>",
    "<@[192.0.2.1:jane@example.org>",
    "<@[192.0.2.1]x:jane@example.org>",
    "<@one.example:@two.example:jane@example.org>",
    "<@one.example:postmaster>",
    "<@>",
  ]
) {
  test(`parsePath() throws SyntaxError for ${JSON.stringify(text)}`, () => {
    assertThrows(() => parsePath(text), SyntaxError, "Cannot parse the address");
  });
}

test("pathEnd() looks over quotes and brackets", () => {
  assertEquals(pathEnd("<> SIZE=1"), 2);
  assertEquals(pathEnd('<"a>\\">"@b> X'), 11);
  assertEquals(pathEnd("<a@[x:>]> X"), 9);
  for (const text of ["<a@b", '<"a>', '<"a\\">', "<a@[b>", "<", '<"\\']) {
    assertEquals([text, pathEnd(text)], [text, -1]);
  }
});

test("parsers take time in proportion to their input (CVE-2025-14874, GHSA-2x7j-588g-ccc2)", () => {
  // Were any of them quadratic, this would be some 10^12 steps each.
  const many = 1_000_000;
  const hostile = [
    "a.".repeat(many),
    '"' + "\\".repeat(many),
    '"' + '\\"'.repeat(many),
    "@".repeat(many),
    "a@" + "a.".repeat(many),
    "a@[" + ":".repeat(many),
    "(".repeat(many) + "a@b",
    "é".repeat(many) + "@",
  ];
  for (const text of hostile) {
    assertThrows(() => parseMailbox(text), SyntaxError);
    assertThrows(() => parsePath(`<${text}>`), SyntaxError);
    pathEnd(`<${text}`);
  }
  for (
    const route of [
      "@a,".repeat(many),
      "@[192.0.2.1],".repeat(many),
      "@[".repeat(many),
      "@" + "]".repeat(many),
    ]
  ) {
    assertThrows(() => parsePath(`<${route}:a@b>`), SyntaxError);
    pathEnd(`<${route}`);
  }
});

test("isAsciiMailbox() tells what needs SMTPUTF8", () => {
  assertEquals(isAsciiMailbox({ localPart: "jane", domain: "example.org" }), true);
  assertEquals(isAsciiMailbox({ localPart: "jörg", domain: "example.org" }), false);
  assertEquals(isAsciiMailbox({ localPart: "jane", domain: "bücher.example" }), false);
});

test("toAsciiDomain() changes the domain only", () => {
  const mailbox = { localPart: "jörg", domain: "Example.ORG" };
  assertStrictEquals(toAsciiDomain(mailbox), mailbox);
  assertEquals(toAsciiDomain({ localPart: "Jörg", domain: "bücher.example" }), {
    localPart: "Jörg",
    domain: "xn--bcher-kva.example",
  });
  assertThrows(() => toAsciiDomain({ localPart: "a", domain: "a／b" }), SyntaxError, "no form in ASCII");
});
