/** What docs/coming-from-smtp-protocol.md says, shown. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Reply, SmtpChannel, SmtpClient, SmtpError } from "../../mod.ts";
import { serve, type ServeOptions, type ServerHandlers, serveSocket } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";

const AUTH = { user: "ada", pass: "open sesame" };

/** A server of ours, and where it listens. */
async function serving(
  options: ServeOptions,
  handlers: ServerHandlers,
  body: (at: { hostname: string; port: number }) => Promise<void>,
): Promise<void> {
  const server = serve({ serverName: "mx.test", onError: () => {}, ...options }, handlers);
  try {
    const { hostname, port } = await server.listening;
    await body({ hostname, port });
  } finally {
    await server.shutdown();
  }
}

/** A server of ours, and what it answers to lines. */
async function answers(handlers: ServerHandlers, ...lines: string[]): Promise<string[]> {
  const [near, far] = memorySocketPair();
  const served = serveSocket(far, { serverName: "mx.test", onError: () => {} }, handlers);
  const replies: string[] = [];
  const channel = await SmtpChannel.open(near);
  for (const line of ["", ...lines]) {
    if (line !== "") await channel.write(`${line}\r\n`);
    if (line.startsWith(">")) continue;
    replies.push((await channel.replies.next()).value!.toString());
  }
  await channel.close();
  await served;
  return replies;
}

/** The content of a message. */
const textOf = (content: ReadableStream<Uint8Array>) =>
  new Response(content as ReadableStream<Uint8Array<ArrayBuffer>>).text();

test("smtp-protocol: connect()", async () => {
  const { socket, done } = replay("S: 220-mx.test\nS: 220 ESMTP\nC: QUIT\nS: 221 Bye");
  const client = await SmtpClient.open({ socket });
  assertEquals([client.greeting.code, client.greeting.lines], [220, ["mx.test", "ESMTP"]]);
  await client.quit();
  await done;
});

test("smtp-protocol: host and port", () =>
  serving({}, {}, async ({ hostname, port }) => {
    const client = await SmtpClient.open({ hostname, port });
    await client.quit();
    await rejectsWith("connection-refused", () =>
      SmtpClient.open({ path: "/does/not/exist.sock", security: "none" }));
  }));

test("smtp-protocol: tls and secure", async () => {
  const { authority, good } = await certificates();
  await serving({ security: "tls", tls: good }, {}, async (at) => {
    const options = { ...at, security: "tls" } as const;
    await rejectsWith("certificate-untrusted", () => SmtpClient.open(options));
    const client = await SmtpClient.open({ ...options, tls: { caCerts: [authority.cert] } });
    assertEquals(client.secure, true);
    await client.quit();
    // Whoever wants to judge for himself lets every certificate in, looks at it, and closes.
    const judged = await SmtpClient.open({ ...options, tls: { verify: false, peerCertificate: true } });
    assert(judged.info.tls!.peerCertificate!.length > 100);
    await judged.close();
  });
});

test("smtp-protocol: helo() and ehlo()", async () => {
  const { socket, done } = replay(`
    S: 220 mx.test
    C: HELO client.test
    S: 250 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 SIZE 1000
    C: QUIT
    S: 221 Bye`);
  const client = await SmtpClient.open({ socket });
  await client.helo("client.test");
  await client.ehlo("client.test");
  assertEquals(client.extensions.size, 1000);
  await client.quit();
  await done;
});

test("smtp-protocol: startTLS()", async () => {
  const { socket, done } = replay(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 Go
    S! tls
    C: EHLO client.test
    S: 250 mx.test
    C: QUIT
    S: 221 Bye`);
  const client = await SmtpClient.open({ socket, clientName: "client.test" });
  await client.ehlo();
  await client.startTls({ serverName: "mx.test" });
  assertEquals(client.secure, true);
  await client.quit();
  await done;
});

test("smtp-protocol: login()", async () => {
  const { socket, done } = replay(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 AUTH LOGIN PLAIN
    C: AUTH LOGIN
    S: 334 ${btoa("Username:")}
    C: ${btoa("ada")}
    S: 334 ${btoa("Password:")}
    C: ${btoa("open sesame")}
    S: 235 Welcome
    C: QUIT
    S: 221 Bye`);
  const client = await SmtpClient.open({ socket, clientName: "client.test", security: "none" });
  await client.ehlo();
  assertEquals(await client.authenticate({ ...AUTH, mechanisms: ["LOGIN"] }), "LOGIN");
  await client.quit();
  await done;
});

