import { assert, assertEquals, assertThrows } from "@std/assert";
import { Transaction } from "../../src/client/transaction.ts";
import type { TransactionRules, TransactionState } from "../../src/client/transaction.ts";
import { ProtocolError } from "../../src/core/errors.ts";
import { Reply } from "../../src/core/reply.ts";
import { test } from "../support/harness.ts";

/** Where in the output every content ends. */
const END = 100;

function transaction(rules: Partial<TransactionRules> = {}): Transaction {
  return new Transaction({ protocol: "smtp", recipientsPolicy: "some", ...rules });
}

const PUSH: Record<string, (transaction: Transaction, recipient: string) => void> = {
  RSET: (t) => t.reset(),
  MAIL: (t) => t.mail(),
  RCPT: (t, recipient) => t.rcpt(recipient),
  DATA: (t) => t.data(),
  CHUNK: (t) => t.chunk(),
  END: (t) => t.end(END),
  NOOP: (t) => t.command(),
  STOP: (t) => t.stop(),
};

/** Tells the transaction what was sent, such as `"RCPT a"`, and gives it replies by their codes, one after the other. */
function play(transaction: Transaction, ...steps: (string | number)[]): Transaction {
  for (const step of steps) {
    if (typeof step === "number") {
      const reply = new Reply(step, `reply ${step}`);
      if (transaction.awaitsReply) transaction.receive(reply);
      else assert(transaction.refuseEarly(reply), "no command is waiting");
    } else {
      const [verb, recipient] = step.split(" ");
      PUSH[verb!]!(transaction, recipient!);
    }
  }
  return transaction;
}

/** The same in the two orders of a driver: the replies after all commands, or each after its own. */
function exchange(
  transaction: Transaction,
  how: "in a group" | "step by step",
  ...pairs: [command: string, code: number][]
): Transaction {
  if (how === "step by step") return play(transaction, ...pairs.flat());
  return play(transaction, ...pairs.map(([command]) => command), ...pairs.map(([, code]) => code));
}

/** Who was refused, with the codes. */
function rejected({ rejected }: Transaction): [string, number][] {
  return rejected.map(({ recipient, reply }) => [recipient, reply.code]);
}

function refusal({ refusal }: Transaction): string | undefined {
  return refusal && `${refusal.command} ${refusal.reply.code}`;
}

test("Transaction awaits the replies to MAIL, RCPT, DATA and the content in this order", () => {
  const t = transaction();
  assertEquals([t.awaitsReply, t.needsReset, t.finishedWriting], [false, false, false]);
  play(t, "MAIL", "RCPT a", "RCPT b", "DATA");
  assertEquals([t.awaitsReply, t.awaited, t.groupUnanswered], [true, "mail", true]);
  play(t, 250);
  assertEquals([t.awaitsReply, t.awaited, t.groupUnanswered], [true, "rcpt", false]);
  play(t, 250);
  assertEquals([t.awaitsReply, t.awaited], [true, "rcpt"]);
  play(t, 251);
  assertEquals([t.awaitsReply, t.awaited], [true, "data"]);
  play(t, 354);
  assertEquals([t.awaitsReply, t.awaited, t.finishedWriting], [false, "content", false]);
  play(t, "END");
  assertEquals([t.awaitsReply, t.awaited, t.finishedWriting], [true, "content", true]);
  assertEquals([t.finished, t.needsReset, t.taken], [false, false, false]);
  play(t, 250);
  assertEquals([t.awaitsReply, t.finished, t.needsReset, t.taken], [false, true, false, true]);
  assertEquals([t.accepted, t.rejected, t.endReply?.code, refusal(t)], [["a", "b"], [], 250, undefined]);
});

test("Transaction step by step awaits one reply at a time", () => {
  const t = play(transaction(), "MAIL");
  assertEquals([t.awaitsReply, t.awaited, t.groupUnanswered], [true, "mail", false]);
  play(t, 250);
  assertEquals([t.awaitsReply, t.finished], [false, false]);
  for (
    const [command, awaited, code] of [["RCPT a", "rcpt", 550], ["RCPT b", "rcpt", 250], [
      "DATA",
      "data",
      354,
    ]] as const
  ) {
    play(t, command);
    assertEquals([t.awaitsReply, t.awaited, t.groupUnanswered], [true, awaited, false]);
    play(t, code);
    assertEquals([t.awaitsReply, t.finished], [false, false]);
  }
  play(t, "END", 250);
  assertEquals([t.finished, t.accepted, rejected(t)], [true, ["b"], [["a", 550]]]);
});

