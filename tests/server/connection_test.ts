import { assertEquals } from "@std/assert";
import { serveSocket } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { test } from "../support/harness.ts";
import { assertTranscript, Peer } from "./transcript.ts";

const GREETED = `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250-mx.test
  S: 250-PIPELINING
  S: 250-8BITMIME
  S: 250-SMTPUTF8
  S: 250-ENHANCEDSTATUSCODES
  S: 250 SIZE 33554432
`;

const ENVELOPE = `
  C: MAIL FROM:<a@example.com>
  C: RCPT TO:<b@example.org>
  C: DATA
  S: 250 2.1.0 Sender ok
  S: 250 2.1.5 Recipient ok
  S: 354 End data with <CR><LF>.<CR><LF>
`;

test("serveSocket() takes a message, and another one pipelined after it", async () => {
  await assertTranscript(`
    ${GREETED}
    C: MAIL FROM:<a@example.com> SIZE=20 BODY=8BITMIME
    C: RCPT TO:<b@example.org>
    C: RCPT TO:<Postmaster>
    C: DATA
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 250 2.1.5 Recipient ok
    S: 354 End data with <CR><LF>.<CR><LF>
    C: Subject: Hi
    C:
    C: ..Hello
    C: .
    C: MAIL FROM:<>
    C: RCPT TO:<b@example.org>
    C: DATA
    S: 250 2.0.0 Ok
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 354 End data with <CR><LF>.<CR><LF>
    C: .
    C: QUIT
    S: 250 2.0.0 Ok
    S: 221 2.0.0 Bye
    (end)
  `);
});

test("serveSocket() answers the commands that belong to no transaction", async () => {
  await assertTranscript(`
    S: 220 mx.test ESMTP
    C: helo client.test
    C: NOOP whatever
    C: VRFY a@example.com
    C: HELP
    C: EXPN list
    C: ETRN example.org
    C: RSET
    C: quit
    S: 250 mx.test
    S: 250 2.0.0 Ok
    S: 252 2.5.2 Cannot verify, but will take the message and try
    S: 214 2.0.0 See RFC 5321
    S: 502 5.5.1 Command not implemented
    S: 502 5.5.1 Command not implemented
    S: 250 2.0.0 Ok
    S: 221 2.0.0 Bye
    (end)
  `);
});

test("serveSocket() refuses commands that are out of order", async () => {
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: MAIL FROM:<a@example.com>
    C: STARTTLS
    C: AUTH PLAIN
    C: DATA
    C: EHLO client.test
    S: 503 5.5.1 Send EHLO first
    S: 503 5.5.1 Send EHLO first
    S: 503 5.5.1 Send EHLO first
    (end)
  `,
    { cuts: [] },
  );
  await assertTranscript(`
    ${GREETED}
    C: RCPT TO:<b@example.org>
    C: MAIL FROM:<a@example.com>
    C: MAIL FROM:<a@example.com>
    C: STARTTLS
    S: 503 5.5.1 Send MAIL first
    S: 250 2.1.0 Sender ok
    S: 503 5.5.1 Sender already given
    S: 503 5.5.1 Not during a mail transaction
    C: DATA
    S: 554 5.5.1 No valid recipients
    C: RSET
    C: DATA
    S: 250 2.0.0 Ok
    S: 503 5.5.1 Send MAIL first
  `);
});

test("serveSocket() hands lenient addresses to its handlers in quotes", async () => {
  const heard: unknown[] = [];
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:local.@example.com SIZE=10
    C: RCPT TO: <a..b@docomo.ne.jp>
    C: RCPT TO:b@example.org
    C: RCPT TO:<"c.."@example.org>
    C: RCPT TO:b@example.org> SIZE=1
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 250 2.1.5 Recipient ok
    S: 250 2.1.5 Recipient ok
    S: 501 5.1.3 Bad recipient address syntax
  `,
    {
      options: { lenientAddresses: true },
      handlers: {
        mail: (sender) => void heard.push(sender),
        rcpt: ({ address }) => void heard.push(address),
      },
      cuts: ["whole"],
    },
  );
  assertEquals(heard, [
    {
      address: '"local."@example.com',
      mailbox: { localPart: "local.", domain: "example.com" },
      parameters: { SIZE: "10" },
    },
    '"a..b"@docomo.ne.jp',
    "b@example.org",
    '"c.."@example.org',
  ]);
});

