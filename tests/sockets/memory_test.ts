import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { test } from "../support/harness.ts";
import { assertFails } from "./conformance.ts";

test("memorySocketPair() passes bytes both ways", async () => {
  const [a, b] = memorySocketPair();
  assertEquals(await a.opened, { remoteAddress: "memory", localAddress: "memory", alpn: null });
  assertEquals([a.secureTransport, a.upgraded], ["off", false]);
  for (const [from, to] of [[a, b], [b, a]] as const) {
    const read = receive(to); // before it is written
    await send(from, "one");
    assertEquals(await read, "one");
    await send(from, "two"); // and after
    assertEquals(await receive(to), "two");
  }
});

test("memorySocketPair() passes every byte in order, whatever the pieces", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 30 });
  await fc.assert(fc.asyncProperty(pieces, fc.integer({ min: 1, max: 64 }), async (chunks, highWaterMark) => {
    const [a, b] = memorySocketPair({ highWaterMark });
    const write = async () => {
      const writer = a.writable.getWriter();
      for (const chunk of chunks) await writer.write(chunk);
      await writer.close();
    };
    const [received] = await Promise.all([drain(b), write()]);
    assertEquals(received, chunks.flatMap((chunk) => [...chunk]));
  }));
});

test("a write in memory copies, so that the buffer may be used again", async () => {
  const [a, b] = memorySocketPair();
  const writer = a.writable.getWriter();
  const buffer = new Uint8Array(1);
  for (let i = 0; i < 3; i++) await writer.write(buffer.fill(i));
  await writer.close();
  assertEquals(await drain(b), [0, 1, 2]);
});

test("a write in memory waits when the high-water mark is reached", async () => {
  const [a, b] = memorySocketPair({ highWaterMark: 10 });
  const writer = a.writable.getWriter();
  const reader = b.readable.getReader();
  await writer.write(new Uint8Array(10));
  let done = false;
  const write = writer.write(new Uint8Array(25)).then(() => done = true);
  await turn();
  assertEquals(done, false);
  const lengths: number[] = [];
  while (!done) {
    lengths.push((await reader.read()).value!.length);
    await turn();
  }
  await write;
  lengths.push((await reader.read()).value!.length);
  assertEquals(lengths, [10, 10, 10, 5]);
});

test("a socket in memory ends one side at a time", async () => {
  const [a, b] = memorySocketPair({ allowHalfOpen: true });
  await a.writable.getWriter().close();
  assertEquals(await drain(b), []);
  await send(b, "more");
  assertEquals(await receive(a), "more");
  await b.writable.getWriter().close();
  assertEquals(await drain(a), []);
  await Promise.all([a.closed, b.closed]);
});

test("a socket in memory closes when its peer has ended", async () => {
  const [a, b] = memorySocketPair();
  await a.writable.getWriter().close();
  assertEquals(await drain(b), []);
  await b.closed;
  assertEquals(await drain(a), []);
  await a.closed;
});

test("close() in memory lets the peer read what was written, and no more be written", async () => {
  const [a, b] = memorySocketPair();
  await send(a, "bye");
  await a.close();
  assertEquals(await receive(b), "bye");
  const error = await assertRejects(() => send(b, "too late"));
  assertEquals((error as { code?: string }).code, "connection-reset");
});

test("close(reason) in memory cuts the connection", async () => {
  const [a, b] = memorySocketPair();
  const read = assertFails(b.readable.getReader().read(), "connection-reset");
  const reason = new Error("enough");
  const mine = assertRejects(() => a.readable.getReader().read());
  await a.close(reason);
  assertStrictEquals(await mine, reason);
  await read;
  await assertFails(b.closed, "connection-reset");
  await assertFails(b.writable.getWriter().write(new Uint8Array(1)), "connection-reset");
});

test("close(reason) in memory wakes a write that waits", async () => {
  const [a, b] = memorySocketPair({ highWaterMark: 1 });
  const write = assertFails(a.writable.getWriter().write(new Uint8Array(2)), "connection-reset");
  await b.close(new Error("enough"));
  await write;
});

