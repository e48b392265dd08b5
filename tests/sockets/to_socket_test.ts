import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import net from "node:net";
import { Duplex } from "node:stream";
import { connect } from "../../src/sockets/connect.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { type Socket, SocketError } from "../../src/sockets/socket.ts";
import type { StreamPair } from "../../src/sockets/stream_pair.ts";
import { type OpenSocket, type SocketSource, toSocket } from "../../src/sockets/to_socket.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { assertFails, certificates, testConformance } from "./conformance.ts";
import { observed } from "./observed_pair.ts";

const ADDRESS = { hostname: "mx.test", port: 25 };

/** Only the parts of a socket that a pair may have. */
const openPair: OpenSocket = (address, { signal }) => {
  const socket = connect(address, { allowHalfOpen: true, signal });
  const { readable, writable, opened, closed } = socket;
  return { readable, writable, opened, closed, close: (reason) => socket.close(reason) };
};

testConformance({
  name: `toSocket() over a pair of streams on ${runtime}`,
  // node:tls on Deno (2.9.6) has one error for everything that is wrong with a certificate except its name.
  expired: runtime === "deno" ? "certificate-untrusted" : "certificate-expired",
  // On Bun (1.4.5) it does not leave this side open over anything but a socket.
  tlsEndsBoth: runtime === "bun",
  connect: (address, options) => toSocket(openPair, { ...options, address }),
});

testConformance({
  name: `toSocket() over a socket on ${runtime}`,
  sharesStreams: true,
  lingersInHandshake: runtime === "deno",
  connect(address, options) {
    const open: OpenSocket = (address, { signal }) =>
      connect(address, { secureTransport: "starttls", allowHalfOpen: true, signal });
    return toSocket(open, { ...options, address });
  },
});

test("toSocket() returns a socket as it is, unless the options ask for more", () => {
  const [off] = memorySocketPair();
  const [starttls] = memorySocketPair({ secureTransport: "starttls" });
  assertStrictEquals(toSocket(off), off);
  assertStrictEquals(toSocket(starttls), starttls);
  assertStrictEquals(toSocket(starttls, { secureTransport: "starttls" }), starttls);
  const secured = toSocket(starttls, { secureTransport: "on", address: ADDRESS });
  assertEquals([secured.secureTransport, secured.upgraded, starttls.readable.locked], ["on", true, true]);
  assertStrictEquals(toSocket(secured, { secureTransport: "on" }), secured);
});

test("toSocket() has a signal close a given socket", async () => {
  const [here, there] = memorySocketPair();
  const controller = new AbortController();
  const socket = toSocket(here, { signal: controller.signal });
  await socket.opened;
  controller.abort();
  await assertFails(socket.closed, "aborted");
  await assertFails(there.readable.getReader().read(), "connection-reset");
});

test("toSocket() tells a function where to connect to, and gives it a signal", async () => {
  const seen: unknown[] = [];
  const [pair] = memorySocketPair();
  const open: OpenSocket = (address, { signal }) => {
    seen.push(address, signal.aborted);
    return pair;
  };
  const socket = toSocket(open, { address: { hostname: "bücher.example", port: 25 } });
  assertEquals((await socket.opened).remoteAddress, "memory");
  assertEquals(seen, [{ hostname: "xn--bcher-kva.example", port: 25 }, false]);
  await socket.close();
});

for (
  const [what, open] of [
    ["throws", () => {
      throw new Error("no way");
    }],
    ["rejects", () => Promise.reject(new Error("no way"))],
  ] as [string, OpenSocket][]
) {
  test(`toSocket() rejects opened when the function ${what}`, async () => {
    const socket = toSocket(open, { address: ADDRESS });
    const error = await assertFails(socket.opened, "network");
    assertEquals(error.message, "The connection failed (mx.test:25): no way");
    assertEquals((error.cause as Error).message, "no way");
    await assertFails(socket.closed, "network");
    await assertFails(socket.readable.getReader().read(), "network");
  });
}

test("toSocket() rejects opened with the SocketError that the function throws", async () => {
  const failure = new SocketError("connection-refused", "The proxy says no");
  const socket = toSocket(() => Promise.reject(failure), { address: ADDRESS });
  assertStrictEquals(await assertRejects(() => socket.opened), failure);
});

for (const value of [undefined, null, {}, { readable: new ReadableStream() }, locked()]) {
  test(`toSocket() refuses ${describe(value)}`, async () => {
    const source = value as unknown as StreamPair;
    assertThrows(() => toSocket(source), TypeError, "given socket");
    const socket = toSocket(() => source, { address: ADDRESS });
    await assertFails(socket.opened, "network");
  });
}

test("toSocket() needs an address for a function", () => {
  assertThrows(() => toSocket(() => new Promise(() => {})), TypeError, "address is missing");
});

for (const how of ["signal", "close()"] as const) {
  test(`toSocket() gives up a function that never ends with ${how}`, async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    let told: AbortSignal | undefined;
    const never: OpenSocket = (_, { signal }) => (told = signal, new Promise(() => {}));
    const socket = toSocket(never, { address: ADDRESS, signal: controller.signal });
    if (how === "signal") {
      controller.abort(reason);
      assertStrictEquals((await assertFails(socket.opened, "aborted")).cause, reason);
    } else {
      await socket.close();
      await assertFails(socket.opened, "closed");
    }
    assertEquals(told!.aborted, true);
  });

  test(`toSocket() closes what opens after ${how} has given it up`, async () => {
    const controller = new AbortController();
    const opening = Promise.withResolvers<StreamPair>();
    const socket = toSocket(() => opening.promise, { address: ADDRESS, signal: controller.signal });
    if (how === "signal") controller.abort();
    else void socket.close();
    await assertRejects(() => socket.opened);
    const { pair, end } = observed();
    opening.resolve(pair);
    assertEquals(await end, ["cancel", "abort"]);
  });
}