test("serveSocket() refuses parameters that it does not know", async () => {
  await assertTranscript(`
    ${GREETED}
    C: MAIL FROM:<a@example.com> RET=FULL
    C: MAIL FROM:<a@example.com> BODY=BINARYMIME
    C: MAIL FROM:<a@example.com> SIZE=many
    C: MAIL FROM:<a@example.com> SIZE=33554433
    C: MAIL FROM:<a@example.com> SMTPUTF8=yes
    C: MAIL FROM:<ä@example.com>
    C: MAIL FROM:<a@example.com> AUTH=<>
    C: MAIL FROM:<a@example.com> SIZE=1 SMTPUTF8 BODY=7bit
    C: RCPT TO:<ö@example.org>
    C: RCPT TO:<b@example.org> NOTIFY=NEVER
    S: 555 5.5.4 Parameter not recognized or not implemented
    S: 501 5.5.4 BODY is neither 7BIT nor 8BITMIME
    S: 501 5.5.4 SIZE is not a number
    S: 552 5.3.4 Message is too large
    S: 501 5.5.4 SMTPUTF8 takes no value
    S: 553 5.6.7 Address is not ASCII, and SMTPUTF8 was not asked for
    S: 555 5.5.4 Parameter not recognized or not implemented
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 555 5.5.4 Parameter not recognized or not implemented
  `);
});

test("serveSocket() takes nothing for a command that follows a bare LF or CR", async () => {
  const to: string[] = [];
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<a@example.com>\\nRCPT TO:<evil@example.org>
    C: NOOP\\rRSET
    C: MAIL FROM:<a@example.com>
    C: RCPT TO:<x@example.org\\nRCPT TO:<evil@example.org>
    C: RCPT TO:<x@example.org>\\n
    C: RCPT TO:<x@example.org>\\nRCPT TO:<evil@example.org>\\nDATA
    C: RCPT TO:<x@example.org\\rRCPT TO:<evil@example.org>
    C: RCPT TO:<x@example.org>\\r
    C: \\nQUIT
    C: \\rQUIT
    C: RSET
    S: 500 5.5.2 Line does not end with CR LF
    S: 500 5.5.2 A control character has no place in a command
    S: 250 2.1.0 Sender ok
    S: 500 5.5.2 Line does not end with CR LF
    S: 500 5.5.2 Line does not end with CR LF
    S: 500 5.5.2 Line does not end with CR LF
    S: 500 5.5.2 A control character has no place in a command
    S: 500 5.5.2 A control character has no place in a command
    S: 500 5.5.2 Line does not end with CR LF
    S: 500 5.5.2 A control character has no place in a command
    S: 250 2.0.0 Ok
  `,
    { handlers: { rcpt: ({ address }) => void to.push(address) } },
  );
  assertEquals(to, []);
});

test("serveSocket() tells a client at once that its line feed ends no line", async () => {
  const [client, server] = memorySocketPair();
  const served = serveSocket(server, { serverName: "mx.test" });
  const peer = new Peer(client);
  assertEquals(await peer.reply(), "220 mx.test ESMTP");
  await peer.say("EHLO client.test\n");
  assertEquals(await peer.reply(), "500 5.5.2 Line does not end with CR LF");
  await peer.say("EHLO client.test\n");
  await peer.say("\r\nNOOP\r\n");
  assertEquals(await peer.reply(), "250 2.0.0 Ok");
  await peer.close();
  await served;
});

test("serveSocket() does not take the rest of a refused line for a pipelined command", async () => {
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: NOOP\\nNOOP
    S: 500 5.5.2 Line does not end with CR LF
    C: NOOP
    S: 250 2.0.0 Ok
  `,
    { options: { hide: ["PIPELINING"] } },
  );
});

