import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { isAddressLiteral } from "../../src/core/address_literal.ts";
import { test } from "../support/unwatched.ts";

const VALID = [
  "[192.0.2.1]",
  "[0.0.0.0]",
  "[255.255.255.255]",
  "[010.001.0.1]",
  "[IPv6:2001:db8:0:0:0:0:0:1]",
  "[IPv6:2001:DB8::1]",
  "[ipv6:::1]",
  "[IPv6:::]",
  "[IPv6:1::]",
  "[IPv6:1:2:3:4:5:6::]",
  "[IPv6:::3:4:5:6:7:8]",
  "[IPv6:1:2:3:4:5:6:192.0.2.1]",
  "[IPv6:::ffff:192.0.2.1]",
  "[IPv6:::192.0.2.1]",
  "[IPv6:1:2:3:4::192.0.2.1]",
  "[x-tag:any!text>]",
  "[a:b:c]",
];

const INVALID = [
  "",
  "[",
  "[]",
  "[ ]",
  "192.0.2.1",
  "[192.0.2.1",
  "192.0.2.1]",
  "[192.0.2]",
  "[192.0.2.1.1]",
  "[192.0.2.256]",
  "[192.0.2.0001]",
  "[192.0..1]",
  "[.192.0.2.1]",
  "[192.0.2.1.]",
  "[192.0.2.1 ]",
  "[2001:db8::1 ]",
  "[IPv6:]",
  "[IPv6:1]",
  "[IPv6::1]",
  "[IPv6:1:]",
  "[IPv6::]",
  "[IPv6::::]",
  "[IPv6:1:::2]",
  "[IPv6:1::2::3]",
  "[IPv6:1:2:3:4:5:6:7]",
  "[IPv6:1:2:3:4:5:6:7:8:]",
  "[IPv6:1:2:3:4:5:6:7:8:9]",
  "[IPv6:1:2:3:4:5:6:7::]", // "::" replaces two groups or more, RFC 5321, section 4.1.3
  "[IPv6:1::2:3:4:5:6:7:8]",
  "[IPv6:12345::]",
  "[IPv6:g::1]",
  "[IPv6:fe80::1%eth0]",
  "[IPv6:1:2:3:4:5:192.0.2.1]",
  "[IPv6:1:2:3:4:5:6:7:192.0.2.1]",
  "[IPv6:1:2:3:4:5::192.0.2.1]",
  "[IPv6:::192.0.2]",
  "[IPv6:::192.0.2.1:1]",
  "[:x]",
  "[tag:]",
  "[tag-:x]",
  "[ta_g:x]",
  "[tag:a b]",
  "[tag:a]b]",
  "[tag:a[b]",
  "[tag:a\\b]",
  "[tag:é]",
  "[tag:a\r\n]",
  "[tag]",
];

test("isAddressLiteral() takes IPv4, IPv6 and tagged literals", () => {
  for (const text of VALID) assertEquals([text, isAddressLiteral(text)], [text, true]);
});

test("isAddressLiteral() takes nothing else", () => {
  for (const text of INVALID) assertEquals([text, isAddressLiteral(text)], [text, false]);
});

const isIPv4 = (text: string): boolean =>
  text.split(".").length === 4 &&
  text.split(".").every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);

/** RFC 5321, section 4.1.3, by splitting: the groups of each half, an IPv4 address at the end counts for two. */
function isIPv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const last = groups.at(-1)!;
  const withIPv4 = last.length > 0 && last.at(-1)!.includes(".");
  if (withIPv4 && !isIPv4(last.pop()!)) return false;
  if (!groups.flat().every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  const count = groups.flat().length + (withIPv4 ? 2 : 0);
  return halves.length === 2 ? count <= 6 : count === 8;
}

test("isAddressLiteral() agrees with a simple reading of the grammar", () => {
  const part = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(":", "::", "1:", ":2", "a", "0db8", ".") },
    { weight: 1, arbitrary: fc.constantFrom("192.0.2.1", "1.2.3", "256", "12345", "g") },
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }).map((parts) => parts.join("")), (text) => {
      assertEquals(isAddressLiteral(`[IPv6:${text}]`), isIPv6(text));
    }),
    { numRuns: 5000 },
  );
  const digits = fc.constantFrom("0", "1", "25", "255", "256", "999", "0000", "", "a");
  fc.assert(
    fc.property(fc.array(digits, { minLength: 3, maxLength: 5 }).map((parts) => parts.join(".")), (text) => {
      assertEquals(isAddressLiteral(`[${text}]`), isIPv4(text));
    }),
    { numRuns: 1000 },
  );
});

test("isAddressLiteral() takes every address that the system writes", () => {
  fc.assert(fc.property(fc.ipV4(), (address) => assertEquals(isAddressLiteral(`[${address}]`), true)));
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff)).map((value) => value.toString(16));
  fc.assert(fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
    const { hostname } = new URL(`http://[${groups.join(":")}]/`);
    // The same address in its canonical form (RFC 5952).
    assertEquals(isAddressLiteral(`[IPv6:${hostname.slice(1, -1)}]`), true);
  }));
});
