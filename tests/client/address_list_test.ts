import { assertEquals } from "@std/assert";
import { parseAddressList } from "../../src/client/address_list.ts";
import { Reply } from "../../src/core/reply.ts";
import { test } from "../support/unwatched.ts";

for (
  const [what, lines, expected] of [
    ["RFC 5321's example of VRFY", ["Fred Smith <Smith@foo.example>"], [["Fred Smith", "Smith@foo.example"]]],
    ["Sendmail's VRFY", ["2.1.5 Jane Doe <jane@mx.test>"], [["Jane Doe", "jane@mx.test"]]],
    ["Sendmail's quoted names", ['2.1.5 "Doe, \\"J\\" \\\\ <x>" <jane@mx.test>'], [[
      'Doe, "J" \\ <x>',
      "jane@mx.test",
    ]]],
    ["Sendmail's EXPN", ["2.1.5 <joe@mx.test>", "2.1.5 <jane@mx.test>"], [["", "joe@mx.test"], [
      "",
      "jane@mx.test",
    ]]],
    ["Postfix's 252", ["2.0.0 jane@example.org"], [["", "jane@example.org"]]],
    ["Exim's VRFY", ["<jane@mx.test> is deliverable"], [["", "jane@mx.test"]]],
    [
      "a server that only talks",
      ["2.5.2 Cannot VRFY user, but will accept message and attempt delivery"],
      [],
    ],
    ["qmail's 252", ["send some mail, i'll try my best"], []],
    ["lines without an address among others", ["Members:", "<a@b.test>", "", "that is all"], [[
      "",
      "a@b.test",
    ]]],
    ["local users", ["2.1.5 Jane <jane>", "jane"], []],
    ["a source route, which is no address of ours", ["<@relay.test:a@b.test>"], []],
    ["brackets that do not close", ["Jane <jane@mx.test", "> <", "<>"], []],
    ["an address beyond ASCII", ["Jörg <jörg@bücher.example>"], [["Jörg", "jörg@bücher.example"]]],
    ["a quoted local part", ['Jane <"jane doe"@mx.test>'], [["Jane", '"jane doe"@mx.test']]],
    ["an address literal", ["<jane@[192.0.2.1]>"], [["", "jane@[192.0.2.1]"]]],
    ["a single quotation mark", ['" <a@b.test>'], [['"', "a@b.test"]]],
    ["no text at all", [""], []],
  ] as [string, string[], [string, string][]][]
) {
  test(`parseAddressList() reads ${what}`, () => {
    assertEquals(
      parseAddressList(new Reply(250, lines)),
      expected.map(([name, address]) => ({ name, address })),
    );
  });
}
