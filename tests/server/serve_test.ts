import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { toText } from "@std/streams";
import {
  serve,
  type ServeOptions,
  type ServerHandlers,
  type ServerSession,
  serveSocket,
  type TlsInfo,
} from "../../src/server/mod.ts";
import { connect, memorySocketPair, SocketError } from "../../src/sockets/mod.ts";
import { createAuthority } from "../support/certificates.ts";
import { test } from "../support/harness.ts";
import { Peer } from "./transcript.ts";

const authority = await createAuthority();
const tls = await authority.issue();
const trust = { caCerts: [authority.cert], serverName: "localhost" };

async function connectTo(
  server: { listening: Promise<{ port: number; path: string | undefined }> },
  secureTransport: "on" | "off" | "starttls" = "off",
): Promise<Peer> {
  const { port, path } = await server.listening;
  const address = path === undefined ? { hostname: "127.0.0.1", port } : { path };
  const socket = connect(address, {
    secureTransport,
    ...(secureTransport === "on" && { tls: trust }),
    allowHalfOpen: true,
  });
  await socket.opened;
  return new Peer(socket);
}

async function sendMail(peer: Peer, content = "Hello\r\n"): Promise<string> {
  await peer.ask("MAIL FROM:<a@example.com>");
  await peer.ask("RCPT TO:<b@example.org>");
  await peer.ask("DATA");
  return await peer.ask(content + ".");
}

test("serve() takes the authorities of client certificates as one text", async () => {
  const other = await createAuthority("Another CA"); // Bun goes by the name
  await using server = serve({
    hostname: "127.0.0.1",
    security: "tls",
    tls: { ...tls, caCerts: `${other.cert}\n${authority.cert}` },
  }, {});
  const { cert, key } = await authority.issue({ names: ["client.test"], usage: "client" });
  const { port } = await server.listening as { port: number };
  const address = { hostname: "127.0.0.1", port };
  const peer = new Peer(connect(address, { secureTransport: "on", tls: { ...trust, cert, key } }));
  assertEquals(await peer.reply(), "220 localhost ESMTP");
  await peer.close();
});

test("serve() takes mail over TCP, in the clear, after STARTTLS and under TLS", async () => {
  for (const security of ["none", "starttls", "tls"] as const) {
    const messages: string[] = [];
    let info: TlsInfo | undefined;
    let address: string | undefined;
    await using server = serve({ security, ...(security !== "none" && { tls }) }, {
      async message(content, session) {
        messages.push(await toText(content));
        info = session.tls;
        address = session.remoteAddress;
      },
    });
    const peer = await connectTo(
      server,
      ({ none: "off", starttls: "starttls", tls: "on" } as const)[security],
    );
    assertEquals(await peer.reply(), "220 localhost ESMTP");
    assertEquals((await peer.ask("EHLO client.test")).includes("STARTTLS"), security === "starttls");
    if (security === "starttls") {
      assertEquals(await peer.ask("STARTTLS"), "220 2.0.0 Ready to start TLS");
      await peer.startTls(trust);
      assert(!(await peer.ask("EHLO client.test")).includes("STARTTLS"));
    }
    assertEquals(await sendMail(peer), "250 2.0.0 Ok");
    assertEquals(await peer.ask("QUIT"), "221 2.0.0 Bye");
    assertEquals(await peer.reply(), "(end)");
    await peer.close();
    assertEquals(messages, ["Hello\r\n"]);
    assertMatch(address!, /^127\.0\.0\.1:\d+$/);
    if (security === "none") assertEquals(info, undefined);
    else {
      assertStringIncludes(info!.protocol!, "TLSv1.");
      assertEquals(info!.serverName, "localhost");
    }
  }
});

