import { assert, assertEquals, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpError } from "../../src/errors.ts";
import { serve } from "../../src/server/mod.ts";
import { type Socket, SocketError, type SocketErrorCode } from "../../src/sockets/socket.ts";
import {
  connectWebSocket,
  type ConnectWebSocketOptions,
  webSocketSocket,
} from "../../src/sockets/websocket/connect.ts";
import { test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { WebSocketBridge } from "../support/web_socket_bridge.ts";
import { closeCode, OPCODES, WebSocketPeer } from "../support/web_socket_peer.ts";
import { assertFails, testConformance } from "./conformance.ts";

const bridge = await WebSocketBridge.start();

testConformance({
  name: "connectWebSocket()",
  bridged: true,
  readsAhead: !("WebSocketStream" in globalThis),
  connect: (address, { allowHalfOpen = false, signal } = {}) => {
    const url = bridge.url(address as { hostname: string; port: number }, "?half-close");
    return connectWebSocket(url, { halfClose: true, allowHalfOpen, ...(signal && { signal }) });
  },
});

// ---- opening

test("connectWebSocket() checks its options before it opens anything", () => {
  const url = "ws://127.0.0.1:1/";
  const open = (options: unknown) => () => connectWebSocket(url, options as ConnectWebSocketOptions);
  assertThrows(open({ secureTransport: "starttls" }), TypeError, `the current value is "starttls"`);
  assertThrows(open({ allowHalfOpen: true }), TypeError, "allowHalfOpen needs halfClose");
  for (const value of [0, -1, 1.5, NaN, "1"]) {
    assertThrows(open({ highWaterMark: value }), RangeError, "highWaterMark must be");
    assertThrows(open({ maxUnread: value }), RangeError, "maxUnread must be");
  }
  for (const bad of ["ftp://127.0.0.1/", "/smtp", "ws://127.0.0.1/#here", ""]) {
    assertThrows(() => connectWebSocket(bad), SyntaxError, bad);
  }
});

test("connectWebSocket() reports the address of the bridge, and offers subprotocols", async () => {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const socket = connectWebSocket(`http://127.0.0.1:${port}/smtp/mx.test?x=1`, {
    protocols: ["binary", "smtp"],
  });
  const peer = await WebSocketPeer.accept(await listener.accept());
  assertEquals(await socket.opened, { remoteAddress: `127.0.0.1:${port}` });
  assertEquals(peer.path, "/smtp/mx.test?x=1");
  assertEquals(peer.protocols.replaceAll(" ", ""), "binary,smtp");
  assertEquals([socket.secureTransport, socket.upgraded], ["off", false]);
  await Promise.all([socket.close(), peer.finish()]);
});

test("connectWebSocket() fails when nobody listens", async () => {
  const listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  await listener[Symbol.asyncDispose]();
  const socket = connectWebSocket(`ws://127.0.0.1:${port}/`);
  const error = await socket.opened.then(() => undefined, (error) => error);
  assert(error instanceof SocketError && ["network", "connection-refused"].includes(error.code), `${error}`);
  assertStringIncludes(error.message, `127.0.0.1:${port}`);
  await assertFails(socket.closed, error.code);
});

test("connectWebSocket() fails when the server refuses the handshake", async () => {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const socket = connectWebSocket(`ws://127.0.0.1:${port}/`);
  const peer = await listener.accept();
  await peer.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  await peer.end();
  const error = await assertFails(socket.opened, "network");
  assertStringIncludes(error.message, `127.0.0.1:${port}`);
  await peer.drain();
});

test("connectWebSocket() gives up a handshake that is never answered", async () => {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const controller = new AbortController();
  const reason = new Error("enough");
  const socket = connectWebSocket(`ws://127.0.0.1:${port}/`, { signal: controller.signal });
  const peer = await listener.accept();
  controller.abort(reason);
  assertStrictEquals((await assertFails(socket.opened, "aborted")).cause, reason);
  peer.reset();
  await socket.closed.catch(() => {});
});

test("webSocketSocket() takes a WebSocket that is open, opens, or is closed", async () => {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const opening = new WebSocket(`ws://127.0.0.1:${port}/`);
  const first = webSocketSocket(opening);
  const one = await WebSocketPeer.accept(await listener.accept());
  await first.opened;
  await Promise.all([first.close(), one.finish()]);
  assertThrows(() => webSocketSocket(opening), TypeError, "the WebSocket is closed");

  const open = new WebSocket(`ws://127.0.0.1:${port}/`);
  const two = await WebSocketPeer.accept(await listener.accept());
  await new Promise((resolve) => open.addEventListener("open", resolve, { once: true }));
  const second = webSocketSocket(open, { secureTransport: "on" });
  assertEquals(await second.opened, { remoteAddress: `127.0.0.1:${port}` });
  assertEquals(second.secureTransport, "on");
  await send(two, "220 mx.test\r\n");
  assertEquals(text((await second.readable.getReader().read()).value), "220 mx.test\r\n");
  await Promise.all([second.close(), two.finish()]);
});

test("webSocketSocket() closes a WebSocket when the signal is aborted already", async () => {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}/`);
  const peer = await WebSocketPeer.accept(await listener.accept());
  await new Promise((resolve) => webSocket.addEventListener("open", resolve, { once: true }));
  const closed = new Promise((resolve) => webSocket.addEventListener("close", resolve, { once: true }));
  const socket = webSocketSocket(webSocket, { signal: AbortSignal.abort() });
  await assertFails(socket.opened, "aborted");
  assertEquals(await peer.finish(), 4000);
  await closed;
});

// ---- ends

const ends: [code: number | undefined, error: SocketErrorCode | undefined][] = [
  [1000, undefined],
  [undefined, undefined],
  [1001, "connection-reset"],
  [1008, "not-permitted"],
  [1011, "connection-reset"],
  [3003, "not-permitted"],
  [3008, "timed-out"],
  [4711, "connection-reset"],
];
for (const [code, expected] of ends) {
  const end = expected ?? "an end";
  testOpen(
    `the close code ${code ?? "that is missing"} is ${end}, after the bytes before it`,
    async (socket, peer) => {
      const reader = socket.readable.getReader();
      await send(peer, "421 bye\r\n");
      if (code === undefined) await peer.writeFrame(OPCODES.close, new Uint8Array(0));
      else await peer.close(code, "for a reason");
      const answered = peer.finish();
      assertEquals(text((await reader.read()).value), "421 bye\r\n");
      if (expected === undefined) {
        assertEquals((await reader.read()).done, true);
        await socket.closed;
      } else {
        const error = await assertFails(reader.read(), expected);
        assertEquals(error.message, `The peer closed the WebSocket with code ${code}: for a reason`);
        await assertFails(socket.closed, expected);
      }
      await assertFails(socket.writable.getWriter().write(bytes("too late")), expected ?? "connection-reset");
      assertEquals(await answered, code ?? 1005);
    },
  );
}

testOpen("a connection without a closing handshake is cut", async (socket, peer) => {
  const reader = socket.readable.getReader();
  await peer.peer.end();
  await assertFails(reader.read(), "connection-reset");
});

testOpen("close() says 1000", async (socket, peer) => {
  assertEquals((await Promise.all([peer.finish(), socket.close()]))[0], 1000);
});

testOpen("close(reason) says 4000", async (socket, peer) => {
  assertEquals((await Promise.all([peer.finish(), socket.close(new Error("enough"))]))[0], 4000);
});

testOpen("closing the writable closes the WebSocket, without halfClose", async (socket, peer) => {
  const reader = socket.readable.getReader();
  const writer = socket.writable.getWriter();
  await writer.write(bytes("QUIT\r\n"));
  await writer.close();
  assertEquals(text((await peer.readFrame())?.payload), "QUIT\r\n");
  assertEquals(await peer.finish(), 1000);
  assertEquals((await reader.read()).done, true);
  await socket.closed;
});

testOpen("an empty message means nothing, without halfClose", async (socket, peer) => {
  const reader = socket.readable.getReader();
  await send(peer, "");
  await send(peer, "250 ok\r\n");
  assertEquals(text((await reader.read()).value), "250 ok\r\n");
  await Promise.all([peer.finish(), socket.close()]);
});

testOpen("bytes after the peer's end break the connection, with halfClose", async (socket, peer) => {
  const reader = socket.readable.getReader();
  await send(peer, "");
  assertEquals((await reader.read()).done, true);
  await send(peer, "250 late\r\n");
  const { opcode } = (await peer.readFrame())!;
  assertEquals(opcode, OPCODES.close);
  await assertFails(socket.writable.getWriter().write(bytes("NOOP")), "network");
  peer.peer.destroy();
  await socket.close().catch(() => {});
}, { halfClose: true, allowHalfOpen: true });

// ---- messages

testOpen("text is refused with 4003", async (socket, peer) => {
  const reader = socket.readable.getReader();
  await peer.writeFrame(OPCODES.text, bytes("220 mx.test\r\n"));
  const error = await assertFails(reader.read(), "network");
  assertStringIncludes(error.message, "sent text");
  assertEquals(await peer.finish(), 4003);
  await assertFails(socket.closed, "network");
});

testOpen("a large write leaves in messages of 64 KiB", async (socket, peer) => {
  const written = socket.writable.getWriter().write(new Uint8Array(200_000).fill(7));
  const lengths: number[] = [];
  while (lengths.reduce((sum, length) => sum + length, 0) < 200_000) {
    const { opcode, payload } = (await peer.readFrame())!;
    assertEquals(opcode, OPCODES.binary);
    assert(payload.every((byte) => byte === 7));
    lengths.push(payload.length);
  }
  assertEquals(lengths, [65_536, 65_536, 65_536, 3_392]);
  await written;
  await Promise.all([peer.finish(), socket.close()]);
});

test("no more waits in a WebSocket than highWaterMark says, and a message", async () => {
  await using listener = await Listener.tcp();
  const webSocket = new WebSocket(`ws://127.0.0.1:${(listener.address as { port: number }).port}/`);
  const highWaterMark = 200_000;
  const socket = webSocketSocket(webSocket, { highWaterMark });
  const peer = await WebSocketPeer.accept(await listener.accept());
  const reader = socket.readable.getReader();
  const writer = socket.writable.getWriter();
  const size = 64 * 1024 * 1024;
  let sent = 0;
  let most = 0;
  const sending = (async () => {
    for (const chunk = new Uint8Array(65_536); sent < size; sent += chunk.length) {
      await writer.write(chunk);
      most = Math.max(most, webSocket.bufferedAmount);
    }
  })();
  // Not measured by the clock but by what passes the other way in the meantime.
  for (let idle = 0, before = -1; idle < 100; idle++) {
    if (sent !== before) idle = 0;
    before = sent;
    await send(peer, "!");
    assertEquals(text((await reader.read()).value), "!");
    most = Math.max(most, webSocket.bufferedAmount);
  }
  assert(sent < size, "Everything was sent, and nobody has read it");
  // Bun counts the frame's head, too.
  assert(most > highWaterMark && most <= highWaterMark + 65_536 + 14, `${most} bytes were waiting`);
  for (let count = 0; count < size;) count += (await peer.readFrame())!.payload.length;
  await sending;
  await Promise.all([peer.finish(), socket.close()]);
});

