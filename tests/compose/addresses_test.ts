import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { bareAddresses, parseAddresses } from "../../src/compose/addresses.ts";
import { compose } from "../../src/compose/mod.ts";
import { test } from "../support/harness.ts";
import { readText } from "./read.ts";

test("parseAddresses() separates names from addresses, in groups, comments and quotes too", () => {
  const cases: [string, string[]][] = [
    ["me@example.com", ["me@example.com"]],
    ["Jane Doe <jane@example.com>", ["jane@example.com"]],
    ['"Doe, Jane" <jane@example.com>, <b@example.com>', ["jane@example.com", "b@example.com"]],
    ["jane@example.com (Jane Doe)", ["jane@example.com"]],
    ["Friends: a@example.com, B <b@example.com>;, c@example.com", [
      "a@example.com",
      "b@example.com",
      "c@example.com",
    ]],
    ["Nobody:;", []],
    ['"a b"@example.com', ['"a b"@example.com']],
    ["jürgen@exämple.com", ["jürgen@exämple.com"]],
  ];
  for (const [text, addresses] of cases) {
    assertEquals(bareAddresses(parseAddresses("to", text)), addresses, text);
  }
});

test("parseAddresses() finds no address that the text does not have (GHSA-mm7p-fcc7-pg87)", () => {
  assertEquals(
    bareAddresses(parseAddresses("to", '"evil@attacker.example x"@example.com')),
    ['"evil@attacker.example x"@example.com'],
  );
  for (
    const text of [
      "a@b@example.com",
      "<a@example.com",
      "a b@example.com c",
      "@example.com",
      "a@",
      "a@exam ple.com",
    ]
  ) {
    let found: string[] = [];
    try {
      found = bareAddresses(parseAddresses("to", text));
    } catch (error) {
      assert(error instanceof TypeError);
    }
    for (const address of found) assert(text.includes(address), `${text} has become ${address}`);
  }
});

test("parseAddresses() accepts only a bare address in an object", () => {
  for (
    const address of [
      '"<a"@example.com',
      "Jane <jane@example.com>",
      "a@example.com, b@example.com",
      " a@example.com",
      "a@example.com>",
    ]
  ) {
    assertThrows(() => parseAddresses("to", { address }), TypeError);
  }
});

test("The header of a mail lists the addresses that its envelope has", async () => {
  const local = fc.string({
    unit: fc.constantFrom(...'aZ09.,;:()[]@\\" !#-_'.split("")),
    minLength: 1,
    maxLength: 12,
  });
  const name = fc.string({ unit: fc.constantFrom(...'aZ09.,;:<>()[]@\\" !#-_ü'.split("")), maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ local, name }), { minLength: 1, maxLength: 3 }), async (people) => {
      const to = people.map(({ local, name }) => ({
        name,
        address: `"${local.replaceAll(/["\\]/g, "\\$&")}"@example.org`,
      }));
      const { envelope, message } = compose({ from: "me@example.com", to, text: "" });
      const raw = (await readText(message)).replaceAll("\r\n ", " ");
      const header = raw.match(/^To: (.*)$/m)![1]!;
      const again = bareAddresses(parseAddresses("to", header));
      assertEquals([...new Set(again)], envelope.to);
    }),
    { numRuns: 100 },
  );
});