test("serve() carries large messages in pieces, both ways of TLS and none", async () => {
  const content = ("x".repeat(76) + "\r\n").repeat(20_000);
  for (const security of ["none", "tls"] as const) {
    let size = 0;
    await using server = serve({ security, ...(security === "tls" && { tls }) }, {
      async message(stream) {
        for await (const chunk of stream) size += chunk.length;
      },
    });
    const peer = await connectTo(server, security === "tls" ? "on" : "off");
    await peer.reply();
    await peer.ask("EHLO client.test");
    assertEquals(await sendMail(peer, content), "250 2.0.0 Ok");
    assertEquals(size, content.length);
    await peer.close();
  }
});

test("serve() hangs up when bytes follow STARTTLS", async () => {
  await using server = serve({ tls });
  const peer = await connectTo(server);
  await peer.reply();
  await peer.ask("EHLO client.test");
  assertEquals(await peer.ask("STARTTLS\r\nNOOP"), "554 5.5.1 Nothing may stand behind STARTTLS");
  assertEquals(await peer.reply(), "(end)");
  await peer.close();
});

test("serve() reports a TLS handshake that fails, and hangs up", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  await using server = serve({ tls, onError: resolve });
  const peer = await connectTo(server);
  await peer.reply();
  await peer.ask("EHLO client.test");
  await peer.ask("STARTTLS");
  await peer.say("EHLO client.test\r\n");
  const error = await promise;
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "tls-failed");
  await peer.close();
});

test("serve() answers a client that has ended its side after its last command", async () => {
  await using server = serve();
  const { port } = await server.listening;
  const socket = connect({ hostname: "127.0.0.1", port }, { allowHalfOpen: true });
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode("HELO client.test\r\nNOOP\r\n"));
  await writer.close();
  assertEquals(await toText(socket.readable), "220 localhost ESMTP\r\n250 localhost\r\n250 2.0.0 Ok\r\n");
  await socket.close();
});

