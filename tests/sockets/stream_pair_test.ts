import { assertEquals, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { test } from "../support/harness.ts";
import { assertFails } from "./conformance.ts";
import { observed } from "./observed_pair.ts";

test("toSocket() waits for the pair's opened, and fails with it", async () => {
  const opened = Promise.withResolvers<unknown>();
  const { pair, end } = observed();
  const socket = toSocket({ ...pair, opened: opened.promise });
  opened.reject(new Error("no way"));
  const error = await assertFails(socket.opened, "network");
  assertEquals((error.cause as Error).message, "no way");
  assertEquals(await end, ["cancel", "abort"]);
});

test("toSocket() gives up a pair that never opens", async () => {
  const { pair, end } = observed();
  const socket = toSocket({ ...pair, opened: new Promise(() => {}) });
  await socket.close();
  await assertFails(socket.opened, "closed");
  assertEquals(await end, ["cancel", "abort"]);
});

test("toSocket() takes over what a pair knows about itself, and nothing else", async () => {
  const { pair } = observed();
  const opened = Promise.resolve({ remoteAddress: "192.0.2.1:25", localAddress: 7, other: "x" });
  const socket = toSocket({ ...pair, opened });
  assertEquals(await socket.opened, { remoteAddress: "192.0.2.1:25" });
  await socket.close();
});

test("toSocket() calls the pair's close() once, with the reason, and waits for it", async () => {
  const { pair } = observed();
  const closing = Promise.withResolvers<void>();
  const reasons: unknown[] = [];
  const close = (reason: unknown) => (reasons.push(reason), closing.promise);
  const socket = toSocket({ ...pair, close });
  await socket.opened;
  const reason = new Error("enough");
  let closed = false;
  const done = socket.close(reason).then(() => closed = true);
  void socket.close();
  await new Promise((resolve) => setTimeout(resolve)); // whatever does not wait has happened by then
  assertEquals([reasons, closed], [[reason], false]);
  closing.resolve();
  await done;
});

test("toSocket() without the pair's close() ends in good order, unless there is a reason or a write under way", async () => {
  for (
    const [reason, writing, last] of [[undefined, false, "close"], ["enough", false, "abort"], [
      undefined,
      true,
      "abort",
    ]] as const
  ) {
    const { pair, end } = observed();
    const socket = toSocket(pair);
    await socket.opened;
    const written = writing && socket.writable.getWriter().write(new Uint8Array(1));
    await socket.close(reason);
    if (written) await assertFails(written, "closed");
    assertEquals(await end, ["cancel", last]);
  }
});

test("toSocket() ignores an error of the pair's close()", async () => {
  const { pair } = observed();
  const socket = toSocket({
    ...pair,
    close() {
      throw new Error("never");
    },
  });
  await socket.opened;
  await socket.close();
});

test("toSocket() fails a read that hangs when the pair's closed rejects", async () => {
  const closed = Promise.withResolvers<void>();
  const { pair } = observed();
  const socket = toSocket({ ...pair, closed: closed.promise });
  await socket.opened;
  const read = assertFails(socket.readable.getReader().read(), "network");
  closed.reject(new Error("broken"));
  await read;
});

test("toSocket() makes bytes of every view and buffer, and skips empty chunks", async () => {
  const pool = new TextEncoder().encode("..one..two..three..four");
  const chunks: unknown[] = [
    new Uint8Array(),
    pool.subarray(2, 5),
    new DataView(pool.buffer, 7, 3),
    new ArrayBuffer(0),
    pool.slice(12, 17).buffer,
    Buffer.from("four"),
  ];
  const readable = new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    },
  });
  const socket = toSocket({ readable, writable: new WritableStream() });
  const words: string[] = [];
  for await (const chunk of socket.readable) {
    assertStrictEquals(chunk.constructor, Uint8Array);
    words.push(new TextDecoder().decode(chunk));
  }
  assertEquals(words, ["one", "two", "three", "four"]);
});

test("toSocket() refuses chunks of text", async () => {
  const readable = new ReadableStream({ start: (controller) => controller.enqueue("220 mx.test") });
  const socket = toSocket({ readable, writable: new WritableStream() });
  const error = await assertFails(socket.readable.getReader().read(), "network");
  assertEquals(error.message.includes("it is of type string"), true, error.message);
});

test("toSocket() gives the writable chunks that it may keep", async () => {
  const kept: Uint8Array[] = [];
  const socket = toSocket({
    readable: new ReadableStream(),
    writable: new WritableStream({ write: (chunk) => void kept.push(chunk) }, { highWaterMark: 10 }),
  });
  const writer = socket.writable.getWriter();
  const buffer = new Uint8Array(1);
  for (let i = 0; i < 3; i++) await writer.write(buffer.fill(i));
  assertEquals(kept.map(([byte]) => byte), [0, 1, 2]);
  await socket.close();
});

for (const [end, streams] of Object.entries({ readable: "read", writable: "write" })) {
  test(`toSocket() reports a ${end} that breaks`, async () => {
    const broken = new Error("broken");
    const fail = () => Promise.reject(broken);
    const socket = toSocket({
      readable: new ReadableStream(end === "readable" ? { pull: fail } : {}, { highWaterMark: 0 }),
      writable: new WritableStream(end === "writable" ? { write: fail } : {}),
    });
    const work = streams === "read"
      ? socket.readable.getReader().read()
      : socket.writable.getWriter().write(new Uint8Array(1));
    assertStrictEquals((await assertFails(work, "network")).cause, broken);
    await assertFails(socket.close(), "network");
  });
}
