import { assertEquals, assertFalse, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Mailbox, parseMailbox } from "../../src/core/address.ts";
import {
  type CommandWithArguments,
  type EsmtpParameters,
  renderCommand,
  renderLine,
  type RenderOptions,
} from "../../src/core/command.ts";
import { encodeXtext } from "../../src/core/xtext.ts";
import { parseCommand } from "../../src/server/command_parser.ts";
import { test } from "../support/unwatched.ts";

const jane = parseMailbox("jane@example.org");

function renderMail(
  reversePath: Mailbox | null,
  parameters?: EsmtpParameters,
  options?: RenderOptions,
): string {
  return renderCommand({ verb: "MAIL", reversePath, parameters }, options);
}

function renderRcpt(forwardPath: Mailbox, parameters?: EsmtpParameters, options?: RenderOptions): string {
  return renderCommand({ verb: "RCPT", forwardPath, parameters }, options);
}

const COMMANDS: [command: CommandWithArguments, line: string][] = [
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

test("renderCommand() writes MAIL and RCPT beyond ASCII only with smtpUtf8", () => {
  const mailbox = parseMailbox("jörg@bücher.example");
  const smtpUtf8 = true;
  assertEquals(
    renderMail(mailbox, { SMTPUTF8: true }, { smtpUtf8 }),
    "MAIL FROM:<jörg@bücher.example> SMTPUTF8\r\n",
  );
  assertEquals(
    renderRcpt(mailbox, { ORCPT: "utf-8;jörg" }, { smtpUtf8 }),
    "RCPT TO:<jörg@bücher.example> ORCPT=utf-8;jörg\r\n",
  );
  for (const options of [undefined, {}, { smtpUtf8: false }]) {
    assertThrows(
      () => renderMail(mailbox, undefined, options),
      TypeError,
      "beyond ASCII, which needs SMTPUTF8",
    );
    assertThrows(() => renderRcpt(mailbox, undefined, options), TypeError, "SMTPUTF8");
    assertThrows(() => renderRcpt(jane, { ORCPT: "utf-8;jörg" }, options), TypeError, "SMTPUTF8");
  }
});

test("renderCommand() refuses line breaks in SIZE and ENVID (GHSA-c7w3-x93f-qmm8)", () => {
  assertThrows(
    () => renderMail(jane, { SIZE: "1\r\nRCPT TO:<evil@attacker.test>" }),
    TypeError,
    "parameter SIZE",
  );
  assertThrows(() => renderMail(jane, { ENVID: "a\r\nDATA" }), TypeError, "parameter ENVID");
  assertEquals(
    renderMail(jane, { ENVID: encodeXtext("a\r\nb") }),
    "MAIL FROM:<jane@example.org> ENVID=a+0D+0Ab\r\n",
  );
});

test("renderCommand() keeps a local part inside its path (CVE-2025-59937)", () => {
  assertEquals(
    renderRcpt(parseMailbox('"a> ORCPT=x"@example.org')),
    'RCPT TO:<"a> ORCPT=x"@example.org>\r\n',
  );
  assertThrows(() => renderRcpt({ localPart: "a", domain: "b> ORCPT=x" }), TypeError, "is not a domain");
  assertEquals(
    renderRcpt({ localPart: '"a> ORCPT=x', domain: "b" }),
    'RCPT TO:<"\\"a> ORCPT=x"@b>\r\n',
  );
});

test("renderCommand() refuses what is not a parameter", () => {
  for (const keyword of ["", "-X", "X_Y", "X Y", "X=Y", "X>", "ü", "X.Y"]) {
    assertThrows(() => renderMail(jane, { [keyword]: "1" }), TypeError, "is not a keyword");
  }
  for (const value of ["", " ", "a b", "a=b", "=", 1, null, undefined, false, {}]) {
    const parameters = { X: value } as unknown as EsmtpParameters;
    assertThrows(() => renderMail(jane, parameters), TypeError, "Cannot send the parameter X");
  }
});

test("renderCommand() looks at a parameter object's own properties only", () => {
  const parameters = Object.create({ INHERITED: "1" }) as EsmtpParameters;
  assertEquals(renderMail(jane, parameters), "MAIL FROM:<jane@example.org>\r\n");
});

test("renderLine() writes any line of printable characters, the empty one too", () => {
  assertEquals(renderLine(""), "\r\n");
  assertEquals(renderLine("XCLIENT ADDR=192.0.2.1"), "XCLIENT ADDR=192.0.2.1\r\n");
  const all = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");
  assertEquals(renderLine(all), all + "\r\n");
});

test("renderLine() says where and what the character is", () => {
  assertThrows(() => renderLine("ab\tc"), TypeError, "character 3 is the control character U+0009");
  assertThrows(() => renderLine("ü"), TypeError, "character 1 is U+00FC, beyond ASCII");
});

test("renderLine() takes 12,288 bytes with the line end and no more", () => {
  const smtpUtf8 = true;
  assertEquals(renderLine("x".repeat(12_286)).length, 12_288);
  assertThrows(() => renderLine("x".repeat(12_287)), RangeError, "it is 12289 bytes long, the most is 12288");
  for (
    const [char, bytes] of [["ü", 2], ["\u07ff", 2], ["\u0800", 3], ["例", 3], ["\uffff", 3], [
      "😀",
      4,
    ]] as const
  ) {
    const fits = char.repeat(Math.floor(12_286 / bytes)) + "x".repeat(12_286 % bytes);
    assertEquals(new TextEncoder().encode(renderLine(fits, { smtpUtf8 })).length, 12_288);
    assertThrows(() => renderLine(fits + "x", { smtpUtf8 }), RangeError, "it is 12289 bytes long");
  }
  assertThrows(() => renderRcpt({ localPart: "a".repeat(13_000), domain: "b" }), RangeError, "bytes long");
});

test("renderLine() shows no secret in its errors", () => {
  for (const line of ["c2VjcmV0\r", "c2VjcmV0ü", "c2VjcmV0".repeat(2000)]) {
    const error = assertThrows(() => renderLine(line)) as Error;
    assertFalse(error.message.includes("c2VjcmV0"));
  }
});

/** The promise of the gate, whatever goes in: one line, printable, well-formed, ASCII unless asked for. */
function assertOneLine(text: string, smtpUtf8: boolean): void {
  assertEquals(text.isWellFormed(), true);
  assertEquals((smtpUtf8 ? /^[\x20-\x7e\u00a0-\uffff]*\r\n$/ : /^[\x20-\x7e]*\r\n$/).test(text), true, text);
}

const anyText = fc.string({
  unit: fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom("a", "B", "1", ".", "-", "@", '"', "\\", "<", ">", "=", " ", "[", "]", ":"),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("\r", "\n", "\0", "\x7f", "\x85", "ü", "😀", "\ud800", "\u2028"),
    },
  ),
  maxLength: 10,
});

