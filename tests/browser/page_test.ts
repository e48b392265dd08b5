import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { randomBytes } from "node:crypto";
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reply } from "../../src/core/reply.ts";
import { serve, type ServeOptions, type ServerHandlers, type SmtpServer } from "../../src/server/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { Listener } from "../support/peer.ts";
import { Chromium, chromiumTests, ExampleBridge, type Page } from "./chromium.ts";
import * as inPage from "./in_page.mjs";

const testInChromium = chromiumTests("a page that sends mail");

testInChromium(
  "a page sends a message with a file of 10 MB, and shows progress and outcome",
  async () => {
    using folder = new Folder();
    const file = folder.write("photo.bin", randomBytes(10_000_000));
    await using server = new MailServer();
    await using bridge = await ExampleBridge.start(["--to", await server.name]);
    await using chromium = await Chromium.start();
    const page = await chromium.open(bridge.url);
    await page.evaluate(inPage.watchProgress);
    await fill(page, { subject: "Grüße", to: "you@server.test", file: file.path });
    assertEquals(await send(page), "Accepted: you@server.test\nReply: 250 2.0.0 Ok: queued as B-1");

    const shown: [value: number, max: number][] = await page.evaluate(inPage.shown);
    const total = shown.at(-1)![1];
    const between = shown.filter(([value, max]) => value > 0 && value < max);
    assert(between.length >= 5, `The progress was shown ${between.length} times on the way`);
    assert(shown.slice(1).every(([value], i) => value >= shown[i]![0]), "The progress went back");
    assertEquals(shown.at(-1), [total, total]);
    assertStringIncludes(await text(page, "#sent"), "of 13.7 MB");

    assertEquals(server.content.length, total);
    const message = new TextDecoder().decode(server.content);
    assertStringIncludes(message, "\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\n");
    const [, , attachment] = message.split(/^--\S+\r\n/m);
    const [head, body] = attachment!.split("\r\n\r\n");
    assertStringIncludes(head!, `filename="photo.bin"`);
    assert(
      file.content.equals(Uint8Array.from(atob(body!.replace(/--\S+--|\s/g, "")), (c) => c.charCodeAt(0))),
    );
    assertEquals(chromium.errors, []);
  },
);

testInChromium("a page shows who was refused, and why", async () => {
  await using server = new MailServer();
  await using bridge = await ExampleBridge.start(["--to", await server.name]);
  await using chromium = await Chromium.start();
  const page = await chromium.open(bridge.url);
  await fill(page, { to: "you@server.test, nobody@server.test" });
  assertEquals(
    await send(page),
    "Accepted: you@server.test\nRefused: nobody@server.test: 550 5.1.1 No such user\nReply: 250 2.0.0 Ok: queued as B-1",
  );
  await fill(page, { to: "nobody@server.test" });
  assertStringIncludes(await send(page), "550 5.1.1 No such user");
  assertEquals(await text(page, "#outcome.failed"), await text(page, "#outcome"));
});

testInChromium(
  "a page logs in through a bridge that speaks TLS, and shows a wrong password",
  async () => {
    using folder = new Folder();
    const { authority, good } = await certificates();
    const ca = folder.write("ca.pem", new TextEncoder().encode(authority.cert));
    await using server = new MailServer({ tls: good, security: "tls" });
    await using bridge = await ExampleBridge.start(["--to", `${await server.name}/tls`, "--ca", ca.path]);
    await using chromium = await Chromium.start();
    const page = await chromium.open(bridge.url);
    await fill(page, { user: "ada", pass: "wrong" });
    assertStringIncludes(await send(page), "535 5.7.8");
    assertEquals([server.users, server.content.length], [["ada"], 0]);
    await fill(page, { user: "ada", pass: "secret" });
    assertStringIncludes(await send(page), "Accepted: you@server.example");
  },
);

testInChromium("the bridge forwards only to the servers that it was given", async () => {
  await using told = new MailServer();
  await using other = new MailServer();
  await using bridge = await ExampleBridge.start(["--to", await told.name]);
  await using chromium = await Chromium.start();
  const page = await chromium.open(bridge.url);
  const name = await other.name;
  await page.waitForFunction(inPage.isReady);
  await page.evaluate(inPage.offer, name);
  assertStringIncludes(await send(page), `code 1008: This bridge does not forward to ${name}`);
  assertEquals(other.connections, 0);
});

testInChromium("a page learns that the server cannot be reached", async () => {
  const listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  await listener[Symbol.asyncDispose]();
  await using bridge = await ExampleBridge.start(["--to", `127.0.0.1:${port}`]);
  await using chromium = await Chromium.start();
  const page = await chromium.open(bridge.url);
  assertStringIncludes(await send(page), `code 1014: Connection refused (127.0.0.1:${port})`);
});

testInChromium("a page of another site cannot use the bridge", async () => {
  await using server = new MailServer();
  const name = await server.name;
  await using bridge = await ExampleBridge.start(["--to", name]);
  await using other = await ExampleBridge.start(["--to", name]);
  await using chromium = await Chromium.start();
  const page = await chromium.open(other.url, (page) => page.setBypassCSP(true));
  const code = await page.evaluate(inPage.open, `${bridge.url}/smtp/${name}`);
  assertEquals([code, server.connections], ["network", 0]);
});

