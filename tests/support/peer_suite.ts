/**
 * The tests that every server has to pass: one for each thing that a user does with it.
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { formatTrace, SmtpClient } from "../../mod.ts";
import type { SmtpClientOptions, TraceEvent } from "../../mod.ts";
import { sendMail, test } from "./harness.ts";
import { assertDelivered, inAwkwardPieces, messageHeader, mixedLines } from "./mail_content.ts";
import type { PeerServer } from "./peer_server.ts";
import { rejectsWith } from "./rejects_with.ts";

/** A server and what it can do. */
export interface PeerSubject {
  /** Its name. */
  name: string;
  /** Why it cannot be tested. */
  missing: string | undefined;
  /** Starts it. */
  start(): Promise<PeerServer>;
  /** Which of its ports speaks STARTTLS with AUTH; without one, mail goes in the clear to the first. */
  starttls?: number;
  /** Which of its ports speaks TLS from the first byte. */
  tls?: number;
  /** A recipient that it refuses. Default: `reject@example.org`. */
  refused?: string;
}

const FROM = "sender@example.com";
const SIZE = 5 * 1024 * 1024;

/** How to connect to a server. */
export function peerOptions(
  peer: PeerServer,
  security: "starttls" | "tls" | "none",
  port: number,
): SmtpClientOptions {
  return {
    hostname: "localhost",
    port: peer.ports[port]!,
    security,
    clientName: "client.test",
    ...security !== "none" && {
      tls: { caCerts: [peer.ca] },
      auth: { user: peer.user, pass: peer.pass },
    },
  };
}

/** Declares the tests. */
export function testPeer(subject: PeerSubject): void {
  const { name, missing, starttls, tls, refused = "reject@example.org" } = subject;
  const declare = (title: string, body: (peer: PeerServer) => Promise<void>) =>
    test(`${name}: ${title}`, { skip: missing, timeout: 60_000 }, async () => {
      await using peer = await subject.start();
      await body(peer);
    });
  const usual = (peer: PeerServer) =>
    starttls === undefined ? peerOptions(peer, "none", 0) : peerOptions(peer, "starttls", starttls);

  const ways: ["starttls" | "tls" | "none", number | undefined][] = starttls === undefined
    ? [["none", 0]]
    : [["starttls", starttls], ["tls", tls]];
  for (const [security, port] of ways) {
    if (port === undefined) continue;
    declare(
      security === "none" ? "a message arrives" : `a message arrives over ${security} with a login`,
      async (peer) => {
        const message = `${messageHeader("1")}Hello\n.\n..\n.dot\n\nÄ without a final line end`;
        const receipt = await sendMail(
          peerOptions(peer, security, port),
          { from: FROM, to: "plain@example.org" },
          message,
        );
        assertEquals(receipt.accepted, ["plain@example.org"]);
        const [mail, ...more] = await peer.mail.settled(1);
        assertEquals([mail!.sender, mail!.recipient, more.length], [FROM, "plain@example.org", 0]);
        assertDelivered(mail!, message);
      },
    );
  }

  for (const transfer of ["auto", "data"] as const) {
    declare(`a message arrives with QUIT right behind it, transfer ${transfer}`, async (peer) => {
      const traced: string[] = [];
      const trace = (event: TraceEvent) => void traced.push(formatTrace(event));
      const message = `${messageHeader("quit")}With QUIT behind it\n`;
      const to = "quit@example.org";
      await sendMail({ ...usual(peer), transfer, trace }, { from: FROM, to }, message);
      // Behind QUIT come the reply to the content and the one to QUIT itself.
      const replies = traced.slice(traced.indexOf("C: QUIT")).filter((line) => /^S: \d{3} /.test(line));
      const pipelining = traced.some((line) => line.includes("PIPELINING"));
      assertEquals(replies.length >= (pipelining ? 2 : 1), true, traced.join("\n"));
      const [mail, ...more] = await peer.mail.settled(1);
      assertEquals([mail!.recipient, more.length], [to, 0]);
      assertDelivered(mail!, message);
    });
  }

  declare("a stream of 5 MB with dots and mixed line ends arrives to the byte", async (peer) => {
    const message = messageHeader("large") + mixedLines(SIZE);
    const receipt = await sendMail(
      usual(peer),
      { from: FROM, to: "large@example.org" },
      inAwkwardPieces(new TextEncoder().encode(message)),
    );
    assertEquals(receipt.accepted, ["large@example.org"]);
    const [mail] = await peer.mail.settled(1);
    assertDelivered(mail!, message);
  });

  declare("of two recipients one is refused, and the session goes on", async (peer) => {
    const message = `${messageHeader("some")}For one of two\n`;
    await using client = await SmtpClient.connect(usual(peer));
    const [receipt, refusal] = await Promise.all([
      client.send({ from: FROM, to: [refused, "taken@example.org"] }, message),
      rejectsWith("recipients-refused", () => client.send({ from: FROM, to: refused }, "A: Nobody's")),
    ]);
    assertEquals(receipt.accepted, ["taken@example.org"]);
    assertEquals(receipt.rejected.map(({ recipient }) => recipient), [refused]);
    assertMatch(`${receipt.rejected[0]!.reply?.code}`, /^55\d$/);
    assertEquals([refusal.outcome, refusal.usable], ["refused", true]);
    const third = `${messageHeader("after")}After a refusal\n`;
    assertEquals((await client.send({ from: FROM, to: "next@example.org" }, third)).rejected, []);
    const mails = await peer.mail.settled(2);
    assertEquals(mails.map(({ recipient }) => recipient).sort(), ["next@example.org", "taken@example.org"]);
    for (const mail of mails) {
      assertDelivered(mail, mail.recipient === "taken@example.org" ? message : third);
    }
  });

  if (starttls !== undefined) {
    declare("a wrong password is refused", async (peer) => {
      const options = { ...usual(peer), auth: { user: peer.user, pass: "not the password" } };
      const error = await rejectsWith("auth-failed", () => SmtpClient.connect(options));
      assertEquals(error.reply?.code, 535);
    });
  }
}