test("serve() listens on a unix socket", async () => {
  const directory = await mkdtemp(join(tmpdir(), "smtp-"));
  const path = join(directory, "smtp.sock");
  try {
    await using server = serve({ path });
    assertEquals(await server.listening, { hostname: "", port: 0, path });
    const peer = await connectTo(server);
    assertEquals(await peer.reply(), "220 localhost ESMTP");
    assertEquals(await peer.ask("QUIT"), "221 2.0.0 Bye");
    await peer.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});

for (
  const [name, put] of Object.entries({
    file: writeFile,
    link: (path: string) => symlink("elsewhere", path),
  })
) {
  test(`serve() leaves alone what another process has put where its socket was: a ${name}`, async () => {
    const directory = await mkdtemp(join(tmpdir(), "smtp-"));
    const path = join(directory, "smtp.sock");
    try {
      const server = serve({ path });
      await server.listening;
      await rm(path);
      await put(path, "another's");
      await server.shutdown();
      assertEquals(await readdir(directory), ["smtp.sock"]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
}

test("serve() leaves the socket of the server that has taken over, and removes its own", async () => {
  const directory = await mkdtemp(join(tmpdir(), "smtp-"));
  const path = join(directory, "smtp.sock");
  try {
    const first = serve({ path, serverName: "first.test" });
    await first.listening;
    await rm(path);
    const second = serve({ path, serverName: "second.test" });
    await second.listening;
    await first.shutdown();
    const peer = await connectTo(second);
    assertEquals(await peer.reply(), "220 second.test ESMTP");
    await peer.close();
    await second.shutdown();
    assertEquals(await readdir(directory), []);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("serve() does not remove the socket that it finds, and one that was removed is no error", async () => {
  const directory = await mkdtemp(join(tmpdir(), "smtp-"));
  const path = join(directory, "smtp.sock");
  try {
    const first = serve({ path });
    await first.listening;
    const second = serve({ path, onError: () => {} });
    assertEquals((await assertRejects(() => second.listening, SocketError)).code, "address-in-use");
    await second.shutdown();
    assertEquals(await readdir(directory), ["smtp.sock"]);
    await rm(path);
    await first.shutdown();
    assertEquals(await readdir(directory), []);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("serve() tells where it listens once it does", async () => {
  let told: unknown;
  await using server = serve({ onListen: (address) => told = address });
  const address = await server.listening;
  assertEquals(server.addr, address);
  assertEquals(told, address);
  assertEquals(address.hostname, "127.0.0.1");
  assertEquals(address.path, undefined);
  assert(address.port > 0);
});

test("serve() does not know its address before it listens", async () => {
  await using server = serve();
  assertThrows(() => server.addr, Error, "the server does not listen yet");
});

for (
  const [name, code, message, options] of [
    ["its port is taken", "address-in-use", "another program listens there already", {}],
    ["its host name has no address", "host-not-found", "the host name has no address", {
      hostname: "does-not-exist.invalid",
    }],
    ["its address is another machine's", "unreachable", "this machine does not have the address", {
      hostname: "192.0.2.9",
    }],
    ["its socket's folder does not exist", "not-permitted", "the folder does not exist", {
      path: join(tmpdir(), "does-not-exist", "smtp.sock"),
    }],
  ] as const
) {
  test(`serve() rejects listening and finished with a SocketError when ${name}`, async () => {
    await using first = serve();
    const { port } = await first.listening;
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const server = serve({ onError, ...("path" in options ? {} : { port }), ...options });
    const error = await assertRejects(() => server.listening, SocketError);
    assertEquals(error.code, code, error.message);
    assertStringIncludes(error.message, "Cannot listen on ");
    assertStringIncludes(error.message, message);
    assertInstanceOf(error.cause, Error);
    assertEquals(await assertRejects(() => server.finished, SocketError), error);
    assertEquals(errors, [error]);
    await server.shutdown();
  });
}

if ("Deno" in globalThis) {
  test("serve() rejects with not-permitted where Deno does not permit it, for an address, a name and a path", async () => {
    const module = new URL("../../src/server/mod.ts", import.meta.url).href;
    const program = `
      import { serve } from ${JSON.stringify(module)};
      for (const where of [{ hostname: "127.0.0.1" }, { hostname: "localhost" }, { path: "./smtp.sock" }]) {
        const server = serve({ ...where, onError() {} });
        console.log(await server.listening.catch((error) => error.name + " " + error.code));
      }
    `;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", `data:text/typescript,${encodeURIComponent(program)}`],
    }).output();
    assertEquals(
      new TextDecoder().decode(stdout),
      "SocketError not-permitted\n".repeat(3),
      new TextDecoder().decode(stderr),
    );
  });
}

test("serve() leaves no rejection unhandled when it cannot listen and nobody asks, and onError throws nothing away", async () => {
  await using first = serve();
  const { port } = await first.listening;
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const second = serve({ port, onError: resolve });
  assertInstanceOf(await promise, SocketError);
  await second.shutdown();
});

test("serve() reports what onListen throws, and goes on", async () => {
  const errors: unknown[] = [];
  await using server = serve({
    onError: (error) => errors.push(error),
    onListen: () => {
      throw new Error("no");
    },
  });
  await server.listening;
  assertEquals(errors.map(String), ["Error: no"]);
  const peer = await connectTo(server);
  assertEquals(await peer.reply(), "220 localhost ESMTP");
  await peer.close();
});

test("serve() refuses options that are not valid before it listens", () => {
  const cases: [ServeOptions, ServerHandlers, string][] = [
    [
      { port: 65_536 },
      {},
      "Cannot serve: port must be a whole number from 0 to 65535, the current value is 65536",
    ],
    [{ security: "tls" }, {}, `Cannot serve: security "tls" needs a certificate in tls`],
    [
      { security: "ssl" as "tls" },
      {},
      `Cannot serve: security must be "tls", "starttls" or "none", the current value is "ssl"`,
    ],
    [{ tls: { cert: "x", key: "y" } }, {}, `tls.cert must be one or more certificates in PEM`],
    [{ tls: { ...tls, key: tls.cert } }, {}, `tls.key must be a private key in PEM`],
    [{ tls: { ...tls, caCerts: "ca.pem" } }, {}, "tls.caCerts must be one or more certificates in PEM"],
    [
      { tls: { ...tls, caCerts: [tls.cert, ""] } },
      {},
      "tls.caCerts[1] must be one or more certificates in PEM",
    ],
    [{ serverName: "mx\r\n.test" }, {}, "serverName must be a domain name or an address literal"],
    [{ requireAuth: true }, {}, `requireAuth needs the handler "auth"`],
    [{ maxMessageSize: -1 }, {}, "maxMessageSize must be a whole number from 1 up"],
    [{ maxConnectionsPerClient: 0 }, {}, "maxConnectionsPerClient must be a whole number from 1 up"],
    [{ maxRecipients: 0 }, {}, "maxRecipients must be"],
    [{ maxLineLength: 100 }, {}, "maxLineLength must be"],
    [{ timeouts: { command: NaN } }, {}, "timeouts.command must be"],
    [{ bareLineEnds: "maybe" as "allow" }, {}, `bareLineEnds must be "allow" or "reject"`],
    [{ protocol: "lmtp" as "smtp" }, {}, `protocol must be "smtp"`],
  ];
  for (const [options, handlers, message] of cases) {
    assertThrows(() => serve(options, handlers), Error, message);
  }
});

test("serve() turns away connections beyond the limit", async () => {
  await using server = serve({ maxConnections: 1 });
  const first = await connectTo(server);
  await first.reply();
  assertEquals(server.connections, 1);
  const second = await connectTo(server);
  assertEquals(await second.reply(), "421 4.7.0 Too many connections");
  assertEquals(await second.reply(), "(end)");
  await second.close();
  assertEquals(await first.ask("QUIT"), "221 2.0.0 Bye");
  await first.close();
});

for (const security of ["none", "starttls", "tls"] as const) {
  test(`serve() turns away a client that has taken its part of the connections (${security})`, async () => {
    await using server = serve({ security, maxConnections: 4, ...(security !== "none" && { tls }) });
    const address = { hostname: "127.0.0.1", port: (await server.listening).port };
    // With TLS they hold their places without a handshake.
    const idle = [connect(address), connect(address)];
    for (const socket of idle) await socket.opened;
    const third = new Peer(connect(address));
    if (security === "tls") {
      assertEquals(await third.hear(1).catch(() => ({ text: "" })), { text: "", writes: 0 });
    } else assertEquals(await third.reply(), "421 4.7.0 Too many connections");
    assertEquals(server.connections, 2);
    await third.close();
    for (const socket of idle) await socket.close();
  });
}

test("serve() serves as many connections of one client as maxConnectionsPerClient says, and gives places back", async () => {
  await using server = serve({ maxConnections: 10, maxConnectionsPerClient: 1 });
  for (let i = 0; i < 3; i++) {
    const peer = await connectTo(server);
    assertEquals(await peer.reply(), "220 localhost ESMTP");
    const other = await connectTo(server);
    assertEquals(await other.reply(), "421 4.7.0 Too many connections");
    await other.close();
    await peer.ask("QUIT");
    assertEquals(await peer.reply(), "(end)");
    await peer.close();
    while (server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
});

test("shutdown() ends idle sessions at once and the others after their transaction", async () => {
  await using server = serve();
  const idle = await connectTo(server);
  const busy = await connectTo(server);
  await idle.reply();
  await busy.reply();
  await busy.ask("EHLO client.test");
  await busy.ask("MAIL FROM:<a@example.com>");
  let over = false;
  const shutdown = server.shutdown().then(() => over = true);
  assertEquals(await idle.reply(), "421 4.3.2 Service is shutting down");
  assertEquals(await idle.reply(), "(end)");
  await idle.close();
  await busy.ask("RCPT TO:<b@example.org>");
  await busy.ask("DATA");
  assertEquals(over, false);
  assertEquals(await busy.ask("Hello\r\n."), "250 2.0.0 Ok");
  assertEquals(await busy.reply(), "421 4.3.2 Service is shutting down");
  assertEquals(await busy.reply(), "(end)");
  await busy.close();
  await shutdown;
  await server.finished;
  assertEquals(server.connections, 0);
});

/** Runs with a clock on which nothing takes longer than half a second: later timers never fire. */
async function withShortTimers(body: () => Promise<void>): Promise<void> {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((call: () => void, ms: number) => {
    const id = setTimeout(call, ms);
    if (ms > 500) clearTimeout(id);
    return id;
  }) as typeof setTimeout;
  try {
    await body();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
}

const HALF_OPEN: [name: string, lines: string[], last: string][] = [
  ["is idle", [], "421 4.3.2 Service is shutting down"],
  ["is idle after EHLO", ["EHLO client.test"], "421 4.3.2 Service is shutting down"],
  ["is in the middle of AUTH", ["EHLO client.test", "AUTH LOGIN"], "421 4.3.2 Service is shutting down"],
  ["has said QUIT", ["QUIT"], "(end)"],
];

for (const security of ["none", "starttls", "tls"] as const) {
  for (const [name, lines, last] of HALF_OPEN) {
    test(`shutdown() does not wait until a client hangs up that ${name} (${security})`, () =>
      withShortTimers(async () => {
        const errors: unknown[] = [];
        const onError = (error: unknown) => errors.push(error);
        const server = serve({
          security,
          allowInsecureAuth: true,
          onError,
          ...(security !== "none" && { tls }),
        }, {
          auth: () => true,
        });
        const peer = await connectTo(
          server,
          ({ none: "off", starttls: "starttls", tls: "on" } as const)[security],
        );
        await peer.reply();
        if (security === "starttls") {
          await peer.ask("EHLO client.test");
          await peer.ask("STARTTLS");
          await peer.startTls(trust); // the server may still be at it
        }
        for (const line of lines) await peer.ask(line);
        await server.shutdown();
        assertEquals(server.connections, 0);
        assertEquals(await peer.reply(), last);
        assertEquals(await peer.reply(), "(end)");
        await peer.close();
        assertEquals(errors, []);
      }));
  }
}

test("shutdown() does not wait until a client hangs up whose transaction has ended", () =>
  withShortTimers(async () => {
    await using server = serve();
    const peer = await connectTo(server);
    await peer.reply();
    await peer.ask("EHLO client.test");
    await peer.ask("MAIL FROM:<a@example.com>");
    const shutdown = server.shutdown();
    await peer.ask("RCPT TO:<b@example.org>");
    await peer.ask("DATA");
    await peer.say("Hello\r\n.\r\n");
    await shutdown;
    assertEquals(await peer.reply(), "250 2.0.0 Ok");
    assertEquals(await peer.reply(), "421 4.3.2 Service is shutting down");
    assertEquals(await peer.reply(), "(end)");
    await peer.close();
  }));

test("shutdown() cuts clients whose TLS handshake is not done", () =>
  withShortTimers(async () => {
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const immediate = serve({ tls, security: "tls", onError });
    const silent = await connectTo(immediate);
    const later = serve({ tls, onError });
    const started = await connectTo(later);
    await started.reply();
    await started.ask("EHLO client.test");
    await started.ask("STARTTLS");
    while (immediate.connections === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([immediate.shutdown(), later.shutdown()]);
    for (const peer of [silent, started]) {
      assertEquals(await peer.reply().catch(() => "(end)"), "(end)");
      await peer.close();
    }
    assertEquals(errors, []);
  }));

test("shutdown() lets a client read its 421 although it is still talking", () =>
  withShortTimers(async () => {
    const server = serve();
    const peer = await connectTo(server);
    await peer.reply();
    const shutdown = server.shutdown();
    for (let i = 0; i < 50; i++) await peer.say("NOOP\r\n".repeat(1000));
    await shutdown;
    assertEquals(await peer.reply(), "421 4.3.2 Service is shutting down");
    assertEquals(await peer.reply(), "(end)");
    await peer.close();
  }));

test("shutdown() cuts a transaction that takes too long, and its message is not whole", async () => {
  let failure: unknown;
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  await using server = serve({ timeouts: { shutdown: 0 } }, {
    async message(content) {
      start();
      await toText(content).catch((error) => failure = error);
    },
  });
  const peer = await connectTo(server);
  await peer.reply();
  await peer.ask("EHLO client.test");
  await peer.ask("MAIL FROM:<a@example.com>");
  await peer.ask("RCPT TO:<b@example.org>");
  await peer.ask("DATA");
  await peer.say("Hello\r\n");
  await started;
  await server.shutdown();
  assertStringIncludes(String(failure), "The connection ended before the end of the message");
  await peer.close();
});

for (
  const [name, lines] of [
    ["after MAIL", ["MAIL FROM:<a@example.com>"]],
    ["after RCPT", ["MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>"]],
    ["under DATA", ["MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"]],
  ] as const
) {
  for (const security of ["none", "tls"] as const) {
    test(`shutdown() tells a client that waits ${name} before it cuts it (${security})`, () =>
      withShortTimers(async () => {
        const errors: unknown[] = [];
        const accepted: string[] = [];
        const server = serve({
          security,
          timeouts: { shutdown: 20 },
          onError: (error) => errors.push(error),
          ...(security === "tls" && { tls }),
        }, {
          async message(content) {
            accepted.push(await toText(content));
          },
        });
        const peer = await connectTo(server, security === "tls" ? "on" : "off");
        await peer.reply();
        await peer.ask("EHLO client.test");
        for (const line of lines) await peer.ask(line);
        if (name === "under DATA") await peer.say("Subject: x\r\n");
        await server.shutdown();
        assertEquals(await peer.reply(), "421 4.3.2 Service is shutting down");
        assertEquals(await peer.reply(), "(end)");
        await peer.close();
        assertEquals(accepted, []);
        assertEquals(errors, []);
      }));
  }
}

test("shutdown() ends at its limit although a client does not stop talking in its transaction", () =>
  withShortTimers(async () => {
    const server = serve({ timeouts: { shutdown: 20 } });
    const peer = await connectTo(server);
    await peer.reply();
    await peer.ask("EHLO client.test");
    await peer.ask("MAIL FROM:<a@example.com>");
    const talking = setInterval(() => void peer.say("NOOP\r\n"), 10);
    await server.shutdown();
    clearInterval(talking);
    assertEquals(server.connections, 0);
    await peer.close();
  }));

test("serveSocket() ends at its limit although a client does not take its 421", () =>
  withShortTimers(async () => {
    const controller = new AbortController();
    const [client, socket] = memorySocketPair();
    const served = serveSocket(socket, { timeouts: { shutdown: 0 }, signal: controller.signal });
    const peer = new Peer(client);
    await peer.reply();
    await peer.ask("EHLO client.test");
    await peer.ask("MAIL FROM:<a@example.com>");
    controller.abort();
    await served;
    await peer.close();
  }));

const NEVER: Promise<never> = new Promise(() => {});
const HUNG: [name: string, handlers: ServerHandlers, lines: string[]][] = [
  ["connect", { connect: () => NEVER }, []],
  ["greet", { greet: () => NEVER }, ["EHLO client.test"]],
  ["rcpt", { rcpt: () => NEVER }, [
    "EHLO client.test",
    "MAIL FROM:<a@example.com>",
    "RCPT TO:<b@example.org>",
  ]],
  ["message", { message: () => NEVER }, [
    "EHLO client.test",
    "MAIL FROM:<a@example.com>",
    "RCPT TO:<b@example.org>",
    "DATA",
    "Hello\r\n.",
  ]],
  ["close", { close: () => NEVER }, ["QUIT"]],
];

/** Calls handlers, and tells when one runs that never returns. */
function telling(handlers: ServerHandlers): { handlers: ServerHandlers; running: Promise<void> } {
  const { promise: running, resolve } = Promise.withResolvers<void>();
  const told = Object.entries(handlers).map(([name, handler]) => [name, (...all: unknown[]) => {
    resolve();
    return (handler as (...all: unknown[]) => unknown)(...all);
  }]);
  return { handlers: Object.fromEntries(told), running };
}

for (const [name, hung, lines] of HUNG) {
  test(`shutdown(), finished and await using end although the handler ${name} never returns`, () =>
    withShortTimers(async () => {
      const { handlers, running } = telling(hung);
      let finished: Promise<void>;
      let peer: Peer;
      {
        await using server = serve({ timeouts: { shutdown: 0 } }, handlers);
        finished = server.finished;
        peer = await connectTo(server);
        if (name !== "connect") await peer.reply();
        for (const [i, line] of lines.entries()) {
          if (i + 1 < lines.length) await peer.ask(line);
          else await peer.say(line + "\r\n");
        }
        await running;
        await server.shutdown();
        assertEquals(server.connections, 0);
      }
      await finished;
      await peer.close();
    }));

  test(`serveSocket() ends when its signal is aborted although the handler ${name} never returns`, () =>
    withShortTimers(async () => {
      const { handlers, running } = telling(hung);
      const controller = new AbortController();
      const [client, socket] = memorySocketPair();
      const options = { timeouts: { shutdown: 0 }, signal: controller.signal };
      const served = serveSocket(socket, options, handlers);
      const peer = new Peer(client);
      if (name !== "connect") await peer.reply();
      for (const [i, line] of lines.entries()) {
        if (i + 1 < lines.length) await peer.ask(line);
        else await peer.say(line + "\r\n");
      }
      await running;
      controller.abort();
      await served;
      await peer.close();
    }));
}

/** Resolves with the reason when a signal is aborted. */
function reasonOf(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener("abort", () => resolve(signal.reason));
  });
}

for (const handler of ["rcpt", "message"] as const) {
  for (const security of ["none", "tls"] as const) {
    test(`session.signal tells the handler ${handler} that its client has gone, and its place is free (${security})`, async () => {
      const { promise: running, resolve: run } = Promise.withResolvers<void>();
      const { promise: told, resolve: tell } = Promise.withResolvers<unknown>();
      const wait = async (session: ServerSession) => {
        run();
        tell(await reasonOf(session.signal));
      };
      await using server = serve({ security, ...(security === "tls" && { tls }) }, {
        ...(handler === "rcpt" && { rcpt: (_recipient, session) => wait(session) }),
        ...(handler === "message" && { message: (_content, session) => wait(session) }),
      });
      const peer = await connectTo(server, security === "tls" ? "on" : "off");
      await peer.reply();
      await peer.ask("EHLO client.test");
      await peer.ask("MAIL FROM:<a@example.com>");
      if (handler === "message") {
        await peer.ask("RCPT TO:<b@example.org>");
        await peer.ask("DATA");
        await peer.say("Hello\r\n.\r\n");
      } else await peer.say("RCPT TO:<b@example.org>\r\n");
      await running;
      await peer.close();
      const reason = await told;
      assertInstanceOf(reason, SocketError);
      assertEquals(reason.message, "The client has hung up");
      while (server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    });
  }
}

test("session.signal tells a handler that the server was shut down, and is aborted at the end of each session", async () => {
  const reasons: string[] = [];
  const { promise: running, resolve: run } = Promise.withResolvers<void>();
  const server = serve({ timeouts: { shutdown: 0 } }, {
    async rcpt(_recipient, { signal }) {
      run();
      reasons.push(String(await reasonOf(signal)));
    },
    close: ({ signal }) => void reasons.push(String(signal.reason)),
  });
  const polite = await connectTo(server);
  await polite.reply();
  await polite.ask("QUIT");
  assertEquals(await polite.reply(), "(end)");
  await polite.close();
  const peer = await connectTo(server);
  await peer.reply();
  await peer.ask("EHLO client.test");
  await peer.ask("MAIL FROM:<a@example.com>");
  await peer.say("RCPT TO:<b@example.org>\r\n");
  await running;
  await server.shutdown();
  await peer.close();
  assertEquals(reasons, [
    "SocketError: The session is over",
    "SocketError: The server was shut down",
    "SocketError: The server was shut down",
  ]);
});

test("session.signal reads nothing away: a command sent while a handler works is carried out after it", async () => {
  const { promise: running, resolve: run } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using server = serve({}, {
    async mail(_sender, { signal }) {
      run();
      await released;
      assertEquals(signal.aborted, false);
    },
  });
  const peer = await connectTo(server);
  await peer.reply();
  await peer.ask("EHLO client.test");
  await peer.say("MAIL FROM:<a@example.com>\r\n");
  await running;
  await peer.say("NOOP\r\n");
  release();
  assertEquals(await peer.reply(), "250 2.1.0 Sender ok");
  assertEquals(await peer.reply(), "250 2.0.0 Ok");
  await peer.close();
});

test("serve() shuts down when its signal is aborted", async () => {
  const controller = new AbortController();
  const server = serve({ signal: controller.signal });
  const peer = await connectTo(server);
  await peer.reply();
  controller.abort();
  assertEquals(await peer.reply(), "421 4.3.2 Service is shutting down");
  await peer.close();
  await server.finished;
  const late = serve({ signal: controller.signal });
  await late.finished;
});

test("serve() hangs up on a client that says nothing, in a command and in content", async () => {
  await using server = serve({ timeouts: { command: 50, data: 50 } });
  const silent = await connectTo(server);
  await silent.reply();
  assertEquals(await silent.reply(), "421 4.4.2 Waited too long");
  assertEquals(await silent.reply(), "(end)");
  await silent.close();
  const stuck = await connectTo(server);
  await stuck.reply();
  await stuck.say("HELO client.test\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n");
  for (let i = 0; i < 4; i++) await stuck.reply();
  await stuck.say("Hello");
  assertEquals(await stuck.reply(), "421 4.4.2 Waited too long");
  await stuck.close();
});

for (
  const [where, options, lines] of [
    ["a command", { command: 100 }, []],
    ["a response in AUTH", { command: 100 }, ["EHLO client.test", "AUTH LOGIN"]],
    ["content", { data: 100 }, [
      "EHLO client.test",
      "MAIL FROM:<a@example.com>",
      "RCPT TO:<b@example.org>",
      "DATA",
    ]],
  ] as const
) {
  test(`serve() hangs up on a client that drips one byte after the other, in ${where}`, async () => {
    await using server = serve({ timeouts: options, allowInsecureAuth: true }, { auth: () => true });
    const peer = await connectTo(server);
    await peer.reply();
    for (const line of lines) await peer.ask(line);
    const drip = setInterval(() => void peer.say("x"), 5); // far below the limit: it would never be reached
    try {
      assertEquals(await peer.reply(), "421 4.4.2 Waited too long");
    } finally {
      clearInterval(drip);
    }
    await peer.close();
  });
}

test("serve() turns away clients that speak before the greeting", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const delays: [ServeOptions, ServerHandlers][] = [
    [{ greetDelay: 10_000 }, {}],
    [{}, { connect: () => promise }],
  ];
  for (const [options, handlers] of delays) {
    await using server = serve(options, handlers);
    const peer = await connectTo(server);
    assertEquals(await peer.ask("EHLO client.test"), "554 5.5.1 Wait for the greeting");
    assertEquals(await peer.reply(), "(end)");
    await peer.close();
  }
  resolve();
  await using server = serve({ greetDelay: 5 });
  const patient = await connectTo(server);
  assertEquals(await patient.reply(), "220 localhost ESMTP");
  assertEquals(await patient.ask("HELO client.test"), "250 localhost");
  await patient.close();
});

test("serve() tells of each session's end, however it comes", async () => {
  const closed: string[] = [];
  const server = serve({}, { close: ({ clientName }) => void closed.push(clientName) });
  const cut = await connectTo(server);
  await cut.reply();
  await cut.ask("HELO cut.test");
  await cut.cut();
  const polite = await connectTo(server);
  await polite.reply();
  await polite.ask("HELO polite.test");
  await polite.ask("QUIT");
  await polite.close();
  await server.shutdown();
  assertEquals(closed.sort(), ["cut.test", "polite.test"]);
});