for (const line of ["BDAT 5 x", "bdat", "BDAT 99999999999999999999 LAST", "BDAT 5\\rx", "Bdat -1"]) {
  test(`serveSocket() hangs up after ${line}, because content follows`, async () => {
    await assertTranscript(
      `
      ${GREETED}
      C: MAIL FROM:<a@example.com>
      C: RCPT TO:<b@example.org>
      C: ${line}
      C: RCPT TO:<evil@example.org>
      S: 250 2.1.0 Sender ok
      S: 250 2.1.5 Recipient ok
      S: ${
        line.includes("r")
          ? "500 5.5.2 A control character has no place in a command"
          : "501 5.5.4 Syntax: BDAT <size> [LAST]"
      }
      (end)
    `,
      { handlers: { rcpt: ({ address }) => assertEquals(address, "b@example.org") } },
    );
  });
}

const BARE_LF = "500 5.5.2 Line does not end with CR LF";
const TOO_LONG = "500 5.5.2 Line is too long";
const NOT_UTF8 = "500 5.5.2 Line is not UTF-8";
const NOT_YET = "554 5.5.1 Wait for the reply to DATA";

for (
  const [name, wire, expected] of [
    ["BDAT that ends with LF", "BDAT 80 LAST\n{body}", BARE_LF],
    ["bdat that ends with LF", "bdat 80 LAST\nSubject: x\r\n{body}", BARE_LF],
    ["BDAT that is too long", `BDAT 80 LAST${" ".repeat(3000)}\r\n{body}`, TOO_LONG],
    ["BDAT that is too long and ends with LF", `BDAT 80${" ".repeat(3000)}\n{body}`, TOO_LONG],
    ["BDAT that is not UTF-8", "BDAT 80 LAST\xff\r\n{body}", NOT_UTF8],
    ["DATA that ends with LF", "DATA\n{body}", NOT_YET],
    ["data that is too long", `data${" ".repeat(3000)}\r\n{body}`, NOT_YET],
    ["DATA that is not UTF-8", "DATA \xff\r\n{body}", NOT_YET],
  ] as const
) {
  test(`serveSocket() hangs up after a ${name}, and carries out nothing of its content`, async () => {
    const content =
      "Subject: x\r\nRSET\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<evil@example.org>\r\nNOOP\r\n";
    const bytes = Uint8Array.from(wire.replace("{body}", content), (char) => char.charCodeAt(0));
    // Bytes behind DATA are seen if they come with it.
    const cuts = wire.toUpperCase().startsWith("DATA") ? [bytes.length] : [bytes.length, 3, 4, 5, 1];
    for (const cut of cuts) {
      const addresses: string[] = [];
      const [client, server] = memorySocketPair();
      const served = serveSocket(server, { serverName: "mx.test" }, {
        mail: ({ address }) => void addresses.push(address!),
        rcpt: ({ address }) => void addresses.push(address),
        reset: () => void addresses.push("reset"),
      });
      const peer = new Peer(client);
      await peer.reply();
      await peer.ask("EHLO client.test");
      await peer.ask("MAIL FROM:<a@example.com>");
      await peer.ask("RCPT TO:<b@example.org>");
      for (let i = 0; i < bytes.length; i += cut) await peer.say(bytes.slice(i, i + cut));
      assertEquals(await peer.reply(), expected);
      assertEquals(await peer.reply(), "(end)");
      await peer.close();
      await served;
      assertEquals(addresses, ["a@example.com", "b@example.org"]);
    }
  });
}

