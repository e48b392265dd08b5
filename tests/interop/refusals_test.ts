/**
 * A refused transaction in flight must not leak into the next: where Exim has refused every recipient of one, it takes the
 * next one's content under the first one's sender, unless RSET comes between; Dovecot answers 503 to everything after it.
 */
import { assert, assertEquals } from "@std/assert";
import { SmtpClient, SmtpError } from "../../mod.ts";
import type { Envelope, SmtpClientOptions, SmtpErrorCode } from "../../mod.ts";
import { dovecotMissing, startDovecot } from "../support/dovecot.ts";
import { eximMissing, startExim } from "../support/exim.ts";
import { test } from "../support/harness.ts";
import { deliveredLines, messageHeader } from "../support/mail_content.ts";
import type { MailStore } from "../support/mail_store.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";

/** How many messages are sent at once, on one connection. */
const COUNT = 120;

/** What can happen to a message, and the error that reports it. */
type Fate = "taken" | "some" | SmtpErrorCode;

interface Subject {
  name: string;
  missing: string | undefined;
  start(): Promise<{ mail: MailStore; options: SmtpClientOptions; stop(): Promise<void> }>;
  /** What the server refuses. */
  fates: readonly Fate[];
  /** How content travels. Default: both ways. */
  transfers?: readonly ("bdat" | "data")[];
}

const REFUSED_SENDER = "refused@example.com";

const subjects: Subject[] = [
  {
    name: "Exim",
    missing: eximMissing(),
    async start() {
      const exim = await startExim();
      return { mail: exim.mail, options: plain(exim.ports[0]!), stop: exim.stop };
    },
    fates: ["taken", "some", "recipients-refused", "sender-refused", "message-refused"],
  },
  {
    name: "Postfix",
    missing: postfixMissing(),
    async start() {
      const postfix = await startPostfix(POSTFIX_REFUSALS);
      return { mail: postfix.mail, options: plain(postfix.submissionPort), stop: postfix.stop };
    },
    fates: ["taken", "some", "recipients-refused", "sender-refused", "message-refused"],
  },
  {
    name: "Dovecot submission before Postfix",
    missing: dovecotMissing() ?? postfixMissing(),
    async start() {
      const postfix = await startPostfix(POSTFIX_REFUSALS);
      const dovecot = await startDovecot(postfix.submissionPort);
      return {
        mail: postfix.mail,
        options: { ...plain(dovecot.ports[1]!), auth: { user: dovecot.user, pass: dovecot.pass } },
        async stop() {
          await dovecot.stop();
          await postfix.stop();
        },
      };
    },
    // Dovecot 2.3's submission crashes on a refused sender with a recipient after it in flight (smtp-server-cmd-data.c, line
    // 355, smtp-client-transaction.c, line 954), and on an envelope in flight after the content of DATA
    // (smtp-server-transaction.c, line 226).
    fates: ["taken", "some", "recipients-refused", "message-refused"],
    transfers: ["bdat"],
  },
  {
    name: "Dovecot LMTP",
    missing: dovecotMissing(),
    async start() {
      const dovecot = await startDovecot();
      return {
        mail: dovecot.mail,
        options: { ...plain(dovecot.ports[0]!), protocol: "lmtp" },
        stop: dovecot.stop,
      };
    },
    // It refuses no sender. At the end of a message it refuses the recipient whose mailbox is broken.
    fates: ["taken", "some", "recipients-refused", "message-refused"],
  },
];

/** Refuses senders at MAIL, and messages at their end. */
const POSTFIX_REFUSALS = `smtpd_delay_reject = no
smtpd_sender_restrictions = check_sender_access inline:{ {${REFUSED_SENDER} = 550 5.7.1 no such sender} }
smtpd_recipient_restrictions = check_recipient_access inline:{
  {reject@example.org = 550 5.1.1 no such user} {reject@example.com = 550 5.1.1 no such user} }, permit_mynetworks
# A session may have as many errors as it likes.
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 10000
header_checks = regexp:{ {/^X-Refuse:/ REJECT not this message} }
`;

function plain(port: number): SmtpClientOptions {
  return { hostname: "localhost", port, security: "none", clientName: "client.test" };
}

for (const subject of subjects) {
  for (const transfer of subject.transfers ?? ["bdat", "data"] as const) {
    test(
      `${subject.name}: refused transactions in flight do not leak into others, with ${transfer}`,
      { skip: subject.missing, timeout: 60_000 },
      async () => {
        const server = await subject.start();
        try {
          await refuseAndDeliver(server.options, transfer, server.mail, subject);
        } finally {
          await server.stop();
        }
      },
    );
  }
}

