/** What is tried again, for whom, and what is reported of it. */
import { assert, assertEquals } from "@std/assert";
import { PoolError, PoolReceipt } from "../../src/pool/results.ts";
import type { SmtpPool } from "../../src/pool/pool.ts";
import { failure, poolTest, recipientsOf, sendTo, TEXT } from "./pools.ts";
import { later, turns } from "./time.ts";

const toAll = (pool: SmtpPool, names: string[], options = {}) =>
  pool.send({ from: "me@client.test", to: names.map((name) => `${name}@mx.test`) }, TEXT, options);

const outcomes = ({ tries }: PoolReceipt | PoolError) =>
  tries.map(({ outcome, reply }) => `${outcome} ${reply?.code ?? ""}`.trim());

poolTest("SmtpPool sends what was not sent over another connection, at once", {}, async (pool, server) => {
  server.answer = (line, { number }) =>
    number === 0 && line.startsWith("MAIL") ? "421 4.3.2 Shutting down" : undefined;
  const receipts = await Promise.all(["1", "2", "3"].map((name) => sendTo(pool, name)));
  assertEquals(
    receipts.map(outcomes),
    [
      ["not-sent 421", "accepted 250"],
      ["not-sent", "accepted 250"],
      ["not-sent", "accepted 250"],
    ].map((tries, index) => index === 0 ? tries : [outcomes(receipts[index]!)[0]!, "accepted 250"]),
  );
  assertEquals([recipientsOf(server), server.asked, pool.stats().retried], [["1", "2", "3"], 2, 3]);
});

poolTest("SmtpPool goes on where a server ends each session after some mails, whatever it is told", {
  maxConnections: 1,
}, async (pool, server) => {
  const counts = new Map<number, number>();
  server.answer = (line, { number }) => {
    if (!line.startsWith("MAIL")) return undefined;
    counts.set(number, (counts.get(number) ?? 0) + 1);
    return counts.get(number)! > 10 ? "421 4.7.0 Too many messages in this session" : undefined;
  };
  const sends = Array.from({ length: 100 }, (_, i) => sendTo(pool, `${i}`));
  await Promise.all(sends);
  assertEquals([server.asked, recipientsOf(server)], [10, Array.from({ length: 100 }, (_, i) => `${i}`)]);
  assertEquals(pool.stats().hosts[0]!.failures, 0);
});

poolTest(
  "SmtpPool sends as many mails over a connection as the server announces (LIMITS)",
  { maxConnections: 1 },
  async (pool, server) => {
    await Promise.all(Array.from({ length: 25 }, (_, i) => sendTo(pool, `${i}`)));
    assertEquals([server.asked, server.taken.length, pool.stats().retried], [3, 25, 0]);
  },
  ["PIPELINING", "CHUNKING", "LIMITS MAILMAX=10"],
);

poolTest(
  "SmtpPool gives up a mail that ends every connection, and no other",
  { retry: { attempts: 3 } },
  async (pool, server) => {
    server.answer = (line) => line.includes("poison") ? "421 4.3.0 Cannot stand this" : undefined;
    const poison = failure(pool.send({ from: "poison@client.test", to: "p@mx.test" }, TEXT));
    const sends = Array.from({ length: 30 }, (_, i) => sendTo(pool, `${i}`));
    await Promise.all(sends);
    const error = (await poison)!;
    assertEquals([error.code, error.outcome, error.tries.length, error instanceof PoolError], [
      "service-unavailable",
      "not-sent",
      3,
      true,
    ]);
    assertEquals(server.taken.length, 30);
  },
);

poolTest("SmtpPool gives up a server that ends every connection, and all mails with it, in bounded time", {
  retry: { attempts: 3 },
}, async (pool, server) => {
  server.answer = (line) => line.startsWith("MAIL") ? "421 4.3.0 Cannot" : undefined;
  const errors = await Promise.all(Array.from({ length: 50 }, (_, i) => failure(sendTo(pool, `${i}`))));
  assert(errors.every((error) => error!.outcome === "not-sent"));
  assert(server.asked <= 7, `${server.asked} connections`);
});