for (
  const [steps, state] of [
    [[], "envelope"],
    [["MAIL", 250, "RCPT a", 250], "envelope"],
    [["MAIL", 550], "envelope"],
    [["MAIL", 250, "RCPT a", 250, "NOOP", 250], "envelope"],
    [["MAIL", 250, "RSET"], "envelope"],
    [["MAIL", 250, "RSET", 250], "over"],
    [["MAIL", 250, "RSET", 500], "over"],
    [["MAIL", 250, "STOP"], "over"],
    [["MAIL", "RCPT a", "DATA"], "data"],
    [["MAIL", "RCPT a", "DATA", 250, 250, 354], "data"],
    [["MAIL", "RCPT a", "DATA", 250, 250, 451], "envelope"],
    [["MAIL", "RCPT a", "DATA", 250, 250, 354, 552], "data"],
    [["MAIL", "RCPT a", "DATA", 250, 250, 354, "END"], "complete"],
    [["MAIL", "RCPT a", "DATA", 250, 250, 354, "END", 250], "over"],
    [["MAIL", "RCPT a", "CHUNK"], "bdat"],
    [["MAIL", "RCPT a", "CHUNK", 250, 250, 250], "bdat"],
    [["MAIL", "RCPT a", "CHUNK", 250, 250, 250, "NOOP", 250], "bdat"],
    [["MAIL", "RCPT a", "CHUNK", 250, 250, 250, "RSET", 250], "over"],
    [["MAIL", "RCPT a", "CHUNK", 250, 250, 552], "refused"],
    [["MAIL", "RCPT a", "CHUNK", 250, 250, 552, "NOOP", 250], "refused"],
    [["MAIL", "RCPT a", "CHUNK", 250, 250, 552, "RSET", 250], "over"],
    [["MAIL", "RCPT a", "CHUNK", "CHUNK", "STOP", 250, 250, 250, 552], "over"],
    [["MAIL", "RCPT a", "STOP", "CHUNK", 250, 250, 250], "over"],
    [["MAIL", "RCPT a", "CHUNK", "END", 250, 250, 552], "complete"],
    [["MAIL", "RCPT a", "CHUNK", "END", 250, 250, 552, 503], "over"],
    [["MAIL", "RCPT a", "END", 250, 250], "complete"],
    [["MAIL", "RCPT a", "END", 250, 250, 554], "over"],
  ] as [(string | number)[], TransactionState][]
) {
  test(`Transaction is in the state "${state}" after ${steps.join(", ") || "nothing"}`, () => {
    assertEquals(play(transaction(), ...steps).state, state);
  });
}

for (const how of ["in a group", "step by step"] as const) {
  test(`Transaction ${how} needs a RSET until a BDAT is accepted`, () => {
    const t = transaction();
    exchange(t, how, ["MAIL", 250], ["RCPT a", 250], ["RCPT b", 250]);
    play(t, "END");
    assertEquals([t.awaited, t.finishedWriting, t.finished], ["content", true, false]);
    assertEquals([t.awaitsReply, t.needsReset], [true, true]);
    play(t, 250);
    assertEquals([t.finished, t.needsReset], [true, false]);
  });

  test(`Transaction ${how} counts a reply for each BDAT chunk`, () => {
    const t = exchange(transaction(), how, ["MAIL", 250], ["RCPT a", 250]);
    play(t, "CHUNK", "CHUNK");
    assertEquals([t.awaitsReply, t.awaited], [true, "content"]);
    play(t, 250);
    assertEquals([t.awaitsReply, t.hopeless], [true, false]);
    play(t, 250);
    assertEquals([t.awaitsReply, t.finished], [false, false]);
    play(t, "END", 250);
    assertEquals([t.finished, t.accepted], [true, ["a"]]);
  });

  test(`Transaction ${how} with "all" is refused by one recipient, once it stops`, () => {
    const t = transaction({ recipientsPolicy: "all" });
    exchange(t, how, ["MAIL", 250], ["RCPT a", 250], ["RCPT b", 452]);
    assertEquals([refusal(t), rejected(t)], [undefined, [["b", 452]]]);
    play(t, "STOP");
    assertEquals([refusal(t), rejected(t)], ["rcpt 452", [["b", 452]]]);
    assertEquals([t.finished, t.needsReset, t.outcomeIfLost(0, "connection-lost")], [true, true, "refused"]);
  });

  test(`Transaction ${how} takes a content in one BDAT, before or after the replies to RCPT`, () => {
    const t = exchange(transaction(), how, ["MAIL", 250], ["RCPT a", 250], ["RCPT b", 550], ["END", 250]);
    assertEquals([t.taken, t.accepted, rejected(t)], [true, ["a"], [["b", 550]]]);
  });
}

