import { assertEquals, assertRejects } from "@std/assert";
import { LockedStreams } from "../../src/sockets/locked_streams.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { test } from "../support/harness.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

test("LockedStreams.write() tells when the write has ended, and how", async () => {
  const [socket, peer] = memorySocketPair();
  const ends: unknown[] = [];
  const streams = new LockedStreams(socket, (error) => ends.push(error));
  streams.write(encode("one"));
  assertEquals([ends, streams.writing !== undefined], [[], true]);
  await streams.writing;
  assertEquals([ends, streams.writing, streams.writeError], [[undefined], undefined, undefined]);
  await peer.close(new Error("gone")).catch(() => {});
  streams.write(encode("two"));
  await streams.writing;
  assertEquals([ends.length, ends[1] === streams.writeError], [2, true]);
  await streams.close().catch(() => {});
});

test("LockedStreams.read() hands over bytes, then the end, and knows when it is reading", async () => {
  const [socket, peer] = memorySocketPair();
  const streams = new LockedStreams(socket);
  const read = streams.read(decode);
  assertEquals(streams.reading, true);
  await peer.writable.getWriter().write(encode("one"));
  assertEquals([await read, streams.reading], ["one", false]);
  const last = streams.read(decode);
  streams.stopReading();
  assertEquals([await last, await streams.read(decode)], [undefined, undefined]);
  await streams.close();
});

test("LockedStreams.startTls() goes on with the streams of the new socket", async () => {
  const [socket, peer] = memorySocketPair({ secureTransport: "starttls" });
  const streams = new LockedStreams(socket);
  assertEquals(streams.secureTransport, "starttls");
  const secure = peer.startTls();
  await streams.startTls();
  assertEquals(streams.secureTransport, "on");
  streams.write(encode("one"));
  assertEquals(decode((await secure.readable.getReader().read()).value), "one");
  await streams.close();
  await secure.close();
});

test("LockedStreams.close() gives its reason to later writes", async () => {
  const [socket] = memorySocketPair();
  const streams = new LockedStreams(socket);
  const reason = new Error("enough");
  await assertRejects(
    () => streams.close(reason).then(() => Promise.reject(streams.writeError)),
    Error,
    "enough",
  );
  assertEquals(streams.writeError, reason);
});
