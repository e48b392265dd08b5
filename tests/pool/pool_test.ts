import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SmtpPool } from "../../src/pool/pool.ts";
import type { PoolSendOptions, SmtpPoolOptions } from "../../src/pool/options.ts";
import { PoolError } from "../../src/pool/results.ts";
import { SmtpError } from "../../src/errors.ts";
import { test } from "../support/harness.ts";
import { FakeServer } from "./fake_server.ts";
import { failure, poolOf, poolTest, recipientsOf, sendTo, TEXT } from "./pools.ts";
import { inTime, later, turns } from "./time.ts";

poolTest(
  "SmtpPool opens nothing before the first send(), and one connection for it",
  {},
  async (pool, server) => {
    await later(1_000_000);
    assertEquals(server.asked, 0);
    const receipt = await sendTo(pool, "you");
    assertEquals([receipt.accepted, receipt.reply.code, server.asked], [["you@mx.test"], 250, 1]);
    assertEquals(receipt.tries.map(({ host, outcome, reply }) => [host, outcome, reply?.code]), [[
      "mx.test:587",
      "accepted",
      250,
    ]]);
    await sendTo(pool, "her");
    assertEquals([server.asked, server.taken.length], [1, 2]);
  },
);

poolTest(
  "SmtpPool opens no second connection while one takes whole mails in flight",
  {},
  async (pool, server) => {
    await Promise.all(Array.from({ length: 100 }, (_, i) => sendTo(pool, `${i}`)));
    assertEquals([server.asked, recipientsOf(server)], [1, Array.from({ length: 100 }, (_, i) => `${i}`)]);
  },
);

poolTest(
  "SmtpPool.send() sends to whom it was given, although the caller changes the recipient while it waits",
  {},
  async (pool, server) => {
    const recipient = { address: "you@mx.test" };
    const to = [recipient];
    const sent = pool.send({ from: "me@client.test", to }, TEXT);
    const alone = pool.send({ from: "me@client.test", to: recipient }, TEXT);
    recipient.address = "other@mx.test";
    to.push({ address: "third@mx.test" });
    assertEquals([(await sent).accepted, (await alone).accepted], [["you@mx.test"], ["you@mx.test"]]);
    assertEquals(recipientsOf(server), ["you", "you"]);
  },
);

poolTest("SmtpPool opens as many connections as there may be for a server without PIPELINING", {
  maxConnections: 3,
}, async (pool, server) => {
  server.answer = (line) => (assert(!line.startsWith("MAIL") || server.open.length <= 3), undefined);
  await Promise.all(Array.from({ length: 30 }, (_, i) => sendTo(pool, `${i}`)));
  assertEquals([server.asked, server.most, server.taken.length], [3, 3, 30]);
  assert(server.connections.every(({ lines }) => lines.length > 10));
}, []);

poolTest(
  "SmtpPool spreads more mails than one connection takes",
  { maxInFlight: 10, maxConnections: 4 },
  async (pool, server) => {
    await Promise.all(Array.from({ length: 400 }, (_, i) => sendTo(pool, `${i}`)));
    assertEquals([server.asked, server.taken.length], [4, 400]);
  },
);

poolTest("SmtpPool sends over another connection after as many messages as one may have", {
  maxMessagesPerConnection: 4,
  maxConnections: 1,
}, async (pool, server) => {
  await Promise.all(Array.from({ length: 10 }, (_, i) => sendTo(pool, `${i}`)));
  assertEquals([server.taken.map(({ connection }) => connection), server.most], [[
    0,
    0,
    0,
    0,
    1,
    1,
    1,
    1,
    2,
    2,
  ], 1]);
  assertEquals(server.connections[0]!.lines.at(-1), "QUIT");
});

poolTest(
  "SmtpPool closes a connection that was idle for idleTimeout, and only then",
  { idleTimeout: 20_000 },
  async (pool, server) => {
    await sendTo(pool, "you");
    await later(19_000);
    assertEquals(server.open.length, 1);
    await sendTo(pool, "you");
    await later(19_900);
    assertEquals(server.open.length, 1);
    await later(200);
    assertEquals([server.open.length, server.connections[0]!.lines.at(-1), pool.stats().connections.open], [
      0,
      "QUIT",
      0,
    ]);
    await sendTo(pool, "you");
    assertEquals(server.asked, 2);
  },
);

