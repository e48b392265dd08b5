/** Commands and extensions, against other people's servers. The documentation lists what each of them shows. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { formatTrace, SmtpClient } from "../../mod.ts";
import type { Envelope, SmtpClientOptions } from "../../mod.ts";
import { aiosmtpdMissing, startAiosmtpd } from "../support/aiosmtpd.ts";
import { dovecotMissing, startDovecot } from "../support/dovecot.ts";
import { eximMissing, startExim } from "../support/exim.ts";
import { harakaMissing, startHaraka } from "../support/haraka.ts";
import { test } from "../support/harness.ts";
import { assertDelivered, messageHeader } from "../support/mail_content.ts";
import type { DeliveredMail, MailStore } from "../support/mail_store.ts";
import { openSmtpdMissing, startOpenSmtpd } from "../support/opensmtpd.ts";
import { peerOptions } from "../support/peer_suite.ts";
import type { PeerServer } from "../support/peer_server.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import type { Postfix } from "../support/postfix.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { queued, sendmailMissing, startSendmail } from "../support/sendmail.ts";
import { smtpServerMissing, startSmtpServer } from "../support/smtp_server.ts";

const FROM = "sender@example.com";
const TO = "you@example.org";

function plain(port: number, more: SmtpClientOptions = {}): SmtpClientOptions {
  return { hostname: "localhost", port, security: "none", clientName: "client.test", ...more };
}

function declare<T extends AsyncDisposable>(
  name: string,
  missing: string | undefined,
  start: () => Promise<T>,
  body: (peer: T) => Promise<void>,
): void {
  test(name, { skip: missing, timeout: 60_000 }, async () => {
    await using peer = await start();
    await body(peer);
  });
}

/** The options of a client with its trace, as lines. */
function traced(options: SmtpClientOptions): { options: SmtpClientOptions; lines: string[] } {
  const lines: string[] = [];
  return {
    options: { ...options, trace: (event) => void lines.push(...formatTrace(event).split("\n")) },
    lines,
  };
}

/** The lines of the trace that begin a transaction and name its recipients. */
function envelopes(lines: readonly string[]): string[] {
  return lines.filter((line) => /^C: (MAIL|RCPT) /.test(line)).map((line) => line.slice(3));
}

/** Waits for the notification that a server sends to a sender. */
async function notification(mail: MailStore, count: number): Promise<string> {
  const mails = await mail.settled(count);
  const sent = mails.filter(({ sender, recipient }) => sender === "" && recipient.includes(FROM));
  assertEquals(sent.length, 1, mails.map(({ sender, recipient }) => `${sender} ${recipient}`).join("\n"));
  return text(sent[0]!);
}

/** Decodes as UTF-8 a text that has one character for each byte. */
function utf8(bytes: string): string {
  return new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
}

function text({ content }: DeliveredMail): string {
  return new TextDecoder().decode(content);
}

