/**
 * The end of a connection: by either side, in good order or not.
 * @module
 */
import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { assertFails, bytes, text } from "./assertions.ts";
import { LARGE } from "./sending.ts";
import type { Suite } from "./suite.ts";

/** Declares the tests of what ends a connection. */
export function testEnds(suite: Suite): void {
  const { adapter, connect, listen, test, testConnected, testAllTransports, testClearAndTls } = suite;

  testClearAndTls("closing the writable ends only this side", async (socket, peer) => {
    const reader = socket.readable.getReader();
    await socket.writable.getWriter().close();
    assertEquals(await peer.read(), null);
    await peer.write("still here");
    assertEquals(text((await reader.read()).value), "still here");
    await peer.end();
    assertEquals((await reader.read()).done, true);
    await socket.closed;
  });

  testClearAndTls("what came before both sides ended can still be read", async (socket, peer) => {
    await socket.writable.getWriter().close();
    assertEquals(await peer.read(), null);
    const sent = 100_000;
    await peer.write(new Uint8Array(sent));
    await peer.end();
    const reader = socket.readable.getReader();
    // The end of both sides has arrived here, too, before anything is read.
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve));
    let count = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) count += part.value.length;
    assertEquals(count, sent);
    await socket.closed;
  });

  testAllTransports("a socket closes when the peer has ended its side", async (socket, peer) => {
    await peer.write("bye");
    await peer.end();
    const reader = socket.readable.getReader();
    const writer = socket.writable.getWriter();
    assertEquals(text((await reader.read()).value), "bye");
    assertEquals((await reader.read()).done, true);
    await socket.closed;
    await assertFails(writer.write(bytes("too late")), "connection-reset");
    assertEquals(await peer.read(), null);
  });

  (adapter.tlsEndsBoth ? testConnected : testClearAndTls)(
    "a socket with allowHalfOpen can still write when the peer has ended its side",
    async (socket, peer) => {
      await peer.end();
      assertEquals((await socket.readable.getReader().read()).done, true);
      const writer = socket.writable.getWriter();
      await writer.write(bytes("one more"));
      assertEquals(await peer.readText(8), "one more");
      await writer.close();
      assertEquals(await peer.read(), null);
      await socket.closed;
    },
    { allowHalfOpen: true },
  );

  testAllTransports("close() ends a read under way, and may be called again", async (socket, peer) => {
    const reader = socket.readable.getReader();
    const writer = socket.writable.getWriter();
    const read = reader.read();
    const closed = socket.close();
    assertStrictEquals(closed, socket.closed);
    assertEquals((await read).done, true);
    await closed;
    assertStrictEquals(socket.close(), closed);
    await assertFails(writer.write(bytes("too late")), "closed");
    await peer.drain();
  });

  testClearAndTls("close() with a write under way makes it fail", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const write = assertFails(writer.write(new Uint8Array(LARGE)), "closed");
    await peer.write("!");
    await socket.readable.getReader().read();
    await socket.close();
    await write;
    await peer.drain();
  });

  testConnected("reads and writes fail with the reason of close(reason)", async (socket, peer) => {
    const reason = new Error("enough");
    const read = assertRejects(() => socket.readable.getReader().read());
    const writer = socket.writable.getWriter();
    await socket.close(reason);
    assertStrictEquals(await read, reason);
    assertStrictEquals(await assertRejects(() => writer.write(bytes("too late"))), reason);
    await peer.drain();
  });

  testConnected("cancelling the readable leaves the writable open", async (socket, peer) => {
    await socket.readable.cancel();
    const writer = socket.writable.getWriter();
    await writer.write(bytes("hello"));
    assertEquals(await peer.readText(5), "hello");
    await writer.close();
    await socket.closed;
  });

  testConnected("aborting the writable closes the socket", async (socket, peer) => {
    await socket.writable.abort(new Error("enough"));
    await socket.closed;
    await peer.drain();
  });

  testConnected("a chunk that is not a Uint8Array is refused", async (socket) => {
    const writer = socket.writable.getWriter() as unknown as WritableStreamDefaultWriter<string>;
    const error = await assertRejects(() => writer.write("text"));
    assertInstanceOf(error, TypeError);
  });

  test("a signal closes an open socket", async () => {
    await using listener = await listen();
    const controller = new AbortController();
    const socket = connect(listener.address, { signal: controller.signal });
    const peer = await listener.accept();
    await socket.opened;
    const read = assertFails(socket.readable.getReader().read(), "aborted");
    controller.abort();
    await read;
    await assertFails(socket.closed, "aborted");
    await assertFails(socket.writable.getWriter().write(bytes("too late")), "aborted");
    await peer.drain();
  });

  if (adapter.takesCutForEnd) {
    testClearAndTls("a connection that is cut ends a read, as an end does", async (socket, peer) => {
      const reader = socket.readable.getReader();
      await peer.write("!"); // a handshake that fails is cut as well
      await reader.read();
      const read = reader.read();
      peer.reset();
      assertEquals((await read).done, true);
      await socket.closed;
      await assertFails(socket.writable.getWriter().write(bytes("too late")), "connection-reset");
    });
  } else {
    testClearAndTls("a connection that is cut makes a read fail", async (socket, peer) => {
      const read = assertFails(socket.readable.getReader().read(), "connection-reset");
      peer.reset();
      await read;
      await assertFails(socket.closed, "connection-reset");
      await assertFails(socket.writable.getWriter().write(bytes("too late")), "connection-reset");
    });
  }

  testClearAndTls("a connection that is cut makes a write fail", async (socket, peer) => {
    const reader = socket.readable.getReader();
    const write = assertFails(socket.writable.getWriter().write(new Uint8Array(LARGE)), "connection-reset");
    await peer.write("!");
    await reader.read();
    peer.reset();
    await write;
    // What the server said last could still be read here; then there is nothing.
    await reader.read().catch(() => {});
    await assertFails(socket.closed, "connection-reset");
  });
}
