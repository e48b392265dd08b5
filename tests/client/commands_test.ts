import { assert, assertEquals, assertRejects } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpError } from "../../src/errors.ts";
import type { TlsOptions } from "../../src/sockets/socket.ts";
import { conversation, converse, ehlo, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { replay } from "../support/replay.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const FROM = "me@example.com";
const TO = "you@example.org";
const MAIL = `C: MAIL FROM:<${FROM}>\nS: 250 2.1.0 Ok`;
const RCPT = `C: RCPT TO:<${TO}>\nS: 250 2.1.5 Ok`;
const ALL = ["PIPELINING", "CHUNKING", "ETRN", "STARTTLS", "AUTH PLAIN", "XCLIENT NAME", "XFORWARD NAME"];

/** Every step, by the name of the method. */
const STEPS: Record<string, (client: SmtpClient) => Promise<unknown>> = {
  ehlo: (client) => client.ehlo(),
  helo: (client) => client.helo(),
  startTls: (client) => client.startTls(),
  authenticate: (client) => client.authenticate({ user: "u", pass: "right-pass" }),
  mail: (client) => client.mail(FROM),
  send: (client) => client.send({ from: FROM, to: TO }, "A:"),
  rcpt: (client) => client.rcpt(TO),
  data: (client) => client.data(),
  bdat: (client) => client.bdat(new Uint8Array(1)),
  reset: (client) => client.reset(),
  noop: (client) => client.noop(),
  vrfy: (client) => client.vrfy("a"),
  expn: (client) => client.expn("a"),
  help: (client) => client.help(),
  etrn: (client) => client.etrn("a.test"),
  xclient: (client) => client.xclient({ name: "a.test" }),
  xforward: (client) => client.xforward({ name: "a.test" }),
  command: (client) => client.command("VERB"),
  "command MAIL": (client) => client.command(`MAIL FROM:<${FROM}>`),
  "command RSET": (client) => client.command("RSET"),
};

/** Fails unless each of the steps is refused, without a word to the server. */
async function areOutOfOrder(client: SmtpClient, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const error = await rejectsWith("bad-sequence", () => STEPS[name]!(client));
    assertEquals([error.outcome, error.usable, client.usable], ["not-sent", true, true], name);
  }
}

conversation(
  "SmtpClient takes each step by itself with DATA",
  `S: 220 mx.test ESMTP
  ${ehlo("8BITMIME", "SIZE 1000")}
  C: MAIL FROM:<${FROM}> SIZE=5 BODY=8BITMIME
  S: 250 2.1.0 Ok
  C: RCPT TO:<${TO}>
  S: 250 2.1.5 Ok
  C: RCPT TO:<gone@example.org>
  S: 550 5.1.1 Gone
  C: NOOP
  S: 250 Ok
  C: VRFY you
  S: 252 2.0.0 you@example.org
  C: DATA
  S: 354 Go on
  C: Subject: Hi
  C:
  C: ..dot
  C: .
  S: 250 2.0.0 Ok: queued as 4XyZ1
  ${QUIT}`,
  async (client) => {
    assertEquals([client.greeting.code, client.extensions.domain, client.usable], [220, "", true]);
    assertEquals((await client.ehlo()).code, 250);
    assertEquals(client.extensions.size, 1000);
    assertEquals((await client.mail(FROM, { size: 5 })).enhancedCode, "2.1.0");
    assertEquals((await client.rcpt(TO)).enhancedCode, "2.1.5");
    const refused = await rejectsWith("recipients-refused", () => client.rcpt("gone@example.org"));
    assertEquals([refused.recipient, refused.outcome, refused.usable], ["gone@example.org", "refused", true]);
    assertEquals((await client.noop()).code, 250);
    const { verified, addresses } = await client.vrfy("you");
    assertEquals([verified, addresses], [false, [{ name: "", address: TO }]]);
    const content = await client.data();
    const writer = content.getWriter();
    await writer.write("Subject: Hi\n\n");
    await writer.write(new TextEncoder().encode(".dot"));
    await writer.close();
    const receipt = await content.receipt;
    assertEquals([receipt.accepted, receipt.queueId], [[TO], "4XyZ1"]);
    assertEquals(receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code]), [[
      "gone@example.org",
      550,
    ]]);
  },
  { only: "greeting" },
);

