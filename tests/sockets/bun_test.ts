import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { connect } from "../../src/sockets/connect.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { assertFails, certificates } from "./conformance.ts";

if (runtime === "bun") {
  const { Bun } = globalThis as unknown as {
    Bun: { connect: (options: unknown) => Promise<{ readyState: number }> };
  };

  test("connect() on Bun terminates a socket that opens after it was given up", async () => {
    await using listener = await Listener.tcp();
    const controller = new AbortController();
    const original = Bun.connect;
    let opening: Promise<{ readyState: number }> | undefined;
    const called = Promise.withResolvers<void>();
    Bun.connect = (options) => (called.resolve(), opening = original(options));
    try {
      const reason = new Error("enough");
      const socket = connect(listener.address, { signal: controller.signal });
      await called.promise; // the connection opens only in a later turn
      controller.abort(reason);
      assertStrictEquals((await assertFails(socket.opened, "aborted")).cause, reason);
    } finally {
      Bun.connect = original;
    }
    const peer = await listener.accept();
    const raw = await opening!;
    await peer.drain();
    assert(raw.readyState <= 0, `readyState is ${raw.readyState}`);
  });

  test("connect() on Bun keeps ciphertext out of the memory of the connection in the clear", async () => {
    const { authority, good } = await certificates();
    await using listener = await Listener.tcp();
    const socket = connect(listener.address, {
      secureTransport: "on",
      tls: { caCerts: [authority.cert] },
    });
    const peer = await (await listener.accept()).startTls(good);
    const reader = socket.readable.getReader();
    const memory = () => {
      (globalThis as unknown as { Bun: { gc(force: boolean): void } }).Bun.gc(true);
      return (globalThis as unknown as { process: { memoryUsage(): { rss: number } } }).process.memoryUsage()
        .rss;
    };
    const before = memory();
    const size = 256 * 1024 * 1024;
    const chunk = new Uint8Array(1024 * 1024);
    const sent = (async () => {
      for (let i = 0; i < size; i += chunk.length) await peer.write(chunk);
    })();
    for (let count = 0; count < size;) count += (await reader.read()).value!.length;
    await sent;
    assert(memory() - before < size / 2, `It grew by ${memory() - before} bytes`);
    await socket.close();
  });

  test("connect() on Bun uses Bun's own sockets, and node:net with a localAddress", async () => {
    await using listener = await Listener.tcp();
    const original = Bun.connect;
    let calls = 0;
    Bun.connect = (options) => (calls++, original(options));
    try {
      const own = connect(listener.address);
      const other = connect(listener.address, { localAddress: "127.0.0.2" });
      await Promise.all([own.opened, other.opened]);
      await Promise.all([own.close(), other.close()]);
    } finally {
      Bun.connect = original;
    }
    // node:net on Bun uses Bun.connect() as well, but takes it from elsewhere.
    assertEquals(calls, 1);
  });
} else {
  test("connect() on Bun", { skip: "it needs Bun" }, () => {});
}
