/** What docs/coming-from-smtp-connection.md says, shown. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import {
  consoleTrace,
  Reply,
  SmtpChannel,
  SmtpClient,
  type SmtpClientOptions,
  SmtpError,
  type SocketAddress,
  type TraceEvent,
} from "../../mod.ts";
import { serve, type ServeOptions, type ServerHandlers } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const TEXT = "Subject: Hi\r\n\r\nHello\r\n";
const AUTH = { user: "ada", pass: "open sesame" };

/** A server of ours, and what a client needs to reach it. */
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

/** A conversation with a client that is called client.test. */
async function conversing(
  transcript: string,
  body: (options: SmtpClientOptions) => Promise<void>,
): Promise<void> {
  const { socket, done } = replay(transcript);
  await body({ socket, clientName: "client.test", security: "none" });
  await done;
}

const hello = (...offers: string[]) => `
  S: 220 mx.test
  C: EHLO client.test
  S: ${["250-mx.test", ...offers.map((offer) => `250-${offer}`)].join("\n  S: ")}
  S: 250 HELP`;

const QUIT = `
  C: QUIT
  S: 221 Bye`;

/** Where a client wants to go, without going there. */
async function addressOf(options: SmtpClientOptions): Promise<SocketAddress> {
  const { promise, resolve } = Promise.withResolvers<SocketAddress>();
  const socket = (address: SocketAddress) => {
    resolve(address);
    return Promise.reject(new Error("Not today"));
  };
  await assertRejects(() => SmtpClient.connect({ ...options, socket }), SmtpError);
  return await promise;
}

test("smtp-connection: host and port", async () => {
  await serving({}, {}, async (at) => {
    await using client = await SmtpClient.connect(at);
    assertEquals(client.greeting.code, 220);
  });
  assertEquals(await addressOf({}), { hostname: "localhost", port: 587 });
  assertEquals(await addressOf({ security: "tls" }), { hostname: "localhost", port: 465 });
});

test("smtp-connection: secure, tls and servername", async () => {
  const { authority, otherName } = await certificates();
  await serving({ security: "tls", tls: otherName }, {}, async (at) => {
    const tls = { caCerts: [authority.cert] };
    await rejectsWith("certificate-name", () => SmtpClient.connect({ ...at, security: "tls", tls }));
    const named = { ...tls, serverName: "mx.test" };
    await using client = await SmtpClient.connect({ ...at, security: "tls", tls: named });
    assertEquals(client.secure, true);
    await using trusting = await SmtpClient.connect({ ...at, security: "tls", tls: { verify: false } });
    assertEquals(trusting.secure, true);
  });
  const { socket } = replay("S: 220 in the clear");
  // 465 means TLS from the first byte, where nothing else is said.
  await assertRejects(() => SmtpClient.connect({ socket: { ...socket, secureTransport: "off" }, port: 465 }));
});

test("smtp-connection: secured", () =>
  conversing(
    `${hello(`AUTH PLAIN`)}\n  C: AUTH PLAIN ${btoa("\0ada\0open sesame")}\n  S: 235 Ok${QUIT}`,
    async (options) => {
      const { readable, writable } = options.socket as SocketPair;
      const socket = { readable, writable, secureTransport: "on" } as const;
      const client = await SmtpClient.connect({ ...options, socket, security: "starttls", auth: AUTH });
      assertEquals([client.secure, client.authenticated], [true, true]);
      await client.quit();
    },
  ));

type SocketPair = ReturnType<typeof memorySocketPair>[0];

test("smtp-connection: ignoreTLS", () =>
  conversing(`${hello("STARTTLS")}${QUIT}`, async (options) => {
    await using client = await SmtpClient.connect({ ...options, security: "none" });
    assertEquals(client.secure, false);
  }));

test("smtp-connection: requireTLS", () =>
  conversing(hello(), async (options) => {
    await rejectsWith("starttls-unavailable", () => SmtpClient.connect({ ...options, security: "starttls" }));
  }));

