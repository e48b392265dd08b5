/** A pool and real servers: everything arrives once, whatever they do to its connections. */
import { assert, assertEquals } from "@std/assert";
import { SmtpPool } from "../../mod.ts";
import type { PoolError, SmtpPoolOptions } from "../../mod.ts";
import { eximMissing, startExim } from "../support/exim.ts";
import { test } from "../support/harness.ts";
import { deliveredLines, messageHeader } from "../support/mail_content.ts";
import type { MailStore } from "../support/mail_store.ts";
import { peerOptions } from "../support/peer_suite.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import type { Postfix } from "../support/postfix.ts";

const FROM = "sender@example.com";

const messageOf = (i: number) => `${messageHeader(`${i}`)}Hello ${i}\r\n`;

/** The numbers of the mails that have arrived, in order. */
async function arrived(mail: MailStore, count: number): Promise<number[]> {
  const mails = await mail.settled(count);
  return mails.map((mail) => Number(deliveredLines(mail).match(/^Subject: .*?(\d+)$/m)![1])).sort((a, b) =>
    a - b
  );
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

function postfixOptions(postfix: Postfix): SmtpPoolOptions {
  return {
    hostname: "localhost",
    port: postfix.requiredTlsPort,
    security: "starttls",
    tls: { caCerts: [postfix.ca] },
    auth: { user: postfix.user, pass: postfix.pass },
    clientName: "client.test",
  };
}

test(
  "Postfix: a pool sends 300 mails of a source over several connections, each once",
  { skip: postfixMissing(), timeout: 120_000 },
  async () => {
    await using postfix = await startPostfix();
    await using pool = new SmtpPool({ ...postfixOptions(postfix), maxInFlight: 20, maxConnections: 4 });
    function* mails() {
      for (let i = 0; i < 300; i++) {
        yield { envelope: { from: FROM, to: `pool${i % 20}@example.org` }, message: messageOf(i) };
      }
    }
    let sent = 0;
    for await (const { receipt } of pool.sendAll(mails())) if (receipt) sent++;
    assertEquals([sent, pool.stats().retried], [300, 0]);
    assertEquals(await arrived(postfix.mail, 300), numbers(300));
  },
);

test(
  "Postfix: a pool reconnects where it has said 421 to an idle connection",
  { skip: postfixMissing(), timeout: 60_000 },
  async () => {
    await using postfix = await startPostfix("smtpd_timeout = 1s\n");
    await using pool = new SmtpPool(postfixOptions(postfix));
    for (let i = 0; i < 3; i++) {
      const { tries } = await pool.send({ from: FROM, to: "pool@example.org" }, messageOf(i));
      assertEquals(tries.length, 1);
      while (pool.stats().connections.open > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals(await arrived(postfix.mail, 3), numbers(3));
  },
);

test(
  "Postfix: a pool tries recipients again that it defers, and them alone",
  { skip: postfixMissing(), timeout: 60_000 },
  async () => {
    await using postfix = await startPostfix();
    await using pool = new SmtpPool({
      ...postfixOptions(postfix),
      retry: { refused: true, refusedDelay: 50, attempts: 3 },
    });
    const to = ["pool@example.org", "defer@example.org", "reject@example.org"];
    const receipt = await pool.send({ from: FROM, to }, messageOf(0));
    assertEquals(receipt.accepted, ["pool@example.org"]);
    assertEquals(receipt.rejected.map(({ recipient, reply }) => [recipient, reply!.code]), [
      ["reject@example.org", 550],
      ["defer@example.org", 450],
    ]);
    assertEquals(receipt.tries.map(({ outcome }) => outcome), ["accepted", "refused", "refused"]);
    assertEquals(await arrived(postfix.mail, 1), [0]);
  },
);

test(
  "Postfix: a pool with a wrong password logs in once, however many mails wait",
  { skip: postfixMissing(), timeout: 60_000 },
  async () => {
    await using postfix = await startPostfix();
    await using pool = new SmtpPool({
      ...postfixOptions(postfix),
      auth: { user: postfix.user, pass: "not-the-password", mechanisms: ["PLAIN"] },
    });
    const errors = await Promise.all(
      numbers(20).map((i) =>
        pool.send({ from: FROM, to: "pool@example.org" }, messageOf(i)).catch((error: PoolError) => error)
      ),
    ) as PoolError[];
    assert(
      errors.every(({ code, outcome, retryAt }) =>
        code === "auth-failed" && outcome === "not-sent" && retryAt
      ),
    );
    await pool.close();
    // Postfix writes its log by way of another process.
    const count = (what: RegExp) => postfix.log().match(what)?.length ?? 0;
    while (count(/ disconnect from /g) === 0 || count(/ disconnect from /g) < count(/ connect from /g)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals(count(/authentication failed/g), 1);
  },
);

test(
  "Exim: a pool sends everything once where each session ends with 421 after ten mails",
  { skip: eximMissing(), timeout: 120_000 },
  async () => {
    await using exim = await startExim(undefined, "smtp_accept_max_per_connection = 10\n");
    await using pool = new SmtpPool({ ...peerOptions(exim, "starttls", 0), maxConnections: 3 });
    const receipts = await Promise.all(
      numbers(100).map((i) => pool.send({ from: FROM, to: `pool${i % 20}@example.org` }, messageOf(i))),
    );
    assert(receipts.every(({ tries }) => tries.at(-1)!.outcome === "accepted"));
    assertEquals(pool.stats().failed, 0);
    assertEquals(await arrived(exim.mail, 100), numbers(100));
  },
);