test("smtp-protocol: from(), to(), data() and message()", async () => {
  const { socket, done } = replay(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 SIZE 1000
    C: MAIL FROM:<me@example.com> X-FOO=bar
    S: 250 2.1.0 Ok
    C: RCPT TO:<you@example.org> X-BAR
    S: 250 2.1.5 Ok
    C: DATA
    S: 354 Go ahead
    C: ..hidden
    C: .
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 Bye`);
  const client = await SmtpClient.open({ socket, clientName: "client.test" });
  await client.ehlo();
  await client.mail("me@example.com", { parameters: { "X-FOO": "bar" } });
  const reply = await client.rcpt({ address: "you@example.org", parameters: { "X-BAR": true } });
  assertEquals([reply.code, reply.lines], [250, ["2.1.5 Ok"]]);
  const message = await client.data();
  await new Blob([".hidden\n"]).stream().pipeTo(message);
  assertEquals((await message.receipt).reply.code, 250);
  await client.quit();
  await done;
});

test("smtp-protocol: reset(), verify() and quit()", async () => {
  const { socket, done } = replay(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250 mx.test
    C: VRFY ada
    S: 250 Ada <ada@example.org>
    C: RSET
    S: 250 Ok
    C: QUIT
    S: 221 Bye`);
  const client = await SmtpClient.open({ socket, clientName: "client.test" });
  await client.ehlo();
  const { reply, addresses } = await client.vrfy("ada");
  assertEquals([reply.code, addresses.map(({ address }) => address)], [250, ["ada@example.org"]]);
  await client.reset();
  await client.quit();
  await done;
});

test("smtp-protocol: errors", async () => {
  const { socket } = replay("S: 220 mx.test\nC: NOOP\nS! close");
  const client = await SmtpClient.open({ socket });
  const error = await assertRejects(() => client.noop(), SmtpError);
  assertEquals(error.code, "connection-lost");
  // A negative reply is an error too, with the reply in it.
  const refused = await SmtpClient.open({
    socket: replay("S: 220 mx.test\nC: NOOP\nS: 500-No\nS: 500 way").socket,
  });
  const { reply } = await assertRejects(() => refused.noop(), SmtpError);
  assertEquals([reply?.code, reply?.lines], [500, ["No", "way"]]);
  await refused.close();
});

test("smtp-protocol: createServer()", async () => {
  const taken: string[] = [];
  await serving({}, {
    rcpt({ address }) {
      if (!address.endsWith("@localhost")) throw new Reply(550, "Not here");
    },
    message: async (content, { envelope }) => {
      taken.push(`${envelope.from} ${envelope.to} ${await textOf(content)}`);
    },
  }, async (at) => {
    const client = await SmtpClient.connect(at);
    await client.send({ from: "beep@localhost", to: ["boop@localhost", "no@example.org"] }, "Beep");
    await client.quit();
  });
  assertEquals(taken, ["beep@localhost boop@localhost Beep\r\n"]);
});

test("smtp-protocol: protocol", async () => {
  const [near, far] = memorySocketPair();
  const served = serveSocket(far, { serverName: "mx.test" });
  const client = await SmtpClient.connect({ socket: near });
  await client.quit();
  await served;
});

test("smtp-protocol: domain", async () => {
  const [greeting, hello] = await answers({}, "EHLO client.test");
  assert(greeting!.startsWith("220 mx.test "));
  assert(hello!.startsWith("250-mx.test"));
});

test("smtp-protocol: the greeting and its answers", async () => {
  const names: string[] = [];
  const replies = await answers(
    {
      greet(name, session) {
        names.push(`${name} ${session.clientName} ${session.esmtp}`);
        return name === "spam.test" ? new Reply(550, "Go away") : undefined;
      },
    },
    "HELO spam.test",
    "EHLO client.test",
  );
  assertEquals(names.map((name) => name.split(" ")[0]), ["spam.test", "client.test"]);
  assertEquals(replies.map((reply) => reply.slice(0, 3)), ["220", "550", "250"]);
});