test("smtp-connection: opportunisticTLS", () =>
  conversing(`${hello("STARTTLS")}\n  C: STARTTLS\n  S: 454 Not now${QUIT}`, async (options) => {
    await using client = await SmtpClient.connect({ ...options, security: "opportunistic" });
    assertEquals(client.secure, false);
    // As there, nobody logs in in the clear then.
    await rejectsWith("auth-insecure", () => client.authenticate(AUTH));
  }));

test("smtp-connection: name", async () => {
  await conversing(`${hello()}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect({ ...options, clientName: "client.test" });
    await client.quit();
  });
  // There a line end is cut out, here it is refused.
  await assertRejects(() => SmtpClient.connect({ clientName: "client.test\r\nNOOP" }), TypeError);
});

test("smtp-connection: localAddress", () =>
  serving({}, {}, async (at) => {
    await using client = await SmtpClient.connect({ ...at, localAddress: "127.0.0.2" });
    assertMatch(client.info.localAddress!, /^127\.0\.0\.2:/);
  }));

test("smtp-connection: connectionTimeout and dnsTimeout", async () => {
  const socket = () => new Promise<never>(() => {});
  const error = await rejectsWith("timeout", () => SmtpClient.connect({ socket, timeouts: { connect: 5 } }));
  assertEquals(error.phase, "connect");
});

test("smtp-connection: greetingTimeout", async () => {
  const [socket] = memorySocketPair();
  const error = await rejectsWith("timeout", () => SmtpClient.connect({ socket, timeouts: { greeting: 5 } }));
  assertEquals(error.phase, "greeting");
});

test("smtp-connection: socketTimeout", async () => {
  const { socket } = replay(`${hello()}\n  C: NOOP`);
  const client = await SmtpClient.connect({ socket, clientName: "client.test", timeouts: { command: 50 } });
  const error = await rejectsWith("timeout", () => client.noop());
  assertEquals([error.phase, client.usable], ["command", false]);
});

test("smtp-connection: socketCloseTimeout", async () => {
  const { socket } = replay(`${hello()}\n  C: QUIT`);
  const client = await SmtpClient.connect({ socket, clientName: "client.test", timeouts: { quit: 5 } });
  await client.quit();
  await client.closed;
});

test("smtp-connection: maxResponseSize", async () => {
  const socket = () => replay("S: 220-mx.test\nS: 220 and more").socket;
  await rejectsWith("protocol-error", () => SmtpClient.open({ socket: socket(), maxReplyLength: 20 }));
  await rejectsWith("protocol-error", () => SmtpClient.open({ socket: socket(), maxLineLength: 10 }));
  await using channel = await SmtpChannel.open(socket(), { maxReplyLength: 20 });
  await assertRejects(() => channel.replies.next(), Error);
});

test("smtp-connection: lmtp", () =>
  conversing(
    `
    S: 220 mx.test
    C: LHLO client.test
    S: 250 mx.test
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: RCPT TO:<her@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 2.0.0 Taken
    S: 452 4.2.2 Full${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect({ ...options, protocol: "lmtp" });
      const receipt = await client.send({ ...ENVELOPE, to: ["you@example.org", "her@example.org"] }, "Hello");
      assertEquals(receipt.accepted, ["you@example.org"]);
      assertEquals(receipt.rejected.map(({ recipient, reply }) => [recipient, reply.code]), [[
        "her@example.org",
        452,
      ]]);
    },
  ));

test("smtp-connection: logger, transactionLog and component", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    const lines: unknown[][] = [];
    const write = (...words: unknown[]) => void lines.push(words);
    const client = await SmtpClient.connect({
      ...options,
      logger: { debug: write, info: write, warn: write, error: write },
    });
    await client.quit();
    assert(lines.some(([, text]) => text === "C: EHLO client.test"));
    assert(lines.some(([, text]) => text === "S: 250-mx.test"));
    assert(lines.every(([fields]) => (fields as { component: string }).component === "smtp"));
  }));

