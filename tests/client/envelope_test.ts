import { assertEquals, assertThrows } from "@std/assert";
import { renderEnvelope } from "../../src/client/envelope.ts";
import type { Envelope } from "../../src/client/envelope.ts";
import { toSource } from "../../src/client/content.ts";
import type { Message } from "../../src/client/content.ts";
import { Extensions } from "../../src/core/extensions.ts";
import { Reply } from "../../src/core/reply.ts";
import { SmtpError } from "../../src/errors.ts";
import { test } from "../support/harness.ts";

function render(envelope: Envelope, message: Message, ...keywords: string[]): string[] {
  const extensions = Extensions.parse(new Reply(250, ["mx.test", ...keywords]));
  const { mail, rcpts, recipients } = renderEnvelope(envelope, toSource(message), {
    extensions,
    protected: true,
  });
  assertEquals(rcpts.length, recipients.length);
  return [mail, ...rcpts];
}

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };

for (
  const [what, envelope, message, keywords, commands] of [
    ["a plain one", ENVELOPE, "Hi", [], ["MAIL FROM:<me@example.com>", "RCPT TO:<you@example.org>"]],
    ["the null reverse-path", { from: null, to: "a@b.test" }, "Hi", [], [
      "MAIL FROM:<>",
      "RCPT TO:<a@b.test>",
    ]],
    ["an empty reverse-path", { from: "", to: "a@b.test" }, "Hi", [], ["MAIL FROM:<>", "RCPT TO:<a@b.test>"]],
    ["the size", ENVELOPE, "Hi", ["SIZE 4"], [
      "MAIL FROM:<me@example.com> SIZE=4",
      "RCPT TO:<you@example.org>",
    ]],
    ["the size with CRLF for each line end, the last too", ENVELOPE, "a\nb\rc\r\n.d", ["SIZE"], [
      "MAIL FROM:<me@example.com> SIZE=13",
      "RCPT TO:<you@example.org>",
    ]],
    ["the size of binary content as it is", { ...ENVELOPE, body: "binarymime" }, "a\nb", [
      ...["SIZE", "BINARYMIME", "CHUNKING"],
    ], ["MAIL FROM:<me@example.com> SIZE=3 BODY=BINARYMIME", "RCPT TO:<you@example.org>"]],
    ["a size that is given, if it is enough", { ...ENVELOPE, size: 100 }, "a\nb", ["SIZE"], [
      "MAIL FROM:<me@example.com> SIZE=100",
      "RCPT TO:<you@example.org>",
    ]],
    [
      "the size on the wire where the one that is given leaves line ends out",
      { ...ENVELOPE, size: 3 },
      "a\nb",
      [
        "SIZE",
      ],
      ["MAIL FROM:<me@example.com> SIZE=6", "RCPT TO:<you@example.org>"],
    ],
    ["no limit of size", ENVELOPE, "Hi", ["SIZE"], [
      "MAIL FROM:<me@example.com> SIZE=4",
      "RCPT TO:<you@example.org>",
    ]],
    ["7-bit content", ENVELOPE, "Hi", ["8BITMIME"], [
      "MAIL FROM:<me@example.com>",
      "RCPT TO:<you@example.org>",
    ]],
    ["8-bit content", ENVELOPE, "é", ["8BITMIME"], [
      "MAIL FROM:<me@example.com> BODY=8BITMIME",
      "RCPT TO:<you@example.org>",
    ]],
    ["an international recipient", { from: "me@example.com", to: ["é@b.test", "a@b.test"] }, "Hi", [
      "SMTPUTF8",
    ], [
      "MAIL FROM:<me@example.com> SMTPUTF8",
      "RCPT TO:<é@b.test>",
      "RCPT TO:<a@b.test>",
    ]],
    ["an international domain without SMTPUTF8", { from: null, to: "a@bücher.example" }, "Hi", [], [
      "MAIL FROM:<>",
      "RCPT TO:<a@xn--bcher-kva.example>",
    ]],
  ] as [string, Envelope, string, string[], string[]][]
) {
  test(`renderEnvelope() renders ${what}`, () => {
    assertEquals(render(envelope, message, ...keywords), commands.map((command) => `${command}\r\n`));
  });
}

for (
  const [what, envelope, message, code, keywords] of [
    ["no recipient", { from: null, to: [] }, "Hi", "invalid-envelope", []],
    ["a sender that is none", { from: "Me <me@example.com>", to: "a@b.test" }, "Hi", "invalid-envelope", []],
    ["a recipient with a line end", { from: null, to: "a@b.test>\r\nDATA" }, "Hi", "invalid-envelope", []],
    ["a local part that needs SMTPUTF8", { from: null, to: "é@b.test" }, "Hi", "extension-missing", []],
    ["a message that is too large only on the wire", ENVELOPE, "a\nb\n", "message-too-large", ["SIZE 5"]],
    ["a size below that of the message", { ...ENVELOPE, size: 3 }, "Hey!", "invalid-envelope", ["SIZE"]],
    ["a message that is too large", ENVELOPE, "Hey", "message-too-large", ["SIZE 4"]],
  ] as [string, Envelope, string, string, string[]][]
) {
  test(`renderEnvelope() refuses ${what}, and says that the session can go on`, () => {
    const error = assertThrows(() => render(envelope, message, ...keywords), SmtpError);
    assertEquals([error.code, error.outcome, error.usable], [code, "not-sent", true]);
  });
}
