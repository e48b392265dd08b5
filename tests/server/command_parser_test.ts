import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatMailbox, parsePath } from "../../src/core/address.ts";
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
  [`MAIL FROM:<${"x".repeat(300)}@example.org>`, {
    verb: "MAIL",
    reversePath: { localPart: "x".repeat(300), domain: "example.org" },
  }],
  ["RCPT TO: \t<jane@example.org>", { verb: "RCPT", forwardPath: jane }],
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

for (
  const domain of [
    "bücher.example",
    "Bücher.Example",
    "BÜCHER.example",
    "例え.テスト",
    "straße.de",
    "βόλος.example",
    "क्\u200dष.example",
    "مثال.إختبار",
    "münchen-ost.bücher.de",
    "ünïcödé-ünd-längër-1-2-3.example",
    "xn--bcher-kva.bücher",
    "한국.example",
    "😀.example",
  ]
) {
  test(`parseCommand() takes the domain ${domain}, which is in normal form`, () => {
    const mailbox = { localPart: "u", domain };
    assertEquals(parseCommand(`MAIL FROM:<u@${domain}> SMTPUTF8`), {
      verb: "MAIL",
      reversePath: mailbox,
      parameters: { SMTPUTF8: true },
    });
    assertEquals(parseCommand(`RCPT TO:<u@${domain}>`), { verb: "RCPT", forwardPath: mailbox });
  });
}

const LONG = "x".repeat(300);

const LENIENT: [path: string, localPart: string, domain?: string][] = [
  ["<local.@example.com>", "local."],
  ["<.local@example.com>", ".local"],
  ["<a..b@docomo.ne.jp>", "a..b", "docomo.ne.jp"],
  ["<..@example.com>", ".."],
  ["<.@example.com>", "."],
  ["<try..this..0511@example.com>", "try..this..0511"],
  ["<jörg.@example.com>", "jörg."],
  ["<@relay.example,@[192.0.2.1]:a.@example.com>", "a."],
  ["<a.@[IPv6:2001:db8::1]>", "a.", "[IPv6:2001:db8::1]"],
  ["<jane@[tag:x@y]>", "jane", "[tag:x@y]"],
  ["<a.@[tag:x:y@z]>", "a.", "[tag:x:y@z]"],
  ["jane@example.com", "jane"],
  ["jane.@example.com", "jane."],
  [" \t jane@example.com", "jane"],
  ["a+b=c@example.com", "a+b=c"],
  ["j.doe@[192.0.2.1]", "j.doe", "[192.0.2.1]"],
  ['"jane doe"@example.com', "jane doe"],
  ['"a\\" SIZE=1 "@example.com', 'a" SIZE=1 '],
  ['<"a> b"@example.com>', "a> b"],
  ["<a@[tag:x@y]>", "a", "[tag:x@y]"],
  ["<a..b@[tag:x@y]>", "a..b", "[tag:x@y]"],
  [LONG + ".@example.com", LONG + "."],
];

for (const [path, localPart, domain = "example.com"] of LENIENT) {
  test(`parseCommand() takes ${JSON.stringify(path)} if addresses are lenient`, () => {
    const mailbox = { localPart, domain };
    assertEquals(parseCommand(`MAIL FROM:${path}`, true), { verb: "MAIL", reversePath: mailbox });
    assertEquals(parseCommand(`RCPT TO:${path}`, true), { verb: "RCPT", forwardPath: mailbox });
    assertEquals(parseCommand(`mail from: ${path}  size=10 SMTPUTF8 `, true), {
      verb: "MAIL",
      reversePath: mailbox,
      parameters: { SIZE: "10", SMTPUTF8: true },
    });
    // What a handler gets as the address can be written to any server.
    assertEquals(parsePath(`<${formatMailbox(mailbox)}>`), mailbox);
  });
}

test("parseCommand() takes the null path and a bare postmaster if addresses are lenient", () => {
  assertEquals(parseCommand("MAIL FROM:<> SIZE=1", true), {
    verb: "MAIL",
    reversePath: null,
    parameters: { SIZE: "1" },
  });
  for (const path of ["<Postmaster>", "Postmaster"]) {
    assertEquals(parseCommand(`RCPT TO:${path}`, true), {
      verb: "RCPT",
      forwardPath: { localPart: "Postmaster", domain: "" },
    });
  }
});

for (
  const path of [
    "",
    "SIZE=1",
    "a@example.com>",
    "a@example.com>SIZE=1",
    "a@example.com> SIZE=1",
    "<a@example.com",
    "<a@example.com SIZE=1",
    "<a@example.com>SIZE=1",
    "a@example.com;SIZE=1",
    "a@example.com,b@example.com",
    "a@b@example.com",
    "a <b@example.com>",
    "Jane <jane@example.com>",
    "<Jane <jane@example.com>>",
    "<a b@example.com>",
    '"a b@example.com SIZE=1',
    '"a"b@example.com',
    'a"b c"@example.com',
    "a\\@example.com",
    "a.@",
    "@example.com",
    "<@example.com>",
    "<@relay.example:@example.com>",
    "<a@@example.com>",
    "a(x)@example.com",
    "a..b@example..com",
    "a@-example.com",
    "a.\r@example.com",
    "a.\n@example.com",
    "a.\0@example.com",
    "a.\x7f@example.com",
    "a.\x85@example.com",
    "a.@example.com SIZE=1 SIZE=2",
    "a.@example.com SIZE=1=2",
    "a.\ud800@example.com",
  ]
) {
  test(`parseCommand() refuses ${JSON.stringify(path)} although addresses are lenient`, () => {
    assertThrows(() => parseCommand(`RCPT TO:${path}`, true), CommandSyntaxError);
    assertThrows(() => parseCommand(`MAIL FROM:${path}`, true), CommandSyntaxError);
  });
}