test("smtp-connection: logger: true", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    const lines: string[] = [];
    const client = await SmtpClient.connect({ ...options, trace: consoleTrace((line) => lines.push(line)) });
    await client.quit();
    assertStringIncludes(lines.join("\n"), "C: EHLO client.test\nS: 250-mx.test\nS: 250 HELP");
  }));

test("smtp-connection: debug", async () => {
  // Each byte that leaves, and each that comes.
  const seen: string[] = [];
  const tap = (to: string) =>
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        seen.push(`${to} ${new TextDecoder().decode(chunk)}`);
        controller.enqueue(chunk);
      },
    });
  await conversing(
    `${hello()}
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 Ok${QUIT}`,
    async (options) => {
      const { readable, writable } = options.socket as SocketPair;
      const out = tap(">");
      void out.readable.pipeTo(writable);
      const socket = { readable: readable.pipeThrough(tap("<")), writable: out.writable };
      const client = await SmtpClient.connect({ ...options, socket });
      await client.send(ENVELOPE, "Hello");
      await client.quit();
    },
  );
  assert(seen.join("").includes("> Hello\r\n.\r\n"));
  assert(seen.join("").includes("< 221 Bye\r\n"));
});

test("smtp-connection: socket", () =>
  serving({}, {}, async (at) => {
    const asked: SocketAddress[] = [];
    await using client = await SmtpClient.connect({
      hostname: "mx.example.org",
      port: 25,
      socket: async (address) => {
        asked.push(address);
        const socket = net.connect(at.port, at.hostname);
        await once(socket, "connect");
        return Duplex.toWeb(socket) as unknown as SocketPair;
      },
      security: "none",
    });
    assertEquals(asked, [{ hostname: "mx.example.org", port: 25 }]);
    assertEquals((await client.send(ENVELOPE, TEXT)).accepted, ["you@example.org"]);
  }));

test("smtp-connection: connection", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    const { readable, writable } = options.socket as SocketPair;
    const client = await SmtpClient.connect({ ...options, socket: { readable, writable } });
    await client.quit();
  }));

/** LOGIN, said by hand. */
function loginByHand(words: string[]) {
  return {
    name: "LOGIN",
    respond(challenge: Uint8Array) {
      words.push(new TextDecoder().decode(challenge));
      return new TextEncoder().encode(words.length === 1 ? AUTH.user : AUTH.pass);
    },
  };
}

test("smtp-connection: customAuth", async () => {
  const transcript = (end: string) =>
    `${hello("AUTH PLAIN LOGIN", "SIZE 1000")}
    C: AUTH LOGIN
    S: 334 ${btoa("Username:")}
    C: ${btoa("ada")}
    S: 334 ${btoa("Password:")}
    C: ${btoa("open sesame")}
    S: ${end}${QUIT}`;
  await conversing(transcript("235 2.7.0 Welcome"), async (options) => {
    const words: string[] = [];
    const offered: string[] = [];
    const events: TraceEvent[] = [];
    const client = await SmtpClient.connect({
      ...options,
      auth: { mechanism: (context) => (offered.push(...context.offered), loginByHand(words)) },
      trace: (event) => events.push(event),
    });
    assertEquals(offered, ["PLAIN", "LOGIN"]);
    assertEquals(words, ["Username:", "Password:"]);
    assertEquals([client.authenticated, client.extensions.size], [true, 1000]);
    assert(events.some((event) => event.type === "reply" && event.reply.enhancedCode === "2.7.0"));
    await client.quit();
  });
  // What a mechanism throws refuses the login.
  await conversing(
    `${hello("AUTH OWN")}\n  C: AUTH OWN\n  S: 334 \n  C: *\n  S: 501 Cancelled${QUIT}`,
    async (options) => {
      const client = await SmtpClient.open(options);
      await client.ehlo();
      const respond = () => Promise.reject(new Error("I do not want to"));
      const error = await rejectsWith(
        "auth-failed",
        () => client.authenticate({ mechanism: () => ({ name: "OWN", respond }) }),
      );
      assertEquals([error.reply?.text, error.usable], ["Cancelled", true]);
      await client.quit();
    },
  );
});

