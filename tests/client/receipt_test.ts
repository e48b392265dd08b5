import { assert, assertEquals } from "@std/assert";
import { Receipt } from "../../src/client/receipt.ts";
import { Reply } from "../../src/core/reply.ts";
import { converse, converseUnconnected, ehlo, hello, QUIT } from "../support/conversation.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { test } from "../support/harness.ts";

const ENVELOPE = { from: null, to: "you@example.org" };

function assertTimes({ envelopeTime, contentTime }: Receipt): void {
  assert(envelopeTime >= 0 && envelopeTime < 60_000, `${envelopeTime}`);
  assert(contentTime >= 0 && contentTime < 60_000, `${contentTime}`);
}

for (
  const [how, extensions, script, message, bytes] of [
    ["DATA", ["PIPELINING"], "C: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 Ok\nC: A: x\nC: ..\nC: .", "A: x\n.", 13],
    ["BDAT", ["PIPELINING", "CHUNKING"], "C: BDAT 9 LAST\nC: A: x\nC: .\nS: 250 Ok\nS: 250 Ok", "A: x\n.", 9],
    [
      "DATA from a stream",
      ["PIPELINING"],
      "C: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 Ok\nC: A: x\nC: .",
      () => ReadableStream.from(["A: ", "x"]),
      9,
    ],
  ] as const
) {
  test(`Receipt tells the octets and the times of a message by ${how}`, () =>
    converse(
      `${hello(...extensions)}\nC: MAIL FROM:<>\nC: RCPT TO:<you@example.org>\n${script}\nS: 250 Ok\n${QUIT}`,
      async (client) => {
        const receipt = await client.send(ENVELOPE, message);
        assertEquals([receipt.bytesSent, receipt.tls], [bytes, undefined]);
        assertTimes(receipt);
      },
    ));
}

test("Receipt tells the times of envelope and content apart", async () => {
  // The content ends only when its reply is asked for: by then the envelope's time has passed.
  let clock = 0;
  const { now } = performance;
  performance.now = () => clock;
  try {
    await converse(
      `${hello()}
      C: MAIL FROM:<>
      S: 250 mail
      C: RCPT TO:<you@example.org>
      S: 250 rcpt
      C: DATA
      S: 354 data
      C: A: x
      C: .
      S: 250 end
      ${QUIT}`,
      async (client) => {
        const receipt = await client.send(ENVELOPE, "A: x\r\n");
        assertEquals([receipt.envelopeTime, receipt.contentTime], [11, 1100]); // the trace sees a reply last
      },
      {
        trace(event) {
          if (event.type === "reply") {
            clock += { mail: 1, rcpt: 10, data: 100, end: 1000 }[event.reply.text] ?? 0;
          }
        },
      },
    );
  } finally {
    performance.now = now;
  }
});

test("Receipt tells the octets of single commands", () =>
  converse(
    `${hello("CHUNKING")}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: BDAT 6
    C: A: x
    S: 250 Ok
    C: BDAT 3 LAST
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      await client.mail(null);
      await client.rcpt("you@example.org");
      await client.bdat(new TextEncoder().encode("A: x\r\n"));
      const receipt = await client.bdat(new TextEncoder().encode(".\r\n"), { last: true });
      assertEquals(receipt.bytesSent, "BDAT 6\r\n".length + 6 + "BDAT 3 LAST\r\n".length + 3);
      assertTimes(receipt);
    },
  ));

test("Receipt tells what TLS has agreed on, as far as the socket does", () =>
  converseUnconnected(
    `S: 220 mx.test
    ${ehlo("STARTTLS")}
    C: STARTTLS
    S: 220 Go
    S! tls
    ${ehlo()}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Ok
    C: A: x
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect({ ...options, security: "starttls" });
      const receipt = await client.send(ENVELOPE, "A: x");
      const { protocol, cipher } = client.info.tls ?? {};
      assertEquals([client.secure, receipt.tls], [true, { protocol, cipher }]);
    },
  ));

test("Receipt.merged() sums up the transactions", () => {
  const tls = { protocol: "TLSv1.3", cipher: undefined };
  const one = new Receipt(["a"], [], new Reply(250, "1"), {
    bytesSent: 1,
    envelopeTime: 2,
    contentTime: 3,
    tls,
  });
  const two = new Receipt(["b"], [], new Reply(250, "2"), {
    bytesSent: 10,
    envelopeTime: 20,
    contentTime: 30,
    tls,
  });
  const { bytesSent, envelopeTime, contentTime, ...all } = Receipt.merged(["a", "b"], [], [one, two]);
  assertEquals([bytesSent, envelopeTime, contentTime, all.tls, all.reply.text], [11, 22, 33, tls, "2"]);
});