conversation(
  "SmtpClient takes each step by itself with BDAT, and sends afterwards",
  `${hello("CHUNKING", "BINARYMIME")}
  C: MAIL FROM:<${FROM}> BODY=BINARYMIME
  S: 250 Ok
  ${RCPT}
  C: BDAT 4
  C: a\u0000
  S: 250 4 bytes
  C: BDAT 3
  C: .
  S: 250 3 bytes
  C: BDAT 0 LAST
  S: 250 Ok id=1abc
  C: MAIL FROM:<${FROM}>
  S: 250 Ok
  ${RCPT}
  C: DATA
  S: 354 Go on
  C: A:
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (client) => {
    await client.mail(FROM, { body: "binarymime" });
    await client.rcpt(TO);
    await areOutOfOrder(client, ["data", "send", "mail"]);
    assertEquals((await client.bdat(new TextEncoder().encode("a\0\r\n"))).code, 250);
    assertEquals((await client.bdat(new TextEncoder().encode(".\r\n"))).code, 250);
    const receipt = await client.bdat(new Uint8Array(), { last: true });
    assertEquals([receipt.accepted, receipt.queueId], [[TO], "1abc"]);
    assertEquals((await client.send({ from: FROM, to: TO }, "A:\r\n")).accepted, [TO]);
  },
);

test("SmtpClient refuses what the protocol forbids before EHLO, and says nothing", () =>
  converse(
    `S: 220 mx.test ESMTP
    ${ehlo()}
    ${QUIT}`,
    async (client) => {
      await areOutOfOrder(client, ["startTls", "authenticate", "mail", "send", "rcpt", "data"]);
      await client.ehlo();
    },
    { only: "greeting" },
  ));

test("SmtpClient refuses what the protocol forbids outside of a transaction", () =>
  converse(`${hello(...ALL)}\n${QUIT}`, (client) => areOutOfOrder(client, ["rcpt", "data", "bdat"])));

test("SmtpClient refuses what the protocol forbids within a transaction", () =>
  converse(
    `${hello(...ALL)}
    ${MAIL}
    C: HELP
    S: 214 No
    C: VERB
    S: 502 No
    ${RCPT}
    C: RSET
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      await client.mail(FROM);
      await areOutOfOrder(client, ["data", "bdat"]); // nobody to get it
      const outside = [
        "ehlo",
        "helo",
        "startTls",
        "authenticate",
        "mail",
        "send",
        "etrn",
        "xclient",
        "xforward",
      ];
      await areOutOfOrder(client, [...outside, "command MAIL", "command RSET"]);
      assertEquals((await client.help()).code, 214);
      assertEquals((await client.command("VERB")).code, 502);
      await client.rcpt(TO);
      await areOutOfOrder(client, outside);
      await client.reset();
      await areOutOfOrder(client, ["rcpt", "data", "bdat"]);
    },
  ));