test("smtp-connection: connect()", () =>
  serving({}, {}, async (at) => {
    const states: string[] = [];
    const client = await SmtpClient.connect({
      ...at,
      trace: (event) => event.type === "state" && states.push(event.state),
    });
    await client.quit();
    assertEquals(states, ["connecting", "connected", "closed"]);
  }));

test("smtp-connection: login()", async () => {
  await conversing(
    `${hello("AUTH PLAIN LOGIN")}
    C: AUTH PLAIN ${btoa("\0ada\0not the password")}
    S: 535 5.7.8 Wrong
    C: AUTH PLAIN ${btoa("\0ada\0open sesame")}
    S: 235 Welcome${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      await rejectsWith("auth-failed", () => client.authenticate({ user: "ada", pass: "not the password" }));
      assertEquals(await client.authenticate(AUTH), "PLAIN");
      assertEquals(client.authenticated, true);
    },
  );
  // With `auth` in the options, connect() logs in.
  await serving({ allowInsecureAuth: true }, { auth: ({ pass }) => pass === AUTH.pass }, async (at) => {
    await using client = await SmtpClient.connect({ ...at, security: "none", auth: AUTH });
    assertEquals(client.authenticated, true);
  });
});

test("smtp-connection: method and type", () =>
  conversing(
    `${hello("AUTH PLAIN LOGIN")}
    C: AUTH LOGIN
    S: 334 ${btoa("Username:")}
    C: ${btoa("ada")}
    S: 334 ${btoa("Password:")}
    C: ${btoa("open sesame")}
    S: 235 Welcome${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect({ ...options, auth: { ...AUTH, mechanisms: ["LOGIN"] } });
      await client.quit();
    },
  ));

test("smtp-connection: oauth2", () =>
  conversing(
    `${hello("AUTH XOAUTH2")}
    C: AUTH XOAUTH2 ${btoa("user=ada\x01auth=Bearer first-token\x01\x01")}
    S: 535 Expired
    C: AUTH XOAUTH2 ${btoa("user=ada\x01auth=Bearer second-token\x01\x01")}
    S: 235 Welcome${QUIT}`,
    async (options) => {
      const accessToken = (refused?: string) => refused === "first-token" ? "second-token" : "first-token";
      const client = await SmtpClient.connect({ ...options, auth: { user: "ada", accessToken } });
      await client.quit();
    },
  ));

test("smtp-connection: send()", () => {
  const taken: string[] = [];
  const message = async (content: ReadableStream<Uint8Array>) => {
    taken.push(await new Response(content as ReadableStream<Uint8Array<ArrayBuffer>>).text());
  };
  return serving({}, { message }, async (at) => {
    await using client = await SmtpClient.connect(at);
    await client.send(ENVELOPE, TEXT);
    await client.send(ENVELOPE, new TextEncoder().encode(TEXT));
    await client.send(ENVELOPE, new Blob([TEXT]).stream());
    assertEquals(taken, [TEXT, TEXT, TEXT]);
  });
});

test("smtp-connection: reset()", () =>
  conversing(`${hello()}\n  C: RSET\n  S: 250 Ok${QUIT}`, async (options) => {
    const client = await SmtpClient.connect(options);
    assertEquals((await client.reset()).code, 250);
    await client.quit();
  }));

test("smtp-connection: quit()", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect(options);
    await client.quit();
    assertEquals(client.usable, false);
  }));

test("smtp-connection: close()", () =>
  conversing(hello(), async (options) => {
    const client = await SmtpClient.connect(options);
    await client.close();
    assertEquals(client.usable, false);
    await rejectsWith("client-closed", () => client.send(ENVELOPE, TEXT));
  }));