test("serveSocket() goes on after a refused DATA that nothing follows, and refused verbs that only begin like one", async () => {
  await assertTranscript(
    `
    ${GREETED}
    C: DATA${" ".repeat(3000)}
    S: 500 5.5.2 Line is too long
    C: BDATA 5\\nx
    C: DATAB\\nx
    S: 500 5.5.2 Line does not end with CR LF
    S: 500 5.5.2 Line does not end with CR LF
    C: NOOP
    S: 250 2.0.0 Ok
  `,
  );
});

test("serveSocket() hangs up after a malformed DATA with bytes after it", async () => {
  await assertTranscript(
    `
    ${GREETED}
    C: DATA now
    C: Subject: x
    S: 554 5.5.1 Wait for the reply to DATA
    (end)
  `,
    { cuts: ["whole"] },
  );
});

test("serveSocket() refuses a line that is too long and reads on after it", async () => {
  await assertTranscript(`
    S: 220 mx.test ESMTP
    C: NOOP ${"x".repeat(2041)}
    C: NOOP ${"x".repeat(2042)}
    C: NOOP ${"x".repeat(10_000)}
    C: NOOP
    S: 250 2.0.0 Ok
    S: 500 5.5.2 Line is too long
    S: 500 5.5.2 Line is too long
    S: 250 2.0.0 Ok
  `);
});

test("serveSocket() refuses a lone LF in commands and content, unless it is allowed", async () => {
  await assertTranscript(`
    ${GREETED}
    C: NOOP\\nNOOP
    S: 500 5.5.2 Line does not end with CR LF
    ${ENVELOPE}
    C: one\\n.\\ntwo
    C: .\\nthree
    C: .
    S: 550 5.6.0 Message has a bare CR or LF, see RFC 5321 section 2.3.8
    C: NOOP
    S: 250 2.0.0 Ok
  `);
  await assertTranscript(
    `
    ${GREETED}
    C: NOOP\\nNOOP
    S: 250 2.0.0 Ok
    S: 250 2.0.0 Ok
    ${ENVELOPE}
    C: one\\n.\\ntwo\\r.\\r
    C: .
    S: 250 2.0.0 Ok
  `,
    { options: { bareLineEnds: "allow" } },
  );
});

test("serveSocket() refuses content that is larger than it takes, and goes on", async () => {
  await assertTranscript(
    `
    ${GREETED.replace("33554432", "10")}
    ${ENVELOPE}
    C: 12345678
    C: .
    S: 250 2.0.0 Ok
    ${ENVELOPE}
    C: 12345678
    C:
    C: .
    S: 552 5.3.4 Message is too large
    C: NOOP
    S: 250 2.0.0 Ok
  `,
    { options: { maxMessageSize: 10 } },
  );
});