test("SmtpClient refuses every step while content is written", () =>
  converse(
    `${hello(...ALL)}
    ${MAIL}
    ${RCPT}
    C: DATA
    S: 354 Go on
    C: A:
    C: .
    S: 250 Ok
    C: NOOP
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      await client.mail(FROM);
      await client.rcpt(TO);
      const writer = (await client.data()).getWriter();
      await areOutOfOrder(client, Object.keys(STEPS));
      await writer.write("A:");
      await areOutOfOrder(client, Object.keys(STEPS));
      await writer.close();
      await areOutOfOrder(client, ["rcpt", "data", "bdat"]);
      await client.noop();
    },
  ));

test("SmtpClient lets only RSET follow a chunk that was refused, and RCPT none that was taken", () =>
  converse(
    `${hello(...ALL)}
    ${MAIL}
    ${RCPT}
    C: BDAT 2
    C:
    S: 250 Ok
    C: BDAT 2
    C:
    S: 552 5.3.4 Too much
    C: RSET
    S: 250 Ok
    ${QUIT}`.replaceAll("C:\n", "C: \n"),
    async (client) => {
      const chunk = new TextEncoder().encode("\r\n");
      await client.mail(FROM);
      await client.rcpt(TO);
      await client.bdat(chunk);
      await areOutOfOrder(client, ["rcpt", "data", "mail", "send"]);
      const error = await rejectsWith("message-refused", () => client.bdat(chunk));
      assertEquals([error.outcome, error.phase, error.usable], ["refused", "content", true]);
      await areOutOfOrder(client, ["rcpt", "data", "bdat", "mail", "send"]);
      await client.reset();
    },
  ));

test("SmtpClient refuses commands while mail() waits, and mail() does not stand behind what would wait for it", () =>
  converse(
    `${hello(...ALL)}
    ${MAIL}
    C: RSET
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const begun = client.mail(FROM);
      const refused = Object.values(STEPS).map((step) => rejectsWith("bad-sequence", () => step(client)));
      await Promise.all([begun, ...refused]);
      await client.reset();
    },
  ));

conversation(
  "SmtpClient says steps one after the other that were called at once",
  `${hello("PIPELINING", "CHUNKING")}
  ${MAIL}
  C: RCPT TO:<a@b.test>
  S: 250 Ok
  C: RCPT TO:<b@b.test>
  S: 550 No
  C: NOOP
  S: 250 Ok
  C: BDAT 2
  C:
  S: 250 Ok
  C: BDAT 2 LAST
  C:
  S: 250 Ok: queued as 1
  ${QUIT}`.replaceAll("C:\n", "C: \n"),
  async (client) => {
    const chunk = new TextEncoder().encode("\r\n");
    await client.mail(FROM);
    const results = await Promise.allSettled([
      client.rcpt("a@b.test"),
      client.rcpt("b@b.test"),
      client.noop(),
      client.bdat(chunk),
      client.bdat(chunk, { last: true }),
      client.noop(),
    ]);
    assertEquals(results.map(({ status }) => status), [
      ...["fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"],
      "rejected", // it was called within the transaction and comes behind its end
    ]);
  },
);

test("SmtpClient waits with mail() for the messages that were sent before it", () =>
  converse(
    `${hello("PIPELINING")}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<${TO}>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354 Go on
    C: A:
    C: .
    S: 250 Ok
    ${MAIL}
    C: RSET
    S: 250 Ok
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<${TO}>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354 Go on
    C: B:
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const sent = client.send({ from: FROM, to: TO }, "A:");
      await client.mail(FROM);
      assertEquals((await sent).accepted, [TO]);
      await client.reset();
      await client.send({ from: FROM, to: TO }, "B:");
    },
  ));

conversation(
  "SmtpClient begins a transaction with RSET where the server may hold another open",
  `${hello("PIPELINING")}
  C: MAIL FROM:<x@example.com>
  S: 250 Ok
  C: RSET
  S: 250 Ok
  ${MAIL}
  C: RSET
  S: 250 Ok
  C: MAIL FROM:<${FROM}>
  C: RCPT TO:<${TO}>
  C: DATA
  S: 250 Ok
  S: 550 No
  S: 554 No
  C: RSET
  S: 250 Ok
  ${MAIL}
  C: RSET
  S: 421 Bye
  S! close`,
  async (client) => {
    await client.command("MAIL FROM:<x@example.com>");
    await client.mail(FROM);
    await client.reset();
    await rejectsWith("recipients-refused", () => client.send({ from: FROM, to: TO }, "A:"));
    await client.mail(FROM);
    const error = await rejectsWith("service-unavailable", () => client.reset());
    assertEquals([error.reply?.code, error.usable, client.usable], [421, false, false]);
  },
);

test("SmtpClient begins with RSET once a RSET was refused", () =>
  converse(
    `${hello()}
    C: RSET
    S: 500 What?
    C: RSET
    S: 250 Ok
    ${MAIL}
    C: RSET
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      await rejectsWith("command-refused", () => client.reset());
      await client.mail(FROM);
      await client.reset();
    },
  ));

