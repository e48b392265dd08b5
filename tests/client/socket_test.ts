import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { serve, type ServeOptions } from "../../src/server/mod.ts";
import { connect } from "../../src/sockets/connect.ts";
import type { StreamPair } from "../../src/sockets/stream_pair.ts";
import type { OpenSocket } from "../../src/sockets/to_socket.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { SocketAddress } from "../../src/sockets/socket.ts";
import { formatTrace } from "../../src/trace.ts";
import { certificates } from "../sockets/conformance.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";

const AUTH = { user: "ada", pass: "open sesame" };
const ENVELOPE = { from: "me@client.test", to: ["you@server.test"] };
const MESSAGE = "Subject: Hi\r\n\r\nHello";

/** A server of ours, and a function that opens pairs of streams to it, wherever the client wants to go. */
async function start(options: Omit<ServeOptions, "hostname"> = {}) {
  const server = serve({ ...options, hostname: "127.0.0.1" }, {
    auth: ({ user, pass }) => user === AUTH.user && pass === AUTH.pass,
    message: async (content) => {
      for await (const _ of content);
    },
  });
  const { port } = await server.listening as { port: number };
  const told: SocketAddress[] = [];
  const open: OpenSocket = (address, { signal }) => {
    told.push(address);
    const { readable, writable } = connect({ hostname: "127.0.0.1", port }, { allowHalfOpen: true, signal });
    return { readable, writable };
  };
  return { open, told, port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

for (const security of ["starttls", "tls"] as const) {
  test(`SmtpClient logs in over a pair of streams with security "${security}"`, async () => {
    const { authority, good } = await certificates();
    await using server = await start({ tls: good, ...(security === "tls" && { security }) });
    const options: SmtpClientOptions = {
      hostname: "localhost",
      port: 2525,
      socket: server.open,
      security,
      tls: { caCerts: [authority.cert] },
      auth: AUTH,
    };
    for (let i = 0; i < 2; i++) {
      await using client = await SmtpClient.connect(options);
      assertEquals([client.secure, client.authenticated], [true, true]);
      const { accepted } = await client.send(ENVELOPE, MESSAGE);
      assertEquals(accepted, ENVELOPE.to);
    }
    const address = { hostname: "localhost", port: 2525 };
    assertEquals(server.told, [address, address]);
  });

  test(`SmtpClient checks the certificate over a pair of streams with security "${security}"`, async () => {
    const { authority, good } = await certificates();
    await using server = await start({ tls: good, ...(security === "tls" && { security }) });
    const tls = { caCerts: [authority.cert] };
    for (
      const [options, code] of [
        [{ hostname: "mx.test", tls }, "certificate-name"],
        [{ hostname: "localhost", tls: { ...tls, serverName: "mx.test" } }, "certificate-name"],
        [{ hostname: "localhost" }, "certificate-untrusted"],
      ] as const
    ) {
      const connecting = SmtpClient.connect({ ...options, socket: server.open, security, auth: AUTH });
      await rejectsWith(code, () => connecting);
    }
  });
}

test("SmtpClient takes the default host and port for what a function is told", async () => {
  await using server = await start();
  await using _ = await SmtpClient.connect({ socket: server.open, security: "none" });
  assertEquals(server.told, [{ hostname: "localhost", port: 587 }]);
});

test("SmtpClient without a host name cannot check one over a pair, and says so before anything is sent", async () => {
  const { pair, used } = untouched();
  for (const security of ["starttls", "tls"] as const) {
    const connecting = SmtpClient.connect({ socket: pair, security });
    const error = await assertRejects(() => connecting, TypeError);
    assertStringIncludes(error.message, "tls.serverName is missing");
  }
  assertEquals([used(), pair.readable.locked, pair.writable.locked], [false, false, false]);
});

test("SmtpClient does not go over to TLS on a socket that is protected already", async () => {
  const { socket: { readable, writable }, done } = replay(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250-STARTTLS
    S: 250 AUTH PLAIN
    C: AUTH PLAIN ${btoa("\0ada\0open sesame")}
    S: 235 Welcome
    C: QUIT
    S: 221 Bye`);
  const socket: StreamPair = { readable, writable, secureTransport: "on" };
  {
    await using client = await SmtpClient.connect({ socket, auth: AUTH, clientName: "client.test" });
    assertEquals([client.secure, client.authenticated], [true, true]);
  }
  await done;
});

/** A server that offers STARTTLS, on a socket that cannot go over to it. */
function withoutTls(transcript: string) {
  const { socket, done } = replay(transcript);
  const { readable, writable } = socket;
  const original = Object.getOwnPropertyDescriptor(globalThis, "navigator")!;
  const open: OpenSocket = () => {
    // From here on until the pair is looked at, this is a runtime without node:tls.
    Object.defineProperty(globalThis, "navigator", {
      value: { userAgent: "Cloudflare-Workers" },
      configurable: true,
    });
    return {
      readable,
      writable,
      opened: Promise.resolve(),
      get closed() {
        Object.defineProperty(globalThis, "navigator", original);
        return undefined as never;
      },
    };
  };
  return { open, done };
}

test("SmtpClient stays in the clear where the runtime cannot speak TLS over a pair and it need not be", async () => {
  const { open, done } = withoutTls(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 STARTTLS
    C: QUIT
    S: 221 Bye`);
  {
    await using client = await SmtpClient.connect({ socket: open, clientName: "client.test" });
    assertEquals(client.secure, false);
  }
  await done;
});

test("SmtpClient says so where the runtime cannot speak TLS over a pair and it has to be", async () => {
  const { open, done } = withoutTls(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 STARTTLS
    C: QUIT
    S: 221 Bye`);
  const connecting = SmtpClient.connect({ socket: open, clientName: "client.test", security: "starttls" });
  const error = await rejectsWith("starttls-unavailable", () => connecting);
  assertStringIncludes(error.message, "the socket cannot start it");
  await done;
});

test("SmtpClient gives up a function that opens nothing in time, and closes what it opens later", async () => {
  const opening = Promise.withResolvers<StreamPair>();
  let told: AbortSignal | undefined;
  const open: OpenSocket = (_, { signal }) => (told = signal, opening.promise);
  const connecting = SmtpClient.connect({ socket: open, timeouts: { connect: 20 } });
  const error = await rejectsWith("timeout", () => connecting);
  assertEquals([error.phase, error.outcome, told!.aborted], ["connect", "not-sent", true]);
  await closesLate(opening);
});

test("SmtpClient gives up a function with its signal, and closes what it opens later", async () => {
  const opening = Promise.withResolvers<StreamPair>();
  const controller = new AbortController();
  const called = Promise.withResolvers<void>();
  const socket = () => {
    called.resolve();
    return opening.promise;
  };
  const connecting = SmtpClient.connect({ socket, signal: controller.signal });
  await called.promise;
  controller.abort(new Error("enough"));
  const error = await rejectsWith("aborted", () => connecting);
  assertEquals((error.cause as Error).message, "enough");
  await closesLate(opening);
});

test("SmtpClient.connect() rejects with what the function throws as the cause", async () => {
  const failure = new Error("The proxy says no");
  const connecting = SmtpClient.connect({ socket: () => Promise.reject(failure), hostname: "mx.test" });
  const error = await rejectsWith("network", () => connecting);
  assertStringIncludes(error.message, "The proxy says no");
  assertEquals([error.phase, (error.cause as Error).cause], ["connect", failure]);
});

test("SmtpClient tells the trace where a function is to go, and of a pair that it does not know", async () => {
  for (
    const [hostname, expected] of [["mx.test", "mx.test:587"], [
      undefined,
      "a socket of the caller's",
    ]] as const
  ) {
    const [socket, peer] = memorySocketPair();
    const lines: string[] = [];
    const connecting = SmtpClient.connect({
      socket,
      ...(hostname !== undefined && { hostname }),
      trace: (event) => lines.push(formatTrace(event)),
    });
    await peer.close();
    await assertRejects(() => connecting);
    assert(lines[0]!.includes(expected), lines[0]);
  }
});

async function closesLate(opening: PromiseWithResolvers<StreamPair>): Promise<void> {
  const closed = Promise.withResolvers<void>();
  const { pair } = untouched();
  opening.resolve({ ...pair, close: () => closed.resolve() });
  await closed.promise;
}

/** A pair, and whether anything was asked of it. */
function untouched() {
  let touched = false;
  const touch = () => void (touched = true);
  const pair: StreamPair = {
    readable: new ReadableStream({ pull: touch }, { highWaterMark: 0 }),
    writable: new WritableStream({ write: touch }),
  };
  return { pair, used: () => touched };
}
