import { assertEquals, assertFalse, assertThrows } from "@std/assert";
import { parseMailbox } from "../../src/core/address.ts";
import { type Command, parseCommand, renderCommand } from "../../src/core/command.ts";
import { renderLine, renderMail, renderRcpt } from "../../src/core/command_line.ts";
import { test } from "../support/harness.ts";

const jane = parseMailbox("jane@example.org");

const COMMANDS: [command: Command, line: string][] = [
  [{ verb: "EHLO", domain: "client.example" }, "EHLO client.example"],
  [{ verb: "HELO", domain: "[192.0.2.1]" }, "HELO [192.0.2.1]"],
  [{ verb: "LHLO", domain: "[IPv6:2001:db8::1]" }, "LHLO [IPv6:2001:db8::1]"],
  [{ verb: "MAIL", reversePath: jane }, "MAIL FROM:<jane@example.org>"],
  [{ verb: "MAIL", reversePath: null }, "MAIL FROM:<>"],
  [
    {
      verb: "MAIL",
      reversePath: jane,
      parameters: { SIZE: "1000", BODY: "8BITMIME", REQUIRETLS: true, AUTH: "<>", BY: "120;R" },
    },
    "MAIL FROM:<jane@example.org> SIZE=1000 BODY=8BITMIME REQUIRETLS AUTH=<> BY=120;R",
  ],
  [{ verb: "RCPT", forwardPath: jane }, "RCPT TO:<jane@example.org>"],
  [
    { verb: "RCPT", forwardPath: jane, parameters: { NOTIFY: "SUCCESS,DELAY", ORCPT: "rfc822;a+2Bb@c" } },
    "RCPT TO:<jane@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c",
  ],
  [{ verb: "RCPT", forwardPath: { localPart: "Postmaster", domain: "" } }, "RCPT TO:<Postmaster>"],
  [{ verb: "RCPT", forwardPath: parseMailbox('"a b"@[192.0.2.1]') }, 'RCPT TO:<"a b"@[192.0.2.1]>'],
  [{ verb: "BDAT", size: 0, last: true }, "BDAT 0 LAST"],
  [{ verb: "BDAT", size: 2 ** 40, last: false }, "BDAT 1099511627776"],
  [{ verb: "AUTH", mechanism: "SCRAM-SHA-256-PLUS" }, "AUTH SCRAM-SHA-256-PLUS"],
  [{ verb: "AUTH", mechanism: "PLAIN", initialResponse: "AGEAYg==" }, "AUTH PLAIN AGEAYg=="],
  [{ verb: "AUTH", mechanism: "EXTERNAL", initialResponse: "=" }, "AUTH EXTERNAL ="],
  [{ verb: "VRFY", argument: "jane" }, "VRFY jane"],
  [{ verb: "EXPN", argument: "Example People" }, "EXPN Example People"],
  [{ verb: "ETRN", argument: "@example.org" }, "ETRN @example.org"],
  [{ verb: "HELP" }, "HELP"],
  [{ verb: "HELP", argument: "MAIL" }, "HELP MAIL"],
  [{ verb: "NOOP" }, "NOOP"],
  [{ verb: "NOOP", argument: "still here" }, "NOOP still here"],
  [{ verb: "STARTTLS" }, "STARTTLS"],
  [{ verb: "DATA" }, "DATA"],
  [{ verb: "RSET" }, "RSET"],
  [{ verb: "QUIT" }, "QUIT"],
];

for (const [command, line] of COMMANDS) {
  test(`renderCommand() writes ${line}, and parseCommand() reads it`, () => {
    assertEquals(renderCommand(command), line + "\r\n");
    assertEquals(parseCommand(line), command);
  });
}