test("smtp-protocol: requests", async () => {
  const seen: unknown[] = [];
  const [, , , , data, end] = await answers(
    {
      mail: ({ address, parameters }, session) =>
        void seen.push([address, parameters, session.esmtp, session.clientName, session.remoteAddress]),
      rcpt: ({ address, parameters }) => void seen.push([address, parameters]),
      async message(content, { envelope }) {
        seen.push([envelope.from, envelope.to, await textOf(content)]);
        return new Reply(250, "Taken", { enhancedCode: "2.6.0" }); // `received`
      },
    },
    "EHLO client.test",
    "MAIL FROM:<a@b.test> SIZE=9",
    "RCPT TO:<c@d.test>",
    "DATA",
    ">Hello",
    ".",
  );
  assertEquals(seen, [
    ["a@b.test", { SIZE: "9" }, true, "client.test", "memory"],
    ["c@d.test", {}],
    ["a@b.test", ["c@d.test"], ">Hello\r\n"],
  ]);
  assertEquals([data?.slice(0, 3), end], ["354", "250 2.6.0 Taken"]);
});

test("smtp-protocol: accept and reject", async () => {
  const replies = await answers(
    {
      mail: () => new Reply(250, "Welcome back", { enhancedCode: "2.1.0" }),
      rcpt: ({ address }) => {
        if (address !== "you@mx.test") throw new Reply(550, "Nobody", { enhancedCode: "5.1.1" });
      },
    },
    "EHLO client.test",
    "MAIL FROM:<>",
    "RCPT TO:<no@mx.test>",
    "RCPT TO:<you@mx.test>",
  );
  assertEquals(replies.slice(2).map((reply) => reply.slice(0, 9)), ["250 2.1.0", "550 5.1.1", "250 2.1.5"]);
});

test("smtp-protocol: abort", async () => {
  const replies = await answers(
    {
      async message(content) {
        for await (const _ of content) throw new Reply(554, "Not this", { enhancedCode: "5.6.0" });
      },
    },
    "EHLO client.test",
    "MAIL FROM:<>",
    "RCPT TO:<you@mx.test>",
    "DATA",
    ">Hello",
    ".",
  );
  assertEquals(replies.at(-1), "554 5.6.0 Not this");
});

test("smtp-protocol: aborted", async () => {
  const [near, far] = memorySocketPair();
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const served = serveSocket(far, { onError: () => {} }, {
    message: (content) => void textOf(content).catch(resolve),
  });
  const channel = await SmtpChannel.open(near);
  for (const line of ["", "EHLO client.test", "MAIL FROM:<>", "RCPT TO:<you@mx.test>", "DATA"]) {
    if (line !== "") await channel.command(line);
    await channel.replies.next();
  }
  await channel.write("Hel");
  await channel.close();
  // A message that is not whole is not taken for one.
  assert(await promise instanceof Error);
  await served;
});

test("smtp-protocol: reset and quit", async () => {
  const seen: string[] = [];
  await answers(
    { reset: () => void seen.push("reset"), close: () => void seen.push("close") },
    "EHLO client.test",
    "MAIL FROM:<>",
    "RSET",
    "QUIT",
  );
  assertEquals(seen, ["reset", "close"]);
});

test("smtp-protocol: TLS of the server", async () => {
  const { authority, good } = await certificates();
  const seen: boolean[] = [];
  await serving({ tls: good }, { greet: (_, { secure }) => void seen.push(secure) }, async (at) => {
    const tls = { caCerts: [authority.cert] };
    const client = await SmtpClient.connect({ ...at, security: "starttls", tls });
    await client.quit();
  });
  assertEquals(seen, [false, true]); // a client greets anew behind STARTTLS
});

test("smtp-protocol: errors of the server", async () => {
  const [near, far] = memorySocketPair();
  const errors: unknown[] = [];
  const failure = new Error("The disk is full");
  const served = serveSocket(far, { onError: (error) => errors.push(error) }, {
    mail: () => Promise.reject(failure),
  });
  const client = await SmtpClient.connect({ socket: near });
  const { reply } = await assertRejects(() => client.mail(null), SmtpError);
  await client.quit();
  await served;
  assertEquals([reply?.code, errors], [451, [failure]]); // the client is told nothing of it
});

test("smtp-protocol: other commands", async () => {
  const replies = await answers({}, "EHLO client.test", "X-FOO bar", "NOOP", "HELP");
  assertEquals(replies.slice(2, 4).map((reply) => reply.slice(0, 3)), ["500", "250"]);
});
