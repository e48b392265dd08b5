import { assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/core/protocol_error.ts";
import { Reply } from "../../src/core/reply.ts";
import { Transaction } from "../../src/core/transaction.ts";
import type { TransactionPlan } from "../../src/core/transaction.ts";
import { test } from "../support/harness.ts";

function transaction(
  plan: Partial<TransactionPlan> = {},
  recipients: readonly string[] = ["a", "b"],
): Transaction {
  return new Transaction({
    mail: "MAIL\r\n",
    rcpts: recipients.map((recipient) => `RCPT ${recipient}\r\n`),
    recipients,
    pipelining: true,
    transfer: "data",
    recipientsPolicy: "some",
    protocol: "smtp",
    ...plan,
  });
}

/** Takes replies, by their codes. */
function receive(transaction: Transaction, ...codes: number[]): void {
  for (const code of codes) transaction.receive(new Reply(code, `reply ${code}`));
}

/** Asks what to do, once, and gives it as a line: the commands, or the step. */
function next(transaction: Transaction): string {
  const step = transaction.step();
  return step === "commands" ? transaction.commands.replaceAll("\r\n", ";") : step;
}

/** The codes of what was refused, and who. */
function rejected({ rejected }: Transaction): [string, number][] {
  return rejected.map(({ recipient, reply }) => [recipient, reply.code]);
}

function refusal({ refusal }: Transaction): string | undefined {
  return refusal && `${refusal.command} ${refusal.reply.code}`;
}

test("Transaction sends MAIL, RCPT and DATA in one group, then the content", () => {
  const t = transaction();
  assertEquals([t.awaitsReply, t.needsReset, t.finishedWriting], [false, false, false]);
  assertEquals(next(t), "MAIL;RCPT a;RCPT b;DATA;");
  assertEquals([t.awaited, t.groupUnanswered], ["mail", true]);
  receive(t, 250);
  assertEquals([next(t), t.awaited, t.groupUnanswered], ["wait", "rcpt", false]);
  receive(t, 250);
  assertEquals([next(t), t.awaited], ["wait", "rcpt"]);
  receive(t, 251);
  assertEquals([next(t), t.awaited], ["wait", "data"]);
  receive(t, 354);
  assertEquals([next(t), t.awaited, t.complete, t.finishedWriting], ["content", "content", false, false]);
  t.contentSent();
  assertEquals([next(t), t.awaited, t.complete, t.finishedWriting], ["wait", "content", true, true]);
  assertEquals([t.finished, t.needsReset], [false, false]);
  receive(t, 250);
  assertEquals([next(t), t.finished, t.needsReset], ["done", true, false]);
  assertEquals([t.accepted, t.rejected, t.finalReply?.code, refusal(t)], [["a", "b"], [], 250, undefined]);
});

test("Transaction says one command at a time where the server does not pipeline", () => {
  const t = transaction({ pipelining: false });
  assertEquals([next(t), next(t)], ["MAIL;", "wait"]);
  assertEquals(t.groupUnanswered, false);
  receive(t, 250);
  assertEquals([next(t), next(t)], ["RCPT a;", "wait"]);
  receive(t, 550);
  assertEquals([next(t), next(t)], ["RCPT b;", "wait"]);
  receive(t, 250);
  assertEquals([next(t), next(t)], ["DATA;", "wait"]);
  receive(t, 354);
  assertEquals(next(t), "content");
  t.contentSent();
  receive(t, 250);
  assertEquals([next(t), t.accepted, rejected(t)], ["done", ["b"], [["a", 550]]]);
});

for (const pipelining of [true, false]) {
  const how = pipelining ? "in a group" : "step by step";
  test(`Transaction ${how} puts BDAT behind RCPT`, () => {
    const t = transaction({ transfer: "bdat", pipelining });
    if (pipelining) {
      assertEquals(next(t), "MAIL;RCPT a;RCPT b;");
      assertEquals(next(t), "content"); // without waiting for a reply
      t.contentSent();
      assertEquals([next(t), t.awaited, t.finishedWriting, t.complete], ["wait", "mail", true, true]);
      receive(t, 250, 250, 250);
    } else {
      for (const command of ["MAIL;", "RCPT a;", "RCPT b;"]) {
        assertEquals([next(t), next(t)], [command, "wait"]);
        receive(t, 250);
      }
      assertEquals(next(t), "content");
      t.contentSent();
    }
    assertEquals([next(t), t.needsReset], ["wait", true]);
    receive(t, 250);
    assertEquals([next(t), t.finished, t.needsReset], ["done", true, false]);
  });

  test(`Transaction ${how} counts a reply for each BDAT chunk`, () => {
    const t = transaction({ transfer: "bdat", pipelining }, ["a"]);
    next(t);
    if (!pipelining) receive(t, 250);
    next(t);
    if (!pipelining) receive(t, 250);
    assertEquals(next(t), "content");
    t.chunkSent();
    t.chunkSent();
    if (pipelining) receive(t, 250, 250);
    assertEquals([t.awaitsReply, t.awaited], [true, "content"]);
    receive(t, 250);
    assertEquals([t.awaitsReply, t.hopeless], [true, false]);
    receive(t, 250);
    assertEquals([t.awaitsReply, next(t)], [false, "content"]);
    t.contentSent();
    receive(t, 250);
    assertEquals([next(t), t.accepted], ["done", ["a"]]);
  });

  for (const transfer of ["data", "bdat"] as const) {
    test(`Transaction ${how} with "all" waits for RCPT before ${transfer}, and stops when one is refused`, () => {
      const t = transaction({ transfer, pipelining, recipientsPolicy: "all" });
      if (pipelining) {
        assertEquals([next(t), next(t)], ["MAIL;RCPT a;RCPT b;", "wait"]);
        receive(t, 250, 250, 452);
      } else {
        for (const [command, code] of [["MAIL;", 250], ["RCPT a;", 250], ["RCPT b;", 452]] as const) {
          assertEquals(next(t), command);
          receive(t, code);
        }
      }
      assertEquals([next(t), refusal(t), rejected(t)], ["done", "rcpt 452", [["b", 452]]]);
      assertEquals([t.finished, t.needsReset, t.complete], [true, true, false]);
    });

    test(`Transaction ${how} with "all" goes on with ${transfer} when all are accepted`, () => {
      const t = transaction({ transfer, pipelining, recipientsPolicy: "all" }, ["a"]);
      next(t);
      receive(t, 250);
      if (!pipelining) next(t);
      receive(t, 250);
      if (transfer === "data") {
        assertEquals(next(t), "DATA;");
        receive(t, 354);
      }
      assertEquals(next(t), "content");
      t.contentSent();
      receive(t, 250);
      assertEquals([next(t), t.accepted], ["done", ["a"]]);
    });
  }
}

test('Transaction step by step with "all" says nothing more behind the first recipient that is refused', () => {
  const t = transaction({ pipelining: false, recipientsPolicy: "all" });
  next(t);
  receive(t, 250);
  next(t);
  receive(t, 550);
  assertEquals([next(t), refusal(t), t.needsReset], ["done", "rcpt 550", true]);
});

test("Transaction takes a refused MAIL for the whole, and 503 behind it for no word about recipients", () => {
  const t = transaction();
  next(t);
  receive(t, 550);
  assertEquals([refusal(t), t.hopeless], ["mail 550", true]);
  receive(t, 503, 503);
  assertEquals(next(t), "wait");
  receive(t, 503);
  assertEquals([next(t), refusal(t), rejected(t), t.accepted], ["done", "mail 550", [], []]);
  assertEquals([t.needsReset, t.finished], [false, true]);
});

test("Transaction step by step ends with a refused MAIL", () => {
  const t = transaction({ pipelining: false });
  next(t);
  receive(t, 451);
  assertEquals([next(t), refusal(t), t.needsReset], ["done", "mail 451", false]);
});

test("Transaction needs a RSET behind a BDAT that followed a refused MAIL: Dovecot remembers it", () => {
  for (const chunks of [0, 1]) {
    const t = transaction({ transfer: "bdat" }, ["a"]);
    next(t);
    for (let i = 0; i < chunks; i++) t.chunkSent();
    if (chunks === 0) t.contentSent();
    receive(t, 550, 503, 503);
    if (chunks > 0) t.abandon();
    assertEquals([next(t), refusal(t), t.needsReset], ["done", "mail 550", true]);
  }
});

test("Transaction needs no RSET behind a refused MAIL without BDAT", () => {
  const t = transaction({ transfer: "bdat", recipientsPolicy: "all" });
  next(t);
  receive(t, 550, 503, 503);
  assertEquals([next(t), t.needsReset], ["done", false]);
});

test("Transaction ends where every recipient and DATA are refused", () => {
  const t = transaction();
  next(t);
  receive(t, 250, 550, 451, 554);
  assertEquals([next(t), refusal(t)], ["done", "rcpt 550"]);
  assertEquals(rejected(t), [["a", 550], ["b", 451]]);
  assertEquals([t.needsReset, t.finished], [true, true]);
});

test("Transaction step by step says no DATA where every recipient is refused", () => {
  const t = transaction({ pipelining: false }, ["a"]);
  next(t);
  receive(t, 250);
  next(t);
  receive(t, 550);
  assertEquals([next(t), refusal(t), t.needsReset], ["done", "rcpt 550", true]);
});

for (const codes of [[250, 550, 550, 354], [550, 503, 503, 354]]) {
  test(`Transaction ends a content that nobody should get without a byte of it (${codes.join(", ")})`, () => {
    const t = transaction();
    next(t);
    receive(t, ...codes);
    assertEquals([next(t), next(t)], ["nothing", "nothing"]);
    t.contentSent();
    assertEquals([next(t), t.complete], ["wait", false]);
    receive(t, 554);
    assertEquals(next(t), "done");
    assertEquals(refusal(t), codes[0] === 550 ? "mail 550" : "rcpt 550");
  });
}

test("Transaction over LMTP awaits no reply to the end of a content that nobody should get", () => {
  const t = transaction({ protocol: "lmtp" });
  next(t);
  receive(t, 250, 550, 550, 354);
  assertEquals(next(t), "nothing");
  t.contentSent();
  assertEquals([next(t), refusal(t)], ["done", "rcpt 550"]);
});

test("Transaction reports a refused DATA, and needs a RSET", () => {
  const t = transaction();
  next(t);
  receive(t, 250, 250, 250, 451);
  assertEquals([next(t), refusal(t), t.needsReset], ["done", "data 451", true]);
});

test("Transaction reports a refused content", () => {
  for (const transfer of ["data", "bdat"] as const) {
    const t = transaction({ transfer }, ["a"]);
    next(t);
    if (transfer === "bdat") t.contentSent();
    receive(t, 250, 250);
    if (transfer === "data") {
      receive(t, 354);
      t.contentSent();
    }
    receive(t, 554);
    assertEquals([next(t), refusal(t), t.finalReply?.code], ["done", "content 554", 554]);
    // The end of data closes a transaction, a refused BDAT need not.
    assertEquals(t.needsReset, transfer === "bdat");
  }
});

test("Transaction is hopeless once a BDAT chunk is refused, and the first refusal counts", () => {
  const t = transaction({ transfer: "bdat" }, ["a"]);
  next(t);
  t.chunkSent();
  t.chunkSent();
  receive(t, 250, 250);
  assertEquals(t.hopeless, false);
  receive(t, 552);
  assertEquals([t.hopeless, refusal(t)], [true, "content 552"]);
  assertEquals(t.abandon(), "clean");
  assertEquals(next(t), "wait");
  receive(t, 503);
  assertEquals([next(t), refusal(t), t.needsReset], ["done", "content 552", true]);
});

test("Transaction is hopeless once every recipient is refused under BDAT", () => {
  const t = transaction({ transfer: "bdat" });
  next(t);
  t.chunkSent();
  receive(t, 250, 550);
  assertEquals(t.hopeless, false);
  receive(t, 550);
  assertEquals([t.hopeless, refusal(t)], [true, "rcpt 550"]);
});

test("Transaction takes a refusal in the middle of a content under DATA", () => {
  const t = transaction({}, ["a"]);
  next(t);
  receive(t, 250, 250, 354);
  assertEquals([next(t), t.hopeless], ["content", false]);
  receive(t, 552);
  assertEquals([t.hopeless, refusal(t), t.abandon()], [true, "content 552", "cut"]);
});

for (const code of [500, 502]) {
  test(`Transaction knows by ${code} that the server does not know BDAT`, () => {
    const t = transaction({ transfer: "bdat" }, ["a"]);
    next(t);
    t.contentSent();
    receive(t, 250, 250);
    assertEquals(t.bdatUnknown, false);
    receive(t, code);
    assertEquals(t.bdatUnknown, true);
  });
}

test("Transaction over LMTP has a reply for each recipient that was accepted", () => {
  const t = transaction({ protocol: "lmtp" }, ["a", "b", "c"]);
  next(t);
  receive(t, 250, 250, 550, 250, 354);
  next(t);
  t.contentSent();
  receive(t, 250);
  assertEquals([next(t), t.finished], ["wait", false]);
  receive(t, 452);
  assertEquals([next(t), t.accepted, rejected(t)], ["done", ["a"], [["b", 550], ["c", 452]]]);
  assertEquals([refusal(t), t.finalReply?.code], [undefined, 452]);
});

test("Transaction over LMTP is refused where nobody gets the content", () => {
  const t = transaction({ protocol: "lmtp" });
  next(t);
  receive(t, 250, 250, 250, 354);
  next(t);
  t.contentSent();
  receive(t, 552);
  assertEquals(refusal(t), undefined);
  receive(t, 450);
  assertEquals([next(t), refusal(t), rejected(t), t.accepted], [
    "done",
    "content 450",
    [["a", 552], ["b", 450]],
    [],
  ]);
});

test("Transaction over LMTP with BDAT waits for RCPT: with nobody to deliver to, BDAT LAST has no reply (RFC 2033)", () => {
  const t = transaction({ protocol: "lmtp", transfer: "bdat" });
  assertEquals([next(t), next(t)], ["MAIL;RCPT a;RCPT b;", "wait"]);
  receive(t, 250, 550, 550);
  assertEquals([next(t), refusal(t)], ["done", "rcpt 550"]);
});

test("Transaction over LMTP with BDAT has a reply for each recipient that was accepted", () => {
  const t = transaction({ protocol: "lmtp", transfer: "bdat" });
  next(t);
  receive(t, 250, 250, 250);
  assertEquals(next(t), "content");
  t.contentSent();
  receive(t, 250);
  assertEquals([next(t), t.needsReset], ["wait", true]);
  receive(t, 250);
  assertEquals([next(t), t.accepted, t.needsReset], ["done", ["a", "b"], false]);
});

test("Transaction.abandon() before anything was sent leaves no trace", () => {
  const t = transaction();
  assertEquals([t.abandon(), next(t), t.needsReset, t.finished], ["clean", "done", false, true]);
  assertEquals(t.abandon(), "clean");
});

test("Transaction.abandon() is clean before DATA and under BDAT, and a RSET is due", () => {
  const stepwise = transaction({ pipelining: false });
  next(stepwise);
  assertEquals(stepwise.abandon(), "clean");
  receive(stepwise, 250);
  assertEquals([next(stepwise), stepwise.needsReset], ["done", true]);

  const all = transaction({ recipientsPolicy: "all" });
  next(all);
  assertEquals([all.abandon(), next(all)], ["clean", "wait"]);
  receive(all, 250, 250, 250);
  assertEquals([next(all), all.needsReset, all.complete], ["done", true, false]);

  const bdat = transaction({ transfer: "bdat" });
  next(bdat);
  bdat.chunkSent();
  assertEquals([bdat.abandon(), next(bdat), bdat.finishedWriting], ["clean", "wait", true]);
  receive(bdat, 250, 250, 250, 250);
  assertEquals([next(bdat), bdat.needsReset], ["done", true]);
});

test("Transaction.abandon() has to cut behind DATA, and is late behind the content", () => {
  const t = transaction();
  next(t);
  assertEquals(t.abandon(), "cut");
  receive(t, 250, 250, 250, 354);
  next(t);
  assertEquals(t.abandon(), "cut");
  t.contentSent();
  assertEquals(t.abandon(), "late");
  receive(t, 250);
  assertEquals(refusal(t), undefined);
});

for (
  const [what, codes, plan] of [
    ["a 354 to MAIL", [354], {}],
    ["a 334 to RCPT", [250, 334], {}],
    ["a 250 to DATA", [250, 250, 250], {}],
    ["a 354 to BDAT", [250, 250, 354], { transfer: "bdat" }],
  ] as const
) {
  test(`Transaction refuses ${what}`, () => {
    const t = transaction(plan, ["a"]);
    next(t);
    if (t.transfer === "bdat") t.chunkSent();
    receive(t, ...codes.slice(0, -1));
    assertThrows(() => receive(t, codes.at(-1)!), ProtocolError, "Unexpected reply");
  });
}

test("Transaction refuses a 354 and a 250 where a content is not complete, and a 354 to its end", () => {
  for (const code of [250, 354]) {
    const t = transaction({}, ["a"]);
    next(t);
    receive(t, 250, 250, 354);
    next(t);
    assertThrows(() => receive(t, code), ProtocolError, "not complete");
  }
  const t = transaction({}, ["a"]);
  next(t);
  receive(t, 250, 250, 354);
  next(t);
  t.contentSent();
  assertThrows(() => receive(t, 354), ProtocolError, "the content");
});

test("Transaction refuses a reply that nobody asked for", () => {
  const fresh = transaction();
  assertThrows(() => receive(fresh, 250), ProtocolError, "no command is waiting");

  const bdat = transaction({ transfer: "bdat" }, ["a"]);
  next(bdat);
  receive(bdat, 250, 250);
  assertThrows(() => receive(bdat, 250), ProtocolError, "no command is waiting");

  const over = transaction({}, ["a"]);
  next(over);
  receive(over, 250, 250, 354);
  over.contentSent();
  receive(over, 250);
  assertThrows(() => receive(over, 250), ProtocolError, "no command is waiting");
});

test("Transaction says what its plan says", () => {
  assertEquals([transaction().transfer, transaction({ transfer: "bdat" }).transfer], ["data", "bdat"]);
  assertEquals([transaction().pipelining, transaction({ pipelining: false }).pipelining], [true, false]);
});