test("smtp-connection: error and end", async () => {
  // In a call that waits, an error is what it rejects with.
  const { socket } = replay(`${hello()}\n  C: NOOP\n  S! close`);
  const client = await SmtpClient.connect({ socket, clientName: "client.test", security: "none" });
  const failed: TraceEvent[] = [];
  await rejectsWith("connection-lost", () => client.noop());
  await client.closed; // resolves, whatever the reason
  assertEquals([client.usable, failed.length], [false, 0]);
});

test("smtp-connection: from and to", () =>
  conversing(
    `${hello()}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: RCPT TO:<"her own"@xn--bcher-kva.example>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 Ok${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      const her = { address: '"her own"@bücher.example' };
      await client.send({ from: null, to: ["you@example.org", her] }, "Hello");
      // A name belongs into the header.
      await rejectsWith(
        "invalid-envelope",
        () => client.send({ from: "Me <me@example.com>", to: her }, "Hello"),
      );
    },
  ));

test("smtp-connection: size and use8BitMime", () =>
  conversing(
    `${hello("SIZE 1000", "8BITMIME")}
    C: MAIL FROM:<me@example.com> SIZE=7 BODY=8BITMIME
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Grüße
    C: .
    S: 250 Ok${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      // Both by themselves; a stream whose size is known can say it.
      await client.send(ENVELOPE, "Grüße");
      await rejectsWith("message-too-large", () => client.send({ ...ENVELOPE, size: 1001 }, "Hello"));
    },
  ));

test("smtp-connection: dsn", () =>
  conversing(
    `${hello("DSN")}
    C: MAIL FROM:<me@example.com> RET=HDRS ENVID=some-id
    S: 250 Ok
    C: RCPT TO:<you@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;her@example.org
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 Ok${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      await client.send({
        from: "me@example.com",
        to: { address: "you@example.org", orcpt: "her@example.org" },
        dsn: { ret: "headers", envid: "some-id", notify: ["success", "failure"] },
      }, "Hello");
    },
  ));

test("smtp-connection: dsn where the server has none", () =>
  conversing(
    `${hello()}
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 Ok${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      await rejectsWith(
        "extension-missing",
        () => client.send({ ...ENVELOPE, dsn: { notify: "never" } }, "Hello"),
      );
      await client.send({ ...ENVELOPE, dsn: { notify: "never", ifOffered: true } }, "Hello");
    },
  ));

test("smtp-connection: requireTLSExtensionEnabled", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    await using client = await SmtpClient.connect(options);
    await rejectsWith("extension-missing", () => client.send({ ...ENVELOPE, requireTls: true }, "Hello"));
  }));

test("smtp-connection: the result of send()", () =>
  conversing(
    `${hello("SIZE")}
    C: MAIL FROM:<me@example.com> SIZE=5
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: RCPT TO:<no@example.org>
    S: 550 5.1.1 Nobody
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 2.0.0 Ok: queued as 4bZ1xQ2tNzz9${QUIT}`,
    async (options) => {
      const events: [number, TraceEvent][] = [];
      await using client = await SmtpClient.connect({
        ...options,
        trace: (event) => events.push([performance.now(), event]),
      });
      const receipt = await client.send({ ...ENVELOPE, to: ["you@example.org", "no@example.org"] }, "Hello");
      assertEquals(receipt.accepted, ["you@example.org"]);
      assertEquals(receipt.rejected.map(({ recipient }) => recipient), ["no@example.org"]);
      assertEquals(receipt.rejected[0]!.reply.enhancedCode, "5.1.1");
      assertEquals(receipt.reply.toString(), "250 2.0.0 Ok: queued as 4bZ1xQ2tNzz9");
      assertEquals(receipt.queueId, "4bZ1xQ2tNzz9");
      assertEquals([...client.extensions.keywords()], ["SIZE", "HELP"]);
      // What was sent, and when, is in the trace.
      const content = events.find(([, event]) => event.type === "content")!;
      assertEquals(content[1], { type: "content", bytes: "Hello\r\n.\r\n".length });
      assert(content[0] >= events[0]![0]);
    },
  ));

