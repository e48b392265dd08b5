/** Connections that were closed, or forgotten, while nobody used them: the next mail costs a reconnect, and no error. */
import { assertEquals } from "@std/assert";
import { failure, poolTest, sendTo } from "./pools.ts";
import { later, turns } from "./time.ts";

const LEAVES = {
  "with FIN": (connection: { close(): void }) => connection.close(),
  "with RST": (connection: { cut(): void }) => connection.cut(),
  "with 421": (connection: { say(reply: string): void }) => connection.say("421 4.4.2 Idle for too long"),
} as const;

for (const [how, leave] of Object.entries(LEAVES)) {
  poolTest(`SmtpPool reconnects after the server has left ${how} while idle`, {}, async (pool, server) => {
    for (let i = 0; i < 3; i++) {
      const receipt = await sendTo(pool, `${i}`);
      assertEquals(receipt.tries.length, 1);
      await later(1_000);
      leave(server.open[0] as never);
      await turns();
    }
    assertEquals([server.asked, server.taken.length, pool.stats().hosts[0]!.failures], [3, 3, 0]);
  });

  poolTest(
    `SmtpPool reconnects if the server leaves ${how} in the turn of send(), after it was idle`,
    {},
    async (pool, server) => {
      await sendTo(pool, "1");
      await later(1_000);
      leave(server.open[0] as never);
      const receipt = await sendTo(pool, "2"); // the program was too busy to see it
      assertEquals([receipt.tries.length, server.asked, server.taken.length], [1, 2, 2]);
    },
  );
}

poolTest(
  "SmtpPool asks an idle connection with NOOP before it gets a mail, and reconnects if it is half open",
  {},
  async (pool, server) => {
    await sendTo(pool, "1");
    await later(9_000);
    await sendTo(pool, "2");
    await later(11_000);
    server.answer = (_, { number }) => number === 0 ? "silence" : undefined;
    const since = performance.now();
    const receipt = await sendTo(pool, "3");
    assertEquals([receipt.tries.length, server.asked, performance.now() - since < 6_000], [1, 2, true]);
    assertEquals(server.connections[0]!.lines.filter((line) => line === "NOOP").length, 1);
    assertEquals(server.connections[0]!.lines.at(-1), "NOOP"); // no mail went where nobody may have listened
  },
);

poolTest(
  "SmtpPool asks only connections that were idle for probeAfter",
  { probeAfter: Infinity },
  async (pool, server) => {
    await sendTo(pool, "1");
    await later(50_000);
    await sendTo(pool, "2");
    assertEquals([server.asked, server.connections[0]!.lines.includes("NOOP")], [1, false]);
  },
);

poolTest("SmtpPool goes on with a server that refuses NOOP", { probeAfter: 0 }, async (pool, server) => {
  server.answer = (line) => line === "NOOP" ? "502 What?" : undefined;
  for (let i = 0; i < 3; i++) await sendTo(pool, `${i}`);
  assertEquals([server.asked, server.taken.length], [1, 3]);
});

poolTest("SmtpPool does not look at more idle connections than its mails need", {
  maxInFlight: 1,
  maxConnections: 4,
}, async (pool, server) => {
  await Promise.all(Array.from({ length: 8 }, (_, i) => sendTo(pool, `${i}`)));
  await later(20_000);
  await sendTo(pool, "1");
  const asked = server.connections.filter(({ lines }) => lines.includes("NOOP"));
  assertEquals([server.asked, asked.length], [4, 1]);
});

for (const hours of [1, -1]) {
  poolTest(`SmtpPool stands a clock that jumps by ${hours} hour`, {}, async (pool, server) => {
    const { now } = Date;
    try {
      await sendTo(pool, "1");
      Date.now = () => now() + hours * 3_600_000;
      server.answer = (line, { number }) => number === 0 && !line.startsWith("QUIT") ? "silence" : undefined;
      if (hours < 0) server.answer = () => undefined;
      const receipt = await sendTo(pool, "2");
      assertEquals([receipt.tries.length, server.taken.length], [1, 2]);
      // Forward it may have been a sleep, in which the connection was forgotten; backward it means nothing.
      assertEquals(server.asked, hours > 0 ? 2 : 1);
    } finally {
      Date.now = now;
    }
  });
}

poolTest("SmtpPool stands a monotonic clock that jumps by an hour, with rates and a wait", {
  rateLimit: { messages: 1, interval: 10_000 },
  retry: { delay: 1_000 },
}, async (pool, server) => {
  const before = Object.getOwnPropertyDescriptor(performance, "now")!;
  const { value } = before;
  try {
    const sends = [1, 2, 3].map((i) => sendTo(pool, `${i}`));
    await turns();
    Object.defineProperty(performance, "now", { value: () => value() + 3_600_000, configurable: true });
    await Promise.all(sends);
    assertEquals([server.taken.length, await failure(sendTo(pool, "4"))], [3, undefined]);
  } finally {
    Object.defineProperty(performance, "now", before);
  }
});
