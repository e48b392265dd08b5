/**
 * Opening a socket.
 * @module
 */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { assertFails, assertNeverOpens, bytes, text } from "./assertions.ts";
import { type Suite, tcpAddress } from "./suite.ts";

/** Declares the tests of the opening. */
export function testOpening(suite: Suite): void {
  const {
    adapter,
    connect,
    listen,
    test,
    testDirect,
    testConnected,
    assertFailed,
    assertGivenUp,
  } = suite;

  testDirect("opened reports the addresses when the connection is open", async () => {
    await using listener = await listen();
    const socket = connect(listener.address);
    const peer = await listener.accept();
    const info = await socket.opened;
    const { hostname, port } = tcpAddress(listener);
    const own = adapter.hidesAddresses ? undefined : `${hostname}:${peer.raw.remotePort}`;
    assertEquals([info.remoteAddress, info.localAddress], [`${hostname}:${port}`, own]);
    assertEquals(socket.upgraded, false);
    assertEquals(socket.secureTransport, "off");
    await socket.close();
  });

  test("reads and writes wait for the opening when they come before it", async () => {
    await using listener = await listen();
    const socket = connect(listener.address);
    const read = socket.readable.getReader().read();
    const written = socket.writable.getWriter().write(bytes("hello"));
    const peer = await listener.accept();
    assertEquals(await peer.readText(5), "hello");
    await written;
    await peer.write("there");
    assertEquals(text((await read).value), "there");
    await socket.close();
  });

  testConnected("what the peer says at once is kept", async (socket, peer) => {
    await peer.write("220 mx.test\r\n");
    await peer.end();
    const reader = socket.readable.getReader();
    assertEquals(text((await reader.read()).value), "220 mx.test\r\n");
    assertEquals((await reader.read()).done, true);
  });

  testDirect("IPv6 addresses work and are written with brackets", async () => {
    await using listener = await listen("::1");
    const socket = connect(listener.address);
    await listener.accept();
    assertEquals((await socket.opened).remoteAddress, `[::1]:${tcpAddress(listener).port}`);
    await socket.close();
  });

  testDirect("a host name is looked up", async () => {
    await using listener = await listen();
    const { port } = tcpAddress(listener);
    const socket = connect({ hostname: "localhost", port });
    await listener.accept();
    const found = adapter.hidesAddresses ? "localhost" : "127.0.0.1";
    assertEquals((await socket.opened).remoteAddress, `${found}:${port}`);
    await socket.close();
  });

  testDirect("opened rejects with connection-refused when nobody listens", async () => {
    const listener = await listen();
    await listener[Symbol.asyncDispose]();
    await assertFailed(connect(listener.address), "connection-refused", "connecting");
  });

  testDirect("opened rejects with host-not-found when the name has no address", async () => {
    // RFC 6761, section 6.4: never a real name.
    const socket = connect({ hostname: "does-not-exist.invalid", port: 25 });
    await assertFailed(socket, "host-not-found", "connecting");
  });

  test("a signal that is aborted already opens nothing", async () => {
    await using listener = await listen();
    const reason = new Error("enough");
    const socket = connect(listener.address, { signal: AbortSignal.abort(reason) });
    const error = await assertNeverOpens(socket, "aborted");
    assertStrictEquals(error.cause, reason);
  });

  test("a signal stops connecting", async () => {
    await using listener = await listen();
    const controller = new AbortController();
    const socket = connect(listener.address, { signal: controller.signal });
    controller.abort();
    await assertNeverOpens(socket, "aborted");
  });

  test("close() stops connecting", async () => {
    await using listener = await listen();
    const socket = connect(listener.address);
    const written = assertFails(socket.writable.getWriter().write(bytes("lost")), "closed");
    await socket.close();
    await assertFails(socket.opened, "closed");
    await written;
  });

  for (const how of ["signal", "close()"] as const) {
    for (const transport of ["on", "starttls"] as const) {
      testDirect(
        `a ${how} gives up a handshake that is never answered, with "${transport}"`,
        async () => {
          await using listener = await listen();
          const controller = new AbortController();
          const { signal } = controller;
          let socket = connect(listener.address, { secureTransport: transport, signal });
          const peer = await listener.accept();
          if (transport === "starttls") socket = socket.startTls();
          assert(await peer.read() !== null); // the ClientHello
          if (how === "signal") {
            controller.abort();
            await assertGivenUp(socket, "aborted", transport);
          } else {
            await socket.close();
            if (transport === "on" || !adapter.opensBeforeHandshake) {
              await assertFails(socket.opened, "closed");
            }
          }
          if (adapter.lingersInHandshake) await peer.end();
          await peer.drain();
        },
      );
    }
  }
}