test("a peer that does not wait is cut off with 4009 when maxUnread bytes were not read", async () => {
  await using listener = await Listener.tcp();
  const webSocket = new WebSocket(`ws://127.0.0.1:${(listener.address as { port: number }).port}/`);
  const socket = webSocketSocket(webSocket, { maxUnread: 100_000 });
  const peer = await WebSocketPeer.accept(await listener.accept());
  await socket.opened;
  await peer.writeFrame(OPCODES.binary, new Uint8Array(50_000));
  await peer.writeFrame(OPCODES.binary, new Uint8Array(50_000));
  await peer.writeFrame(OPCODES.ping, new Uint8Array(0));
  while ((await peer.readFrame())!.opcode !== 10); // both have been taken
  const reader = socket.readable.getReader();
  assertEquals((await reader.read()).value!.length, 50_000);
  await peer.writeFrame(OPCODES.binary, new Uint8Array(50_000));
  await peer.writeFrame(OPCODES.binary, new Uint8Array(1));
  const close = (await peer.readFrame())!;
  assertEquals([close.opcode, closeCode(close)], [OPCODES.close, 4009]);
  const error = await assertFails(reader.read(), "network");
  assertStringIncludes(error.message, "more than 100000 bytes that were not read");
  await peer.close(4009);
  await peer.peer.end();
  await assertFails(socket.closed, "network");
});

