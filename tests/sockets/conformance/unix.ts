/**
 * Unix sockets, if the platform has them.
 * @module
 */
import { assertEquals } from "@std/assert";
import { bytes, text } from "./assertions.ts";
import { secureNext, type Suite } from "./suite.ts";

/** Declares the tests of unix sockets. */
export function testUnix(suite: Suite): void {
  const { adapter, connect, listenUnix, certificates, testUnlessRefused, assertFailed } = suite;
  if (adapter.tcpOnly) return;

  const place = { path: "/tmp/none.sock" };
  testUnlessRefused("unix sockets work", "path", place, async () => {
    await using listener = await listenUnix();
    const socket = connect(listener.address);
    const peer = await listener.accept();
    assertEquals((await socket.opened).remoteAddress, (listener.address as { path: string }).path);
    await socket.writable.getWriter().write(bytes("hello"));
    assertEquals(await peer.readText(5), "hello");
    await peer.write("there");
    assertEquals(text((await socket.readable.getReader().read()).value), "there");
    await socket.close();
  });

  const missing = { path: "/does/not/exist.sock" };
  testUnlessRefused(
    "opened rejects with connection-refused when the unix socket is not there",
    "path",
    missing,
    () => assertFailed(connect(missing), "connection-refused", "connecting"),
  );

  for (const transport of ["on", "starttls"] as const) {
    testUnlessRefused(`TLS works over unix sockets, with "${transport}"`, "path", place, async () => {
      const { authority, good } = await certificates();
      await using listener = await listenUnix();
      const tls = { caCerts: [authority.cert], serverName: "localhost" };
      const plain = connect(listener.address, { secureTransport: transport, tls });
      const socket = transport === "on" ? plain : plain.startTls();
      const [peer] = await Promise.all([secureNext(listener, good), socket.opened]);
      await socket.writable.getWriter().write(bytes("hello"));
      assertEquals(await peer.readText(5), "hello");
      await peer.write("there");
      assertEquals(text((await socket.readable.getReader().read()).value), "there");
      await socket.close();
      await peer.drain();
    });
  }
}