test("serveSocket() takes no more recipients than it says", async () => {
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<a@example.com>
    C: RCPT TO:<b@example.org>
    C: RCPT TO:<c@example.org>
    C: DATA
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 452 4.5.3 Too many recipients
    S: 354 End data with <CR><LF>.<CR><LF>
    C: .
    S: 250 2.0.0 Ok
  `,
    { options: { maxRecipients: 1 } },
  );
});

test("serveSocket() hangs up when bytes follow DATA, accepted or refused", async () => {
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<a@example.com>
    C: RCPT TO:<b@example.org>
    C: DATA
    C: Subject: too early
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 554 5.5.1 Wait for the reply to DATA
    (end)
  `,
    { cuts: ["whole"] },
  );
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<a@example.com>
    C: DATA
    C: MAIL FROM:<smuggled@example.com>
    S: 250 2.1.0 Sender ok
    S: 554 5.5.1 Wait for the reply to DATA
    (end)
  `,
    { cuts: ["whole"] },
  );
});

test("serveSocket() hangs up on BDAT, whose content would be taken for commands", async () => {
  await assertTranscript(`
    ${GREETED}
    C: BDAT 6 LAST
    S: 502 5.5.1 Command not implemented
    (end)
  `);
});

test("serveSocket() hangs up on a web browser", async () => {
  await assertTranscript(`
    S: 220 mx.test ESMTP
    C: POST / HTTP/1.1
    S: 421 4.7.0 This is not a web server
    (end)
  `);
});

for (const verb of ["PORT", "QUERY", "PROPFIND", "NOOP", "HELP", "RSET", "M-SEARCH", "Host:"]) {
  test(`serveSocket() takes no mail out of an HTTP request that begins with ${verb}`, async () => {
    await assertTranscript(
      `
      S: 220 mx.test ESMTP
      C: ${verb} / HTTP/1.1
      C: EHLO client.test
      C: MAIL FROM:<a@example.com>
      S: 421 4.7.0 This is not a web server
      (end)
    `,
      { handlers: { greet: () => Promise.reject(new Error("It was greeted")) } },
    );
  });
}

for (const header of ["Host: mx.test", "Content-Type: text/plain", "X-A:b"]) {
  test(`serveSocket() hangs up at a line of a header: ${header}`, async () => {
    await assertTranscript(`
      S: 220 mx.test ESMTP
      C: ${header}
      S: 421 4.7.0 This is not a web server
      (end)
    `);
  });
}

for (
  const [what, before, piece, reply] of [
    ["a command line", [], "x".repeat(65_536), "500 5.5.2 Line is too long"],
    ["DATA with bytes behind it", [], "DATA" + "z".repeat(65_536), "500 5.5.2 Line is too long"],
    ["a line in which line feeds stand", ["\n"], "x\n".repeat(32_768), "500 5.5.2 Line is too long"],
    [
      "a response in AUTH",
      ["EHLO client.test\r\n", "AUTH LOGIN\r\n"],
      "A".repeat(65_536),
      "500 5.5.2 Line is too long",
    ],
  ] as const
) {
  test(`serveSocket() hangs up on ${what} that has no end`, async () => {
    const [client, server] = memorySocketPair();
    const options = { serverName: "mx.test", allowInsecureAuth: true };
    const served = serveSocket(server, options, { auth: () => true });
    const peer = new Peer(client);
    await peer.reply();
    for (const line of before) {
      await peer.say(line);
      await peer.reply();
    }
    for (let i = 0; i < 17; i++) await peer.say(piece);
    await peer.say("\r\nNOOP\r\n");
    assertEquals(await peer.reply(), reply);
    assertEquals(await peer.reply(), "(end)"); // and not the reply to NOOP
    await peer.close();
    await served;
  });
}

test("serveSocket() counts LHLO among the commands that it does not know, after a refused MAIL too", async () => {
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<ada@client.test> NO=1
    S: 555 5.5.4 Parameter not recognized or not implemented
    C: LHLO client.test
    C: LHLO client.test
    S: 500 5.5.1 Command not recognized
    S: 500 5.5.1 Command not recognized
    S: 421 4.7.0 Too many errors
    (end)
  `,
    { options: { maxUnrecognized: 2 } },
  );
});

test("serveSocket() hangs up after too many errors", async () => {
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: XYZZY
    C: PLUGH
    S: 500 5.5.1 Command not recognized
    S: 500 5.5.1 Command not recognized
    S: 421 4.7.0 Too many errors
    (end)
  `,
    { options: { maxUnrecognized: 2 } },
  );
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL
    C: RCPT TO:<b@example.org>
    C: EXPN
    S: 501 5.5.4 Syntax: MAIL FROM:<address>
    S: 503 5.5.1 Send MAIL first
    S: 501 5.5.4 Syntax: EXPN <string>
    S: 421 4.7.0 Too many errors
    (end)
  `,
    { options: { maxErrors: 3 } },
  );
});