test('Transaction with "all" is not refused by what LMTP says to one recipient after the content', () => {
  const t = transaction({ protocol: "lmtp", recipientsPolicy: "all" });
  play(t, "MAIL", "RCPT a", "RCPT b", 250, 250, 250, "DATA", 354, "END", 250, 452);
  assertEquals([refusal(t), t.taken, t.accepted, rejected(t)], [undefined, true, ["a"], [["b", 452]]]);
});

test("Transaction takes a refused MAIL for the whole, and 503 after it for no word about recipients", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "RCPT b", "DATA", 550);
  assertEquals([refusal(t), t.hopeless, t.wanted], ["mail 550", true, false]);
  play(t, 503, 503);
  assertEquals(t.awaitsReply, true);
  play(t, 503, "STOP");
  assertEquals([refusal(t), rejected(t), t.accepted], ["mail 550", [], []]);
  assertEquals([t.needsReset, t.finished], [false, true]);
});

test("Transaction step by step ends with a refused MAIL", () => {
  const t = play(transaction(), "MAIL", 451, "STOP");
  assertEquals([refusal(t), t.needsReset, t.finished], ["mail 451", false, true]);
});

test("Transaction needs a RSET after a BDAT that followed a refused MAIL: Dovecot remembers it", () => {
  for (const content of ["CHUNK", "END"]) {
    const t = play(transaction(), "MAIL", "RCPT a", content, 550, 503, 503);
    if (content === "CHUNK") t.abandon();
    assertEquals([t.finished, refusal(t), t.needsReset], [true, "mail 550", true], content);
  }
});

test("Transaction needs no RSET after a refused MAIL without BDAT", () => {
  for (const recipientsPolicy of ["some", "all"] as const) {
    const t = play(transaction({ recipientsPolicy }), "MAIL", "RCPT a", "RCPT b", 550, 503, 503, "STOP");
    assertEquals([t.finished, refusal(t), t.needsReset], [true, "mail 550", false]);
  }
});

test("Transaction ends where every recipient and DATA are refused", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "RCPT b", "DATA", 250, 550, 451, 554, "STOP");
  assertEquals(refusal(t), "rcpt 550");
  assertEquals(rejected(t), [["a", 550], ["b", 451]]);
  assertEquals([t.needsReset, t.finished], [true, true]);
});

test("Transaction without DATA is refused by every recipient only once it stops: another may follow", () => {
  const t = play(transaction(), "MAIL", 250, "RCPT a", 550);
  assertEquals([refusal(t), t.outcomeIfLost(0, "connection-lost")], [undefined, "not-sent"]);
  const more = play(transaction(), "MAIL", 250, "RCPT a", 550, "RCPT b", 250, "DATA", 354, "END", 250);
  assertEquals([refusal(more), more.taken, more.accepted], [undefined, true, ["b"]]);
  play(t, "STOP");
  assertEquals([refusal(t), t.needsReset, t.finished], ["rcpt 550", true, true]);
});

for (const codes of [[250, 550, 550, 354], [550, 503, 503, 354]]) {
  test(`Transaction has no use for a content that nobody should get (${codes.join(", ")})`, () => {
    const t = play(transaction(), "MAIL", "RCPT a", "RCPT b", "DATA", ...codes);
    assertEquals([t.state, t.wanted, t.hopeless], ["data", false, true]);
    play(t, "END"); // without a byte of it
    assertEquals([t.awaitsReply, t.outcomeIfLost(END, "connection-lost")], [true, "refused"]);
    play(t, 554);
    assertEquals([t.finished, t.needsReset], [true, false]);
    assertEquals(refusal(t), codes[0] === 550 ? "mail 550" : "rcpt 550");
  });
}

