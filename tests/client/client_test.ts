import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import { SmtpError } from "../../src/errors.ts";
import { converseUnconnected, unconnected } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const MESSAGE = "Subject: Hi\r\n\r\nHello\r\n";
const HELLO = `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250-mx.test
  S: 250-PIPELINING
  S: 250-8BITMIME
  S: 250 SIZE 1000
`;
const SIMPLE_HELLO = `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250 mx.test
`;
const QUIT = `
  C: QUIT
  S: 221 Bye
`;

unconnected(
  "SmtpClient sends MAIL RCPT DATA in one group where the server pipelines",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=22
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 250 2.1.0 Ok
  S: 250 2.1.5 Ok
  S: 354 Go on
  C: Subject: Hi
  C:
  C: Hello
  C: .
  S: 250 2.0.0 Ok: queued as 4XyZ
  ${QUIT}`.replace("C:\n", "C: \n"),
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const receipt = await client.send(ENVELOPE, MESSAGE);
    assertEquals(receipt.accepted, ["you@example.org"]);
    assertEquals(receipt.rejected, []);
    assertEquals(receipt.reply.code, 250);
    assertEquals(receipt.queueId, "4XyZ");
  },
);

unconnected(
  "SmtpClient says one command at a time where the server does not pipeline",
  `${SIMPLE_HELLO}
  C: MAIL FROM:<me@example.com>
  S: 250 Ok
  C: RCPT TO:<you@example.org>
  S: 250 Ok
  C: RCPT TO:<her@example.org>
  S: 251 User not local
  C: DATA
  S: 354
  C: A:
  C: .
  S: 250
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const receipt = await client.send(
      { from: "me@example.com", to: ["you@example.org", "her@example.org"] },
      "A:",
    );
    assertEquals(receipt.accepted, ["you@example.org", "her@example.org"]);
  },
);

unconnected(
  "SmtpClient writes the content together with the next envelope",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=5
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: A:1
  C: .
  C: MAIL FROM:<> SIZE=5
  C: RCPT TO:<her@example.org>
  C: DATA
  S: 250 first
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: A:2
  C: .
  S: 250 second
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const receipts = await Promise.all([
      client.send(ENVELOPE, "A:1"),
      client.send({ from: null, to: "her@example.org" }, "A:2"),
    ]);
    assertEquals(receipts.map(({ reply }) => reply.text), ["first", "second"]);
  },
);

unconnected(
  "SmtpClient delivers to the accepted recipients and reports the refused ones",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<a@example.org>
  C: RCPT TO:<b@example.org>
  C: RCPT TO:<c@example.org>
  C: DATA
  S: 250 Ok
  S: 550 5.1.1 no such user
  S: 250 Ok
  S: 450 4.2.1 try later
  S: 354 Go on
  C: A:
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const receipt = await client.send(
      { from: "me@example.com", to: ["a@example.org", "b@example.org", "c@example.org"] },
      "A:",
    );
    assertEquals(receipt.accepted, ["b@example.org"]);
    assertEquals(receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.enhancedCode]), [
      ["a@example.org", "5.1.1"],
      ["c@example.org", "4.2.1"],
    ]);
  },
);

unconnected(
  "SmtpClient sends nothing but the end when all recipients are refused and the server still wants content",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=6
  C: RCPT TO:<a@example.org>
  C: DATA
  S: 250 Ok
  S: 550 5.1.1 no such user
  S: 354 Go on
  C: .
  S: 554 5.5.1 no valid recipients
  C: NOOP
  S: 250 Ok
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith(
      "recipients-refused",
      () => client.send({ from: "me@example.com", to: "a@example.org" }, "A:12"),
    );
    assertEquals(error.outcome, "refused");
    assertEquals(error.recipient, "a@example.org");
    assertEquals(error.enhancedCode, "5.1.1");
    assertEquals(error.temporary, false);
    assertEquals(error.usable, true);
    assertEquals(error.phase, "rcpt");
    assertEquals((await client.noop()).code, 250);
  },
);