poolTest("SmtpPool closes a connection that is older than maxAge, however busy", {
  maxAge: 10_000,
  probeAfter: Infinity,
}, async (pool, server) => {
  for (let i = 0; i < 25; i++) {
    await sendTo(pool, `${i}`);
    await later(1_000);
  }
  assertEquals([server.asked, server.most, server.taken.length], [3, 1, 25]);
  assert(server.connections.slice(0, 2).every(({ lines }) => lines.at(-1) === "QUIT"));
});

poolTest("SmtpPool sends mails of a high priority first", { maxConnections: 1 }, async (pool, server) => {
  const all = ["low", "normal", "high"].flatMap((priority) =>
    [1, 2].map((i) => sendTo(pool, `${priority}${i}`, { priority: priority as "low" }))
  );
  await Promise.all(all);
  assertEquals(recipientsOf(server), ["high1", "high2", "normal1", "normal2", "low1", "low2"]);
}, []);

poolTest("SmtpPool takes the envelope as it is when send() is called", {}, async (pool, server) => {
  const to = ["one@mx.test"];
  const envelope = { from: "me@client.test", to };
  const first = pool.send(envelope, TEXT);
  to[0] = "two@mx.test";
  envelope.from = "her@client.test";
  await Promise.all([first, pool.send(envelope, TEXT)]);
  assertEquals(server.taken.map(({ from, to }) => [from, to[0]]), [
    ["me@client.test", "one@mx.test"],
    ["her@client.test", "two@mx.test"],
  ]);
});

poolTest("SmtpPool sends streams, functions, Blobs and Responses, each once", {}, async (pool, server) => {
  const envelope = { from: "me@client.test", to: "you@mx.test" };
  const messages = [
    new Blob([TEXT]).stream(),
    () => new Blob([TEXT]).stream(),
    new Blob([TEXT]),
    new Response(TEXT),
    (async function* () {
      yield TEXT;
    })(),
    new TextEncoder().encode(TEXT),
  ];
  for (const message of messages) await pool.send(envelope, message);
  assertEquals(server.taken.map(({ content }) => content.trimEnd()), messages.map(() => TEXT.trimEnd()));
  const used = new Blob([TEXT]).stream();
  used.getReader();
  const error = await assertRejects(() => pool.send(envelope, used), PoolError);
  assertEquals([error.code, error.outcome, error.tries.length], ["invalid-message", "not-sent", 0]);
});

test("SmtpPool refuses options that make no sense, before anything is opened", async () => {
  for (
    const [options, kind, message] of [
      [
        { maxConnections: 0 },
        RangeError,
        "Cannot make a pool: maxConnections must be a whole number from 1, the current value is 0",
      ],
      [{ maxQueue: 1.5 }, RangeError, "maxQueue must be a whole number from 1"],
      [{ idleTimeout: -1 }, RangeError, "idleTimeout must be a number of milliseconds from 0"],
      [{ maxAge: "1h" }, RangeError, "maxAge must be a number of milliseconds from 0"],
      [{ hosts: [] }, TypeError, "hosts must be a list of at least one server"],
      [{ hosts: [{ host: "a.test" }] }, TypeError, 'there is no option "hosts[0].host", use hostname'],
      [{ hosts: [{ hostname: "a.test" }], port: 25 }, TypeError, "port has no meaning with the option hosts"],
      [{ rateLimit: 5 }, TypeError, "rateLimit must be an object"],
      [
        { rateLimit: { messages: 0, interval: 1 } },
        RangeError,
        "rateLimit.messages must be a whole number from 1",
      ],
      [{ domainRateLimit: { messages: 1, interval: 0 } }, RangeError, "domainRateLimit.interval must be"],
      [{ retry: { attempts: 0 } }, RangeError, "retry.attempts must be a whole number from 1"],
      [{ retry: { refused: "yes" } }, TypeError, "retry.refused must be a boolean or a function"],
      [{ retryUnknown: 1 }, TypeError, "retryUnknown must be a boolean"],
      [{ socket: {} }, TypeError, "socket must be a function that opens one for each connection"],
      [{ maxMessages: 5 }, TypeError, 'there is no option "maxMessages", use maxMessagesPerConnection'],
      [{ rateDelta: 5 }, TypeError, 'there is no option "rateDelta", use rateLimit.interval'],
      [{ maxRequeues: 5 }, TypeError, 'there is no option "maxRequeues", use retry.attempts'],
      [{ host: "a.test" }, TypeError, 'there is no option "host", use hostname'],
      [{ security: "ssl" }, TypeError, "security must be one of"],
    ] as [SmtpPoolOptions, typeof TypeError, string][]
  ) {
    assertThrows(() => new SmtpPool(options), kind, message);
  }
  const pool = new SmtpPool({ hostname: "mx.test" });
  await assertRejects(
    () => sendTo(pool, "you", { priority: "urgent" as "high" }),
    TypeError,
    'priority must be "high", "normal" or "low"',
  );
  await assertRejects(
    () => sendTo(pool, "you", { timeout: 5 } as PoolSendOptions),
    TypeError,
    'there is no option "timeout"',
  );
  await assertRejects(
    () => pool.send({ from: "a", rcpt: "b" } as never, TEXT),
    TypeError,
    'there is no option "envelope.rcpt"',
  );
  assertEquals(pool.stats().queued, 0);
  await pool.close();
});

