/** Servers that fail, one or all of them, and come back. */
import { assert, assertEquals } from "@std/assert";
import { backOff } from "../../src/pool/hosts.ts";
import { test } from "../support/harness.ts";
import { failure, hostsTest, poolTest, recipientsOf, sendTo } from "./pools.ts";
import { later, turns } from "./time.ts";

test("backOff() doubles up to a limit, from half to all of it", () => {
  for (const [failures, longest] of [[1, 100], [2, 200], [5, 1_600], [60, 5_000]] as const) {
    const waits = Array.from({ length: 200 }, () => backOff(100, failures, 5_000));
    assert(waits.every((wait) => wait >= longest / 2 && wait <= longest));
    assert(new Set(waits).size > 100);
  }
});

poolTest(
  "SmtpPool waits ever longer between tries of a server that refuses connections, and mails wait with it",
  {},
  async (pool, server) => {
    server.unreachable = "connection-refused";
    const times: number[] = [];
    const sends = [1, 2, 3].map((i) => sendTo(pool, `${i}`));
    while (server.asked < 4) {
      const { asked } = server;
      while (server.asked === asked) await later(10);
      times.push(performance.now());
    }
    assert(times[2]! - times[1]! >= 990 && times[3]! - times[2]! >= 1_990);
    const { state, failures, retryAt, givenUp } = pool.stats().hosts[0]!;
    assertEquals([state, failures, givenUp, retryAt instanceof Date], ["waiting", 4, false, true]);
    server.unreachable = undefined;
    const receipts = await Promise.all(sends);
    assertEquals(receipts[0]!.tries.map(({ outcome, error }) => [outcome, error?.code]), [
      ...Array.from({ length: 4 }, () => ["not-sent", "connection-refused"]),
      ["accepted", undefined],
    ]);
    assertEquals([server.most, pool.stats().hosts[0]!.state], [1, "working"]);
  },
);

poolTest("SmtpPool gives up a server after so many tries, says when it tries again, and does", {
  retry: { attempts: 3 },
}, async (pool, server) => {
  server.unreachable = "timed-out";
  const errors = await Promise.all([1, 2].map((i) => failure(sendTo(pool, `${i}`))));
  for (const error of errors) {
    assertEquals([error!.code, error!.outcome, error!.temporary, error!.tries.length], [
      "timed-out",
      "not-sent",
      true,
      3,
    ]);
    assert(error!.retryAt!.getTime() > Date.now() && error!.message.includes(error!.retryAt!.toISOString()));
  }
  assertEquals([server.asked, pool.stats().hosts[0]!.givenUp], [3, true]);
  // Until then nobody asks it.
  const quick = await failure(sendTo(pool, "3"));
  assertEquals([quick!.code, quick!.tries.length, server.asked], ["timed-out", 0, 3]);
  await later(5_000);
  const tried = await failure(sendTo(pool, "4"));
  assertEquals([tried!.tries.length, server.asked], [1, 4]);
  await later(10_000);
  server.unreachable = undefined;
  await sendTo(pool, "5");
  assertEquals([recipientsOf(server), pool.stats().hosts[0]!.state], [["5"], "working"]);
});

for (const greeting of ["421 4.3.2 Too busy", "450 4.3.2 Not now"]) {
  poolTest(
    `SmtpPool backs off from a server that greets with ${greeting.slice(0, 3)}`,
    {},
    async (pool, server) => {
      server.greeting = greeting;
      const sent = sendTo(pool, "you");
      await later(5_000);
      const { asked } = server;
      assert(asked >= 2 && asked <= 4, `${asked}`);
      server.greeting = "220 mx.test";
      const { tries } = await sent;
      assertEquals([tries[0]!.error!.code, tries[0]!.reply!.code], [
        "service-unavailable",
        Number(greeting.slice(0, 3)),
      ]);
    },
  );
}

