import { assert, assertEquals, assertRejects } from "@std/assert";
import { PoolError } from "../../src/pool/results.ts";
import { poolTest, recipientsOf, TEXT } from "./pools.ts";
import { later, turns } from "./time.ts";

/** So many mails, and how many were taken from the source so far. */
function source(count: number) {
  const state = { pulled: 0, closed: false };
  async function* mails() {
    try {
      for (let row = 0; row < count; row++) {
        state.pulled++;
        yield { envelope: { from: null, to: `${row}@mx.test` }, message: TEXT, row };
      }
    } finally {
      state.closed = true;
    }
  }
  return { state, mails: mails() };
}

poolTest(
  "SmtpPool.sendAll() yields one result for each mail, with the mail and its place",
  {},
  async (pool, server) => {
    server.answer = (line) => line.includes("<3@") ? "550 No" : undefined;
    const seen: [number, number, string][] = [];
    for await (const { mail, index, receipt, error } of pool.sendAll(source(500).mails)) {
      seen.push([index, mail.row, receipt?.accepted[0] ?? (error as PoolError).code]);
    }
    assertEquals(seen.length, 500);
    assertEquals(seen.sort(([a], [b]) => a - b).map(([index, row]) => index === row), Array(500).fill(true));
    assertEquals([seen[3]![2], server.taken.length], ["recipients-refused", 499]);
  },
);

poolTest("SmtpPool.sendAll() takes arrays, and no more from a source than there is room for", {
  maxQueue: 5,
  maxConnections: 1,
}, async (pool, server) => {
  assertEquals((await Array.fromAsync(pool.sendAll([]))).length, 0);
  assertEquals(
    (await Array.fromAsync(pool.sendAll([{ envelope: { from: null, to: "a@mx.test" }, message: TEXT }])))
      .length,
    1,
  );
  server.answer = (line) => line === "." ? "silence" : undefined;
  const { state, mails } = source(1_000);
  const results = pool.sendAll(mails);
  const first = results.next();
  await later(1_000_000 / 10);
  assertEquals([state.pulled, pool.stats().queued, pool.stats().inFlight], [6, 5, 1]);
  server.answer = () => undefined;
  server.open[0]!.say("250 Ok");
  await first;
  // Nobody takes results: the source rests.
  await later(10_000);
  const { pulled } = state;
  assert(pulled <= 20, `${pulled}`);
  await later(10_000);
  assertEquals(state.pulled, pulled);
  let count = 1;
  for await (const _ of results) count++;
  assertEquals([count, state.closed], [1_000, true]);
}, []);

poolTest("SmtpPool.sendAll() gives up what waits when its loop is left, and closes the source", {
  maxConnections: 1,
}, async (pool, server) => {
  const { state, mails } = source(1_000);
  for await (const { index } of pool.sendAll(mails)) if (index === 3) break;
  await turns();
  assertEquals([state.closed, pool.stats().queued, pool.stats().inFlight], [true, 0, 0]);
  assert(server.taken.length < 20);
  assert(!recipientsOf(server).includes("50"));
}, []);

poolTest("SmtpPool.sendAll() passes on what its source throws, after all results", {}, async (pool) => {
  async function* broken() {
    yield { envelope: { from: null, to: "1@mx.test" }, message: TEXT };
    yield { envelope: { from: null, to: "2@mx.test" }, message: TEXT };
    await later(10);
    throw new Error("the database is gone");
  }
  let count = 0;
  await assertRejects(
    async () => {
      for await (const { receipt } of pool.sendAll(broken())) count += receipt ? 1 : 0;
    },
    Error,
    "the database is gone",
  );
  assertEquals(count, 2);
});

poolTest("SmtpPool.sendAll() reports a mail whose arguments make no sense, and goes on", {}, async (pool) => {
  const mails = [
    { envelope: { from: null, to: "1@mx.test" }, message: TEXT },
    { envelope: { from: null, rcpt: "2@mx.test" }, message: TEXT },
    { envelope: { from: null, to: "3@mx.test" }, message: TEXT, options: { priority: "no" } },
    undefined,
    { envelope: { from: null, to: "5@mx.test" }, message: TEXT },
  ];
  const results = await Array.fromAsync(pool.sendAll(mails as never));
  assertEquals(results.map(({ index, error }) => [index, error?.name]).sort(), [
    [0, undefined],
    [1, "TypeError"],
    [2, "TypeError"],
    [3, "TypeError"],
    [4, undefined],
  ]);
});

poolTest("SmtpPool.sendAll() waits while no server can be used, and loses no more than waited", {
  maxQueue: 10,
  retry: { attempts: 2 },
}, async (pool, server) => {
  server.unreachable = "connection-refused";
  let failed = 0;
  let sent = 0;
  void later(600_000).then(() => server.unreachable = undefined);
  for await (const { receipt } of pool.sendAll(source(200).mails)) receipt ? sent++ : failed++;
  assertEquals([sent + failed, sent === server.taken.length], [200, true]);
  // Those that waited at first, and then one for each try.
  assert(failed <= 30, `${failed}`);
});

poolTest("SmtpPool.sendAll() ends if no server can be used for a reason that will not pass", {
  maxQueue: 10,
  auth: { user: "me", pass: "wrong-enough", mechanisms: ["PLAIN"] },
}, async (pool, server) => {
  server.extensions = ["AUTH PLAIN"];
  server.answer = (line) => line.startsWith("AUTH") ? "535 Wrong" : undefined;
  const { state, mails } = source(1_000);
  let failed = 0;
  const error = await assertRejects(async () => {
    for await (const { error } of pool.sendAll(mails)) failed += error ? 1 : 0;
  }, PoolError);
  assertEquals([error.code, failed === state.pulled, failed <= 11, state.closed], [
    "auth-failed",
    true,
    true,
    true,
  ]);
});
