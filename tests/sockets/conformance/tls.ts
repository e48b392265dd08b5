/**
 * Going over to TLS, and how TLS begins and ends.
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertFails, bytes, text } from "./assertions.ts";
import { secureNext, type Suite } from "./suite.ts";

/** Declares the tests of TLS. */
export function testTls(suite: Suite): void {
  const { adapter, connect, listen, certificates, trust, testDirect, testConnected, assertFailed } = suite;

  testConnected(
    "startTls() goes over in the middle of a conversation",
    async (plain, peer) => {
      const all = await certificates();
      const before = { reader: plain.readable.getReader(), writer: plain.writable.getWriter() };
      await before.writer.write(bytes("STARTTLS\r\n"));
      assertEquals(await peer.readText(10), "STARTTLS\r\n");
      await peer.write("220 go\r\n");
      assertEquals(text((await before.reader.read()).value), "220 go\r\n");
      before.reader.releaseLock();
      before.writer.releaseLock();
      const socket = plain.startTls(trust(all));
      assertEquals([socket.upgraded, socket.secureTransport], [true, "on"]);
      assertEquals([plain.readable.locked, plain.writable.locked], [true, true]);
      assertThrows(() => plain.startTls(), TypeError, "Cannot start TLS");
      assertThrows(() => socket.startTls(), TypeError, "Cannot start TLS");
      const secure = await peer.startTls(all.good);
      const { remoteAddress, alpn } = await socket.opened;
      const none = adapter.refuses?.includes("tls.alpnProtocols") ? undefined : null;
      assertEquals([remoteAddress, alpn], [(await plain.opened).remoteAddress, none]);
      await plain.closed;
      const reader = socket.readable.getReader();
      await socket.writable.getWriter().write(bytes("EHLO\r\n"));
      assertEquals(await secure.readText(6), "EHLO\r\n");
      await secure.write("250 ok\r\n");
      assertEquals(text((await reader.read()).value), "250 ok\r\n");
      await plain.close(); // no longer its connection
      await secure.write("251 ok\r\n");
      assertEquals(text((await reader.read()).value), "251 ok\r\n");
      await socket.close();
      await secure.drain();
    },
    { secureTransport: "starttls" },
  );

  testConnected(
    "startTls() waits for writes that are still queued",
    async (plain, peer) => {
      const all = await certificates();
      const writer = plain.writable.getWriter();
      const writes = Array.from({ length: 10 }, (_, i) => writer.write(bytes(`${i}`)));
      const done = Promise.allSettled(writes);
      writer.releaseLock();
      const socket = plain.startTls(trust(all));
      const sent = adapter.losesReleasedWrites ? "0" : "0123456789";
      assertEquals(await peer.readText(sent.length), sent);
      const ends = writes.map((_, i) => i < sent.length ? "fulfilled" : "rejected");
      assertEquals((await done).map(({ status }) => status), ends);
      await Promise.all([peer.startTls(all.good), socket.opened]);
      await socket.close();
    },
    { secureTransport: "starttls" },
  );

  testConnected("startTls() fails when the peer said something in the clear after it agreed", async (
    plain,
    peer,
  ) => {
    const reader = plain.readable.getReader();
    await peer.write("220 go\r\n");
    assertEquals(text((await reader.read()).value), "220 go\r\n");
    reader.releaseLock();
    await peer.write("250 injected\r\n");
    const socket = plain.startTls();
    await assertFailed(socket, "tls-failed", "starttls");
    await peer.drain();
  }, { secureTransport: "starttls" });

  testConnected(
    "startTls() is refused while a stream is locked or a read is under way, and nothing is lost",
    async (socket, peer) => {
      const writer = socket.writable.getWriter();
      assertThrows(() => socket.startTls(), TypeError, "the writable is locked");
      writer.releaseLock();
      let reader = socket.readable.getReader();
      assertThrows(() => socket.startTls(), TypeError, "the readable is locked");
      const read = assertRejects(() => reader.read());
      reader.releaseLock();
      await read;
      assertThrows(() => socket.startTls(), TypeError, "a read is under way");
      await peer.write("220");
      reader = socket.readable.getReader();
      assertEquals(text((await reader.read()).value), "220");
      await socket.writable.getWriter().write(bytes("EHLO"));
      assertEquals(await peer.readText(4), "EHLO");
    },
    { secureTransport: "starttls" },
  );

  testConnected("startTls() is refused when the socket was not opened for it", (socket) => {
    assertThrows(() => socket.startTls(), TypeError, `secureTransport "off"`);
    return Promise.resolve();
  });

  testDirect("startTls() waits for a connection that is not open yet", async () => {
    const all = await certificates();
    await using listener = await listen();
    const plain = connect(listener.address, { secureTransport: "starttls", tls: trust(all) });
    const socket = plain.startTls();
    await Promise.all([secureNext(listener, all.good), plain.opened, socket.opened]);
    await socket.close();
  });

  testDirect("startTls() fails if connecting fails", async () => {
    const listener = await listen();
    await listener[Symbol.asyncDispose]();
    const plain = connect(listener.address, { secureTransport: "starttls" });
    const socket = plain.startTls();
    await assertFailed(socket, "connection-refused", "connecting");
    const code = adapter.indistinct?.connecting ?? "connection-refused";
    await assertFails(plain.opened, code);
    await assertFails(plain.closed, code);
  });

  testDirect("a peer that speaks no TLS is tls-failed", async () => {
    await using listener = await listen();
    const socket = connect(listener.address, { secureTransport: "on" });
    const peer = await listener.accept();
    await peer.write("220 mx.test ESMTP, in the clear\r\n");
    await assertFailed(socket, "tls-failed", "on");
    await peer.drain();
  });

  testDirect("a peer that hangs up in the handshake is connection-reset", async () => {
    await using listener = await listen();
    const socket = connect(listener.address, { secureTransport: "on" });
    const peer = await listener.accept();
    await peer.read();
    await peer.end();
    await assertFailed(socket, "connection-reset", "on");
  });

  testConnected("an end without TLS's close_notify is an end", async (plain, peer) => {
    const all = await certificates();
    const socket = plain.startTls(trust(all));
    const [secure] = await Promise.all([peer.startTls(all.good), socket.opened]);
    const reader = socket.readable.getReader();
    await secure.write("221 bye\r\n");
    assertEquals(text((await reader.read()).value), "221 bye\r\n");
    await peer.end(); // below TLS
    assertEquals((await reader.read()).done, true);
    await socket.closed;
  }, { secureTransport: "starttls" });
}