poolTest("SmtpPool never logs in again and again with credentials that are refused", {
  auth: { user: "me", pass: "wrong-enough", mechanisms: ["PLAIN"] },
  maxConnections: 10,
}, async (pool, server) => {
  server.extensions = ["AUTH PLAIN"];
  let logins = 0;
  server.answer = (line) => line.startsWith("AUTH") ? (logins++, "535 5.7.8 Wrong") : undefined;
  const errors = await Promise.all(Array.from({ length: 50 }, (_, i) => failure(sendTo(pool, `${i}`))));
  assert(
    errors.every((error) =>
      error!.code === "auth-failed" && !error!.temporary && error!.outcome === "not-sent"
    ),
  );
  assertEquals(logins, 1);
  // The mechanisms that were tried are where they are for a client, in the error of the try.
  assertEquals(errors[0]!.tries[0]!.error!.attempts.map(({ mechanism }) => mechanism), ["PLAIN"]);
  // For ten minutes somebody sends once a second.
  for (let second = 0; second < 600; second++) {
    await later(1_000);
    await failure(sendTo(pool, "you"));
  }
  assert(logins >= 3 && logins <= 6, `${logins} logins`);
  server.answer = () => undefined;
  await pool.verify(); // the password was changed on the server, and somebody says so
  await sendTo(pool, "atlast");
});

poolTest("SmtpPool waits with a login that is refused for now", {
  auth: { user: "me", pass: "right-enough", mechanisms: ["PLAIN"] },
}, async (pool, server) => {
  server.extensions = ["AUTH PLAIN", "PIPELINING"];
  let logins = 0;
  server.answer = (line) =>
    line.startsWith("AUTH") && logins++ < 2 ? "454 4.7.0 Temporary authentication failure" : undefined;
  const { tries } = await sendTo(pool, "you");
  assertEquals([tries.length, logins], [3, 3]);
});

poolTest(
  "SmtpPool does not take a server's limit of connections for a failure",
  { maxConnections: 5 },
  async (pool, server) => {
    server.extensions = [];
    const { connect } = server;
    server.connect = function (this: typeof server, signal) {
      this.greeting = this.open.length >= 2 ? "421 4.7.0 Too many connections" : "220 mx.test";
      return connect.call(this, signal);
    };
    await Promise.all(Array.from({ length: 40 }, (_, i) => sendTo(pool, `${i}`)));
    assertEquals([server.taken.length, pool.stats().failed, pool.stats().hosts[0]!.failures], [40, 0, 0]);
    assert(server.asked <= 5, `${server.asked} connections`);
  },
);

poolTest("SmtpPool opens one connection to a server that was restarted, and the others once that one works", {
  maxConnections: 5,
  maxInFlight: 1,
}, async (pool, server) => {
  await Promise.all(Array.from({ length: 20 }, (_, i) => sendTo(pool, `${i}`)));
  assertEquals(server.asked, 5);
  for (const connection of server.open) connection.cut();
  await turns();
  server.unreachable = "connection-refused";
  const sends = Array.from({ length: 20 }, (_, i) => sendTo(pool, `${i}`));
  await later(2_500);
  assert(server.asked - 5 <= 4, "no thundering herd");
  server.unreachable = undefined;
  await Promise.all(sends);
  assertEquals([server.taken.length, server.open.length], [40, 5]);
});

hostsTest(
  "SmtpPool sends to the next server while the first one fails, and back as soon as it works",
  {},
  async (pool, a, b) => {
    a.unreachable = "connection-refused";
    const first = await sendTo(pool, "1");
    assertEquals(first.tries.map(({ host, outcome }) => [host, outcome]), [["a.test:587", "not-sent"], [
      "b.test:587",
      "accepted",
    ]]);
    const since = performance.now();
    await sendTo(pool, "2");
    assertEquals(performance.now() - since < 100, true);
    a.unreachable = undefined;
    await later(2_000);
    await sendTo(pool, "3"); // on its own or another's time, a is tried with one connection
    await turns();
    for (const name of ["4", "5"]) await sendTo(pool, name);
    await later(1_000);
    assertEquals(b.open.length, 0);
    await sendTo(pool, "6");
    assertEquals(recipientsOf(a).slice(-1), ["6"]);
    assertEquals([
      pool.stats().hosts.map(({ state }) => state),
      [...recipientsOf(a), ...recipientsOf(b)].sort(),
    ], [
      ["working", "working"],
      ["1", "2", "3", "4", "5", "6"],
    ]);
  },
);