test("serveSocket() counts no errors after a refused MAIL, and forgets them with a message", async () => {
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<a@example.com> X=1
    C: RCPT TO:<b@example.org>
    C: RCPT TO:<c@example.org>
    C: DATA
    S: 555 5.5.4 Parameter not recognized or not implemented
    S: 503 5.5.1 Send MAIL first
    S: 503 5.5.1 Send MAIL first
    S: 503 5.5.1 Send MAIL first
    ${ENVELOPE}
    C: .
    S: 250 2.0.0 Ok
    C: EXPN
    C: NOOP
    S: 501 5.5.4 Syntax: EXPN <string>
    S: 250 2.0.0 Ok
  `,
    { options: { maxErrors: 2 } },
  );
});

test("serveSocket() hides extensions and the commands and parameters that go with them", async () => {
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: EHLO client.test
    S: 250 mx.test
    C: MAIL FROM:<a@example.com> SIZE=1
    S: 555 Parameter not recognized or not implemented
    C: MAIL FROM:<a@example.com> BODY=8BITMIME
    S: 555 Parameter not recognized or not implemented
    C: MAIL FROM:<a@example.com> SMTPUTF8
    S: 555 Parameter not recognized or not implemented
    C: STARTTLS
    S: 502 Command not implemented
    C: AUTH PLAIN
    S: 502 Command not implemented
    C: MAIL FROM:<a@example.com>
    S: 250 Sender ok
  `,
    {
      options: {
        allowInsecureAuth: true,
        hide: ["PIPELINING", "8bitmime", "SMTPUTF8", "SIZE", "ENHANCEDSTATUSCODES", "STARTTLS", "AUTH"],
      },
      handlers: { auth: () => true },
      secureTransport: "starttls",
    },
  );
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: EHLO client.test
    S: 502 5.5.1 Command not implemented
    C: HELO client.test
    S: 250 mx.test
    C: MAIL FROM:<a@example.com> SIZE=1
    S: 555 5.5.4 Parameter not recognized or not implemented
  `,
    { options: { hide: ["EHLO"] } },
  );
});

test("serveSocket() hangs up on a client that pipelines where PIPELINING is hidden", async () => {
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: NOOP
    C: NOOP
    S: 554 5.5.1 Wait for the reply, PIPELINING is not offered
    (end)
  `,
    { options: { hide: ["PIPELINING"] }, cuts: ["whole"] },
  );
});

test("serveSocket() goes over to TLS and forgets what was said before", async () => {
  await assertTranscript(
    `
    ${GREETED.replace("S: 250 SIZE 33554432", "S: 250-SIZE 33554432\n S: 250 STARTTLS")}
    C: MAIL FROM:<a@example.com>
    S: 530 5.7.0 Send STARTTLS first
    C: STARTTLS now
    S: 501 5.5.4 STARTTLS takes no parameters
    C: STARTTLS
    S: 220 2.0.0 Ready to start TLS
    (tls)
    C: MAIL FROM:<a@example.com>
    S: 503 5.5.1 Send EHLO first
    ${GREETED.replace("S: 220 mx.test ESMTP", "")}
    C: STARTTLS
    S: 503 5.5.1 TLS is already on
    ${ENVELOPE}
    C: .
    C: QUIT
    S: 250 2.0.0 Ok
    S: 221 2.0.0 Bye
    (end)
  `,
    { secureTransport: "starttls", options: { requireTls: true } },
  );
});

test("serveSocket() hangs up when bytes follow STARTTLS", async () => {
  await assertTranscript(
    `
    ${GREETED.replace("S: 250 SIZE 33554432", "S: 250-SIZE 33554432\n S: 250 STARTTLS")}
    C: STARTTLS
    C: MAIL FROM:<injected@example.com>
    S: 554 5.5.1 Nothing may stand behind STARTTLS
    (end)
  `,
    { secureTransport: "starttls", cuts: ["whole"] },
  );
});