test("SmtpClient says no RSET behind a sender that was refused", () =>
  converse(
    `${hello()}
    C: MAIL FROM:<${FROM}>
    S: 550 5.1.0 No
    ${MAIL}
    C: RSET
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const error = await rejectsWith("sender-refused", () => client.mail(FROM));
      assertEquals([error.outcome, error.phase, error.usable], ["refused", "mail", true]);
      await client.mail(FROM);
      await client.reset();
    },
  ));

conversation(
  "SmtpClient gives the reply for each recipient over LMTP",
  `S: 220 mx.test LMTP
  C: LHLO client.test
  S: 250-mx.test
  S: 250 CHUNKING
  ${MAIL}
  C: RCPT TO:<a@b.test>
  S: 250 Ok
  C: RCPT TO:<b@b.test>
  S: 250 Ok
  C: RCPT TO:<c@b.test>
  S: 550 No
  C: DATA
  S: 354 Go on
  C: A:
  C: .
  S: 452 Full
  S: 250 <b@b.test> 7x Saved
  ${MAIL}
  C: RCPT TO:<a@b.test>
  S: 250 Ok
  C: RCPT TO:<b@b.test>
  S: 250 Ok
  C: BDAT 2 LAST
  C:
  S: 550 No
  S: 551 No
  C: LHLO client.test
  S: 250 mx.test
  ${QUIT}`.replaceAll("C:\n", "C: \n"),
  async (client) => {
    await client.mail(FROM);
    await client.rcpt("a@b.test");
    await client.rcpt("b@b.test");
    await rejectsWith("recipients-refused", () => client.rcpt("c@b.test"));
    const content = await client.data();
    const writer = content.getWriter();
    await writer.write("A:");
    await writer.close();
    const { accepted, rejected, queueId } = await content.receipt;
    assertEquals([accepted, queueId], [["b@b.test"], "7x"]);
    assertEquals(rejected.map(({ recipient, reply }) => [recipient, reply?.code]), [
      ["c@b.test", 550],
      ["a@b.test", 452],
    ]);
    await client.mail(FROM);
    await client.rcpt("a@b.test");
    await client.rcpt("b@b.test");
    const chunk = new TextEncoder().encode("\r\n");
    const error = await rejectsWith("message-refused", () => client.bdat(chunk, { last: true }));
    assertEquals(error.rejected.map(({ reply }) => reply?.code), [550, 551]);
    await areOutOfOrder(client, ["helo"]);
    await client.ehlo();
  },
  { protocol: "lmtp" },
);

conversation(
  "SmtpClient goes over to TLS when it is told to, and forgets what it knew",
  `S: 220 mx.test ESMTP
  ${ehlo("STARTTLS", "SIZE 5")}
  C: STARTTLS
  S: 454 4.7.0 Not now
  C: STARTTLS
  S: 220 Go
  S! tls
  ${ehlo("AUTH PLAIN")}
  C: AUTH PLAIN AHUAd3JvbmctcGFzcw==
  S: 535 5.7.8 No
  C: AUTH PLAIN AHUAcmlnaHQtcGFzcw==
  S: 235 2.7.0 Yes
  ${QUIT}`,
  async (client) => {
    await client.ehlo();
    await areOutOfOrder(client, ["mail", "send"]); // security is "starttls"
    await rejectsWith("auth-insecure", () => client.authenticate());
    const refused = await rejectsWith("starttls-unavailable", () => client.startTls());
    assertEquals([refused.usable, client.secure], [true, false]);
    await client.startTls();
    assertEquals([client.secure, client.extensions.size], [true, undefined]);
    await areOutOfOrder(client, ["startTls"]);
    const wrong = await rejectsWith(
      "auth-failed",
      () => client.authenticate({ user: "u", pass: "wrong-pass" }),
    );
    assertEquals([wrong.usable, client.usable, client.authenticated], [true, true, false]);
    assertEquals(await client.authenticate(), "PLAIN"); // as the options say
    assert(client.authenticated);
    await areOutOfOrder(client, ["authenticate"]);
  },
  { only: "greeting", security: "starttls", auth: { user: "u", pass: "right-pass" } },
);

test("SmtpClient takes REQUIRETLS only where the certificate was checked, however TLS was begun", () =>
  converse(
    `S: 220 mx.test ESMTP
    ${ehlo("STARTTLS")}
    C: STARTTLS
    S: 220 Go
    S! tls
    ${ehlo("REQUIRETLS")}
    ${QUIT}`,
    async (client) => {
      await client.ehlo();
      await client.startTls({ verify: false });
      const error = await rejectsWith("extension-missing", () => client.mail(FROM, { requireTls: true }));
      assertEquals(error.usable, true);
    },
    { only: "greeting", security: "opportunistic" },
  ));

test("SmtpClient.startTls() leaves what it is not told as the options say, and knows that nothing was checked", () =>
  converse(
    `S: 220 mx.test ESMTP
    ${ehlo("STARTTLS")}
    C: STARTTLS
    S: 220 Go
    S! tls
    ${ehlo("REQUIRETLS")}
    ${QUIT}`,
    async (client) => {
      await client.ehlo();
      await assertRejects(() => client.startTls({ ca: "x" } as TlsOptions), TypeError, "use caCerts");
      await client.startTls({ serverName: "mx.test" });
      await rejectsWith("extension-missing", () => client.mail(FROM, { requireTls: true }));
    },
    { only: "greeting", security: "opportunistic", tls: { verify: false } },
  ));

test("SmtpClient ends the session where the greeting behind STARTTLS fails", async () => {
  const played = replay(`S: 220 mx.test
    ${ehlo("STARTTLS")}
    C: STARTTLS
    S: 220 Go
    S! tls
    C: EHLO client.test
    S: 450 No
    ${QUIT}`);
  const client = await SmtpClient.open({
    socket: played.socket,
    clientName: "client.test",
    security: "opportunistic",
  });
  await client.ehlo();
  const error = await rejectsWith("command-refused", () => client.startTls());
  assertEquals([error.usable, client.usable], [false, false]);
  await client.closed;
  await played.done;
});

test("SmtpClient authenticates without auth neither in the call nor in the options: a TypeError", () =>
  converse(
    `${hello("AUTH PLAIN")}\n${QUIT}`,
    async (client) => {
      await assertRejects(() => client.authenticate(), TypeError, "auth is missing");
    },
  ));

conversation(
  "SmtpClient says EHLO and HELO again, and goes by the last that was taken",
  `${hello("SIZE 10", "PIPELINING")}
  C: EHLO [192.0.2.1]
  S: 250-mx.test
  S: 250 SIZE 20
  C: EHLO other.test
  S: 550 Not you
  C: HELO client.test
  S: 250 mx.test
  C: HELO other.test
  S: 501 No
  C: MAIL FROM:<${FROM}>
  S: 250 Ok
  C: RSET
  S: 250 Ok
  ${QUIT}`,
  async (client) => {
    await client.ehlo("[192.0.2.1]");
    assertEquals([client.extensions.size, client.extensions.pipelining], [20, false]);
    await assertRejects(() => client.ehlo("not a domain"), TypeError);
    const error = await rejectsWith("command-refused", () => client.ehlo("other.test"));
    assertEquals([error.phase, error.usable, client.extensions.size], ["ehlo", true, 20]);
    await client.helo();
    assertEquals([client.extensions.size, client.extensions.domain], [undefined, ""]);
    await rejectsWith("command-refused", () => client.helo("other.test"));
    await client.mail(FROM, { size: 30 });
    await client.reset();
  },
);

conversation(
  "SmtpClient reads VRFY, EXPN, HELP and ETRN, and what is refused",
  `${hello("ETRN", "SMTPUTF8")}
  C: VRFY fred
  S: 250 2.1.5 Fred Foobar <fred@example.org>
  C: VRFY jörg SMTPUTF8
  S: 553-Ambiguous
  S: 553-Jörg One <j1@example.org>
  S: 553 Jörg Two <j2@example.org>
  C: EXPN friends
  S: 250-Jon <jon@example.org>
  S: 250 <sue@example.org>
  C: EXPN secrets
  S: 550 5.7.1 No
  C: HELP
  S: 214-2.0.0 One
  S: 214 2.0.0 Two
  C: HELP MAIL
  S: 504 No
  C: ETRN @example.org
  S: 253 5 pending messages
  C: ETRN #queue
  S: 459 Not allowed
  C: VERB on
  S: 500 What?
  ${QUIT}`,
  async (client) => {
    const fred = await client.vrfy("fred");
    assertEquals([fred.verified, fred.addresses], [true, [{
      name: "Fred Foobar",
      address: "fred@example.org",
    }]]);
    const many = await rejectsWith("command-refused", () => client.vrfy("jörg"));
    assertEquals([many.reply?.lines.length, many.usable], [3, true]);
    assertEquals((await client.expn("friends")).addresses.map(({ name }) => name), ["Jon", ""]);
    assertEquals((await rejectsWith("command-refused", () => client.expn("secrets"))).enhancedCode, "5.7.1");
    assertEquals((await client.help()).text, "One\nTwo");
    await rejectsWith("command-refused", () => client.help("MAIL"));
    assertEquals((await client.etrn("@example.org")).code, 253);
    assertEquals((await rejectsWith("command-refused", () => client.etrn("#queue"))).temporary, true);
    assertEquals((await client.command("VERB on")).code, 500);
    for (
      const line of [
        "QUIT",
        "data",
        " AUTH PLAIN",
        "EHLO x",
        "BDAT 5",
        "xclient NAME=x",
        "lhlo x",
        "starttls",
      ]
    ) {
      await assertRejects(() => client.command(line), TypeError, "as a single command");
    }
    await assertRejects(() => client.command("NOOP\r\nRSET"), TypeError, "control character");
    await assertRejects(() => client.vrfy(""), TypeError, "needs an argument");
    await assertRejects(() => client.etrn("a\r\nb"), TypeError, "control character");
  },
);

test("SmtpClient asks for no extension that is not offered", () =>
  converse(`${hello()}\n${QUIT}`, async (client) => {
    for (const step of ["bdat", "etrn", "xclient", "xforward"]) {
      const error = await rejectsWith("extension-missing", () => STEPS[step]!(client));
      assertEquals(error.usable, true);
    }
    await rejectsWith("starttls-unavailable", () => client.startTls());
    await rejectsWith("auth-unsupported", () => client.authenticate({ user: "u", pass: "right-pass" }));
    for (const body of ["8bitmime", "binarymime"] as const) {
      await rejectsWith("extension-missing", () => client.mail(FROM, { body }));
    }
    await rejectsWith("extension-missing", () => client.mail("jörg@b.test"));
    await rejectsWith("extension-missing", () => client.mail(FROM, { smtpUtf8: true }));
    await rejectsWith("extension-missing", () => client.mail(FROM, { dsn: { envid: "x" } }));
    await rejectsWith("invalid-envelope", () => client.mail("Me <me@example.com>"));
    await rejectsWith("invalid-envelope", () => client.mail(FROM, { size: -1 }));
    await rejectsWith("invalid-envelope", () => client.mail(FROM, { parameters: { "A B": true } }));
  }));

conversation(
  "SmtpClient says parameters with MAIL and RCPT",
  `${hello("DSN", "SMTPUTF8", "MT-PRIORITY")}
  C: MAIL FROM:<jörg@example.com> SMTPUTF8 RET=HDRS ENVID=x MT-PRIORITY=3 XVERP
  S: 250 Ok
  C: RCPT TO:<jürgen@xn--bcher-kva.example> NOTIFY=FAILURE ORCPT=utf-8;jürgen@xn--bcher-kva.example
  S: 250 Ok
  C: RCPT TO:<a@b.test> NOTIFY=NEVER
  S: 251 2.1.5 Will forward
  C: RSET
  S: 250 Ok
  C: MAIL FROM:<>
  S: 250 Ok
  C: RSET
  S: 250 Ok
  ${QUIT}`,
  async (client) => {
    await client.mail("jörg@example.com", {
      dsn: { ret: "headers", envid: "x", notify: ["failure"] },
      priority: 3,
      parameters: { xverp: true },
    });
    const address = "jürgen@bücher.example";
    await client.rcpt({ address, orcpt: address });
    assertEquals((await client.rcpt({ address: "a@b.test", notify: "never" })).code, 251);
    await rejectsWith("invalid-envelope", () => client.rcpt("no address"));
    await client.reset();
    await client.mail(null);
    await areOutOfOrder(client, []);
    await rejectsWith("bad-sequence", () => client.rcpt("jürgen@b.test")); // SMTPUTF8 was not said
    await client.reset();
  },
);

conversation(
  "SmtpClient speaks for a client with XCLIENT and XFORWARD, and greets anew",
  `${hello("XCLIENT NAME ADDR LOGIN", "XFORWARD NAME ADDR SOURCE", "SIZE 5")}
  C: XFORWARD NAME=spike+2Bx.test ADDR=IPV6:2001:db8::1 SOURCE=LOCAL
  S: 250 Ok
  C: XFORWARD NAME=x
  S: 501 No
  C: XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 LOGIN=jane
  S: 220 mx.test again
  ${ehlo("XCLIENT LOGIN")}
  C: XCLIENT LOGIN=[UNAVAILABLE]
  S: 501 No
  C: XCLIENT LOGIN=x
  S: 220 mx.test again
  C: EHLO client.test
  S: 450 Not now
  ${QUIT}`,
  async (client) => {
    await client.xforward({ name: "spike+x.test", addr: "2001:db8::1", source: "LOCAL" });
    await rejectsWith("command-refused", () => client.xforward({ name: "x" }));
    assertEquals((await client.xclient({ name: null, addr: "192.0.2.1", login: "jane" })).code, 220);
    assertEquals([client.authenticated, client.extensions.size], [true, undefined]);
    const refused = await rejectsWith("command-refused", () => client.xclient({ login: null }));
    assertEquals([refused.usable, client.authenticated], [true, true]);
    await rejectsWith("command-refused", () => client.xclient({ login: "x" }));
    assertEquals(client.usable, false);
  },
);

// What becomes of a message whose transaction is cut at any point.

const TRANSACTIONS = {
  data: [
    `C: MAIL FROM:<${FROM}>|S: 250 Ok`,
    `C: RCPT TO:<${TO}>|S: 250 Ok`,
    "C: DATA|S: 354 Go on",
    "C: A:\nC: .|S: 250 Ok",
  ],
  bdat: [
    `C: MAIL FROM:<${FROM}>|S: 250 Ok`,
    `C: RCPT TO:<${TO}>|S: 250 Ok`,
    "C: BDAT 4\nC: A:|S: 250 Ok",
    "C: BDAT 4 LAST\nC: B:|S: 250 Ok",
  ],
} as const;

async function inSteps(client: SmtpClient, transfer: "data" | "bdat"): Promise<void> {
  await client.mail(FROM);
  await client.rcpt(TO);
  if (transfer === "data") {
    const content = await client.data();
    const closed = content.getWriter();
    await closed.write("A:\r\n");
    await closed.close();
    return;
  }
  await client.bdat(new TextEncoder().encode("A:\r\n"));
  await client.bdat(new TextEncoder().encode("B:\r\n"), { last: true });
}

const ENDS: Record<string, (step: string) => string> = {
  "closes the connection": (step) => `${step}\nS! close`,
  "resets the connection": (step) => `${step}\nS! reset`,
  "says 421": (step) => `${step}\nS: 421 4.3.2 Down\nS! close`,
  "says nothing": (step) => step,
  "breaks the protocol": (step) => `${step}\nS: 354 What?`,
};

const CODES: Record<string, string> = {
  "closes the connection": "connection-lost",
  "resets the connection": "connection-reset",
  "says nothing": "timeout",
  "breaks the protocol": "protocol-error",
};

for (const transfer of ["data", "bdat"] as const) {
  for (const [end, script] of Object.entries(ENDS)) {
    for (const [at, step] of TRANSACTIONS[transfer].entries()) {
      const isData = transfer === "data" && at === 2;
      if (end === "breaks the protocol" && isData) continue; // 354 is right there
      const last = at === 3;
      test(`SmtpClient knows the outcome where the server ${end} at step ${at} with ${transfer}`, async () => {
        const done = TRANSACTIONS[transfer].slice(0, at).join("|").split("|");
        const played = replay([hello("CHUNKING"), ...done, script(step.split("|")[0]!)].join("\n"));
        const client = await SmtpClient.connect({
          socket: played.socket,
          clientName: "client.test",
          security: "none",
          timeouts: end === "says nothing" ? { mail: 1, rcpt: 1, data: 1, end: 1 } : {},
        });
        const error = await assertRejects(() => inSteps(client, transfer)) as SmtpError;
        const closing = last ? "message-refused" : "service-unavailable";
        const code = { ...CODES, "says 421": closing }[end];
        const outcome = code === "message-refused" ? "refused" : last ? "unknown" : "not-sent";
        assertEquals(
          [code, error.outcome, error.usable, client.usable],
          [code, outcome, false, false],
          error.message,
        );
        await client.closed;
        await played.done.catch((error) => {
          if (end !== "says nothing") throw error; // there the client has reset the connection
        });
      });
    }
  }
}

test("SmtpClient over LMTP knows who has the message when the connection is lost between the replies", async () => {
  const played = replay(`S: 220 mx.test
    C: LHLO client.test
    S: 250 mx.test
    ${MAIL}
    C: RCPT TO:<a@b.test>
    S: 250 Ok
    C: RCPT TO:<b@b.test>
    S: 250 Ok
    C: RCPT TO:<c@b.test>
    S: 250 Ok
    C: DATA
    S: 354 Go on
    C: A:
    C: .
    S: 250 Ok
    S: 550 No
    S! close`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
    protocol: "lmtp",
  });
  await client.mail(FROM);
  for (const name of "abc") await client.rcpt(`${name}@b.test`);
  const content = await client.data();
  const writer = content.getWriter();
  await writer.write("A:");
  const error = await rejectsWith("connection-lost", () => writer.close());
  assertEquals([error.outcome, error.accepted], ["unknown", ["a@b.test"]]);
  assertEquals(error.rejected.map(({ recipient }) => recipient), ["b@b.test"]);
  assertEquals(await rejectsWith("connection-lost", () => content.receipt), error);
  await played.done;
});

for (const at of [0, 1, 2, 3]) {
  test(`SmtpClient is aborted by its signal at step ${at} of a transaction`, async () => {
    const steps = TRANSACTIONS.data;
    const done = steps.slice(0, at).join("|").split("|");
    const played = replay([hello(), ...done, steps[at]!.split("|")[0]!].join("\n"));
    const controller = new AbortController();
    const client = await SmtpClient.connect({
      socket: played.socket,
      clientName: "client.test",
      security: "none",
      signal: controller.signal,
    });
    void played.heard.then(() => controller.abort(new Error("enough")));
    const error = await rejectsWith("aborted", () => inSteps(client, "data"));
    assertEquals([error.outcome, error.usable], [at === 3 ? "unknown" : "not-sent", false]);
    await client.closed;
    await played.done.catch(() => {}); // the connection is reset
  });
}

test("SmtpClient gives a transaction up when it is closed or quits in the middle of it", async () => {
  for (const end of ["quit", "close"] as const) {
    const played = replay(`${hello()}\n${MAIL}`);
    const client = await SmtpClient.connect({
      socket: played.socket,
      clientName: "client.test",
      security: "none",
    });
    await client.mail(FROM);
    await client[end]();
    await rejectsWith("client-closed", () => client.rcpt(TO));
    await rejectsWith("client-closed", () => client.mail(FROM));
    await rejectsWith("client-closed", () => client.noop());
    await played.done;
  }
});