hostsTest(
  "SmtpPool sends to the next server what the first one lost, but nothing that it may have taken",
  {},
  async (pool, a, b) => {
    a.answer = (line) => line.startsWith("MAIL") ? "cut" : undefined;
    const receipts = await Promise.all(
      ["1", "2", "3"].map((name) => sendTo(pool, name).catch((error) => error)),
    );
    // All of it had left when the connection was cut: nobody can know.
    assertEquals(receipts.map(({ outcome }) => outcome), ["unknown", "unknown", "unknown"]);
    a.answer = (line) => line.startsWith("MAIL") ? "421 Going down" : undefined;
    a.unreachable = undefined;
    await later(5_000);
    const sent = await sendTo(pool, "4");
    assertEquals(sent.tries.at(-1)!.host, "b.test:587");
    assertEquals(b.taken.length, 1);
  },
);

hostsTest("SmtpPool does not wait long for a better server that does not answer", {}, async (pool, a, b) => {
  a.swallows = true;
  const since = performance.now();
  const { tries } = await sendTo(pool, "you");
  assertEquals([tries.at(-1)!.host, b.taken.length], ["b.test:587", 1]);
  assert(performance.now() - since < 6_000);
});

hostsTest(
  "SmtpPool gives mails up only if all servers are given up",
  { retry: { attempts: 2 } },
  async (pool, a, b) => {
    a.unreachable = "host-not-found"; // does not pass by itself
    b.unreachable = "connection-refused";
    const error = await failure(sendTo(pool, "you"));
    assertEquals(error!.code, "host-not-found"); // the best one's
    const tried = error!.tries.map(({ host }) => host);
    assertEquals(tried.filter((host) => host === "b.test:587").length, 2);
    assertEquals(pool.stats().hosts.map(({ givenUp }) => givenUp), [true, true]);
  },
);

hostsTest("SmtpPool has credentials and TLS for each host where they differ", {
  hosts: [{ hostname: "a.test", auth: { user: "a", pass: "secret-a", mechanisms: ["PLAIN"] } }, {
    hostname: "b.test",
  }],
  auth: { user: "b", pass: "secret-b", mechanisms: ["PLAIN"] },
}, async (pool, a, b) => {
  a.extensions = b.extensions = ["AUTH PLAIN"];
  await sendTo(pool, "1");
  a.unreachable = "connection-refused";
  a.open[0]!.close();
  await turns();
  await sendTo(pool, "2");
  const login = (lines: string[]) => atob(lines.find((line) => line.startsWith("AUTH"))!.split(" ")[2]!);
  assertEquals([login(a.connections[0]!.lines), login(b.connections[0]!.lines)], [
    "\0a\0secret-a",
    "\0b\0secret-b",
  ]);
});

poolTest(
  "SmtpPool gives a server up at once that cannot be used at all, and asks again soon",
  {},
  async (pool, server) => {
    server.unreachable = "certificate-expired";
    const error = (await failure(sendTo(pool, "1")))!;
    assertEquals([error.code, error.temporary, error.tries.length], ["certificate-expired", false, 1]);
    assert(error.retryAt!.getTime() - Date.now() <= 1_000);
    await later(1_000);
    server.unreachable = undefined; // somebody has renewed it
    await sendTo(pool, "2");
  },
);

poolTest(
  "SmtpPool waits for a name that had an address before, and not for one that never had",
  {},
  async (pool, server) => {
    server.unreachable = "host-not-found";
    assertEquals((await failure(sendTo(pool, "1")))!.tries.length, 1);
    server.unreachable = undefined;
    await later(1_000);
    await sendTo(pool, "2");
    server.open[0]!.close();
    await turns();
    server.unreachable = "host-not-found";
    void later(5_000).then(() => server.unreachable = undefined);
    assert((await sendTo(pool, "3")).tries.length > 1);
  },
);