test("Transaction over LMTP awaits no reply to the end of a content that nobody should get", () => {
  const t = play(transaction({ protocol: "lmtp" }), "MAIL", "RCPT a", "RCPT b", "DATA", 250, 550, 550, 354);
  assertEquals(t.wanted, false);
  play(t, "END");
  assertEquals([t.awaitsReply, t.finished, refusal(t)], [false, true, "rcpt 550"]);
  assertThrows(() => play(t, 250), Error, "no command is waiting");
});

test("Transaction reports a refused DATA, and needs a RSET", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "RCPT b", "DATA", 250, 250, 250, 451, "STOP");
  assertEquals([t.finished, refusal(t), t.needsReset], [true, "data 451", true]);
});

test("Transaction takes a second try at the content after a refused DATA", () => {
  for (const steps of [["DATA", 354, "END"], ["END"], ["CHUNK", 250, "END"]]) {
    const t = play(transaction(), "MAIL", 250, "RCPT a", 250, "DATA", 451, ...steps);
    assertEquals(t.outcomeIfLost(END, "connection-lost"), "unknown", steps.join());
    play(t, 250);
    assertEquals([refusal(t), t.taken, t.needsReset], [undefined, true, false], steps.join());
  }
});

test("Transaction reports a refused content", () => {
  for (const transfer of ["data", "bdat"]) {
    const t = play(transaction(), "MAIL", "RCPT a");
    if (transfer === "data") play(t, "DATA", 250, 250, 354, "END");
    else play(t, "END", 250, 250);
    play(t, 554);
    assertEquals([t.finished, refusal(t), t.endReply?.code, t.taken], [true, "end 554", 554, false]);
    // The end of DATA closes a transaction, a refused BDAT need not.
    assertEquals(t.needsReset, transfer === "bdat");
  }
});

test("Transaction is hopeless once a BDAT chunk is refused, and the first refusal counts", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "CHUNK", "CHUNK", 250, 250);
  assertEquals(t.hopeless, false);
  play(t, 552);
  assertEquals([t.hopeless, refusal(t)], [true, "chunk 552"]);
  assertEquals(t.abandon(), { outcome: "not-sent", cut: false });
  assertEquals([t.awaitsReply, t.finished], [true, false]);
  play(t, 503);
  assertEquals([t.finished, refusal(t), t.needsReset], [true, "chunk 552", true]);
});

test("Transaction counts the first refusal of a chunk, also where the end of the content is refused after it", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "CHUNK", "END", 250, 250, 552, 503);
  assertEquals([t.finished, refusal(t), t.taken, t.needsReset], [true, "chunk 552", false, true]);
});

test("Transaction is hopeless once every recipient is refused under BDAT", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "RCPT b", "CHUNK", 250, 550);
  assertEquals([t.hopeless, t.wanted, refusal(t)], [false, true, undefined]);
  play(t, 550);
  assertEquals([t.hopeless, t.wanted, refusal(t)], [true, false, "rcpt 550"]);
});

test("Transaction takes a refusal in the middle of a content under DATA", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "DATA", 250, 250, 354);
  assertEquals([t.awaitsReply, t.hopeless], [false, false]);
  play(t, 552);
  assertEquals([t.hopeless, refusal(t), t.abandon()], [true, "chunk 552", {
    outcome: "not-sent",
    cut: true,
  }]);
});

for (const code of [500, 502]) {
  test(`Transaction knows by ${code} that the server does not know BDAT`, () => {
    const t = play(transaction(), "MAIL", "RCPT a", "END", 250, 250);
    assertEquals(t.isBdatUnknown(true), false);
    play(t, code);
    assertEquals(t.isBdatUnknown(true), true);
    assertEquals(play(transaction(), "MAIL", "RCPT a", "CHUNK", 250, 250, code).isBdatUnknown(true), true);
  });

  test(`Transaction does not take ${code} to a content under DATA, or with no recipient, for a word about BDAT`, () => {
    const data = play(transaction(), "MAIL", "RCPT a", "DATA", 250, 250, 354, "END", code);
    const nobody = play(transaction(), "MAIL", "RCPT a", "END", 250, 550, code);
    assertEquals([data.isBdatUnknown(true), nobody.isBdatUnknown(true)], [false, false]);
  });
}