poolTest("SmtpPool gives up a mail whose signal is aborted: in the queue, on its way, and before", {
  maxConnections: 1,
}, async (pool, server) => {
  server.answer = (line) => line === "." ? "silence" : undefined;
  const controllers = [1, 2, 3].map(() => new AbortController());
  const source = new ReadableStream({ cancel: (reason) => void cancelled.push(reason) });
  const cancelled: unknown[] = [];
  const sends = [
    sendTo(pool, "1", { signal: controllers[0]!.signal }),
    sendTo(pool, "2", { signal: controllers[1]!.signal }),
    pool.send({ from: null, to: "3@mx.test" }, source, { signal: controllers[2]!.signal }),
  ].map((sent) => failure(sent));
  await turns();
  controllers[2]!.abort("enough");
  const queued = (await sends[2])!;
  assertEquals([queued.code, queued.outcome, queued.cause, queued.tries.length], [
    "aborted",
    "not-sent",
    "enough",
    0,
  ]);
  assertEquals([cancelled.length, pool.stats().queued], [1, 1]);
  controllers[0]!.abort();
  const first = (await sends[0])!;
  assertEquals([first.code, first.outcome, first.tries.length], ["aborted", "unknown", 1]);
  server.answer = () => undefined;
  assertEquals(await sends[1], undefined);
  await assertRejects(
    () => sendTo(pool, "4", { signal: AbortSignal.abort() }),
    PoolError,
    "aborted before it began",
  );
}, []);

poolTest(
  "SmtpPool.ready waits while maxQueue mails wait",
  { maxConnections: 1, maxQueue: 2 },
  async (pool, server) => {
    server.answer = (line) => line === "." ? "silence" : undefined;
    await pool.ready;
    const sends = [sendTo(pool, "1")];
    await turns(); // it is on its way
    sends.push(sendTo(pool, "2"));
    await pool.ready;
    sends.push(sendTo(pool, "3"), sendTo(pool, "4"));
    let isReady = false;
    void pool.ready.then(() => isReady = true);
    await turns();
    assertEquals([isReady, pool.stats().queued, pool.stats().inFlight], [false, 3, 1]);
    server.answer = () => undefined;
    server.connections[0]!.say("250 Ok");
    await pool.ready;
    await Promise.all(sends);
    assertEquals([server.taken.length, pool.stats().sent], [4, 4]);
  },
  [],
);

poolTest("SmtpPool.stats() counts connections and mails", { maxConnections: 2 }, async (pool, server) => {
  assertEquals(pool.stats().connections, { open: 0, idle: 0, opening: 0 });
  server.answer = (line) => line.startsWith("RCPT") && line.includes("no@") ? "550 No" : undefined;
  const sends = [sendTo(pool, "yes"), sendTo(pool, "no").catch(() => {}), sendTo(pool, "yes")];
  await Promise.resolve();
  await Promise.resolve();
  assertEquals([pool.stats().connections.opening, pool.stats().queued], [1, 3]);
  await Promise.all(sends);
  const { connections, queued, inFlight, sent, failed, retried, hosts } = pool.stats();
  assertEquals([connections.open, connections.idle, queued, inFlight, sent, failed, retried], [
    1,
    1,
    0,
    0,
    2,
    1,
    0,
  ]);
  assertEquals(hosts, [{
    host: "mx.test:587",
    state: "working",
    failures: 0,
    givenUp: false,
    retryAt: undefined,
    error: undefined,
  }]);
});