test("a peer is cut off with 4009 that sends messages of a byte, for the memory that they take", async () => {
  await using listener = await Listener.tcp();
  const webSocket = new WebSocket(`ws://127.0.0.1:${(listener.address as { port: number }).port}/`);
  const socket = webSocketSocket(webSocket, { maxUnread: 2_560 });
  const peer = await WebSocketPeer.accept(await listener.accept());
  await socket.opened;
  for (let i = 0; i < 20; i++) await peer.writeFrame(OPCODES.binary, new Uint8Array(1));
  const close = (await peer.readFrame())!;
  assertEquals([close.opcode, closeCode(close)], [OPCODES.close, 4009]);
  await assertFails(socket.readable.getReader().read(), "network");
  await peer.close(4009);
  await peer.peer.end();
  await assertFails(socket.closed, "network");
});

// ---- TLS, and mail

testOpen("startTls() is a TypeError that says what to do", async (socket, peer) => {
  assertThrows(() => socket.startTls(), TypeError, `opened with secureTransport "off"`);
  assertThrows(() => socket.startTls(), TypeError, "have the bridge speak TLS");
  await Promise.all([peer.finish(), socket.close()]);
});

test("a client sends mail through a bridge, and logs in where the caller vouches for it", async () => {
  const users: string[] = [];
  let size = 0;
  await using server = serve({ maxMessageSize: 10_000_000, allowInsecureAuth: true }, {
    auth: ({ user, pass }) => (users.push(user), pass === "open sesame"),
    message: async (content) => {
      for await (const chunk of content) size += chunk.length;
    },
  });
  const { port } = await server.listening as { port: number };
  const url = bridge.url({ hostname: "127.0.0.1", port });
  const auth = { user: "ada", pass: "open sesame" };

  const client = await SmtpClient.connect({
    socket: connectWebSocket(url, { secureTransport: "on" }),
    auth,
    clientName: "page.test",
  });
  const message = new Blob([`X:${"x".repeat(74)}\r\n`.repeat(64_000)]);
  const receipt = await client.send({ from: "me@client.test", to: ["you@server.test"] }, message);
  assertEquals(receipt.accepted, ["you@server.test"]);
  assertEquals([client.secure, size, users], [true, message.size, ["ada"]]);
  await client.quit();

  const socket = connectWebSocket(url);
  const refused: SmtpError = await SmtpClient.connect({
    socket,
    hostname: "localhost",
    auth,
    clientName: "page.test",
  })
    .then(() => undefined, (error) => error);
  assertEquals(refused?.code, "starttls-unavailable", `${refused}`);
  assertEquals(users, ["ada"]); // it was not even tried
  await socket.closed.catch(() => {});
});

