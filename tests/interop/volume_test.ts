/**
 * Many messages on one connection: each arrives once, with its own content.
 *
 * `SMTP_VOLUME` says how many. Default: 300.
 */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { SmtpClient } from "../../mod.ts";
import type { SmtpClientOptions } from "../../mod.ts";
import { aiosmtpdMissing, startAiosmtpd } from "../support/aiosmtpd.ts";
import { dovecotMissing, startDovecot } from "../support/dovecot.ts";
import { eximMissing, startExim } from "../support/exim.ts";
import { harakaMissing, startHaraka } from "../support/haraka.ts";
import { test } from "../support/harness.ts";
import { deliveredLines, inLines, messageHeader } from "../support/mail_content.ts";
import type { MailStore } from "../support/mail_store.ts";
import { openSmtpdMissing, startOpenSmtpd } from "../support/opensmtpd.ts";
import type { PeerServer } from "../support/peer_server.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import { smtpServerMissing, startSmtpServer } from "../support/smtp_server.ts";
import { smtpSinkMissing, startSmtpSink } from "../support/smtp_sink.ts";

const COUNT = Number(process.env["SMTP_VOLUME"] ?? 300);

const FROM = "sender@example.com";
/** Several, because Dovecot gets slower with every message in a mailbox. */
const TO = Array.from({ length: 20 }, (_, i) => `volume${i}@example.org`);

interface Server {
  port: number;
  mail: MailStore;
  options?: SmtpClientOptions;
  stop(): Promise<void>;
}

interface Subject {
  name: string;
  missing: string | undefined;
  /** Whether it accepts several transactions in flight. */
  chunking: boolean;
  start(): Promise<Server>;
}

function atFirstPort(start: () => Promise<PeerServer>): () => Promise<Server> {
  return async () => {
    const { ports, mail, stop } = await start();
    return { port: ports[0]!, mail, stop };
  };
}

const subjects: Subject[] = [
  {
    name: "Postfix",
    missing: postfixMissing(),
    chunking: true,
    async start() {
      const { submissionPort, mail, stop } = await startPostfix();
      return { port: submissionPort, mail, stop };
    },
  },
  { name: "Exim", missing: eximMissing(), chunking: true, start: atFirstPort(startExim) },
  {
    name: "Dovecot LMTP",
    missing: dovecotMissing(),
    chunking: true,
    async start() {
      const { ports, mail, stop } = await startDovecot();
      return { port: ports[0]!, mail, stop, options: { protocol: "lmtp", transfer: "bdat" } };
    },
  },
  {
    name: "Dovecot submission",
    missing: dovecotMissing() ?? smtpSinkMissing(),
    chunking: true,
    async start() {
      const sink = await startSmtpSink();
      const dovecot = await startDovecot(sink.ports[0]);
      return {
        port: dovecot.ports[1]!,
        mail: sink.mail,
        options: { auth: { user: dovecot.user, pass: dovecot.pass } },
        async stop() {
          await dovecot.stop();
          await sink.stop();
        },
      };
    },
  },
  {
    name: "smtp-server",
    missing: smtpServerMissing(),
    chunking: false,
    start: atFirstPort(startSmtpServer),
  },
  { name: "Haraka", missing: harakaMissing(), chunking: false, start: atFirstPort(startHaraka) },
  { name: "aiosmtpd", missing: aiosmtpdMissing(), chunking: false, start: atFirstPort(startAiosmtpd) },
  { name: "OpenSMTPD", missing: openSmtpdMissing(), chunking: false, start: atFirstPort(startOpenSmtpd) },
];

for (const { name, missing, chunking, start } of subjects) {
  test(
    `${name}: ${COUNT} messages on one connection arrive once each with their content`,
    { skip: missing, timeout: 600_000 },
    async () => {
      const { port, mail, options, stop } = await start();
      try {
        const client = await SmtpClient.connect({
          hostname: "localhost",
          port,
          security: "none",
          clientName: "client.test",
          ...options,
        });
        const started = performance.now();
        {
          await using _ = client;
          assertEquals(client.extensions.chunking, chunking);
          const sends = Array.from(
            { length: COUNT },
            (_, i) => client.send({ from: FROM, to: recipientOf(i) }, messageOf(i)),
          );
          await Promise.all(sends);
        }
        const sent = performance.now();
        const mails = await mail.settled(COUNT);
        const delivered = performance.now();

        const missing = new Set(Array.from({ length: COUNT }, (_, i) => i));
        for (const mail of mails) {
          const content = deliveredLines(mail);
          const i = Number(content.match(/^Subject: Message (\d+)$/m)?.[1]);
          assertEquals(
            [missing.delete(i), mail.sender, mail.recipient],
            [true, FROM, recipientOf(i)],
            `message ${i}`,
          );
          if (content !== inLines(messageOf(i))) assertEquals(content, inLines(messageOf(i)));
        }
        assertEquals([missing.size, mails.length], [0, COUNT]);
        report(name, sent - started, delivered - started);
      } finally {
        await stop();
      }
    },
  );
}

function recipientOf(i: number): string {
  return TO[i % TO.length]!;
}

/** Different in length and in content. */
function messageOf(i: number): string {
  const line = `${i} ${"0123456789abcdef".repeat(i % 5)}\r\n`;
  return messageHeader(`${i}`) + line.repeat(1 + i * 31 % 17) + (i % 3 === 0 ? ".\r\n..\r\n" : "no line end");
}

function report(name: string, sent: number, delivered: number): void {
  if (process.env["SMTP_VOLUME"] === undefined) return;
  const rate = (COUNT / sent * 1000).toFixed(0);
  console.log(
    `${name}: sent in ${(sent / 1000).toFixed(1)} s, ${rate}/s; delivered in ${
      (delivered / 1000).toFixed(1)
    } s`,
  );
}