unconnected(
  "SmtpClient begins with RSET behind a transaction that was refused at DATA",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<a@example.org>
  C: DATA
  S: 250 Ok
  S: 550 5.1.1 no such user
  S: 554 5.5.1 no valid recipients
  C: RSET
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 250 Reset
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: A:
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await rejectsWith(
      "recipients-refused",
      () => client.send({ from: "me@example.com", to: "a@example.org" }, "A:"),
    );
    const receipt = await client.send(ENVELOPE, "A:");
    assertEquals(receipt.accepted, ["you@example.org"]);
  },
);

unconnected(
  "SmtpClient with recipients: all sends nothing when one recipient is refused",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<a@example.org>
  C: RCPT TO:<b@example.org>
  S: 250 Ok
  S: 250 Ok
  S: 452 4.5.3 too many recipients
  C: RSET
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<a@example.org>
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
  C: DATA
  S: 354 Go on
  C: A:
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith(
      "recipients-refused",
      () =>
        client.send({ from: "me@example.com", to: ["a@example.org", "b@example.org"] }, "A:", {
          recipients: "all",
        }),
    );
    assertEquals(error.recipient, "b@example.org");
    assertEquals(error.temporary, true);
    assertEquals(error.rejected.length, 1);
    const receipt = await client.send({ from: "me@example.com", to: "a@example.org" }, "A:", {
      recipients: "all",
    });
    assertEquals(receipt.accepted, ["a@example.org"]);
  },
);

unconnected(
  "SmtpClient reports a refused sender, and no recipient with the 503 that follows",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 530 5.7.0 Authentication required
  S: 503 5.5.1 need MAIL
  S: 503 5.5.1 need MAIL
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 451 4.3.0 later
  S: 503 5.5.1 need MAIL
  S: 503 5.5.1 need MAIL
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith("sender-refused", () => client.send(ENVELOPE, "A:"));
    assertEquals(error.reply?.code, 530);
    assertEquals(error.rejected, []);
    assertEquals(error.phase, "mail");
    assertEquals(error.temporary, false);
    const second = await rejectsWith("sender-refused", () => client.send(ENVELOPE, "A:"));
    assertEquals(second.temporary, true);
  },
);

unconnected(
  "SmtpClient reports a message that is refused after its content",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: A:
  C: .
  S: 554-5.7.1 This is
  S: 554 5.7.1 spam
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith("message-refused", () => client.send(ENVELOPE, "A:"));
    assertEquals(error.outcome, "refused");
    assertEquals(error.reply?.text, "This is\nspam");
    assertStringIncludes(error.message, "554");
    assert(client.usable);
  },
);

unconnected(
  "SmtpClient says unknown when the connection ends before the reply to the content",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: A:
  C: .
  S! close`,
  async (options) => {
    const client = await SmtpClient.connect(options);
    const error = await rejectsWith("connection-lost", () => client.send(ENVELOPE, "A:"));
    assertEquals(error.outcome, "unknown");
    assertEquals(error.phase, "content");
    assertEquals(error.usable, false);
    assertEquals(client.usable, false);
    const next = await rejectsWith("client-closed", () => client.send(ENVELOPE, "A:"));
    assertEquals(next.outcome, "not-sent");
    await client.quit();
  },
);

for (
  const [where, transcript] of [
    ["before the envelope is answered", ""],
    ["before 354", "S: 250 Ok\nS: 250 Ok"],
  ] as const
) {
  unconnected(
    `SmtpClient says not-sent when the connection ends ${where}`,
    `${HELLO}
    C: MAIL FROM:<me@example.com> SIZE=4
    C: RCPT TO:<you@example.org>
    C: DATA
    ${transcript}
    S! close`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      const [first, second] = await Promise.allSettled([
        client.send(ENVELOPE, "A:"),
        client.send(ENVELOPE, "B:"),
      ]);
      for (const { status, reason } of [first, second] as PromiseRejectedResult[]) {
        assertEquals(status, "rejected");
        assertInstanceOf(reason, SmtpError);
        assertEquals([reason.code, reason.outcome, reason.temporary], ["connection-lost", "not-sent", true]);
      }
    },
  );
}

unconnected(
  "SmtpClient tells a reset connection from one that ended",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S! reset`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith("connection-reset", () => client.send(ENVELOPE, "A:"));
    assertEquals(error.outcome, "not-sent");
  },
);