poolTest("SmtpPool.drain() waits for everything, and the pool goes on", {}, async (pool, server) => {
  await pool.drain();
  const sends = Array.from({ length: 20 }, (_, i) => sendTo(pool, `${i}`));
  await pool.drain();
  assertEquals([server.taken.length, pool.stats().queued], [20, 0]);
  await Promise.all(sends);
  await sendTo(pool, "more");
});

poolTest("SmtpPool.close() lets what is on its way end, and says of all others that they were not sent", {
  maxConnections: 1,
}, async (pool, server) => {
  server.answer = (line) => line === "." ? "silence" : undefined;
  const sends = Array.from(
    { length: 5 },
    (_, i) => sendTo(pool, `${i}`).then(() => "sent", (error) => error as PoolError),
  );
  await turns();
  const closed = pool.close();
  const [, second, ...others] = sends;
  for (const failed of [second!, ...others]) {
    const error = await failed as PoolError;
    assertEquals([error.code, error.outcome], ["client-closed", "not-sent"]);
  }
  server.connections[0]!.say("250 Ok");
  assertEquals(await sends[0], "sent");
  await closed;
  await pool.close();
  assertEquals([server.open.length, server.connections[0]!.lines.at(-1)], [0, "QUIT"]);
  const late = await assertRejects(() => sendTo(pool, "late"), PoolError, "The pool was closed");
  assertEquals(late.code, "client-closed");
  await assertRejects(() => pool.verify(), PoolError, "The pool was closed");
  await pool.ready;
}, []);

poolTest("SmtpPool.close() gives up connections that are being opened", {}, async (pool, server) => {
  server.swallows = true;
  const sent = assertRejects(() => sendTo(pool, "you"), PoolError, "The pool was closed");
  await turns();
  assertEquals(pool.stats().connections.opening, 1);
  await pool.close();
  await sent;
  assertEquals(pool.stats().connections, { open: 0, idle: 0, opening: 0 });
});

test("SmtpPool ends with await using only after everything was sent", () =>
  inTime(async () => {
    const server = new FakeServer();
    const sends: Promise<unknown>[] = [];
    {
      await using pool = poolOf({ "mx.test": server });
      for (let i = 0; i < 10; i++) sends.push(sendTo(pool, `${i}`));
    }
    assertEquals([server.taken.length, server.open.length], [10, 0]);
    await Promise.all(sends);
  }));

test("SmtpPool ends at once when its signal is aborted, and the outcome of each mail is true", () =>
  inTime(async () => {
    const server = new FakeServer();
    server.extensions = [];
    server.answer = (line) => line === "." ? "silence" : undefined;
    const controller = new AbortController();
    const pool = poolOf({ "mx.test": server }, { signal: controller.signal, maxConnections: 1 });
    const sends = [sendTo(pool, "1"), sendTo(pool, "2")].map((sent) => failure(sent));
    await turns();
    controller.abort("over");
    const errors = await Promise.all(sends);
    assertEquals(errors.map((error) => [error!.code, error!.outcome, error!.cause]), [
      ["aborted", "unknown", "over"],
      ["aborted", "not-sent", "over"],
    ]);
    await turns();
    assertEquals(server.open.length, 0);
    await assertRejects(() => sendTo(pool, "3"), PoolError, "The pool was aborted");
    await pool.close();
    await assertRejects(
      () => sendTo(poolOf({ "mx.test": server }, { signal: AbortSignal.abort() }), "4"),
      PoolError,
      "The pool was aborted",
    );
  }));

