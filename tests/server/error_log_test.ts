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
      greet(name) {
        throw new SocketError("network", `No reverse name for ${name}`, {
          cause: new Error(`looked up\n    at ${name}`),
        });
      },
    });
    const { port } = await server.listening;
    const peer = new Peer(connect({ hostname: "127.0.0.1", port }));
    await peer.reply();
    assertEquals(await peer.ask("EHLO x\u202egnp\u2066\u2028error:"), "451 4.3.0 Local error in processing");
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