unconnected(
  "SmtpClient takes 421 for the end of the session, and what stands behind it for not sent",
  `${HELLO}
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: A:
  C: .
  C: MAIL FROM:<me@example.com> SIZE=4
  C: RCPT TO:<you@example.org>
  C: DATA
  S: 250 first
  S: 421 4.3.2 shutting down`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const [first, second, third] = await Promise.allSettled([
      client.send(ENVELOPE, "A:"),
      client.send(ENVELOPE, "B:"),
      client.send(ENVELOPE, "C:"),
    ]);
    assertEquals(first!.status, "fulfilled");
    for (const { reason } of [second, third] as PromiseRejectedResult[]) {
      assertEquals([reason.code, reason.outcome, reason.reply.code], [
        "service-unavailable",
        "not-sent",
        421,
      ]);
      assertEquals([reason.temporary, reason.usable], [true, false]);
    }
    assertEquals(client.usable, false);
  },
);

const UNASKED = "SmtpError: Unexpected reply, no command is waiting for one: ";

test("SmtpClient never takes a reply that nobody asked for as the answer to the next command", async () => {
  await converseUnconnected(
    `${SIMPLE_HELLO}
    C: NOOP
    S: 250 Ok
    S: 250 surplus`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      await client.noop();
      await client.closed;
      assertEquals(client.usable, false);
      const error = await rejectsWith("client-closed", () => client.noop());
      assertEquals(String(error.cause), UNASKED + "250 surplus");
    },
  );
});

unconnected(
  "SmtpClient falls back to HELO where the server does not know EHLO",
  `
  S: 220 old.test SMTP
  C: EHLO client.test
  S: 502 5.5.1 command not implemented
  C: HELO client.test
  S: 250 old.test
  C: MAIL FROM:<me@example.com>
  S: 250 Ok
  C: RCPT TO:<you@example.org>
  S: 250 Ok
  C: DATA
  S: 354 Go on
  C: A:
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    assertEquals([...client.extensions.keywords()], []);
    await client.send(ENVELOPE, "A:");
  },
);

unconnected(
  "SmtpClient.connect() rejects when the server refuses to serve",
  `S: 554 5.3.2 go away
  ${QUIT}`,
  async (options) => {
    const error = await rejectsWith("service-unavailable", () => SmtpClient.connect(options));
    assertEquals([error.phase, error.reply?.code, error.temporary], ["greeting", 554, false]);
  },
);

test("SmtpClient.connect() rejects when a greeting is no reply", () =>
  converseUnconnected("S: SSH-2.0-OpenSSH_9.2", async (options) => {
    const error = await rejectsWith("protocol-error", () => SmtpClient.connect(options));
    assertEquals(error.phase, "greeting");
  }));

unconnected(
  "SmtpClient.connect() rejects when the connection ends before the greeting",
  "S! close",
  async (options) => {
    const error = await rejectsWith("connection-lost", () => SmtpClient.connect(options));
    assertEquals([error.phase, error.temporary], ["greeting", true]);
  },
);

for (const verb of ["DATA", "BDAT 3", "STARTTLS", "AUTH PLAIN", "QUIT", "quit"]) {
  test(`SmtpClient.command() refuses ${verb}, which changes the dialogue`, () =>
    converseUnconnected(`${SIMPLE_HELLO} ${QUIT}`, async (options) => {
      await using client = await SmtpClient.connect(options);
      await assertRejects(() => client.command(verb), TypeError, "single command");
    }));
}

test("SmtpClient.command() refuses line ends before anything is sent", () =>
  converseUnconnected(`${SIMPLE_HELLO} ${QUIT}`, async (options) => {
    await using client = await SmtpClient.connect(options);
    await assertRejects(() => client.command("NOOP\r\nMAIL FROM:<evil@example.org>"), TypeError);
  }));

unconnected(
  "SmtpClient.command() gives whatever the server says",
  `${SIMPLE_HELLO}
  C: VRFY you
  S: 252 2.5.0 send some mail
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    assertEquals((await client.command("VRFY you")).toString(), "252 2.5.0 send some mail");
  },
);