test("Transaction over LMTP has a reply for each recipient that was accepted", () => {
  const t = transaction({ protocol: "lmtp" });
  play(t, "MAIL", "RCPT a", "RCPT b", "RCPT c", "DATA", 250, 250, 550, 250, 354, "END", 250);
  assertEquals([t.awaitsReply, t.finished, t.taken, t.delivered], [true, false, false, ["a"]]);
  play(t, 452);
  assertEquals([t.finished, t.taken], [true, true]);
  assertEquals([t.accepted, rejected(t)], [["a"], [["b", 550], ["c", 452]]]);
  assertEquals([refusal(t), t.endReply?.code], [undefined, 452]);
});

test("Transaction over LMTP is refused where nobody gets the content", () => {
  const t = transaction({ protocol: "lmtp" });
  play(t, "MAIL", "RCPT a", "RCPT b", "DATA", 250, 250, 250, 354, "END", 552);
  assertEquals(refusal(t), undefined);
  play(t, 450);
  assertEquals([t.finished, refusal(t), rejected(t), t.accepted], [
    true,
    "end 450",
    [["a", 552], ["b", 450]],
    [],
  ]);
});

test("Transaction over LMTP with BDAT has a reply for each recipient that was accepted", () => {
  const t = play(transaction({ protocol: "lmtp" }), "MAIL", "RCPT a", "RCPT b", 250, 250, 250, "END", 250);
  assertEquals([t.awaitsReply, t.needsReset], [true, true]);
  play(t, 250);
  assertEquals([t.finished, t.accepted, t.needsReset], [true, ["a", "b"], false]);
});

test("Transaction over LMTP takes a 421 for all that are left, and for no one before", () => {
  const t = transaction({ protocol: "lmtp" });
  play(t, "MAIL", "RCPT a", "RCPT b", "RCPT c", 250, 250, 250, 250, "DATA", 354, "END", 250, 421);
  assertEquals([t.awaitsReply, t.finished, refusal(t)], [false, true, undefined]);
  assertEquals([t.accepted, rejected(t)], [["a"], [["b", 421], ["c", 421]]]);

  const none = play(transaction({ protocol: "lmtp" }), "MAIL", "RCPT a", "RCPT b", 250, 250, 250, "END", 421);
  assertEquals([none.finished, refusal(none)], [true, "end 421"]);
  assertEquals([none.accepted, rejected(none)], [[], [["a", 421], ["b", 421]]]);
});

test("Transaction is not changed by other commands, whatever the replies are", () => {
  const t = play(transaction(), "MAIL", 250, "NOOP");
  assertEquals([t.awaitsReply, t.awaited], [true, "command"]);
  play(t, 250, "NOOP", 502, "RCPT a", 250, "NOOP", 214, "CHUNK", 250, "NOOP", 421, "END", 250);
  assertEquals([t.taken, t.accepted, t.needsReset, refusal(t)], [true, ["a"], false, undefined]);
});

test("Transaction that is ended by RSET needs no other, unless that is refused", () => {
  for (const [code, needsReset] of [[250, false], [500, true], [421, true]] as const) {
    const t = play(transaction(), "MAIL", 250, "RCPT a", 250, "RSET");
    assertEquals([t.awaited, t.finished, t.needsReset], ["reset", false, true]);
    play(t, code);
    assertEquals([t.finished, t.needsReset, t.resetRefusal], [true, needsReset, undefined], `${code}`);
  }
});

test("Transaction does not count RSET as a part of its group that was answered", () => {
  const t = play(transaction(), "RSET", "MAIL", "RCPT a", "DATA");
  assertEquals([t.awaited, t.groupUnanswered, t.needsReset], ["reset", true, true]);
  play(t, 250);
  assertEquals([t.awaited, t.groupUnanswered], ["mail", true]);
  play(t, 250);
  assertEquals([t.awaited, t.groupUnanswered], ["rcpt", false]);
  assertEquals(play(transaction(), "RSET").needsReset, false);
});

const TAKEN = ["MAIL", "RCPT a", "END", 250, 250, 250];

