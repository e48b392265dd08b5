/** Servers that take their leave of an idle session: the client notices by itself, with their words. */
import { assertEquals, assertMatch } from "@std/assert";
import { SmtpClient } from "../../mod.ts";
import type { SmtpClientOptions, SmtpError } from "../../mod.ts";
import { eximMissing, startExim } from "../support/exim.ts";
import { test } from "../support/harness.ts";
import { peerOptions } from "../support/peer_suite.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: "sender@example.com", to: "someone@example.org" };
const MESSAGE = "Subject: Hi\r\n\r\nHello\r\n";

/** Sends a mail, says nothing more, and waits for the end. Nothing else than the server's own patience is waited for. */
async function idle(options: SmtpClientOptions, words: RegExp): Promise<void> {
  const client = await SmtpClient.connect(options);
  const receipt = await client.send(ENVELOPE, MESSAGE);
  assertEquals([receipt.reply.code, client.usable], [250, true]);
  await client.closed;
  assertEquals(client.usable, false);
  const error = await rejectsWith("client-closed", () => client.send(ENVELOPE, MESSAGE));
  assertEquals([error.outcome, error.temporary], ["not-sent", true]);
  const { code, message, reply } = error.cause as SmtpError;
  assertEquals([code, reply?.code], ["service-unavailable", 421]);
  assertMatch(message, words);
}

test(
  "Postfix: its 421 to an idle session ends it at once",
  { skip: postfixMissing(), timeout: 60_000 },
  async () => {
    await using postfix = await startPostfix("smtpd_timeout = 1s\n");
    await idle({
      hostname: "localhost",
      port: postfix.requiredTlsPort,
      security: "starttls",
      tls: { caCerts: [postfix.ca] },
      auth: { user: postfix.user, pass: postfix.pass },
      clientName: "client.test",
    }, /timeout exceeded/);
  },
);

test(
  "Exim: its 421 to an idle session ends it at once",
  { skip: eximMissing(), timeout: 60_000 },
  async () => {
    await using exim = await startExim(undefined, "smtp_receive_timeout = 1s\n");
    // Under TLS Exim 4.96 writes its 421 in the clear, which breaks the connection.
    await idle(peerOptions(exim, "none", 0), /timeout/);
  },
);
