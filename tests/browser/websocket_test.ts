import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { ConnectWebSocketOptions } from "../../src/sockets/websocket/connect.ts";
import { Listener } from "../support/peer.ts";
import { closeCode, OPCODES, WebSocketPeer } from "../support/web_socket_peer.ts";
import { Chromium, chromiumTests, ExampleBridge, type Page } from "./chromium.ts";
import * as inPage from "./in_page.mjs";

const testInChromium = chromiumTests("connectWebSocket()");

/** More bytes than the kernel and the browser buffer: they cannot all be sent before the page reads. */
const LARGE = 64 * 1024 * 1024;

for (const kind of ["WebSocketStream", "WebSocket"] as const) {
  testInChromium(`bytes go both ways, and each side ends, over a ${kind}`, async () => {
    await using stage = await Stage.start(kind);
    // The peer may send everything before the page has read anything.
    const { page, peer } = await stage.open({ halfClose: true, allowHalfOpen: true, maxUnread: LARGE });
    const echoed = page.evaluate(inPage.echo);
    echoed.catch(() => {}); // what the peer saw tells more
    // An odd length, so that sender and receiver cut at different places.
    const pattern = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 7919) >>> 3);
    const count = 200;
    const send = async () => {
      for (let i = 0; i < count; i++) await peer.writeFrame(OPCODES.binary, pattern);
      await peer.writeFrame(OPCODES.binary, new Uint8Array(0));
    };
    const check = async () => {
      for (let offset = 0;;) {
        const { opcode, payload } = (await peer.readFrame())!;
        assertEquals(opcode, OPCODES.binary);
        if (payload.length === 0) return offset;
        for (const byte of payload) {
          if (byte !== pattern[offset++ % pattern.length]) throw new Error(`Byte ${offset - 1} is wrong`);
        }
      }
    };
    const [received] = await Promise.all([check(), send()]);
    assertEquals(received, count * pattern.length);
    assertEquals(await peer.finish(), 1000);
    assertEquals(await echoed, received);
  });

  testInChromium(`the page learns what the peer does wrong, and how it ends, over a ${kind}`, async () => {
    await using stage = await Stage.start(kind);
    const codes: [number, string | undefined][] = [
      [1000, undefined],
      [1008, "not-permitted"],
      [1011, "connection-reset"],
      [3008, "timed-out"],
    ];
    for (const [code, expected] of codes) {
      const { page, peer } = await stage.open();
      await peer.writeFrame(OPCODES.binary, new Uint8Array(3));
      await peer.close(code, "for a reason");
      await peer.finish();
      assertEquals(await page.evaluate(inPage.read), { length: 3 });
      const end = await page.evaluate(inPage.read);
      if (expected === undefined) assertEquals(end, { done: true });
      else {
        const message = `The peer closed the WebSocket with code ${code}: for a reason`;
        assertEquals(end, { name: "SocketError", code: expected, message });
      }
    }
    const cut = await stage.open();
    cut.peer.peer.reset();
    assertEquals((await cut.page.evaluate(inPage.read)).code, "connection-reset");

    const text = await stage.open();
    await text.peer.writeFrame(OPCODES.text, new TextEncoder().encode("220 mx.test\r\n"));
    assertStringIncludes((await text.page.evaluate(inPage.read)).message, "sent text");
    assertEquals(await text.peer.finish(), 4003);

    const aborted = await stage.open();
    await aborted.page.evaluate(inPage.abort);
    assertEquals((await aborted.page.evaluate(inPage.read)).code, "aborted");
    assertEquals(await aborted.peer.finish(), 4000);
  });
}

testInChromium("a peer waits while the page does not read, over a WebSocketStream", async () => {
  await using stage = await Stage.start("WebSocketStream");
  const { page, peer } = await stage.open({ halfClose: true, allowHalfOpen: true });
  let sent = 0;
  const sending = (async () => {
    for (const chunk = new Uint8Array(65_536); sent < LARGE; sent += chunk.length) {
      await peer.writeFrame(OPCODES.binary, chunk);
    }
    await peer.writeFrame(OPCODES.binary, new Uint8Array(0));
  })();
  // Measured not by a clock but by how many bytes pass the other way in the meantime.
  for (let idle = 0, before = -1; idle < 100; idle++) {
    if (sent !== before) idle = 0;
    before = sent;
    await page.evaluate(inPage.write);
    assertEquals((await peer.readFrame())?.payload.length, 1);
  }
  assert(sent < LARGE, "Everything was sent, and nobody has read it");
  const [read] = await Promise.all([page.evaluate(inPage.readAll), sending]);
  assertEquals(read, LARGE);
});

testInChromium("a peer is disconnected when too many bytes are unread, over a WebSocket", async () => {
  await using stage = await Stage.start("WebSocket");
  const { page, peer } = await stage.open({ maxUnread: 100_000 });
  await peer.writeFrame(OPCODES.binary, new Uint8Array(60_000));
  await peer.writeFrame(OPCODES.binary, new Uint8Array(60_000));
  const close = (await peer.readFrame())!;
  assertEquals([close.opcode, closeCode(close)], [OPCODES.close, 4009]);
  const { code, message } = await page.evaluate(inPage.read);
  assertEquals(code, "network");
  assertStringIncludes(message, "more than 100000 bytes that were not read");
});

/** A browser, the server of its pages, and the peer of their WebSockets. */
class Stage implements AsyncDisposable {
  readonly #kind: string;
  readonly #listener: Listener;
  readonly #bridge: ExampleBridge;
  readonly #chromium: Chromium;

  private constructor(kind: string, listener: Listener, bridge: ExampleBridge, chromium: Chromium) {
    this.#kind = kind;
    this.#listener = listener;
    this.#bridge = bridge;
    this.#chromium = chromium;
  }

  static async start(kind: string): Promise<Stage> {
    const listener = await Listener.tcp();
    const { port } = listener.address as { port: number };
    const bridge = await ExampleBridge.start(["--to", `127.0.0.1:${port}`]);
    return new Stage(kind, listener, bridge, await Chromium.start());
  }

  /** Opens a page that opens a socket to the peer, not through the bridge. */
  async open(options: ConnectWebSocketOptions = {}): Promise<{ page: Page; peer: WebSocketPeer }> {
    const page = await this.#chromium.open(this.#bridge.url, (page) => page.setBypassCSP(true));
    const { port } = this.#listener.address as { port: number };
    const url = `ws://127.0.0.1:${port}/`;
    const [peer] = await Promise.all([
      this.#listener.accept().then((peer) => WebSocketPeer.accept(peer)),
      page.evaluate(inPage.openSocket, this.#kind, url, options),
    ]);
    return { page, peer };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chromium[Symbol.asyncDispose]();
    await this.#bridge[Symbol.asyncDispose]();
    await this.#listener[Symbol.asyncDispose]();
  }
}