poolTest("SmtpPool sends no more messages in any interval than rateLimit allows, over all connections", {
  rateLimit: { messages: 5, interval: 1_000 },
  maxConnections: 3,
}, async (pool, server) => {
  await Promise.all(Array.from({ length: 23 }, (_, i) => sendTo(pool, `${i}`)));
  const times = server.taken.map(({ at }) => at);
  assertEquals(times.length, 23);
  for (let i = 5; i < times.length; i++) assert(times[i]! - times[i - 5]! >= 1_000);
  assert(times.at(-1)! - times[0]! < 5_000);
}, []);

poolTest("SmtpPool sends to each domain as fast as its rate allows, and to the others meanwhile", {
  domainRateLimit: (domain) => domain === "slow.test" ? { messages: 1, interval: 60_000 } : undefined,
}, async (pool, server) => {
  const send = (to: string | string[]) => pool.send({ from: null, to }, TEXT);
  const sends = [send("1@slow.test"), send("2@slow.test"), send(["3@slow.test", "3@fast.test"])];
  await Promise.all(Array.from({ length: 10 }, (_, i) => send(`${i}@fast.test`)));
  assertEquals([server.taken.length, pool.stats().queued], [11, 2]);
  await Promise.all(sends);
  const times = server.taken.filter(({ to }) => to[0]!.endsWith("slow.test")).map(({ at }) => at);
  assert(times[1]! - times[0]! >= 60_000 && times[2]! - times[1]! >= 60_000);
});

poolTest("SmtpPool rejects a mail whose domain's rate makes no sense", {
  domainRateLimit: () => ({ messages: 0, interval: 1 }),
}, async (pool) => {
  await assertRejects(
    () => sendTo(pool, "you"),
    RangeError,
    "what domainRateLimit() returns.messages must be",
  );
  assertEquals(pool.stats().queued, 0);
});

poolTest("SmtpPool rejects every mail if its credentials make no sense, and opens nothing", {
  auth: { user: "me" } as never,
}, async (pool, server) => {
  const sends = [1, 2].map((i) =>
    assertRejects(() => sendTo(pool, `${i}`), TypeError, "Cannot log in: auth must have one of")
  );
  await Promise.all(sends);
  assertEquals(server.asked, 0);
});

poolTest(
  "SmtpPool.verify() finds what a client finds, over a connection of its own",
  {},
  async (pool, server) => {
    const { extensions, authenticated, greeting } = await pool.verify();
    assertEquals([extensions.chunking, authenticated, greeting.code, server.open.length], [
      true,
      false,
      220,
      0,
    ]);
    server.unreachable = "connection-refused";
    const error = await assertRejects(() => pool.verify(), PoolError);
    assertEquals([error.code, error instanceof SmtpError, pool.stats().hosts[0]!.failures], [
      "connection-refused",
      true,
      1,
    ]);
    server.unreachable = undefined;
    await pool.verify();
    assertEquals(pool.stats().hosts[0]!.state, "working");
  },
);

poolTest("SmtpPool sends small bytes as they were when send() was called, and no bytes that are gone", {
  maxConnections: 1,
}, async (pool, server) => {
  const small = new TextEncoder().encode(TEXT);
  const large = new TextEncoder().encode("A: b\r\n\r\n" + "Hello\r\n".repeat(20_000));
  const sent = pool.send({ from: null, to: "1@mx.test" }, small);
  const gone = failure(pool.send({ from: null, to: "2@mx.test" }, large, { missingHeader: "allow" }));
  small.fill(0);
  structuredClone(large, { transfer: [large.buffer] });
  await sent;
  assertEquals([(await gone)!.code, server.taken.map(({ content }) => content)], ["invalid-message", [
    TEXT.trimEnd(),
  ]]);
}, []);

poolTest("SmtpPool.close() with force waits for no server, and the outcome of each mail is true", {
  maxConnections: 1,
}, async (pool, server) => {
  server.answer = (line) => line === "." || line === "QUIT" ? "silence" : undefined;
  const sends = ["1", "2"].map((name) => failure(sendTo(pool, name)));
  await turns();
  const since = performance.now();
  void pool.close(); // somebody has been patient before
  await pool.close({ force: true });
  assertEquals(performance.now(), since);
  assertEquals((await Promise.all(sends)).map((error) => [error!.code, error!.outcome]), [
    ["aborted", "unknown"],
    ["client-closed", "not-sent"],
  ]);
  await assertRejects(() => pool.close({ now: true } as never), TypeError, 'there is no option "now"');
}, []);
