import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Command, renderCommand } from "../../src/core/command.ts";
import { Reply } from "../../src/core/reply.ts";
import { CommandSyntaxError, isHttp, parseCommand } from "../../src/server/command_parser.ts";
import { test } from "../support/harness.ts";

const jane = { localPart: "jane", domain: "example.org" };

const TOLERATED: [line: string, command: Command][] = [
  ["ehlo client.example", { verb: "EHLO", domain: "client.example" }],
  ["EhLo\tclient.example \t", { verb: "EHLO", domain: "client.example" }],
  ["HELO MY_PC", { verb: "HELO", domain: "MY_PC" }],
  ["EHLO büro", { verb: "EHLO", domain: "büro" }],
  ["EHLO 2001:db8::1", { verb: "EHLO", domain: "2001:db8::1" }],
  ["LHLO x.", { verb: "LHLO", domain: "x." }],
  ["mail from:<jane@example.org>", { verb: "MAIL", reversePath: jane }],
  ["MAIL FROM: <jane@example.org>", { verb: "MAIL", reversePath: jane }],
  ["MAIL FROM :<jane@example.org>", { verb: "MAIL", reversePath: jane }],
  ["MAIL  From : \t <jane@example.org>  ", { verb: "MAIL", reversePath: jane }],
  ["MAIL FROM:<@relay.example:jane@example.org>", { verb: "MAIL", reversePath: jane }],
  ["MAIL FROM:<>  size=10   body=8bitmime", {
    verb: "MAIL",
    reversePath: null,
    parameters: { SIZE: "10", BODY: "8bitmime" },
  }],
  ["MAIL FROM:<> Smtputf8", { verb: "MAIL", reversePath: null, parameters: { SMTPUTF8: true } }],
  ["MAIL FROM:<> constructor=1 tostring", {
    verb: "MAIL",
    reversePath: null,
    parameters: { CONSTRUCTOR: "1", TOSTRING: true },
  }],
  ["rcpt to:<Postmaster>", { verb: "RCPT", forwardPath: { localPart: "Postmaster", domain: "" } }],
  ['RCPT TO:<"a> b\\""@example.org> NOTIFY=NEVER', {
    verb: "RCPT",
    forwardPath: { localPart: 'a> b"', domain: "example.org" },
    parameters: { NOTIFY: "NEVER" },
  }],
  ["RCPT TO:<jörg@bücher.example> ORCPT=utf-8;jörg", {
    verb: "RCPT",
    forwardPath: { localPart: "jörg", domain: "bücher.example" },
    parameters: { ORCPT: "utf-8;jörg" },
  }],
  ["RCPT TO:<a@b> X=<>\"';", {
    verb: "RCPT",
    forwardPath: { localPart: "a", domain: "b" },
    parameters: { X: "<>\"';" },
  }],
  ["bdat 0010", { verb: "BDAT", size: 10, last: false }],
  ["BDAT  10 \t last ", { verb: "BDAT", size: 10, last: true }],
  ["auth plain  AGEAYg==", { verb: "AUTH", mechanism: "PLAIN", initialResponse: "AGEAYg==" }],
  ["AUTH login ", { verb: "AUTH", mechanism: "LOGIN" }],
  ["AUTH EXTERNAL =", { verb: "AUTH", mechanism: "EXTERNAL", initialResponse: "=" }],
  ["vrfy  Jane Doe ", { verb: "VRFY", argument: "Jane Doe" }],
  ["noop  ", { verb: "NOOP" }],
  ["help me", { verb: "HELP", argument: "me" }],
  ["data \t ", { verb: "DATA" }],
  ["starttls", { verb: "STARTTLS" }],
];

for (const [line, command] of TOLERATED) {
  test(`parseCommand() takes ${JSON.stringify(line)}`, () => assertEquals(parseCommand(line), command));
}