testInChromium("a message is cancelled in the middle, and the server accepts none", async () => {
  using folder = new Folder();
  const file = folder.write("large.bin", randomBytes(48_000_000));
  await using server = new MailServer();
  server.hold();
  await using bridge = await ExampleBridge.start(["--to", await server.name]);
  await using chromium = await Chromium.start();
  const page = await chromium.open(bridge.url);
  await fill(page, { file: file.path });
  await page.click("[name=send]");
  await page.waitForFunction(inPage.isUnderWay);
  await page.click("[name=cancel]");
  await page.waitForFunction(inPage.isDone);
  assertStringIncludes(await text(page, "#outcome"), "not-sent");
  server.release();
  assertStringIncludes(await server.failed, "Error");
});

for (const kind of ["WebSocketStream", "WebSocket"] as const) {
  testInChromium(
    `a slow server makes the page wait, and memory does not grow, with ${kind}`,
    async () => {
      using folder = new Folder();
      const file = folder.write("large.bin", randomBytes(48_000_000));
      await using server = new MailServer();
      server.hold();
      await using bridge = await ExampleBridge.start(["--to", await server.name]);
      await using chromium = await Chromium.start();
      const page = await chromium.open(bridge.url, (page) => page.evaluateOnNewDocument(inPage.spy, kind));
      await fill(page, { file: file.path });
      const before = bridge.memory;
      await page.click("[name=send]");
      const { value, max } = await stall(page);
      assert(value < max / 2, `${value} of ${max} bytes have left, and nobody has read them`);
      const grown = bridge.memory - before;
      assert(grown < 40_000_000, `The bridge has taken ${grown} bytes more`);
      server.release();
      await page.waitForFunction(inPage.isDone, { timeout: 30_000 });
      assertStringIncludes(await text(page, "#outcome"), "Accepted: you@server.example");
      assertEquals(server.content.length, max);
      const { most, kinds } = await page.evaluate(inPage.spied);
      assertEquals(kinds, [kind]);
      if (kind === "WebSocket") {
        assert(most > 100_000, "It has never had to wait");
        assert(most <= 1024 * 1024 + 65_536, `${most} bytes were waiting in the page`);
      }
    },
  );
}

/** Waits until nothing more is sent, measured not by a clock but by how many other calls pass in the meantime. */
async function stall(page: Page): Promise<{ value: number; max: number }> {
  const look = () => page.evaluate(inPage.look);
  let last = await look();
  for (let idle = 0; idle < 100; idle++) {
    const now = await look();
    if (now.value !== last.value || now.value < 1_000_000) idle = 0;
    last = now;
  }
  return last;
}

async function fill(page: Page, { file, ...fields }: Record<string, string>): Promise<void> {
  if (file !== undefined) await (await page.waitForSelector("[name=file]"))!.uploadFile(file);
  await page.waitForFunction(inPage.isReady);
  await page.evaluate(inPage.fill, fields);
}

/** Sends, and waits for the outcome on the page. */
async function send(page: Page): Promise<string> {
  await page.waitForFunction(inPage.isReady);
  await page.click("[name=send]");
  await page.waitForFunction(inPage.isDone);
  return await text(page, "#outcome");
}

function text(page: Page, selector: string): Promise<string> {
  return page.evaluate(inPage.text, selector);
}

/** Our server, which keeps what it receives. */
class MailServer implements AsyncDisposable {
  /** The last message. */
  content = new Uint8Array(0);
  /** The users who tried to log in. */
  readonly users: string[] = [];
  /** The number of connections so far. */
  connections = 0;
  /** Resolves with the error of a message that failed. */
  readonly failed: Promise<string>;
  readonly #server: SmtpServer;
  readonly #failed = Promise.withResolvers<string>();
  #held = Promise.resolve();
  #release = () => {};

  constructor(options: ServeOptions = {}) {
    this.failed = this.#failed.promise;
    const handlers: ServerHandlers = {
      connect: () => void this.connections++,
      auth: ({ user, pass }) => (this.users.push(user), user === "ada" && pass === "secret"),
      rcpt: ({ address }) => {
        if (address.startsWith("nobody@")) throw new Reply(550, "No such user", { enhancedCode: "5.1.1" });
      },
      message: async (content) => {
        await this.#held;
        const chunks: Uint8Array[] = [];
        try {
          for await (const chunk of content) chunks.push(chunk);
        } catch (error) {
          this.#failed.resolve(String(error));
          throw error;
        }
        this.content = new Uint8Array(Buffer.concat(chunks));
        return new Reply(250, "Ok: queued as B-1", { enhancedCode: "2.0.0" });
      },
    };
    this.#server = serve({ maxMessageSize: 100_000_000, ...options }, handlers);
  }

  /** The server's name for the bridge: `localhost:PORT`, as in the certificate. */
  get name(): Promise<string> {
    return this.#server.listening.then((address) => `localhost:${(address as { port: number }).port}`);
  }

  /** Reads no message until `release()`. */
  hold(): void {
    this.#held = new Promise((resolve) => this.#release = resolve);
  }

  /** Reads again. */
  release(): void {
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release();
    await this.#server.shutdown();
  }
}

/** A temporary folder. */
class Folder implements Disposable {
  readonly #path = mkdtempSync(join(tmpdir(), "smtp-browser-"));

  write(name: string, content: Uint8Array): { path: string; content: Buffer } {
    const path = join(this.#path, name);
    writeFileSync(path, content);
    return { path, content: Buffer.from(content) };
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true });
  }
}