test("renderCommand() gives one line with the same path and parameters, or throws, whatever it gets", () => {
  const parameters = fc.dictionary(anyText, fc.oneof(anyText, fc.constant(true as const)), { maxKeys: 2 });
  fc.assert(
    fc.property(anyText, anyText, parameters, fc.boolean(), (localPart, domain, parameters, smtpUtf8) => {
      const mailbox: Mailbox = { localPart, domain };
      let line: string;
      try {
        line = renderMail(mailbox, parameters, { smtpUtf8 });
      } catch (error) {
        assertEquals(error instanceof TypeError, true, String(error));
        return;
      }
      assertOneLine(line, smtpUtf8);
      assertStringIncludes(line, "MAIL FROM:<");
      assertEquals(
        Object.keys(parameters).every((keyword) => /^[A-Za-z0-9][A-Za-z0-9-]*$/.test(keyword)),
        true,
      );
    }),
    { numRuns: 3000 },
  );
});

test("renderCommand() writes what parseCommand() reads as the same recipient and parameters", () => {
  const domain = fc.constantFrom("b", "example.org", "[192.0.2.1]", "[x:a>b]", "bücher.example");
  const keyword = fc.constantFrom("NOTIFY", "ORCPT", "X-1", "CONSTRUCTOR");
  const value = fc.string({
    unit: fc.constantFrom("a", ">", "<", ";", '"', "ü", "+"),
    minLength: 1,
    maxLength: 5,
  });
  const parameters = fc.dictionary(keyword, fc.oneof(value, fc.constant(true as const)), {
    maxKeys: 3,
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(anyText, domain, parameters, (localPart, domain, parameters) => {
      fc.pre(
        // deno-lint-ignore no-control-regex
        !/[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(localPart) &&
          localPart.isWellFormed(),
      );
      const forwardPath = { localPart, domain };
      const line = renderRcpt(forwardPath, parameters, { smtpUtf8: true });
      const expected = Object.keys(parameters).length === 0
        ? { verb: "RCPT", forwardPath }
        : { verb: "RCPT", forwardPath, parameters };
      assertEquals(parseCommand(line.slice(0, -2)) as unknown, expected);
    }),
    { numRuns: 3000 },
  );
});

test("renderLine() agrees with its promise on any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 12 }), anyText, fc.boolean(), (a, b, smtpUtf8) => {
      const text = a + b;
      const fine = text.isWellFormed() && (smtpUtf8 ? /^[ -~\u00a0-\uffff]*$/ : /^[ -~]*$/).test(text);
      if (fine) assertEquals(renderLine(text, { smtpUtf8 }), text + "\r\n");
      else assertThrows(() => renderLine(text, { smtpUtf8 }), TypeError);
    }),
    { numRuns: 3000 },
  );
});

test("renderCommand() keeps an argument from being cut into a command: 512 bytes without parameters", () => {
  const address = (length: number) => ({ localPart: "a".repeat(length), domain: "example.org" });
  assertEquals(renderCommand({ verb: "RCPT", forwardPath: address(488) }).length, 512);
  assertEquals(renderCommand({ verb: "MAIL", reversePath: address(486) }).length, 512);
  const parameters = { ORCPT: `rfc822;${"x".repeat(490)}` };
  assertEquals(renderCommand({ verb: "RCPT", forwardPath: address(488), parameters }).length, 1_016);
  for (
    const command of [
      { verb: "RCPT", forwardPath: address(489) },
      { verb: "MAIL", reversePath: address(487) },
      { verb: "RCPT", forwardPath: { localPart: `${"a ".repeat(250)}RCPT TO:<b@c>`, domain: "d" } },
      ...(["VRFY", "EXPN", "HELP", "NOOP"] as const).map((verb) => ({ verb, argument: "x ".repeat(253) })),
      { verb: "ETRN", argument: "x".repeat(506) },
      { verb: "VRFY", argument: "é".repeat(253) },
    ] as CommandWithArguments[]
  ) {
    assertThrows(
      () => renderCommand(command, { smtpUtf8: true }),
      RangeError,
      "the most is 512",
      command.verb,
    );
  }
});

test("renderCommand() takes one word for ETRN", () => {
  assertEquals(renderCommand({ verb: "ETRN", argument: "@example.org" }), "ETRN @example.org\r\n");
  assertThrows(
    () => renderCommand({ verb: "ETRN", argument: "a.test b.test" }),
    TypeError,
    "must be one word",
  );
});
