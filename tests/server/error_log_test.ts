import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { formatError } from "../../src/server/error_log.ts";
import { serve, type ServeOptions } from "../../src/server/mod.ts";
import { connect, SocketError } from "../../src/sockets/mod.ts";
import { createAuthority } from "../support/certificates.ts";
import { test } from "../support/harness.ts";
import { Peer } from "./transcript.ts";

const tls = await (await createAuthority()).issue();

/** Collects what is written to the console. */
async function withConsole(body: (written: () => Promise<string>) => Promise<void>): Promise<void> {
  const { error } = console;
  let written = Promise.withResolvers<string>();
  console.error = (...words: unknown[]) => written.resolve(words.join(" "));
  try {
    await body(async () => {
      const text = await written.promise;
      written = Promise.withResolvers();
      return text;
    });
  } finally {
    console.error = error;
  }
}

async function failHandshake(options: ServeOptions): Promise<void> {
  await using server = serve({ tls, security: "tls", ...options });
  const { port } = await server.listening;
  const peer = new Peer(connect({ hostname: "127.0.0.1", port }));
  await peer.say("EHLO client.test\r\n");
  assertEquals(await peer.reply().catch(() => "(end)"), "(end)");
  await peer.close();
}

const HOSTILE: [name: string, onError: NonNullable<ServeOptions["onError"]>][] = [
  ["throws", () => {
    throw new Error("cannot log");
  }],
  ["is async and rejects", () => Promise.reject(new Error("cannot log"))],
];

for (const [name, onError] of HOSTILE) {
  test(`a client that fails its handshake does not end the process whose onError ${name}`, () =>
    // Thrown on, or left to reject, it would fail this test on every runtime.
    withConsole(async (written) => {
      await failHandshake({ onError });
      assertStringIncludes(await written(), "Error: cannot log");
    }));
}

test("a handler's error that quotes its client reaches the console with everything escaped that a terminal acts on", () =>
  withConsole(async (written) => {
    await using server = serve({}, {
      greet() {
        const name = "x\u202egnp\u2066\u2028error:"; // as the content of a message may say
        throw new SocketError("network", `No reverse name for ${name}`, {
          cause: new Error(`looked up\n    at ${name}`),
        });
      },
    });
    const { port } = await server.listening;
    const peer = new Peer(connect({ hostname: "127.0.0.1", port }));
    await peer.reply();
    assertEquals(await peer.ask("EHLO client.test"), "451 4.3.0 Local error in processing");
    await peer.close();
    const text = await written();
    assertStringIncludes(
      text.split("\n")[0]!,
      String.raw`SocketError: No reverse name for x\u202egnp\u2066\u2028error: (network)`,
    );
    assertStringIncludes(text, String.raw`caused by Error: looked up\x0a    at x\u202egnp\u2066\u2028error:`);
    assert(!/[\u2028\u202e\u2066]/.test(text));
    assertStringIncludes(text, "\n    at "); // the stack is still there
  }));

test("formatError() writes whatever is thrown", () => {
  assertEquals(formatError("a\x1b"), String.raw`a\x1b`);
  assertEquals(formatError(null), "null");
  assertEquals(formatError({ user: "\u202e" }), String.raw`{"user":"\u202e"}`);
  const circle: { self?: unknown } = {};
  circle.self = circle;
  assertEquals(formatError(circle), "an object");
  const loop = new Error("again");
  loop.cause = loop;
  assertEquals(formatError(loop).match(/Error: again/g)!.length, 8);
});

test("formatError() gives text for errors that were tampered with", () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const hostile: unknown[] = [
    Object.assign(new Error("x"), { message: null }),
    Object.assign(new Error("x"), { message: undefined }),
    Object.assign(new Error("x"), { message: { toString: null } }),
    Object.assign(new Error("x"), { stack: null }),
    Object.assign(new Error("x"), { stack: 1, name: Symbol("x") }),
    ...["name", "message", "stack", "code", "cause"].map((name) =>
      Object.defineProperty(new Error("x"), name, {
        get() {
          throw new Error("read");
        },
      })
    ),
    { toJSON: () => undefined },
    {
      toJSON() {
        throw null;
      },
    },
    Object.assign(() => {}, { toString: null, [Symbol.toPrimitive]: () => ({}) }),
    Symbol("x"),
    1n,
    undefined,
    new Proxy({}, {
      getPrototypeOf() {
        throw null;
      },
    }),
    revoked.proxy,
    new Error("x", { cause: revoked.proxy }),
    Object.create(null),
  ];
  for (const [i, error] of hostile.entries()) assertEquals([i, typeof formatError(error)], [i, "string"]);
});

test("a handler that throws what cannot be read does not end the process whose onError passes it on", () =>
  withConsole(async (written) => {
    await using server = serve({
      onError: (async (error: unknown) => {
        await null;
        throw error;
      }) as ServeOptions["onError"] & object,
    }, {
      mail() {
        throw Object.assign(new Error("x"), { message: null });
      },
    });
    const { port } = await server.listening;
    const peer = new Peer(connect({ hostname: "127.0.0.1", port }));
    await peer.reply();
    await peer.ask("EHLO client.test");
    assertEquals(await peer.ask("MAIL FROM:<>"), "451 4.3.0 Local error in processing");
    assertStringIncludes(await written(), "Error: null");
    await peer.close();
  }));

test("formatError() takes no line of a content for a frame where the message was replaced", () => {
  const FORGED = "2026-11-28 sshd[1]: Accepted password for root";
  const content = `X\n    at f (x)\n${FORGED}\x1b[31m\n`;
  for (const message of ["the message is refused", "", "cannot parse X"]) {
    const error = new Error(`cannot parse ${content}`);
    assertStringIncludes(error.stack!, FORGED); // V8 writes the stack when it is first read
    error.message = message;
    const lines = formatError(error).split("\n");
    assertEquals(lines[0], `Error: ${message}`);
    assert(lines.length > 1, "the frames are there");
    for (const line of lines.slice(1)) assert(line.startsWith("    at "), line);
    assert(!lines.includes("    at f (x)"));
  }
});