for (
  const [what, steps] of [
    ["was none of ours", undefined],
    ["was refused", ["MAIL", "RCPT a", "END", 250, 250, 554]],
    ["was refused by every recipient", ["MAIL", "RCPT a", "END", 250, 550, 554]],
    ["was abandoned", ["MAIL", "RCPT a", "STOP", 250, 250]],
    ["has no reply to its content", TAKEN.slice(0, -1)],
  ] as const
) {
  test(`Transaction is of no use after a refused RSET when the transaction before ${what}`, () => {
    const previous = steps && play(transaction(), ...steps);
    const t = transaction();
    t.reset(previous);
    play(t, "MAIL", "RCPT a", 500);
    assertEquals([t.resetRefusal?.code, t.awaited], [500, "mail"]);
  });
}

test("Transaction goes on after a refused RSET when the transaction before was taken, be it after RSET was sent", () => {
  for (const sent of [TAKEN.length, 3]) {
    const previous = play(transaction(), ...TAKEN.slice(0, sent));
    const t = transaction();
    t.reset(previous);
    play(t, ...TAKEN.slice(0, 3));
    play(previous, ...TAKEN.slice(sent));
    play(t, 500, ...TAKEN.slice(3));
    assertEquals([t.resetRefusal, t.taken], [undefined, true]);
  }
});

test("Transaction does not take a 421 for a refusal of RSET: it ends the session", () => {
  assertEquals(play(transaction(), "RSET", 421).resetRefusal, undefined);
});

test("Transaction.abandon() before anything was sent leaves no trace", () => {
  const t = transaction();
  assertEquals(t.abandon(), { outcome: "not-sent", cut: false });
  assertEquals([t.needsReset, t.finished], [false, true]);
  assertEquals(t.abandon(), { outcome: "not-sent", cut: false });
});

test("Transaction.abandon() is clean before DATA and under BDAT, and a RSET is due", () => {
  const clean = { outcome: "not-sent", cut: false } as const;

  const stepwise = play(transaction(), "MAIL");
  assertEquals(stepwise.abandon(), clean);
  play(stepwise, 250);
  assertEquals([stepwise.finished, stepwise.needsReset], [true, true]);

  const all = play(transaction({ recipientsPolicy: "all" }), "MAIL", "RCPT a", "RCPT b");
  assertEquals([all.abandon(), all.awaitsReply], [clean, true]);
  play(all, 250, 250, 250);
  assertEquals([all.finished, all.needsReset], [true, true]);
  assertEquals([refusal(all), all.outcomeIfLost(END, "connection-lost")], [undefined, "not-sent"]);

  const bdat = play(transaction(), "MAIL", "RCPT a", "RCPT b", "CHUNK");
  assertEquals([bdat.abandon(), bdat.awaitsReply, bdat.finishedWriting], [clean, true, true]);
  play(bdat, 250, 250, 250, 250);
  assertEquals([bdat.finished, bdat.needsReset], [true, true]);
});

test("Transaction.abandon() has to cut after DATA, and is late after the content", () => {
  const t = play(transaction(), "MAIL", "RCPT a", "RCPT b", "DATA");
  assertEquals(t.abandon(), { outcome: "not-sent", cut: true });
  play(t, 250, 250, 250, 354);
  assertEquals(t.abandon(), { outcome: "not-sent", cut: true });
  play(t, "END");
  assertEquals(t.abandon(), { outcome: "unknown", cut: false });
  play(t, 250);
  assertEquals([refusal(t), t.taken], [undefined, true]);
});