// Exim counts the RSET after a transaction that came to nothing, and closes with 554 at the eleventh.
test("Exim: what comes after a refused RSET was not sent", { skip: eximMissing() }, async () => {
  await using exim = await startExim(10);
  await using client = await SmtpClient.connect({ ...plain(exim.ports[0]!), transfer: "bdat" });
  const sends = Array.from({ length: 30 }, (_, i) => {
    const to = i < 20 ? "reject@example.org" : "late@example.org";
    return outcomeOf(client, { from: "sender@example.com", to }, messageOf(i, "taken"));
  });
  const outcomes = (await Promise.all(sends)).map(([what]) => what);
  const refused = outcomes.filter((what) => what === "recipients-refused refused usable");
  const notSent = outcomes.filter((what) => /^service-unavailable not-sent /.test(what));
  assertEquals([refused.length, notSent.length], [12, 18], outcomes.at(-1)!);
  assertEquals((await exim.mail.settled(0)).length, 0);
});

async function refuseAndDeliver(
  options: SmtpClientOptions,
  transfer: "bdat" | "data",
  store: MailStore,
  { fates, name }: Subject,
): Promise<void> {
  await using client = await SmtpClient.connect({ ...options, transfer });
  const sends = Array.from({ length: COUNT }, (_, i) => {
    const fate = chooseFate(fates, i);
    const envelope = envelopeOf(i, fate, name);
    return { i, fate, envelope, result: outcomeOf(client, envelope, messageOf(i, fate)) };
  });
  const outcomes = await Promise.all(sends.map(({ result }) => result));
  const wrong = sends.map(({ i, fate, envelope }) => ({
    i,
    actual: outcomes[i],
    expected: expectedOutcome(fate, envelope),
  })).filter(({ actual, expected }) => JSON.stringify(actual) !== JSON.stringify(expected));
  assertEquals(wrong.slice(0, 5), [], `${wrong.length} outcomes`);
  assert(client.usable, "the session is usable");

  // The session goes on, whatever was refused last.
  const last = { from: "last@example.com", to: ["last@example.org"] };
  assertEquals(await outcomeOf(client, last, messageOf(COUNT, "taken")), ["taken", last.to, []]);

  const expected = [
    ...sends.filter(({ fate }) => fate === "taken" || fate === "some"),
    { i: COUNT, fate: "taken" as const, envelope: last },
  ].flatMap(({ i, fate, envelope }) =>
    expectedOutcome(fate, envelope)[1].map((recipient) => [recipient, envelope.from, messageOf(i, fate)])
  );
  const mails = await store.settled(expected.length);
  const delivered = mails.map((mail) => [mail.recipient, mail.sender, deliveredLines(mail)]);
  const { missing, unwanted } = difference(delivered, expected);
  assertEquals(
    [missing.slice(0, 3), unwanted.slice(0, 3)],
    [[], []],
    `${missing.length} missing, ${unwanted.length} unwanted`,
  );
}

/** Every pair of fates occurs side by side, and runs of the same fate. */
function chooseFate(fates: readonly Fate[], i: number): Fate {
  return fates[(i * i + (i >> 2)) % fates.length]!;
}

/** No recipient is in two envelopes, so that it is clear who gets what. */
function envelopeOf(i: number, fate: Fate, server: string): { from: string; to: string[] } {
  const from = fate === "sender-refused" ? REFUSED_SENDER : `sender${i}@example.com`;
  const taken = [`to${i}@example.org`, `copy${i}@example.com`];
  switch (fate) {
    case "some":
      return { from, to: [taken[0]!, "reject@example.org", taken[1]!] };
    case "recipients-refused":
      return { from, to: ["reject@example.org", "reject@example.com"] };
    case "message-refused":
      return { from, to: server === "Dovecot LMTP" ? ["broken@example.org"] : taken };
    default:
      return { from, to: taken };
  }
}

function messageOf(i: number, fate: Fate): string {
  const refusal = fate === "message-refused" ? "X-Refuse: yes\n" : "";
  return `${refusal}${messageHeader(`${i}`)}Content ${i}\n${".\n".repeat(i % 3)}`;
}

type Result = [what: string, accepted: readonly string[], rejected: readonly string[]];

function expectedOutcome(fate: Fate, { to }: { to: string[] }): Result {
  const refused = to.filter((recipient) => recipient.startsWith("reject@"));
  if (fate === "taken" || fate === "some") {
    return ["taken", to.filter((recipient) => !refused.includes(recipient)), refused];
  }
  return [`${fate} refused usable`, [], []];
}

async function outcomeOf(client: SmtpClient, envelope: Envelope, message: string): Promise<Result> {
  try {
    const { accepted, rejected } = await client.send(envelope, message);
    return ["taken", accepted, rejected.map(({ recipient }) => recipient)];
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error;
    return [`${error.code} ${error.outcome} ${error.usable ? "usable" : error.message}`, [], []];
  }
}

function difference(
  actual: readonly (readonly string[])[],
  expected: readonly (readonly string[])[],
): { missing: string[]; unwanted: string[] } {
  const missing = expected.map((mail) => JSON.stringify(mail));
  const unwanted = actual.map((mail) => JSON.stringify(mail)).filter((mail) => {
    const index = missing.indexOf(mail);
    if (index >= 0) missing.splice(index, 1);
    return index < 0;
  });
  return { missing, unwanted };
}
