/** What strangers can say to the bridge of examples/browser. @module */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import net from "node:net";
import { denoPath, ExampleBridge } from "../support/example_bridge.ts";
import { test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";

const options = {
  skip: denoPath() === undefined ? "the bridge runs on Deno, which is not installed" : undefined,
  timeout: 60_000,
};

/** What the bridge has answered. */
interface Answer {
  /** The HTTP status; 0 if it has hung up without one. */
  status: number;
  /** The code that the WebSocket was closed with; `undefined` if it is open. */
  code: number | undefined;
}

/** A bridge, a server that it forwards to, and one that it must not reach. */
class Stage implements AsyncDisposable {
  readonly bridge: ExampleBridge;
  readonly told: Listener;
  readonly other: Listener;
  readonly #sockets: net.Socket[] = [];

  private constructor(bridge: ExampleBridge, told: Listener, other: Listener) {
    this.bridge = bridge;
    this.told = told;
    this.other = other;
  }

  static async start(...args: string[]): Promise<Stage> {
    const [told, other] = [await Listener.tcp(), await Listener.tcp()];
    const bridge = await ExampleBridge.start(["--to", nameOf(told), ...args], { page: false });
    return new Stage(bridge, told, other);
  }

  /** Sends a request as it is. Resolves with the answer as soon as the WebSocket is open, closed, or there is none. */
  async ask(
    target: string,
    { headers = [`Origin: ${this.bridge.url}`], first = new Uint8Array(), method = "GET" } = {},
  ): Promise<Answer> {
    const { hostname, port } = new URL(this.bridge.url);
    const socket = net.connect({ host: hostname, port: Number(port) });
    this.#sockets.push(socket);
    const request = [
      `${method} ${target} HTTP/1.1`,
      `Host: ${hostname}:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    ];
    socket.write(`${request.join("\r\n")}\r\n\r\n`);
    let bytes = Buffer.alloc(0);
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const look = (ended: boolean) => {
      const text = bytes.toString("latin1");
      const status = Number(text.match(/^HTTP\/1\.[01] (\d{3})/)?.[1] ?? 0);
      const end = text.indexOf("\r\n\r\n") + 4;
      if (status !== 101 && (ended || (status > 0 && end >= 4))) resolve({ status, code: undefined });
      if (status !== 101 || end < 4) return;
      if (bytes.length > end + 3 && bytes[end] === 0x88) {
        resolve({ status, code: bytes.readUInt16BE(end + 2) });
      } else if (ended) resolve({ status, code: 1006 });
      else if (bytes.length > end) resolve({ status, code: undefined }); // the server's greeting
    };
    socket.on("data", (data: Buffer) => {
      const fresh = bytes.length === 0;
      bytes = Buffer.concat([bytes, data]);
      if (fresh && first.length > 0) socket.write(first);
      look(false);
    });
    socket.on("error", () => look(true));
    socket.on("close", () => look(true));
    return await promise;
  }

  /** Opens a connection through the bridge: the server greets. */
  async open(): Promise<Answer> {
    const answer = this.ask(`/smtp/${nameOf(this.told)}`);
    const peer = await Promise.race([this.told.accept(), answer]);
    if (!("write" in peer)) return peer;
    await peer.write("220 mx.test\r\n");
    return await answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.bridge[Symbol.asyncDispose]();
    await this.told[Symbol.asyncDispose]();
    await this.other[Symbol.asyncDispose]();
  }
}

function nameOf(listener: Listener): string {
  const { hostname, port } = listener.address as { hostname: string; port: number };
  return `${hostname}:${port}`;
}

/** A masked frame from a page: binary, with so many zero bytes. */
function frame(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8 + length);
  bytes.set([0x82, 0x80 | 126, length >> 8, length & 255]); // the mask is zero
  return bytes;
}

test(
  "examples/browser/bridge.ts answers 1008 to a path that names no server, and goes on",
  options,
  async () => {
    await using stage = await Stage.start();
    const [host, port] = nameOf(stage.other).split(":");
    const [, told] = nameOf(stage.told).split(":");
    const paths = [
      "/smtp/%",
      "/smtp/%E0%A4%A",
      "/smtp/%00",
      "/smtp/%c0%ae",
      "/smtp/",
      "/smtp",
      "/",
      "/%",
      `/${nameOf(stage.told)}`,
      `/smtp/${host}:${port}`,
      `/smtp/${nameOf(stage.told)}/${host}:${port}`,
      `/smtp/${nameOf(stage.told)}?${host}:${port}`,
      `/smtp/${nameOf(stage.told)}%0d%0a`,
      `/smtp/${nameOf(stage.told)}%00`,
      `/smtp/${host}:0${told}`,
      `/smtp/${host}:+${told}`,
      ...[
        "0x7f.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "127.0.0.1.",
      ].flatMap(
        (name) => [`/smtp/${name}:${port}`, `/smtp/${name}:${told}`],
      ),
      "/smtp/__proto__",
      "/smtp/constructor",
      `/smtp/${"a".repeat(8_000)}`,
      `//${nameOf(stage.told)}/smtp/${host}:${port}`,
      "/../smtp/x",
    ];
    for (const path of paths) assertEquals(await stage.ask(path), { status: 101, code: 1008 }, path);
    assertEquals(await stage.open(), { status: 101, code: undefined });
    assert(!stage.bridge.ended);
  },
);

test("examples/browser/bridge.ts takes only pages of the one origin that it was given", options, async () => {
  await using stage = await Stage.start("--origin", "https://mail.example");
  const path = `/smtp/${nameOf(stage.told)}`;
  const { url } = stage.bridge;
  const refused = [
    [],
    ["Origin: null"],
    ["Origin:"],
    ["Origin: https://evil.example"],
    [`Origin: ${url}.evil.example`],
    [`Origin: ${url}/`],
    [`Origin: ${url}`, "Origin: https://evil.example"],
    ["Origin: https://evil.example", `Origin: ${url}`],
    [`Origin: ${url}, https://evil.example`],
    [`Sec-WebSocket-Origin: ${url}`],
  ];
  for (const headers of refused) {
    const { status } = await stage.ask(path, { headers });
    assert(status >= 400 || status === 0, `${status} for ${headers}`);
  }
  const peer = stage.told.accept();
  const answer = stage.ask(path, { headers: ["Origin: https://mail.example"] });
  await (await peer).write("220 mx.test\r\n");
  assertEquals(await answer, { status: 101, code: undefined });
});

test(
  "examples/browser/bridge.ts goes on whatever it is asked",
  { ...options, timeout: 120_000 },
  async () => {
    await using stage = await Stage.start();
    const target = fc.oneof(
      fc.string({ unit: fc.constantFrom(..."/smtp%0a:?#[].@\\~ \t\u00fc".split("")), maxLength: 40 }),
      fc.string({ unit: "binary", maxLength: 20 }).map((text) =>
        `/smtp/${encodeURIComponent(text.toWellFormed())}`
      ),
      fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 20 }).map((octets) =>
        `/smtp/${octets.map((octet) => `%${octet.toString(16)}`).join("")}`
      ),
      fc.constantFrom(
        "*",
        "constructor",
        "http://evil.test/smtp/x",
        "/servers",
        "/page.js",
        "x".repeat(100_000),
      ),
    ).map((text) => text.replaceAll(/[\r\n]/g, ""));
    const method = fc.constantFrom("GET", "POST", "CONNECT", "OPTIONS", "FOO");
    await fc.assert(
      fc.asyncProperty(target, method, async (target, method) => {
        const { status, code } = await stage.ask(target, { method });
        assert(status !== 101 || code === 1008, `${status} ${code}`);
        assert(!stage.bridge.ended, "It has ended");
      }),
      { numRuns: 150 },
    );
    assertEquals(await stage.open(), { status: 101, code: undefined });
  },
);