// ---- TLS

test("toSocket() starts no TLS over a connection that is protected already", async () => {
  for (const source of [observed().pair, () => observed().pair]) {
    const secure = typeof source === "function"
      ? () => ({ ...source(), secureTransport: "on" as const })
      : { ...source, secureTransport: "on" as const };
    for (const secureTransport of ["off", "on", "starttls"] as const) {
      const socket = toSocket(fresh(secure), { secureTransport, address: ADDRESS });
      await socket.opened;
      assertEquals(socket.secureTransport, "on");
      assertThrows(() => socket.startTls(), TypeError, "TLS already");
      await socket.close();
    }
  }
});

test("toSocket() needs a name for TLS before it opens anything", () => {
  const { pair } = observed();
  assertThrows(() => toSocket(pair, { secureTransport: "on" }), TypeError, "tls.serverName is missing");
  const late = toSocket(pair, { secureTransport: "starttls" });
  assertThrows(() => late.startTls(), TypeError, "tls.serverName is missing");
});

test("toSocket() needs no name if there will be no TLS", async () => {
  const { pair } = observed();
  const tls = {};
  const socket = onWorkers(() => toSocket(pair, { secureTransport: "starttls", tls }));
  assertEquals(socket.secureTransport, "off");
  const on = onWorkers(() => toSocket(observed().pair, { secureTransport: "on", tls }));
  await assertFails(on.opened, "tls-failed");
  await socket.close();
});

test("toSocket() starts TLS with node:tls over a socket that was opened without it", async () => {
  const { authority, good } = await certificates();
  await using listener = await Listener.tcp();
  const given = connect(listener.address, { allowHalfOpen: true });
  const socket = toSocket(given, {
    secureTransport: "starttls",
    address: { hostname: "localhost", port: 25 },
    tls: { caCerts: [authority.cert] },
  });
  const peer = await listener.accept();
  const secured = socket.startTls();
  const [secure] = await Promise.all([peer.startTls(good), secured.opened]);
  await secured.writable.getWriter().write(new TextEncoder().encode("EHLO"));
  assertEquals(await secure.readText(4), "EHLO");
  await secured.close();
});

test("toSocket() says when a runtime cannot speak TLS over streams", async () => {
  const { pair } = observed();
  const starttls = onWorkers(() => toSocket(pair, { secureTransport: "starttls", address: ADDRESS }));
  assertEquals(starttls.secureTransport, "off");
  assertThrows(() => starttls.startTls(), TypeError, `secureTransport "off"`);
  const on = onWorkers(() => toSocket(observed().pair, { secureTransport: "on", address: ADDRESS }));
  const error = await assertFails(on.opened, "tls-failed");
  assertEquals(error.message.startsWith("Cannot speak TLS over the given streams"), true, error.message);
  assertInstanceOf(error, TypeError);
});

test("toSocket() works over a socket of node:net, with Duplex.toWeb()", async () => {
  const { authority, good } = await certificates();
  await using listener = await Listener.tcp();
  const { hostname, port } = listener.address as { hostname: string; port: number };
  const raw = net.connect({ host: hostname, port, allowHalfOpen: true });
  const socket = toSocket(Duplex.toWeb(raw) as unknown as StreamPair, {
    secureTransport: "on",
    tls: { caCerts: [authority.cert], serverName: "localhost" },
  });
  const [peer] = await Promise.all([
    listener.accept().then((peer) => peer.startTls(good)),
    socket.opened,
  ]);
  const size = 4_000_000;
  const writer = socket.writable.getWriter();
  const sent = writer.write(new Uint8Array(size));
  for (let count = 0; count < size;) count += (await peer.read())!.length;
  await sent;
  const answered = peer.write(new Uint8Array(size)).then(() => peer.end());
  let count = 0;
  for await (const chunk of socket.readable) count += chunk.length;
  assertEquals(count, size);
  await answered;
  await socket.closed;
  raw.destroy();
});

/** The same source, with streams that nobody has locked yet. */
function fresh(source: SocketSource): SocketSource {
  return typeof source === "function" ? source : { ...source, ...observed().pair } as StreamPair;
}

function locked(): StreamPair {
  const { pair } = observed();
  pair.readable.getReader();
  return pair;
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return `an object with ${Object.keys(value).join(" and ") || "nothing"}`;
}

/** Runs something that believes it is on Cloudflare Workers. */
function onWorkers(body: () => Socket): Socket {
  const original = Object.getOwnPropertyDescriptor(globalThis, "navigator")!;
  Object.defineProperty(globalThis, "navigator", {
    value: { userAgent: "Cloudflare-Workers" },
    configurable: true,
  });
  try {
    return body();
  } finally {
    Object.defineProperty(globalThis, "navigator", original);
  }
}

test("toSocket() refuses options that do not exist", () => {
  const [{ readable, writable }] = memorySocketPair();
  const options = { hostname: "mx.test" } as never;
  assertThrows(() => toSocket({ readable, writable }, options), TypeError, 'there is no option "hostname"');
  const tls = { rejectUnauthorized: false } as never;
  assertThrows(() => toSocket({ readable, writable }, { tls }), TypeError, "use verify");
  assertEquals([readable.locked, writable.locked], [false, false]);
});