test("smtp-connection: what a connection knows of itself", () =>
  conversing(`${hello("AUTH PLAIN")}${QUIT}`, async (options) => {
    const replies: string[] = [];
    const client = await SmtpClient.connect({
      ...options,
      trace: (event) => event.type === "reply" && replies.push(event.reply.toString()),
    });
    assertEquals([client.secure, client.authenticated, client.usable], [false, false, true]);
    assertEquals([client.extensions.has("AUTH"), client.extensions.auth], [true, ["PLAIN"]]);
    assertEquals(replies.at(-1), "250-mx.test\n250-AUTH PLAIN\n250 HELP"); // lastServerResponse
    assertEquals(client.info, { remoteAddress: "memory", localAddress: "memory", alpn: null });
    await client.quit();
    assertEquals(client.usable, false);
  }));

test("smtp-connection: what an error knows", async () => {
  await conversing(
    `${hello()}
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<no@example.org>
    S: 550 5.1.1 Nobody${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      const error = await rejectsWith(
        "recipients-refused",
        () => client.send({ ...ENVELOPE, to: "no@example.org" }, "Hello"),
      );
      assertEquals([error.phase, error.reply?.toString()], ["rcpt", "550 5.1.1 Nobody"]);
      assertEquals([error.reply?.code, error.enhancedCode, error.temporary], [550, "5.1.1", false]);
      assertEquals(error.recipient, "no@example.org");
      assertEquals(error.rejected.map(({ recipient, reply }) => [recipient, reply.code]), [[
        "no@example.org",
        550,
      ]]);
    },
  );
  // The system's own error, and which wait it was.
  const refused = await rejectsWith(
    "connection-refused",
    () => SmtpClient.connect({ path: "/does/not/exist.sock", security: "none" }),
  );
  assert(refused.cause instanceof Error && refused.cause.cause instanceof Error);
  const [socket] = memorySocketPair();
  const late = await rejectsWith("timeout", () => SmtpClient.connect({ socket, timeouts: { greeting: 5 } }));
  assertEquals(late.phase, "greeting");
});

test("smtp-connection: errors of the envelope and the message", () =>
  serving({ maxMessageSize: 10 }, {
    mail: ({ address }) => address === "no@example.com" ? new Reply(550, "No") : undefined,
  }, async (at) => {
    await using client = await SmtpClient.connect(at);
    await rejectsWith("invalid-envelope", () => client.send({ ...ENVELOPE, to: [] }, "Hello"));
    await rejectsWith("sender-refused", () => client.send({ ...ENVELOPE, from: "no@example.com" }, "Hello"));
    await rejectsWith("message-too-large", () => client.send(ENVELOPE, "Hello, world"));
    await rejectsWith("source-failed", () =>
      client.send(
        ENVELOPE,
        new ReadableStream({ pull: () => Promise.reject(new Error("The disk is gone")) }),
      ));
  }));

test("smtp-connection: options that make no sense", async () => {
  await assertRejects(() => SmtpClient.connect({ security: "maybe" as never }), TypeError);
  await assertRejects(() => SmtpClient.connect({ auth: { user: "ada" } as never }), TypeError);
});

test("smtp-connection: more recipients than the server takes", () =>
  conversing(
    `${hello("LIMITS RCPTMAX=1")}
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 One
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<her@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: Hello
    C: .
    S: 250 Two${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      const receipt = await client.send({ ...ENVELOPE, to: ["you@example.org", "her@example.org"] }, "Hello");
      assertEquals([receipt.accepted.length, receipt.parts.length], [2, 2]);
    },
  ));

test("smtp-connection: what is no part of it", async () => {
  // No transport but SMTP, no template, no file, no address that is fetched: there is nothing of that to fail.
  const names = Object.keys(await import("../../mod.ts"));
  assertEquals(
    names.filter((name) => /ses|sendmail$|transport|fetch|file|otp/i.test(name) && name !== "sendMail"),
    [],
  );
});