for (
  const [outcome, what, rules, steps] of [
    ["not-sent", "nothing was sent", {}, []],
    ["not-sent", "the envelope was sent", {}, ["MAIL", "RCPT a", 250, 250]],
    ["not-sent", "DATA was sent", {}, ["MAIL", "RCPT a", "DATA", 250, 250]],
    ["not-sent", "a part of the content was sent", {}, ["MAIL", "RCPT a", "DATA", 250, 250, 354]],
    ["unknown", "the content was sent", {}, ["MAIL", "RCPT a", "DATA", 250, 250, 354, "END"]],
    ["refused", "the content was refused", {}, ["MAIL", "RCPT a", "DATA", 250, 250, 354, "END", 554]],
    ["refused", "the content was refused before its end", {}, ["MAIL", "RCPT a", "DATA", 250, 250, 354, 552]],
    ["refused", "MAIL was refused", {}, ["MAIL", "RCPT a", "DATA", 550]],
    ["refused", "every recipient was refused", {}, ["MAIL", "RCPT a", "DATA", 250, 550]],
    ["refused", "DATA was refused", {}, ["MAIL", "RCPT a", "DATA", 250, 250, 451, "STOP"]],
    ["not-sent", "a chunk was sent", {}, ["MAIL", "RCPT a", "CHUNK", 250, 250, 250]],
    ["refused", "a chunk was refused", {}, ["MAIL", "RCPT a", "CHUNK", 250, 250, 552]],
    ["unknown", "the last chunk was sent with the envelope", {}, ["MAIL", "RCPT a", "END"]],
    ["unknown", "one of two recipients is refused, the last chunk sent", {}, [
      ...["MAIL", "RCPT a", "RCPT b", "END"],
      ...[250, 550],
    ]],
    ["refused", "every recipient was refused, the last chunk sent", {}, ["MAIL", "RCPT a", "END", 250, 550]],
    ["refused", "MAIL was refused, the last chunk sent", {}, ["MAIL", "RCPT a", "END", 550]],
    ["unknown", "one of two LMTP replies has come", { protocol: "lmtp" }, [
      ...["MAIL", "RCPT a", "RCPT b", "DATA", 250, 250, 250, 354],
      ...["END", 250],
    ]],
    ["refused", "both LMTP replies refuse the content", { protocol: "lmtp" }, [
      ...["MAIL", "RCPT a", "RCPT b", "DATA", 250, 250, 250, 354],
      ...["END", 450, 550],
    ]],
    ["not-sent", "one of three recipients is refused", { recipientsPolicy: "all" }, [
      ...["MAIL", "RCPT a", "RCPT b", "RCPT c"],
      ...[250, 550, 250],
    ]],
  ] as [string, string, Partial<TransactionRules>, (string | number)[]][]
) {
  const options = rules.recipientsPolicy === undefined ? "" : ' with "all"';
  test(`Transaction.outcomeIfLost()${options} is "${outcome}" when ${what}`, () => {
    const t = play(transaction(rules), ...steps);
    assertEquals(t.outcomeIfLost(END, "connection-lost"), outcome);
    // What was not handed over, and what comes after a 421 in the place of an earlier reply, did not reach anybody.
    const lessSure = outcome === "unknown" ? "not-sent" : outcome;
    assertEquals(t.outcomeIfLost(END - 1, "connection-lost"), lessSure);
    assertEquals(t.outcomeIfLost(END, "service-unavailable"), lessSure);
  });
}

for (
  const [what, steps, text] of [
    ["a 354 to RSET", ["RSET", 354], "RSET: 354"],
    ["a 354 to MAIL", ["MAIL", "RCPT a", "DATA", 354], "MAIL: 354"],
    ["a 334 to RCPT", ["MAIL", "RCPT a", "DATA", 250, 334], "RCPT: 334"],
    ["a 250 to DATA", ["MAIL", "RCPT a", "DATA", 250, 250, 250], "DATA: 250"],
    ["a 354 to BDAT", ["MAIL", "RCPT a", "CHUNK", 250, 250, 354], "BDAT: 354"],
    ["a 354 to BDAT LAST", ["MAIL", "RCPT a", "END", 250, 250, 354], "the content: 354"],
  ] as [string, (string | number)[], string][]
) {
  test(`Transaction refuses ${what}`, () => {
    const t = play(transaction(), ...steps.slice(0, -1));
    assertThrows(() => play(t, steps.at(-1)!), ProtocolError, `Unexpected reply to ${text}`);
  });
}

test("Transaction refuses a 354 and a 250 where a content is not complete, and a 354 to its end", () => {
  for (const code of [250, 354]) {
    const t = play(transaction(), "MAIL", "RCPT a", "DATA", 250, 250, 354);
    assertThrows(() => play(t, code), Error, "no command is waiting");
  }
  const t = play(transaction(), "MAIL", "RCPT a", "DATA", 250, 250, 354, "END");
  assertThrows(() => play(t, 354), ProtocolError, "the content");
});

test("Transaction refuses a reply that nobody asked for", () => {
  for (
    const steps of [
      [],
      ["MAIL", "RCPT a", 250, 250],
      ["MAIL", "RCPT a", "CHUNK", 250, 250, 250],
      ["MAIL", "RCPT a", "DATA", 250, 250, 354, "END", 250],
    ]
  ) {
    const t = play(transaction(), ...steps);
    assertThrows(() => play(t, 250), Error, "no command is waiting", steps.join());
  }
});