const REFUSED: [line: string, reply: string][] = [
  ["", "500 5.5.1"],
  [" ", "500 5.5.1"],
  [" NOOP", "500 5.5.1"],
  ["NOOPS", "500 5.5.1"],
  ["NO", "500 5.5.1"],
  ["NOOP;", "500 5.5.1"],
  ["ſTARTTLS", "500 5.5.1"],
  ["STARTTLſ", "500 5.5.1"],
  ["GET / HTTP/1.1", "500 5.5.1"],
  ["MAIL\u00a0FROM:<>", "500 5.5.1"],
  ["NOOP \0", "500 5.5.2"],
  ["NOOP a\rb", "500 5.5.2"],
  ["NOOP a\nRSET", "500 5.5.2"],
  ["NOOP \x7f", "500 5.5.2"],
  ["NOOP \x85", "500 5.5.2"],
  ["EHLO", "501 5.5.4"],
  ["HELO ", "501 5.5.4"],
  ["LHLO a b", "501 5.5.4"],
  ["EHLO a\tb", "501 5.5.4"],
  ["MAIL", "501 5.5.4"],
  ["MAIL FROM", "501 5.5.4"],
  ["MAIL FROM:", "501 5.5.4"],
  ["MAIL FROM:jane@example.org", "501 5.5.4"],
  ["MAIL TO:<jane@example.org>", "501 5.5.4"],
  ["MAIL FRoM <a@b>", "501 5.5.4"],
  ["MAIL FſOM:<a@b>", "501 5.5.4"],
  ["MAIL FROM:<a@b", "501 5.5.4"],
  ['MAIL FROM:<"a>', "501 5.5.4"],
  ["MAIL FROM:<a@b>SIZE=1", "501 5.5.4"],
  ["MAIL FROM:<a@b>>", "501 5.5.4"],
  ["MAIL FROM:<a b@c>", "501 5.1.7"],
  ["MAIL FROM:<jane>", "501 5.1.7"],
  ["MAIL FROM:<Postmaster>", "501 5.1.7"],
  ["MAIL FROM:<a@b-.c>", "501 5.1.7"],
  ["MAIL FROM:< a@b>", "501 5.1.7"],
  ["MAIL FROM:<a@b> =1", "501 5.5.4"],
  ["MAIL FROM:<a@b> SIZE=", "501 5.5.4"],
  ["MAIL FROM:<a@b> SIZE= 1", "501 5.5.4"],
  ["MAIL FROM:<a@b> SIZE=1=2", "501 5.5.4"],
  ["MAIL FROM:<a@b> -X", "501 5.5.4"],
  ["MAIL FROM:<a@b> X_Y=1", "501 5.5.4"],
  ["MAIL FROM:<a@b> SIZE=1 size=2", "501 5.5.4"],
  ["MAIL FROM:<a@b> __proto__=1", "501 5.5.4"],
  ["RCPT", "501 5.5.4"],
  ["RCPT FROM:<a@b>", "501 5.5.4"],
  ["RCPT TO:<>", "501 5.1.3"],
  ["RCPT TO:<jane>", "501 5.1.3"],
  ["RCPT TO:<@a:>", "501 5.1.3"],
  ["BDAT", "501 5.5.4"],
  ["BDAT x", "501 5.5.4"],
  ["BDAT -1", "501 5.5.4"],
  ["BDAT 10LAST", "501 5.5.4"],
  ["BDAT 10 FIRST", "501 5.5.4"],
  ["BDAT 10 LAſT", "501 5.5.4"],
  ["BDAT 10 LAST x", "501 5.5.4"],
  ["BDAT 99999999999999999999", "501 5.5.4"],
  ["AUTH", "501 5.5.4"],
  ["AUTH PLAIN.", "501 5.5.4"],
  ["AUTH " + "A".repeat(21), "501 5.5.4"],
  ["AUTH PLAıN", "501 5.5.4"],
  ["AUTH PLAIN a", "501 5.5.2"],
  ["AUTH PLAIN AGEAYg== x", "501 5.5.2"],
  ["VRFY", "501 5.5.4"],
  ["EXPN  ", "501 5.5.4"],
  ["ETRN", "501 5.5.4"],
  ["DATA now", "501 5.5.4"],
  ["STARTTLS x", "501 5.5.4"],
  ["RSET x", "501 5.5.4"],
  ["QUIT x", "501 5.5.4"],
];

for (const [line, reply] of REFUSED) {
  test(`parseCommand() answers ${reply} to ${JSON.stringify(line)}`, () => {
    const error = assertThrows(() => parseCommand(line), CommandSyntaxError);
    assertEquals(error.reply.toString().startsWith(reply + " "), true, error.reply.toString());
  });
}

test("CommandSyntaxError carries the reply and says its text", () => {
  const reply = new Reply(501, "Syntax: BDAT <size> [LAST]", { enhancedCode: "5.5.4" });
  const error = new CommandSyntaxError(reply);
  assertEquals(error.name, "CommandSyntaxError");
  assertEquals(error.message, "Syntax: BDAT <size> [LAST]");
  assertEquals(error.reply, reply);
});

test("parseCommand() gives a command or a CommandSyntaxError, whatever it gets", () => {
  const piece = fc.constantFrom(
    "MAIL FROM:",
    "RCPT TO:",
    "EHLO",
    "BDAT",
    "AUTH",
    "DATA",
    "VRFY",
    " ",
    "<",
    ">",
    "a@b",
    "@",
    '"',
    "\\",
    "[",
    "]",
    ":",
    "=",
    "SIZE",
    "1",
    "\t",
    "\r",
    "ü",
    "\ud800",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const line = pieces.join("");
      let command: Command;
      try {
        command = parseCommand(line);
      } catch (error) {
        assertInstanceOf(error, CommandSyntaxError);
        return;
      }
      // What was read can be written, and is read as the same, except for the free text that a server tolerates.
      if (command.verb === "MAIL" || command.verb === "RCPT" || command.verb === "AUTH") {
        if (!line.isWellFormed()) return;
        const again = renderCommand(command, { smtpUtf8: true });
        assertEquals(parseCommand(again.slice(0, -2)), command);
      }
    }),
    { numRuns: 5000 },
  );
});

test("parseCommand() takes time in proportion to the line", () => {
  // Were it quadratic, this would be some 10^12 steps each.
  const many = 1_000_000;
  for (
    const line of [
      " ".repeat(many) + "x",
      "NOOP" + " ".repeat(many) + "x",
      "MAIL FROM:<" + '"'.repeat(many),
      "MAIL FROM:<" + "[".repeat(many),
      "MAIL FROM:<" + '"\\'.repeat(many),
      "MAIL FROM:<" + "@a,".repeat(many) + "@a:b>",
      "MAIL FROM:<a@b>" + " ".repeat(many) + "=",
      "MAIL FROM:<a@b> X=" + "1".repeat(many) + "=",
      "BDAT " + "9".repeat(many),
      "AUTH PLAIN " + "A".repeat(many) + "*",
    ]
  ) {
    try {
      parseCommand(line);
    } catch (error) {
      assertInstanceOf(error, CommandSyntaxError);
    }
  }
});

test("isHttp() knows the first line of an HTTP request", () => {
  for (const line of ["GET / HTTP/1.1", "post /mail HTTP/1.1", "PRI * HTTP/2.0"]) {
    assertEquals(isHttp(line), true);
  }
  for (const line of ["GETS x", "GET", " GET / HTTP/1.1", ""]) assertEquals(isHttp(line), false);
});
