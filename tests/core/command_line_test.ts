import { assertEquals, assertFalse, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Mailbox, parseMailbox } from "../../src/core/address.ts";
import { type EsmtpParameters, renderLine, renderMail, renderRcpt } from "../../src/core/command_line.ts";
import { parseCommand } from "../../src/core/command_parser.ts";
import { encodeXtext } from "../../src/core/xtext.ts";
import { test } from "../support/harness.ts";

const jane = parseMailbox("jane@example.org");

test("renderMail() and renderRcpt() write beyond ASCII only with smtpUtf8", () => {
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

test("renderMail() refuses line breaks in SIZE and ENVID (GHSA-c7w3-x93f-qmm8)", () => {
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

test("renderRcpt() keeps a local part inside its path (CVE-2025-59937)", () => {
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

test("renderMail() refuses what is no parameter", () => {
  for (const keyword of ["", "-X", "X_Y", "X Y", "X=Y", "X>", "ü", "X.Y"]) {
    assertThrows(() => renderMail(jane, { [keyword]: "1" }), TypeError, "is not a keyword");
  }
  for (const value of ["", " ", "a b", "a=b", "=", 1, null, undefined, false, {}]) {
    const parameters = { X: value } as unknown as EsmtpParameters;
    assertThrows(() => renderMail(jane, parameters), TypeError, "Cannot send the parameter X");
  }
});

test("renderMail() looks at a parameter object's own properties only", () => {
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

test("renderMail() gives one line with the same path and parameters, or throws, whatever it gets", () => {
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

test("renderRcpt() writes what parseCommand() reads as the same recipient and parameters", () => {
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
      // deno-lint-ignore no-control-regex
      fc.pre(!/[\0-\x1f\x7f-\x9f]/.test(localPart) && localPart.isWellFormed());
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