for (
  const [what, envelope] of [
    ["a line end in the sender", {
      from: "me@example.com>\r\nRCPT TO:<evil@example.org",
      to: "you@example.org",
    }],
    ["a display name", { from: "me@example.com", to: "You <you@example.org>" }],
    ["a parameter behind the address", { from: "me@example.com", to: "you@example.org> NOTIFY=NEVER" }],
    ["no recipient", { from: "me@example.com", to: [] }],
    ["an empty recipient", { from: "me@example.com", to: "" }],
    ["no domain", { from: "me", to: "you@example.org" }],
  ] as const
) {
  test(`SmtpClient.send() refuses an envelope with ${what} before anything is sent`, () =>
    converseUnconnected(`${SIMPLE_HELLO} ${QUIT}`, async (options) => {
      await using client = await SmtpClient.connect(options);
      const error = await rejectsWith("invalid-envelope", () => client.send(envelope, "A:"));
      assertEquals([error.outcome, error.usable], ["not-sent", true]);
    }));
}

test("SmtpClient.send() refuses a message that is larger than the server takes, before anything is sent", () =>
  converseUnconnected(`${HELLO} ${QUIT}`, async (options) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith("message-too-large", () => client.send(ENVELOPE, "x".repeat(1001)));
    assertEquals([error.outcome, error.usable], ["not-sent", true]);
  }));

unconnected(
  "SmtpClient quotes anew what an address needs quoted",
  `${SIMPLE_HELLO}
  C: MAIL FROM:<"a> SIZE=1"@example.com>
  S: 250 Ok
  C: RCPT TO:<you@xn--bcher-kva.example>
  S: 250 Ok
  C: DATA
  S: 354
  C: A:
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await client.send({ from: '"a> SIZE=1"@example.com', to: "you@bücher.example" }, "A:");
  },
);

test("SmtpClient.send() names the address whose local part needs SMTPUTF8", () =>
  converseUnconnected(`${SIMPLE_HELLO} ${QUIT}`, async (options) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith(
      "extension-missing",
      () => client.send({ from: null, to: "jürgen@example.org" }, "A:"),
    );
    assertStringIncludes(error.message, "jürgen@example.org");
  }));

unconnected(
  "SmtpClient announces 8-bit content and international addresses where the server offers it",
  `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250-mx.test
  S: 250-8BITMIME
  S: 250 SMTPUTF8
  C: MAIL FROM:<jürgen@example.com> BODY=8BITMIME SMTPUTF8
  S: 250 Ok
  C: RCPT TO:<you@xn--bcher-kva.example>
  S: 250 Ok
  C: DATA
  S: 354
  C: A: Grüße
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await client.send({ from: "jürgen@example.com", to: "you@bücher.example" }, "A: Grüße");
  },
);

test("SmtpClient.quit() waits for what is in flight", () =>
  converseUnconnected(
    `${SIMPLE_HELLO}
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354
    C: A:
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect(options);
      const sent = client.send(ENVELOPE, "A:");
      const quit = client.quit();
      await rejectsWith("client-closed", () => client.send(ENVELOPE, "too late"));
      assertEquals((await sent).reply.code, 250);
      await quit;
      assertEquals(client.usable, false);
    },
    "bytes",
  ));

test("SmtpClient.close() ends everything at once, with the true outcome of each message", () =>
  converseUnconnected(
    `${HELLO}
    C: MAIL FROM:<me@example.com> SIZE=4
    C: RCPT TO:<you@example.org>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354
    C: A:
    C: .
    C: MAIL FROM:<me@example.com> SIZE=4
    C: RCPT TO:<you@example.org>
    C: DATA`,
    async (options, { heard }) => {
      const client = await SmtpClient.connect(options);
      const sent = Promise.allSettled([
        client.send(ENVELOPE, "A:"),
        client.send(ENVELOPE, "B:"),
        client.send(ENVELOPE, "C:"),
      ]);
      await heard;
      await client.close();
      const outcomes = (await sent).map((result) => (result as PromiseRejectedResult).reason.outcome);
      assertEquals(outcomes, ["unknown", "not-sent", "not-sent"]);
    },
  ));