/** Each place where a caller's text gets into a command. */
const ARGUMENTS: [name: string, render: (text: string) => string][] = [
  ["the name of EHLO", (text) => renderCommand({ verb: "EHLO", domain: "a" + text + "b" })],
  ["the name of HELO", (text) => renderCommand({ verb: "HELO", domain: text })],
  ["the address literal of LHLO", (text) => renderCommand({ verb: "LHLO", domain: `[x:${text}]` })],
  ["a local part", (text) => renderMail({ localPart: "a" + text, domain: "b" })],
  ["a quoted local part", (text) => renderRcpt({ localPart: "a b" + text, domain: "b" })],
  ["a domain", (text) => renderRcpt({ localPart: "a", domain: "b" + text })],
  [
    "a domain beyond ASCII",
    (text) => renderRcpt({ localPart: "a", domain: "ü" + text }, {}, { smtpUtf8: true }),
  ],
  ["an address literal", (text) => renderRcpt({ localPart: "a", domain: `[x:y${text}]` })],
  ["a mailbox without domain", (text) => renderRcpt({ localPart: "postmaster" + text, domain: "" })],
  ["SIZE", (text) => renderMail(jane, { SIZE: "1" + text })],
  ["ENVID", (text) => renderMail(jane, { ENVID: text })],
  ["ORCPT beyond ASCII", (text) => renderRcpt(jane, { ORCPT: "utf-8;ü" + text }, { smtpUtf8: true })],
  ["a keyword", (text) => renderMail(jane, { ["X" + text]: true })],
  ["a whole keyword", (text) => renderMail(jane, { [text]: "1" })],
  ["a mechanism", (text) => renderCommand({ verb: "AUTH", mechanism: "X" + text })],
  [
    "an initial response",
    (text) => renderCommand({ verb: "AUTH", mechanism: "X", initialResponse: "AAA" + text }),
  ],
  ["VRFY", (text) => renderCommand({ verb: "VRFY", argument: "a" + text })],
  ["EXPN", (text) => renderCommand({ verb: "EXPN", argument: text })],
  ["ETRN", (text) => renderCommand({ verb: "ETRN", argument: "a" + text + "b" })],
  ["HELP", (text) => renderCommand({ verb: "HELP", argument: text })],
  ["NOOP", (text) => renderCommand({ verb: "NOOP", argument: text }, { smtpUtf8: true })],
  ["a free line", (text) => renderLine("XCLIENT " + text)],
  ["a free line beyond ASCII", (text) => renderLine("ü" + text, { smtpUtf8: true })],
  [
    "the size of BDAT",
    (text) => renderCommand({ verb: "BDAT", size: ("1" + text) as unknown as number, last: true }),
  ],
  ["a verb", (text) => renderCommand({ verb: ("NOOP" + text) as "NOOP" })],
];

const CONTROLS = Array.from({ length: 0xa0 }, (_, code) => code)
  .filter((code) => code < 0x20 || code >= 0x7f)
  .map((code) => String.fromCharCode(code));

for (const [name, render] of ARGUMENTS) {
  test(`renderCommand() refuses every control character and lone surrogate in ${name}`, () => {
    for (const char of [...CONTROLS, "\ud800", "\udc00", "\udc00\ud800", "\r\n", "\r\nRSET\r\n"]) {
      const error = assertThrows(() => render(char));
      assertEquals(error instanceof TypeError || error instanceof RangeError, true, String(error));
      assertFalse((error as Error).message.includes(char), "the message must not pass it on");
    }
  });
}

test("renderCommand() refuses line breaks in the name of EHLO (GHSA-vvjj-xcjg-gr5g)", () => {
  assertThrows(
    () => renderCommand({ verb: "EHLO", domain: "a\r\nMAIL FROM:<evil@attacker.test>" }),
    TypeError,
    'Cannot send EHLO: "a\\r\\nMAIL FROM:<evil@attacker.test>" is neither a domain in ASCII nor an address literal',
  );
});

test("renderCommand() refuses line breaks in addresses and free arguments (GHSA-v3q9-hj7j-63hq)", () => {
  assertThrows(() => parseMailbox('"a\r\nDATA"@example.org'), SyntaxError);
  assertThrows(() => renderRcpt({ localPart: "a\r\nDATA", domain: "b" }), TypeError, "control character");
  assertThrows(
    () => renderCommand({ verb: "VRFY", argument: "a\nRSET" }),
    TypeError,
    "control character U+000A",
  );
});

test("renderCommand() refuses arguments outside of their grammar", () => {
  for (const domain of ["", "a b", "bücher.example", "-", "[192.0.2]", "a>", "2001:db8::1"]) {
    assertThrows(() => renderCommand({ verb: "EHLO", domain }), TypeError, "Cannot send EHLO");
  }
  for (const mechanism of ["", "plain", "X Y", "A".repeat(21), "X=", "Ü"]) {
    assertThrows(() => renderCommand({ verb: "AUTH", mechanism }), TypeError, "SASL mechanism");
  }
  for (const size of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => renderCommand({ verb: "BDAT", size, last: true }), RangeError, `it is ${size}`);
  }
  for (const argument of ["", undefined as unknown as string]) {
    assertThrows(() => renderCommand({ verb: "VRFY", argument }), TypeError, "it needs an argument");
  }
  assertThrows(() => renderCommand({ verb: "XFOO" as "NOOP" }), TypeError, 'the verb "XFOO" is not known');
});

test("renderCommand() shows no secret in its errors", () => {
  for (const initialResponse of ["", "c2VjcmV0\r\n", "c2VjcmV0 x", "c2VjcmV", "ü"]) {
    const error = assertThrows(
      () => renderCommand({ verb: "AUTH", mechanism: "PLAIN", initialResponse }),
      TypeError,
    );
    assertEquals(error.message, "Cannot send AUTH: the initial response is not base64");
  }
});

test("renderCommand() writes an argument of VRFY beyond ASCII only with smtpUtf8", () => {
  const command = { verb: "VRFY", argument: "jörg" } as const;
  assertEquals(renderCommand(command, { smtpUtf8: true }), "VRFY jörg\r\n");
  for (const options of [undefined, {}, { smtpUtf8: false }]) {
    assertThrows(() => renderCommand(command, options), TypeError, "SMTPUTF8");
  }
});