test("parseCommand() takes all that it takes strictly if addresses are lenient, and it means the same", () => {
  const unit = fc.constantFrom("a", ".", '"', "\\", "@", "<", ">", " ", ":", ",", "=", "[", "]", "ü", "1");
  const path = fc.oneof(
    fc.string({ unit, maxLength: 16 }),
    fc.string({ unit, maxLength: 8 }).map((text) => `<${text}@a>`),
  );
  const parse = (line: string, lenient: boolean) => {
    try {
      return parseCommand(line, lenient);
    } catch {
      return undefined;
    }
  };
  fc.assert(
    fc.property(path, (path) => {
      const line = `RCPT TO:${path}`;
      const strict = parse(line, false);
      const lenient = parse(line, true);
      if (strict !== undefined) assertEquals(lenient, strict);
      // Whatever it takes can be written strictly, with nothing but its own parameters.
      if (lenient?.verb === "RCPT") {
        assertEquals(parse(renderCommand(lenient, { smtpUtf8: true }).trim(), false), lenient);
      }
    }),
    { numRuns: 5000 },
  );
});

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
  ["EHLO \u202eevil\u2028x", "500 5.5.2"],
  ["HELO a\u200fb", "500 5.5.2"],
  ["MAIL FROM:<u\u202e\u2028v@example.org> SMTPUTF8", "500 5.5.2"],
  ["MAIL FROM:<a@b> X=\u2066", "500 5.5.2"],
  ['RCPT TO:<"u\u2029v"@example.org>', "500 5.5.2"],
  ["RCPT TO:<a@b\u061c.example>", "500 5.5.2"],
  ["RCPT TO:<a@b> ORCPT=utf-8;\u202e", "500 5.5.2"],
  ["VRFY \u202ea", "500 5.5.2"],
  ["EXPN \u2028a", "500 5.5.2"],
  ["HELP \u2069a", "500 5.5.2"],
  ["ETRN \u202ea", "500 5.5.2"],
  ["MAIL FROM:<u@ｅｘａｍｐｌｅ.org> SMTPUTF8", "501 5.1.7"],
  ["RCPT TO:<u@example。org>", "501 5.1.3"],
  ["RCPT TO:<u@exam\u00adple.org>", "501 5.1.3"],
  ["RCPT TO:<u@ⓔxample.org>", "501 5.1.3"],
  ["RCPT TO:<u@bücher.ｅxample>", "501 5.1.3"],
  ["RCPT TO:<u@büch\u00ader.example>", "501 5.1.3"],
  ["RCPT TO:<u@bücher.exam\u200bple>", "501 5.1.3"],
  ["RCPT TO:<u@bu\u0308cher.example>", "501 5.1.3"],
  ["RCPT TO:<u@bücher\ufe0f.example>", "501 5.1.3"],
  ["RCPT TO:<u@bücher．example>", "501 5.1.3"],
  ["EHLO", "501 5.5.4"],
  ["HELO ", "501 5.5.4"],
  ["LHLO a b", "501 5.5.4"],
  ["EHLO a\tb", "501 5.5.4"],
  ["MAIL", "501 5.5.4"],
  ["MAIL FROM", "501 5.5.4"],
  ["MAIL FROM:", "501 5.5.4"],
  ["MAIL FROM:jane@example.org", "501 5.5.4"],
  ["MAIL FROM:jane@example.org SIZE=1", "501 5.5.4"],
  ["MAIL FROM:<local.@example.com>", "501 5.1.7"],
  ["MAIL FROM:<a..b@docomo.ne.jp>", "501 5.1.7"],
  ["RCPT TO:<.a@docomo.ne.jp>", "501 5.1.3"],
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

test("parseCommand() refuses what turns text around or ends a line, wherever it stands", () => {
  for (const code of [0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069]) {
    const x = String.fromCharCode(code);
    for (
      const line of [
        ...["EHLO", "HELO", "LHLO", "VRFY", "EXPN", "ETRN", "HELP", "NOOP"].map((verb) => `${verb} a${x}b`),
        ...["MAIL FROM", "RCPT TO"].flatMap((verb) =>
          [`<a${x}b@c>`, `<"a${x}b"@c>`, `<a@b${x}c>`, `<a@b> X=${x}`, `<@b${x}c:a@b>`].map((path) =>
            `${verb}:${path}`
          )
        ),
      ]
    ) {
      for (const lenient of [false, true]) {
        const error = assertThrows(() => parseCommand(line, lenient), CommandSyntaxError);
        assertEquals(error.reply.code, 500);
      }
    }
  }
});

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

test("isHttp() knows the lines of an HTTP request, whatever its method", () => {
  for (
    const line of [
      "GET / HTTP/1.1",
      "post /mail HTTP/1.1",
      "PRI * HTTP/2.0",
      "PORT / HTTP/1.1",
      "QUERY / HTTP/1.1",
      "M-SEARCH * HTTP/1.1",
      "PROPFIND / http/1.0 ",
      "NOOP / HTTP/1.1",
      "HELP HTTP/3",
      "Host: mx.example.org",
      "Content-Length:90",
      "x-header:",
    ]
  ) {
    assertEquals(isHttp(line), true, line);
  }
  for (
    const line of [
      "GETS x",
      "GET",
      "",
      "NOOP HTTP/1.1 x",
      "NOOP xHTTP/1.1",
      "EHLO HTTP",
      "MAIL FROM:<a@example.com>",
      "rcpt to : <b@example.org>",
      "MAIL FROM:<a@example.com> SIZE=1",
      ": x",
    ]
  ) {
    assertEquals(isHttp(line), false, line);
  }
});