test("examples/browser/bridge.ts has limits for connections and bytes", options, async () => {
  {
    await using stage = await Stage.start("--per-client", "2", "--bytes", "1000");
    assertEquals((await stage.open()).code, undefined);
    assertEquals((await stage.open()).code, undefined);
    assertEquals((await stage.open()).code, 1013);
  }
  {
    await using stage = await Stage.start("--connections", "1", "--bytes", "1000");
    const path = `/smtp/${nameOf(stage.told)}`;
    assertEquals((await stage.ask(path, { first: frame(1_001) })).code, 1009);
  }
  {
    await using stage = await Stage.start("--connections", "1");
    const path = `/smtp/${nameOf(stage.told)}`;
    // A message of more than 64 KiB, of which only the beginning is sent.
    const large = Uint8Array.of(0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0);
    assertEquals((await stage.ask(path, { first: large })).code, 1009);
  }
});

test("examples/browser/bridge.ts tells the pages of a foreign name nothing", options, async () => {
  await using stage = await Stage.start();
  const { port } = new URL(stage.bridge.url);
  const get = (host: string) =>
    new Promise<string>((resolve) => {
      const socket = net.connect({ host: "127.0.0.1", port: Number(port) });
      let text = "";
      socket.on("data", (data) => text += data);
      socket.on("close", () => resolve(text));
      socket.write(`GET /servers HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
    });
  assert((await get(`Host: 127.0.0.1:${port}\r\n`)).includes(nameOf(stage.told)));
  for (const host of [`Host: evil.test:${port}\r\n`, `Host: 127.0.0.1:${port}.evil.test\r\n`]) {
    const answer = await get(host);
    assert(!answer.includes(nameOf(stage.told)) && /^HTTP\/1\.1 421 /.test(answer), answer);
  }
});