poolTest("SmtpPool never sends again what may have been taken", {}, async (pool, server) => {
  server.answer = (line) => line === "." ? "cut" : undefined;
  const error = (await failure(sendTo(pool, "you")))!;
  assertEquals([error.outcome, outcomes(error), server.taken.length], ["unknown", ["unknown"], 1]);
}, []);

poolTest("SmtpPool sends again what may have been taken with retryUnknown, as often as it may", {
  retryUnknown: true,
  retry: { attempts: 3 },
}, async (pool, server) => {
  server.answer = (line, { number }) => line === "." && number < 2 ? "cut" : undefined;
  assertEquals(outcomes(await sendTo(pool, "you")), ["unknown", "unknown", "accepted 250"]);
  server.answer = (line) => line === "." ? "cut" : undefined;
  const error = (await failure(sendTo(pool, "you")))!;
  assertEquals(outcomes(error), ["unknown", "unknown", "unknown"]);
}, []);

poolTest(
  "SmtpPool does not try recipients again that are refused for now, unless it is asked to",
  {},
  async (pool, server) => {
    server.answer = (line) => line.startsWith("RCPT") && line.includes("<b@") ? "450 4.2.1 Busy" : undefined;
    const receipt = await toAll(pool, ["a", "b"]);
    assertEquals(
      [receipt.accepted, receipt.rejected.map(({ recipient }) => recipient), receipt.tries.length],
      [["a@mx.test"], ["b@mx.test"], 1],
    );
    const error = (await failure(sendTo(pool, "b")))!;
    assertEquals([error.code, outcomes(error)], ["recipients-refused", ["refused 450"]]);
  },
);

poolTest("SmtpPool tries recipients again that are refused for now, and them alone", {
  retry: { refused: true, refusedDelay: 60_000 },
}, async (pool, server) => {
  let asked = 0;
  server.answer = (line) => {
    if (line.startsWith("RCPT") && line.includes("<grey@")) {
      return ++asked < 3 ? "451 4.7.1 Greylisted" : undefined;
    }
    return line.includes("<never@") ? "550 5.1.1 No" : undefined;
  };
  const since = performance.now();
  const receipt = await toAll(pool, ["a", "grey", "never", "b"]);
  assertEquals([receipt.accepted, receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code])], [
    ["a@mx.test", "b@mx.test", "grey@mx.test"],
    [["never@mx.test", 550]],
  ]);
  assertEquals(server.taken.map(({ to }) => to), [["a@mx.test", "b@mx.test"], ["grey@mx.test"]]);
  assertEquals([outcomes(receipt), receipt.parts.length], [
    ["accepted 250", "refused 451", "accepted 250"],
    2,
  ]);
  assert(performance.now() - since >= 90_000 && performance.now() - since <= 200_000);
  assertEquals(receipt.tries.map(({ accepted, rejected }) => [accepted.length, rejected.length]), [[2, 2], [
    0,
    1,
  ], [1, 0]]);
});

poolTest("SmtpPool reports those who were taken and those who were refused to the end", {
  retry: { refused: true, attempts: 2 },
}, async (pool, server) => {
  server.answer = (line) => line.startsWith("RCPT") && !line.includes("<a@") ? "450 4.2.1 Busy" : undefined;
  const receipt = await toAll(pool, ["a", "b", "c"]);
  assertEquals([receipt.accepted, receipt.rejected.map(({ recipient }) => recipient), outcomes(receipt)], [
    ["a@mx.test"],
    ["b@mx.test", "c@mx.test"],
    ["accepted 250", "refused 450"],
  ]);
  assert(receipt instanceof PoolReceipt);
});

