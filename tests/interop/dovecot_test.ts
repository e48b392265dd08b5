import { assertEquals, assertMatch } from "@std/assert";
import { SmtpClient } from "../../mod.ts";
import type { SmtpClientOptions } from "../../mod.ts";
import { type Dovecot, dovecotMissing, startDovecot } from "../support/dovecot.ts";
import { test } from "../support/harness.ts";
import { assertDelivered, inAwkwardPieces, messageHeader, mixedLines } from "../support/mail_content.ts";
import type { PeerServer } from "../support/peer_server.ts";
import { testPeer } from "../support/peer_suite.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const FROM = "sender@example.com";

/** Dovecot's submission keeps no mail: the Postfix that it relays to delivers it. */
async function startSubmission(): Promise<PeerServer> {
  const postfix = await startPostfix();
  try {
    const dovecot = await startDovecot(postfix.submissionPort);
    const stop = async () => {
      await dovecot.stop();
      await postfix.stop();
    };
    return { ...dovecot, mail: postfix.mail, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await postfix.stop();
    throw error;
  }
}

testPeer({
  name: "Dovecot submission",
  missing: dovecotMissing() ?? postfixMissing(),
  start: startSubmission,
  starttls: 1,
  tls: 2,
});

const ways: Record<string, (dovecot: Dovecot) => SmtpClientOptions> = {
  "TCP with STARTTLS": ({ ports, ca }) => ({
    hostname: "localhost",
    port: ports[0]!,
    security: "starttls",
    tls: { caCerts: [ca] },
  }),
  "a unix socket": ({ lmtpPath }) => ({ path: lmtpPath, security: "none" }),
};

for (const [way, optionsOf] of Object.entries(ways)) {
  const lmtp = (title: string, body: (dovecot: Dovecot, client: SmtpClient) => Promise<void>) =>
    test(`Dovecot LMTP over ${way}: ${title}`, { skip: dovecotMissing(), timeout: 60_000 }, async () => {
      await using dovecot = await startDovecot();
      await using client = await SmtpClient.connect({
        ...optionsOf(dovecot),
        protocol: "lmtp",
        clientName: "client.test",
      });
      await body(dovecot, client);
    });

  lmtp("a stream of 5 MB with dots and mixed line ends arrives to the byte", async (dovecot, client) => {
    const message = messageHeader("large") + mixedLines(5 * 1024 * 1024);
    const receipt = await client.send(
      { from: FROM, to: "large@example.org" },
      inAwkwardPieces(new TextEncoder().encode(message)),
    );
    assertEquals(receipt.accepted, ["large@example.org"]);
    const [mail] = await dovecot.mail.settled(1);
    assertDelivered(mail!, message);
  });

  for (const transfer of ["data", "bdat"] as const) {
    test(
      `Dovecot LMTP over ${way}: each recipient has its own result with ${transfer}`,
      { skip: dovecotMissing(), timeout: 60_000 },
      async () => {
        await using dovecot = await startDovecot();
        await using client = await SmtpClient.connect({
          ...optionsOf(dovecot),
          protocol: "lmtp",
          clientName: "client.test",
          transfer,
        });
        const message = `${messageHeader("each")}For two of four\n`;
        const to = ["one@example.org", "reject@example.org", "broken@example.org", "two@example.org"];
        const [receipt, refusal, next] = await Promise.all([
          client.send({ from: FROM, to }, message),
          rejectsWith(
            "message-refused",
            () => client.send({ from: FROM, to: "broken@example.org" }, "A: Nobody's"),
          ),
          client.send({ from: FROM, to: "next@example.org" }, message),
        ]);
        assertEquals(receipt.accepted, ["one@example.org", "two@example.org"]);
        assertEquals(
          receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code]),
          [["reject@example.org", 550], ["broken@example.org", 451]],
        );
        assertMatch(receipt.reply.text, /<two@example\.org>/);
        assertEquals([refusal.outcome, refusal.temporary, refusal.usable], ["refused", true, true]);
        assertEquals(next.accepted, ["next@example.org"]);
        const mails = await dovecot.mail.settled(3);
        assertEquals(mails.length, 3);
        for (const mail of mails) assertDelivered(mail, message);
      },
    );
  }
}