test("memorySocketPair() refuses a highWaterMark that is not a whole number above 0", () => {
  for (const highWaterMark of [0, -1, 1.5, NaN]) {
    assertThrows(() => memorySocketPair({ highWaterMark }), RangeError, "highWaterMark");
  }
});

test("startTls() in memory needs to be allowed", () => {
  const [a] = memorySocketPair();
  assertThrows(() => a.startTls(), TypeError, "Cannot start TLS");
});

test("startTls() in memory opens when both sides have called it", async () => {
  const [client, server] = memorySocketPair({ secureTransport: "starttls" });
  await send(client, "STARTTLS\r\n");
  assertEquals(await receive(server), "STARTTLS\r\n");
  await send(server, "220 go\r\n");
  const secureServer = server.startTls({ alpnProtocols: ["b", "a"] });
  assertEquals(await receive(client), "220 go\r\n"); // what came before may still be read
  const secureClient = client.startTls({ alpnProtocols: ["a", "c"] });
  assertEquals((await secureClient.opened).alpn, "a");
  assertEquals((await secureServer.opened).alpn, "a");
  assertEquals([secureClient.secureTransport, secureClient.upgraded], ["on", true]);
  await Promise.all([client.closed, server.closed]);
  await send(secureClient, "EHLO\r\n");
  assertEquals(await receive(secureServer), "EHLO\r\n");
  await secureClient.close();
  assertEquals(await drain(secureServer), []);
});

test("startTls() in memory fails when bytes in the clear follow the 220", async () => {
  const [client, server] = memorySocketPair({ secureTransport: "starttls" });
  await send(server, "220 go\r\n");
  await send(server, "250 injected\r\n");
  const secureServer = server.startTls();
  assertEquals(await receive(client), "220 go\r\n");
  const secureClient = client.startTls();
  await assertFails(secureClient.opened, "tls-failed");
  await assertFails(secureServer.opened, "tls-failed");
});

for (
  const [what, meanwhile] of Object.entries({
    "writes": (socket: Socket) => send(socket, "in the clear"),
    "ends": (socket: Socket) => socket.writable.close(),
    "closes": (socket: Socket) => socket.close(),
  })
) {
  test(`startTls() in memory fails when the peer ${what} instead`, async () => {
    const [client, server] = memorySocketPair({ secureTransport: "starttls" });
    const secure = client.startTls();
    await turn();
    await meanwhile(server);
    await assertFails(secure.opened, "tls-failed");
    await server.close();
  });
}

test("startTls() in memory fails when the peer has closed before", async () => {
  const [client, server] = memorySocketPair({ secureTransport: "starttls" });
  const secure = client.startTls();
  await turn();
  await send(server, "in the clear");
  await assertFails(secure.opened, "tls-failed");
  await assertFails(server.startTls().opened, "tls-failed");
});

test("startTls() in memory can be given up", async () => {
  const [client, server] = memorySocketPair({ secureTransport: "starttls" });
  const secure = client.startTls();
  await turn();
  await secure.close();
  await assertFails(secure.opened, "closed");
  assertEquals(await drain(server).catch(() => "cut"), "cut");
});

test("a socket in memory reads nothing before somebody asks", async () => {
  const [a, b] = memorySocketPair({ highWaterMark: 4 });
  const writer = a.writable.getWriter();
  await writer.write(new Uint8Array(4));
  const write = writer.write(new Uint8Array(1));
  await turn();
  assert((writer.desiredSize ?? 0) <= 0); // the 4 bytes are still waiting
  await b.readable.getReader().read();
  await write;
});

async function send(socket: Socket, text: string): Promise<void> {
  const writer = socket.writable.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
  } finally {
    writer.releaseLock();
  }
}

async function receive(socket: Socket): Promise<string> {
  const reader = socket.readable.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}

async function drain(socket: Socket): Promise<number[]> {
  const bytes: number[] = [];
  for await (const chunk of socket.readable) bytes.push(...chunk);
  return bytes;
}

/** Long enough for everything that only waits for promises. */
async function turn(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

test("memorySocketPair() refuses options that do not exist", () => {
  const options = { secure: true } as never;
  assertThrows(
    () => memorySocketPair(options),
    TypeError,
    'Cannot make sockets: there is no option "secure"',
  );
});
