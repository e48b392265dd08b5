/**
 * Reading and writing, and backpressure.
 * @module
 */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { bytes, text } from "./assertions.ts";
import { checkPattern, checkPatternFrom, LARGE, Sending, sendPattern, sendPatternTo } from "./sending.ts";
import type { Suite } from "./suite.ts";

/** Declares the tests of reads and writes. */
export function testTransfer(suite: Suite): void {
  const { adapter, testAllTransports, testClearAndTls } = suite;

  testAllTransports("bytes go both ways", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const reader = socket.readable.getReader();
    for (let i = 0; i < 100; i++) {
      await writer.write(bytes(`ping ${i}\r\n`));
      const ping = `ping ${i}\r\n`;
      assertEquals(await peer.readText(ping.length), ping);
      await peer.write(`pong ${i}\r\n`);
      const { value } = await reader.read();
      assertEquals(text(value), `pong ${i}\r\n`);
    }
  });

  testClearAndTls("a buffer may be used again when its write is done", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const buffer = new Uint8Array(10_000);
    const write = async () => {
      for (let i = 0; i < 50; i++) await writer.write(buffer.fill(i));
      await writer.close();
    };
    const read = async () => {
      let count = 0;
      for (let part = await peer.read(); part !== null; part = await peer.read()) {
        for (const byte of part) assertEquals(byte, Math.floor(count++ / buffer.length));
      }
      assertEquals(count, 50 * buffer.length);
    };
    await Promise.all([write(), read()]);
  });

  testClearAndTls("what was read belongs to the reader", async (socket, peer) => {
    const reader = socket.readable.getReader();
    const parts: Uint8Array[] = [];
    for (let i = 0; i < 20; i++) {
      await peer.write(`${i % 10}`);
      const { value } = await reader.read();
      assertStrictEquals(value!.constructor, Uint8Array); // a Buffer's slice() would be a view
      parts.push(value!);
    }
    assertEquals(parts.map(text).join(""), "01234567890123456789");
    structuredClone(parts[0], { transfer: [parts[0]!.buffer as ArrayBuffer] });
    assertEquals(text(parts[1]), "1");
  });

  if (adapter.sharesStreams) return;

  testClearAndTls("8 MiB arrive intact, both ways at once", async (socket, peer) => {
    // The peer ends its side last: Bun's TLS over a stream answers an end with its own, whatever it still has to write.
    const both = Promise.all([sendPattern((chunk) => peer.write(chunk)), checkPattern(() => peer.read())]);
    await Promise.all([
      both.then(() => peer.end()),
      sendPatternTo(socket.writable),
      checkPatternFrom(socket.readable),
    ]);
    await socket.closed;
  }, { allowHalfOpen: true });

  testClearAndTls("a write waits when the peer does not read", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const reader = socket.readable.getReader();
    const sending = new Sending((chunk) => writer.write(chunk));
    await sending.stall(async () => {
      await peer.write("!");
      await reader.read();
    });
    assert((writer.desiredSize ?? 0) <= 0);
    let count = 0;
    while (count < LARGE) count += (await peer.read())!.length;
    await sending.done;
  });

  if (!adapter.readsAhead) {
    testClearAndTls("nothing is read ahead when nobody reads", async (socket, peer) => {
      const writer = socket.writable.getWriter();
      const reader = socket.readable.getReader();
      const sending = new Sending((chunk) => peer.write(chunk));
      let count = (await reader.read()).value!.length;
      await sending.stall(async () => {
        await writer.write(bytes("!"));
        await peer.readText(1);
      });
      while (count < LARGE) count += (await reader.read()).value!.length;
      await sending.done;
    });
  }
}