/** A test with a socket that is open, and its peer. */
function testOpen(
  what: string,
  body: (socket: Socket, peer: WebSocketPeer) => Promise<void>,
  options?: ConnectWebSocketOptions,
): void {
  test(`connectWebSocket(): ${what}`, async () => {
    await using listener = await Listener.tcp();
    const { port } = listener.address as { port: number };
    const socket = connectWebSocket(`ws://127.0.0.1:${port}/`, options);
    const peer = await WebSocketPeer.accept(await listener.accept());
    await socket.opened;
    await body(socket, peer);
    peer.peer.destroy();
    await socket.close().catch(() => {});
  });
}

function send(peer: WebSocketPeer, data: string): Promise<void> {
  return peer.writeFrame(OPCODES.binary, bytes(data));
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

test("connectWebSocket() and webSocketSocket() refuse options that do not exist", () => {
  const connecting = () => connectWebSocket("ws://127.0.0.1:9/", { security: "tls" } as never);
  assertThrows(connecting, TypeError, "use secureTransport");
  const webSocket = { readyState: 1, url: "" } as WebSocket;
  assertThrows(() => webSocketSocket(webSocket, { tls: {} } as never), TypeError, "the bridge can");
  assertThrows(() => webSocketSocket(webSocket, { protocols: [] } as never), TypeError, '"protocols"');
});