/** Waits until a server has logged a line that matches: it answers first and writes afterwards. */
async function logged(peer: { log(): string }, line: RegExp): Promise<void> {
  for (const deadline = Date.now() + 15_000; !line.test(peer.log());) {
    if (Date.now() > deadline) assertMatch(peer.log(), line);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// Step by step, everywhere.

interface Subject {
  name: string;
  missing: string | undefined;
  start(): Promise<{ mail?: MailStore; port: number; stop(): Promise<void> }>;
  protocol?: "lmtp";
  /** A recipient that it refuses. */
  refused?: string;
  /** What it answers to VRFY and HELP. */
  vrfy: number;
  help: number;
}

async function asPeer(start: Promise<PeerServer>): ReturnType<Subject["start"]> {
  const { mail, ports, stop } = await start;
  return { mail, port: ports[0]!, stop };
}

const subjects: Subject[] = [
  {
    name: "Postfix",
    missing: postfixMissing(),
    async start() {
      const { mail, submissionPort: port, stop } = await startPostfix();
      return { mail, port, stop };
    },
    vrfy: 252,
    help: 500,
  },
  { name: "Exim", missing: eximMissing(), start: () => asPeer(startExim()), vrfy: 252, help: 214 },
  {
    name: "OpenSMTPD",
    missing: openSmtpdMissing(),
    start: () => asPeer(startOpenSmtpd()),
    refused: "reject@elsewhere.example",
    vrfy: 500,
    help: 214,
  },
  {
    name: "Dovecot LMTP",
    missing: dovecotMissing(),
    start: () => asPeer(startDovecot()),
    protocol: "lmtp",
    vrfy: 252,
    help: 500,
  },
  {
    name: "smtp-server",
    missing: smtpServerMissing(),
    start: () => asPeer(startSmtpServer()),
    vrfy: 252,
    help: 214,
  },
  { name: "Haraka", missing: harakaMissing(), start: () => asPeer(startHaraka()), vrfy: 252, help: 250 },
  {
    name: "aiosmtpd",
    missing: aiosmtpdMissing(),
    start: () => asPeer(startAiosmtpd()),
    vrfy: 252,
    help: 250,
  },
  {
    name: "Sendmail",
    missing: sendmailMissing(),
    async start() {
      const peer = await startSendmail();
      return { port: peer.ports[0]!, stop: () => peer.stop() };
    },
    refused: "reject@nowhere.test",
    vrfy: 250,
    help: 214,
  },
];

for (
  const { name, missing, start, protocol = "smtp", refused = "reject@example.org", vrfy, help } of subjects
) {
  test(`${name}: step by step with DATA and BDAT, with commands in between`, {
    skip: missing,
    timeout: 60_000,
  }, async () => {
    const { mail, port, stop } = await start();
    try {
      await using client = await SmtpClient.open(plain(port, { protocol }));
      assertEquals(client.greeting.code, 220);
      assertEquals((await client.ehlo()).code, 250);
      assertEquals((await client.noop()).code, 250);
      const who = protocol === "lmtp" ? "you" : TO; // Dovecot takes a user, Exim an address
      assertEquals((await client.command(`VRFY ${who}`)).code, vrfy);
      assertEquals((await client.command("HELP")).code, help);

      await client.mail(FROM);
      const refusal = await rejectsWith("recipients-refused", () => client.rcpt(refused));
      assertEquals([refusal.reply?.permanent, refusal.usable], [true, true]);
      await client.reset();

      const message = `${messageHeader("steps")}.\nStep by step\n..\n`;
      await client.mail(FROM);
      await rejectsWith("recipients-refused", () => client.rcpt(refused));
      await client.rcpt("data@example.org");
      await client.noop();
      const content = await client.data();
      await ReadableStream.from(message.match(/[^]{1,7}/g)!).pipeTo(content);
      const receipt = await content.receipt;
      assertEquals(receipt.accepted, ["data@example.org"]);
      assertEquals(receipt.rejected.map(({ recipient }) => recipient), [refused]);
      if (name !== "aiosmtpd") assert(receipt.queueId !== undefined, receipt.reply.toString());

      const { chunking } = client.extensions;
      if (chunking) {
        const bytes = new TextEncoder().encode(message.replaceAll("\n", "\r\n"));
        await client.mail(FROM);
        await client.rcpt("bdat@example.org");
        assertEquals((await client.bdat(bytes.subarray(0, 10))).code, 250);
        await client.bdat(bytes.subarray(10));
        assertEquals((await client.bdat(new Uint8Array(), { last: true })).accepted, ["bdat@example.org"]);
      }
      // OpenSMTPD accepts one EHLO a session.
      if (name === "OpenSMTPD") {
        assertEquals((await rejectsWith("command-refused", () => client.ehlo())).reply?.code, 503);
      } else if (protocol === "smtp") assertEquals((await client.helo()).code, 250);
      else await client.ehlo();
      assertEquals((await client.send({ from: FROM, to: "send@example.org" }, message)).rejected, []);
      if (mail === undefined) return;
      const count = chunking ? 3 : 2;
      const mails = await mail.settled(count);
      assertEquals(mails.length, count);
      for (const one of mails) assertDelivered(one, message);
    } finally {
      await stop();
    }
  });
}

// Postfix

/** A body that sends a mail of its own to a server that reads it as commands. */
const SMUGGLED = [
  ...[
    "RSET",
    "MAIL FROM:<ceo@example.com>",
    "RCPT TO:<smuggled@example.org>",
    "DATA",
    "Subject: Pay this",
    "",
  ],
  ...["At once", ".", "QUIT", ""],
].join("\n");

/** Stands in front of a server and announces what that does not know. */
async function announcing(
  port: number,
  ...keywords: string[]
): Promise<{ port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, "localhost");
    let greeted = false;
    let hello = "";
    far.on("data", (data) => {
      if (greeted || hello === "" && !data.toString("latin1").startsWith("250-")) {
        near.write(data);
        return;
      }
      hello += data.toString("latin1"); // aiosmtpd writes it line by line
      greeted = /^250 .*\r\n/m.test(hello);
      if (greeted) {
        near.write(hello.replace(/^250 /m, keywords.map((one) => `250-${one}\r\n`).join("") + "250 "));
      }
    });
    near.pipe(far);
    far.on("end", () => near.end());
    for (const socket of [near, far]) sockets.add(socket.on("error", () => socket.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

for (const { name, missing, start } of subjects) {
  if (!["OpenSMTPD", "smtp-server", "Haraka", "aiosmtpd"].includes(name)) continue;
  test(`${name} behind a proxy that announces CHUNKING: a body with SMTP commands sends no mail`, {
    skip: missing,
    timeout: 60_000,
  }, async () => {
    const { mail, port, stop } = await start();
    // OpenSMTPD refuses commands that leave together.
    const proxy = await announcing(port, "CHUNKING", ...(name === "OpenSMTPD" ? [] : ["PIPELINING"]));
    try {
      const message = `${messageHeader("smuggled")}${SMUGGLED}`;
      await using client = await SmtpClient.connect(plain(proxy.port));
      assertEquals(client.extensions.chunking, true);
      assertEquals((await client.send({ from: FROM, to: TO }, message)).accepted, [TO]);
      await using other = await SmtpClient.connect(plain(proxy.port, { transfer: "bdat" }));
      const error = await rejectsWith("protocol-error", () => other.send({ from: FROM, to: TO }, message));
      assertEquals([error.outcome, error.temporary], ["not-sent", true]);
      const mails = await mail!.settled(1);
      assertEquals(mails.map(({ sender }) => sender), [FROM]);
      assertDelivered(mails[0]!, message);
    } finally {
      await proxy.stop();
      await stop();
    }
  });
}

for (const { name, missing, start, protocol = "smtp" } of subjects) {
  if (!["Postfix", "Exim", "Dovecot LMTP"].includes(name)) continue;
  test(`${name}: a body with SMTP commands by BDAT`, { skip: missing, timeout: 60_000 }, async () => {
    const { mail, port, stop } = await start();
    try {
      const message = `${messageHeader("commands")}${SMUGGLED}`;
      const { options, lines } = traced(plain(port, { protocol, transfer: "bdat" }));
      await using client = await SmtpClient.connect(options);
      await client.send({ from: FROM, to: TO }, message);
      await client.send({ from: FROM, to: TO }, message);
      const chunks = lines.filter((line) => line.startsWith("C: BDAT")).map((line) => line.endsWith("LAST"));
      assertEquals(chunks, [false, true, true]); // the second needs no chunk to ask with
      const mails = await mail!.settled(2);
      assertEquals(mails.length, 2);
      for (const one of mails) assertDelivered(one, message);
    } finally {
      await stop();
    }
  });
}

function postfix(name: string, configuration: string, body: (postfix: Postfix) => Promise<void>): void {
  declare(`Postfix: ${name}`, postfixMissing(), () => startPostfix(configuration), body);
}

postfix("DSN: NOTIFY, ORCPT and ENVID come back in a notification", "", async (postfix) => {
  const { options, lines } = traced(plain(postfix.submissionPort));
  await using client = await SmtpClient.connect(options);
  const envelope: Envelope = {
    from: FROM,
    to: [{ address: TO, orcpt: "first+last@example.net" }, { address: "quiet@example.org", notify: "never" }],
    dsn: { ret: "headers", envid: "QQ 3+14", notify: ["success", "failure"] },
  };
  await client.send(envelope, `${messageHeader("dsn")}Hi\n`);
  assertEquals(envelopes(lines), [
    `MAIL FROM:<${FROM}> SIZE=${envelopes(lines)[0]!.match(/\d+/)![0]} RET=HDRS ENVID=QQ+203+2B14`,
    `RCPT TO:<${TO}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first+2Blast@example.net`,
    "RCPT TO:<quiet@example.org> NOTIFY=NEVER",
  ]);
  const report = await notification(postfix.mail, 3);
  assertStringIncludes(report, "Original-Envelope-Id: QQ 3+14");
  assertStringIncludes(report, "Original-Recipient: rfc822;first+last@example.net");
  assertStringIncludes(report, "Action: delivered");
});

postfix("VRFY, ETRN, and what it does not know", "fast_flush_domains = example.org\n", async (postfix) => {
  await using client = await SmtpClient.connect(plain(postfix.submissionPort));
  const { verified, addresses } = await client.vrfy(TO);
  assertEquals([verified, addresses], [false, [{ name: "", address: TO }]]);
  assertEquals(
    (await rejectsWith("command-refused", () => client.vrfy("reject@example.org"))).enhancedCode,
    "5.1.1",
  );
  assertEquals((await client.etrn("example.org")).code, 250);
  const refused = await rejectsWith("command-refused", () => client.etrn("elsewhere.test"));
  assertEquals([refused.reply?.code, refused.usable], [459, true]);
  assertEquals((await rejectsWith("command-refused", () => client.expn("friends"))).reply?.code, 500);
});

postfix(
  "XCLIENT, XFORWARD and AUTH= say whom the mail comes from",
  "inet_protocols = all\n",
  async (postfix) => {
    await using client = await SmtpClient.connect(plain(postfix.submissionPort));
    await client.xforward({
      name: "first.test",
      addr: "192.0.2.9",
      helo: "h.test",
      ident: "4XFIRST",
      source: "REMOTE",
    });
    await client.send({ from: FROM, to: TO }, "A: Hi");
    await logged(postfix, /orig_queue_id=4XFIRST, orig_client=first\.test\[192\.0\.2\.9\]/);
    const injected = "h LOGIN=admin@victim.test";
    await client.xforward({ name: "a.test", addr: "2001:db8::9", helo: injected, ident: "4X SOURCE=LOCAL" });
    await client.send({ from: FROM, to: TO }, "A: Hi");
    await logged(postfix, /orig_queue_id=4X\?SOURCE=LOCAL, orig_client=a\.test\[2001:db8::9\]/);
    assertEquals((await client.xclient({ name: "spike.test", addr: "192.0.2.7", login: "jane" })).code, 220);
    assertEquals([client.authenticated, client.extensions.domain], [true, "mx.test"]);
    await client.send({ from: FROM, to: TO, auth: "origin@example.com" }, "A: Hi");
    await logged(
      postfix,
      /client=spike\.test\[192\.0\.2\.7\].* sasl_username=jane, sasl_sender=origin@example\.com/,
    );
  },
);

postfix(
  "a parameter that the library does not know: XVERP",
  "smtpd_authorized_verp_clients = 127.0.0.0/8\nsmtpd_reject_unlisted_sender = no\n",
  async (postfix) => {
    await using client = await SmtpClient.connect(plain(postfix.submissionPort));
    assert(client.extensions.has("XVERP"));
    await client.send({ from: FROM, to: TO, parameters: { xverp: true } }, "A: Hi");
    const [mail] = await postfix.mail.settled(1);
    assertEquals(mail!.sender, "sender+you=example.org@example.com");
  },
);

postfix(
  "SIZE: what is too large is not sent; recipients beyond its limit get the message in further transactions",
  "message_size_limit = 2000\nsmtpd_recipient_limit = 2\nsmtpd_recipient_overshoot_limit = 1000\n",
  async (postfix) => {
    const { options, lines } = traced(plain(postfix.submissionPort));
    await using client = await SmtpClient.connect(options);
    assertEquals(client.extensions.size, 2000);
    await rejectsWith("message-too-large", () => client.send({ from: FROM, to: TO }, "A:\n".repeat(501)));
    await rejectsWith("message-too-large", () => client.mail(FROM, { size: 2001 }));
    assertEquals(envelopes(lines), []);
    const late = await rejectsWith(
      "message-refused",
      () => client.send({ from: FROM, to: TO }, ReadableStream.from(["A:\n".repeat(501)])),
    );
    assertEquals([late.reply?.code, late.outcome, late.usable], [552, "refused", true]);
    const to = ["a", "b", "c", "d", "e"].map((name) => `${name}@example.org`);
    const receipt = await client.send({ from: FROM, to }, "A: Hi\n");
    assertEquals([receipt.accepted.toSorted(), receipt.rejected, receipt.parts.length], [to, [], 3]);
    assertEquals((await postfix.mail.settled(5)).map(({ recipient }) => recipient).sort(), to);
  },
);

postfix(
  "LIMITS: more than it says would be is taken one at a time; SMTPUTF8, 8BITMIME and CHUNKING are on the wire",
  "",
  async (postfix) => {
    const { options, lines } = traced(plain(postfix.submissionPort));
    await using client = await SmtpClient.connect(options);
    await client.send(
      { from: "jörg@example.com", to: "jürgen@bücher.example" },
      `${messageHeader("utf8")}é\n`,
    );
    assertMatch(envelopes(lines)[0]!, /^MAIL FROM:<jörg@example\.com> SIZE=\d+ BODY=8BITMIME SMTPUTF8$/);
    assertEquals(envelopes(lines)[1], "RCPT TO:<jürgen@xn--bcher-kva.example>");
    assert(lines.some((line) => /^C: BDAT \d+ LAST$/.test(line)));
    const [mail] = await postfix.mail.settled(1);
    assertStringIncludes(text(mail!), "é");
  },
);

declare("Postfix: verify() finds host, TLS and login", postfixMissing(), startPostfix, async (postfix) => {
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: postfix.requiredTlsPort,
    tls: { caCerts: [postfix.ca] },
    auth: { user: postfix.user, pass: postfix.pass },
  };
  const { secure, authenticated, extensions } = await SmtpClient.verify(options);
  assertEquals([secure, authenticated, extensions.domain], [true, true, "mx.test"]);
  const auth = { user: postfix.user, pass: "wrong-password" };
  await rejectsWith("auth-failed", () => SmtpClient.verify({ ...options, auth }));
  await using client = await SmtpClient.open({ ...options, auth });
  await client.ehlo();
  await client.startTls();
  await rejectsWith("auth-failed", () => client.authenticate());
  assertEquals(await client.authenticate({ user: postfix.user, pass: postfix.pass }), "SCRAM-SHA-512");
});

// Exim

declare(
  "Exim: DSN comes back in a notification",
  eximMissing(),
  () => startExim(),
  async (exim) => {
    await using client = await SmtpClient.connect(plain(exim.ports[0]!));
    await client.send({
      from: FROM,
      to: { address: TO, orcpt: "first@example.net", notify: ["success"] },
      dsn: { ret: "full", envid: "QQ314" },
    }, `${messageHeader("dsn")}Hi\n`);
    const report = await notification(exim.mail, 2);
    assertMatch(report, /Original-Envelope-ID: QQ314/i);
    assertMatch(report, /Original-Recipient: rfc822;first@example\.net/i);
    assertMatch(report, /Action: delivered/i);
  },
);

const ASKING = `acl_smtp_vrfy = accept hosts = *
acl_smtp_expn = accept hosts = *
acl_smtp_etrn = accept hosts = *
smtp_etrn_command = /bin/true
smtp_etrn_serialize = false
recipients_max = 2
`;

declare(
  "Exim: VRFY, EXPN, ETRN and HELP, and more recipients than it takes at a time",
  eximMissing(),
  () => startExim(100_000, ASKING),
  async (exim) => {
    await using client = await SmtpClient.connect(plain(exim.ports[0]!));
    const known = await client.vrfy(TO);
    assertEquals([known.reply.code, known.verified, known.addresses], [250, true, [{
      name: "",
      address: TO,
    }]]);
    assertEquals((await client.expn(TO)).reply.code, 250);
    assertEquals((await client.etrn("#example.org")).code, 250);
    assertEquals((await client.help()).code, 214);
    const to = ["a", "b", "c", "d", "e"].map((name) => `${name}@example.org`);
    const receipt = await client.send({ from: FROM, to }, "A: Hi\n");
    assertEquals([receipt.accepted.toSorted(), receipt.rejected, receipt.parts.length], [to, [], 3]);
    const recipients = (await exim.mail.settled(5)).map(({ recipient }) => recipient).sort();
    assertEquals(recipients, to);
  },
);

// OpenSMTPD

declare("OpenSMTPD: DSN comes back in a notification", openSmtpdMissing(), startOpenSmtpd, async (peer) => {
  await using client = await SmtpClient.connect(plain(peer.ports[0]!));
  await client.send({
    from: FROM,
    to: { address: TO, orcpt: TO, notify: ["success"] },
    dsn: { ret: "headers", envid: "QQ314" },
  }, `${messageHeader("dsn")}Hi\n`);
  const report = await notification(peer.mail, 2);
  assertMatch(report, /QQ314|success/i);
});

// smtp-server

declare("smtp-server: DSN and REQUIRETLS", smtpServerMissing(), startSmtpServer, async (peer) => {
  await using client = await SmtpClient.connect(peerOptions(peer, "starttls", 0));
  const { requireTls, dsn, enhancedStatusCodes } = client.extensions;
  assertEquals([requireTls, dsn, enhancedStatusCodes], [true, true, true]);
  await client.send({
    from: FROM,
    to: { address: TO, orcpt: "first@example.net", notify: ["success", "delay"] },
    dsn: { ret: "full", envid: "QQ314" },
    requireTls: true,
    body: "8bitmime",
  }, `${messageHeader("requiretls")}Hi\n`);
  const [envelope] = readFileSync(join(peer.folder, "envelopes"), "utf8").trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals([envelope.requireTLS, envelope.bodyType, envelope.dsn.ret, envelope.dsn.envid], [
    ...[true, "8bitmime", "FULL", "QQ314"],
  ]);
  assertEquals(envelope.rcptTo[0].dsn, { notify: ["SUCCESS", "DELAY"], orcpt: "rfc822;first@example.net" });
  await using unchecked = await SmtpClient.connect({
    ...peerOptions(peer, "starttls", 0),
    tls: { verify: false },
  });
  await rejectsWith(
    "extension-missing",
    () => unchecked.send({ from: FROM, to: TO, requireTls: true }, "A: Hi"),
  );
});

// aiosmtpd

declare("aiosmtpd: SMTPUTF8 and 8BITMIME arrive", aiosmtpdMissing(), startAiosmtpd, async (peer) => {
  await using client = await SmtpClient.connect(plain(peer.ports[0]!));
  const message = `${messageHeader("utf8")}Grüße\n`;
  await client.send({ from: "jörg@example.com", to: "jürgen@example.org" }, message);
  const [mail] = await peer.mail.settled(1);
  assertEquals(utf8(mail!.sender + mail!.recipient), "jörg@example.comjürgen@example.org");
  assertDelivered(mail!, message);
  assertEquals((await rejectsWith("command-refused", () => client.expn("friends"))).reply?.code, 502);
  assertEquals((await client.vrfy("you")).verified, false);
  assertMatch((await client.help("MAIL")).text, /MAIL FROM/);
});

// Sendmail

declare("Sendmail: VRFY, EXPN, ETRN and HELP", sendmailMissing(), startSendmail, async (peer) => {
  await using client = await SmtpClient.connect(plain(peer.ports[0]!));
  const jane = await client.vrfy("jane");
  assertEquals([jane.verified, jane.addresses], [true, [{ name: "", address: "jane@mx.test" }]]);
  const members = (await client.expn("friends")).addresses.map(({ address }) => address);
  assertEquals(members.toSorted(), ["jane@mx.test", "joe@mx.test"]);
  assertEquals((await client.etrn("mx.test")).code, 250);
  assertMatch((await client.help("MAIL")).text, /^MAIL From:/);
  assertMatch((await client.help()).text, /^This is sendmail version 8\./);
  await rejectsWith("command-refused", () => client.vrfy("a@nowhere.test"));
});

declare(
  "Sendmail: DELIVERBY, DSN, AUTH= and SIZE stand in its queue",
  sendmailMissing(),
  startSendmail,
  async (peer) => {
    await using client = await SmtpClient.connect(plain(peer.ports[0]!));
    assertEquals([client.extensions.deliverBy, client.extensions.size], [60, 1_000_000]);
    const late = { seconds: 59, mode: "return" } as const;
    await rejectsWith(
      "invalid-envelope",
      () => client.send({ from: FROM, to: TO, deliverBy: late }, "A: Hi"),
    );
    const receipt = await client.send({
      from: FROM,
      to: [
        { address: "jane@mx.test", notify: ["success", "delay"], orcpt: "first@example.net" },
        "joe@mx.test",
      ],
      dsn: { ret: "headers", envid: "QQ314", notify: "never" },
      deliverBy: { seconds: 120, mode: "return", trace: true },
      auth: null,
      body: "8bitmime",
    }, `${messageHeader("by")}é\n`);
    assertMatch(receipt.queueId!, /^\w{14}$/);
    const [message] = queued(peer);
    for (const line of ["ZQQ314", "B8BITMIME", `S<${FROM}>`, "Qrfc822;first@example.net"]) {
      assert(message!.includes(line), `${line} is not in\n${message!.join("\n")}`);
    }
    assert(message!.some((line) => /^!.* 120$/.test(line)), message!.join("\n"));
    assert(message!.some((line) => /^R\w*S\w*D\w*:<jane@mx\.test>$/.test(line)), message!.join("\n"));
  },
);

declare(
  "Sendmail: more recipients than it takes at a time",
  sendmailMissing(),
  startSendmail,
  async (peer) => {
    await using client = await SmtpClient.connect(plain(peer.ports[0]!));
    const to = [..."abcdefg"].map((name) => `${name}@example.org`);
    const receipt = await client.send({ from: FROM, to }, "A: Hi\n");
    assertEquals([receipt.accepted.toSorted(), receipt.rejected, receipt.parts.length], [to, [], 3]);
    assertEquals(queued(peer).length, 3);
  },
);