poolTest("SmtpPool asks a function which refusals to try again", {
  retry: { refused: ({ enhancedCode }) => enhancedCode === "4.7.1" },
}, async (pool, server) => {
  server.answer = (line, { number: _ }) =>
    line.startsWith("MAIL")
      ? server.taken.length === 0 && refusals++ < 1 ? "451 4.7.1 Later" : undefined
      : line.includes("<full@")
      ? "452 4.2.2 Full"
      : undefined;
  let refusals = 0;
  assertEquals(outcomes(await sendTo(pool, "you")), ["refused 451", "accepted 250"]);
  assertEquals(outcomes((await failure(sendTo(pool, "full")))!), ["refused 452"]);
});

poolTest('SmtpPool tries a message for everybody or nobody again for everybody, with recipients: "all"', {
  retry: { refused: true },
}, async (pool, server) => {
  let asked = 0;
  server.answer = (line) =>
    line.startsWith("RCPT") && line.includes("<b@") && asked++ < 1 ? "450 4.2.1 Busy" : undefined;
  const receipt = await toAll(pool, ["a", "b"], { recipients: "all" });
  assertEquals([receipt.accepted, server.taken.map(({ to }) => to.length), outcomes(receipt)], [
    ["a@mx.test", "b@mx.test"],
    [2],
    ["refused 450", "accepted 250"],
  ]);
  server.answer = (line) =>
    line.includes("<b@") ? "450 4.2.1 Busy" : line.includes("<c@") ? "550 No" : undefined;
  const error = (await failure(toAll(pool, ["a", "b", "c"], { recipients: "all" })))!;
  assertEquals([error.code, error.tries.length], ["recipients-refused", 1]);
});

poolTest(
  "SmtpPool keeps a stream that nothing was read from, and sends it over another connection",
  {},
  async (pool, server) => {
    server.answer = (line, { number }) =>
      number === 0 && line.startsWith("MAIL") ? "421 4.3.2 Going" : undefined;
    const receipt = await pool.send({ from: null, to: "you@mx.test" }, new Blob([TEXT]).stream());
    assertEquals([outcomes(receipt), server.taken[0]!.content], [
      ["not-sent 421", "accepted 250"],
      TEXT.trimEnd(),
    ]);
  },
  [],
);

poolTest(
  "SmtpPool cannot send a stream again that was read from, and cancels it; a function it can",
  {},
  async (pool, server) => {
    server.answer = (line, { number }) => number === 0 && line === "DATA" ? "354 Go" : undefined;
    let cancelled = 0;
    const broken = () =>
      new ReadableStream({
        pull(controller) {
          controller.enqueue(new TextEncoder().encode(TEXT));
          void later(1_000).then(() => server.open[0]?.cut());
          return later(10_000);
        },
        cancel: () => void cancelled++,
      }, { highWaterMark: 0 });
    const error = (await failure(pool.send({ from: null, to: "you@mx.test" }, broken())))!;
    await turns();
    assertEquals([error.outcome, error.tries.length, cancelled], ["not-sent", 1, 1]);
    let opened = 0;
    const receipt = await pool.send(
      { from: null, to: "you@mx.test" },
      () => opened++ === 0 ? broken() : new Blob([TEXT]).stream(),
    );
    assertEquals([outcomes(receipt), opened], [["not-sent", "accepted 250"], 2]);
  },
  [],
);

poolTest("SmtpPool does not try again what is wrong with the mail itself", {}, async (pool, server) => {
  for (
    const [code, body] of [
      ["invalid-envelope", () => pool.send({ from: "me", to: "you@mx.test" }, TEXT)],
      ["invalid-message", () => pool.send({ from: null, to: "you@mx.test" }, "no header")],
      ["invalid-message", () => pool.send({ from: null, to: "you@mx.test" }, 5 as never)],
      [
        "source-failed",
        () => pool.send({ from: null, to: "you@mx.test" }, () => Promise.reject(new Error("no"))),
      ],
      ["extension-missing", () => pool.send({ from: null, to: "ü@mx.test" }, TEXT)],
    ] as const
  ) {
    const error = (await failure(body()))!;
    assertEquals([error.code, error.outcome, error.tries.length <= 1, error instanceof PoolError], [
      code,
      "not-sent",
      true,
      true,
    ]);
  }
  assertEquals([server.asked, pool.stats().retried], [1, 0]);
});
