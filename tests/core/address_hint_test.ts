import { assertEquals, assertThrows } from "@std/assert";
import { parseMailbox } from "../../src/core/address.ts";
import { test } from "../support/unwatched.ts";

for (
  const [text, hint] of [
    ["try..this..0511@docomo.ne.jp", 'in quotes it is right: "try..this..0511"@docomo.ne.jp'],
    ["xxx.yyy.@docomo.ne.jp", 'in quotes it is right: "xxx.yyy."@docomo.ne.jp'],
    ["jane doe@example.org", 'in quotes it is right: "jane doe"@example.org'],
    ["a\\b.@example.org", 'in quotes it is right: "a\\\\b."@example.org'],
    ["Ada <ada@example.com>", 'the envelope takes bare addresses: "ada@example.com"'],
    ['"Doe, Ada" <ada@example.com>', 'the envelope takes bare addresses: "ada@example.com"'],
    ["<ada@example.com>", 'the envelope takes bare addresses: "ada@example.com"'],
    ["a@x, b@y", 'the envelope takes bare addresses, several as an array: ["a@x", "b@y"]'],
    ["Ada <a@x>; b@y", 'the envelope takes bare addresses, several as an array: ["a@x", "b@y"]'],
  ] as const
) {
  test(`parseMailbox() shows what is right instead of ${JSON.stringify(text)}`, () => {
    const error = assertThrows(() => parseMailbox(text), SyntaxError);
    assertEquals(error.message.slice(-hint.length - 2), `; ${hint}`);
    for (const [address] of hint.matchAll(/"[^"]*"@\S+/g)) parseMailbox(address); // it is right
  });
}

for (
  const text of [
    "",
    "jane",
    "jane@@example.org",
    "a@b@c",
    "a..b@exa mple",
    "a\r\n..b@c",
    "a@b, ",
    "<a@b> <c@d>",
    "a<b>@c",
    `${"a".repeat(100)}..@b`,
  ]
) {
  test(`parseMailbox() suggests nothing for ${JSON.stringify(text.slice(0, 30))}`, () => {
    const error = assertThrows(() => parseMailbox(text), SyntaxError);
    assertEquals(/; /.test(error.message), false, error.message);
  });
}

test("parseMailbox() suggests nothing that would turn the text of a terminal around", () => {
  for (const character of ["\u202e", "\u2066", "\u200f", "\u2028"]) {
    for (const text of [`a..b${character}@example.org`, `a${character}..b@example.org`]) {
      const { message } = assertThrows(() => parseMailbox(text), SyntaxError);
      assertEquals(message.includes(character), false);
    }
  }
});
