/** What becomes of a message whose bytes change after `send()` has returned. @module */
import { assert, assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import { compose } from "../../src/compose/mod.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket, StreamPair } from "../../src/sockets/mod.ts";
import { sendMail, test } from "../support/harness.ts";
import { ModelServer, recipient, sender } from "../support/model_server.ts";
import { Listener, type Peer } from "../support/peer.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = {
  from: sender("s", { mail: 250, data: 354, chunk: 250, final: 250 }),
  to: recipient("r", 250),
};
const EVIL = new TextEncoder().encode(
  "\r\n.\r\nMAIL FROM:<ceo@victim.test>\r\nRCPT TO:<r-250@mx.test>\r\nDATA\r\nSubject: Pay\r\n\r\nNow\r\n.\r\n",
);
const HEADER = "Subject: Hi\r\n\r\n";
const LINE = "a line of seventy-six octets with its line end, again and again and again!\r\n";

function textOf(length: number): string {
  return HEADER + LINE.repeat(Math.ceil(length / LINE.length));
}

/** A message of text, in memory of its own. */
function message(length: number): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(textOf(length));
}

/** A connection that holds each write back until the test lets it go, and only then looks at the bytes, as a kernel may. */
class Wire {
  /** Called with each chunk before it leaves. */
  onWrite: (chunk: Uint8Array) => void | Promise<void> = () => {};
  readonly socket: StreamPair;
  readonly server: ModelServer;
  readonly #peer: Socket;

  constructor(chunking: boolean) {
    const [near, far] = memorySocketPair();
    this.#peer = far;
    this.server = new ModelServer(far, { pipelining: true, chunking });
    const writer = near.writable.getWriter();
    this.socket = {
      readable: near.readable,
      writable: new WritableStream<Uint8Array>({
        write: async (chunk) => {
          await this.onWrite(chunk);
          await writer.write(chunk.slice());
        },
        close: () => writer.close(),
        abort: (reason) => writer.abort(reason),
      }),
    };
  }

  async run(body: (client: SmtpClient) => Promise<void>): Promise<ModelServer> {
    const client = await SmtpClient.connect({
      socket: this.socket,
      security: "none",
      clientName: "client.test",
    });
    try {
      await body(client);
    } finally {
      await client.quit();
      await this.#peer.close().catch(() => {});
      await this.server.done;
    }
    return this.server;
  }
}

for (const chunking of [false, true]) {
  const how = chunking ? "BDAT" : "DATA";

  test(`SmtpClient.send() sends a small message as it was given, whatever becomes of its memory (${how})`, async () => {
    const server = await new Wire(chunking).run(async (client) => {
      const bytes = message(1_000);
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      const resizable = new Uint8Array(new ArrayBuffer(bytes.length, { maxByteLength: bytes.length }));
      resizable.set(bytes);
      const given = bytes.buffer.slice(0);
      const receipts = [
        client.send(ENVELOPE, bytes),
        client.send(ENVELOPE, shared),
        client.send(ENVELOPE, resizable),
        client.send(ENVELOPE, given),
      ];
      // All of them are queued: nothing is written before this turn ends.
      bytes.fill(0);
      bytes.set(EVIL, 20);
      shared.set(EVIL, 20);
      resizable.buffer.resize(10);
      structuredClone(given, { transfer: [given] });
      await Promise.all(receipts);
    });
    assertEquals(server.delivered.map(({ content }) => content), new Array(4).fill(textOf(1_000)));
    assertEquals(server.violations, []);
  });

  for (
    const [what, change] of [
      ["has got NULs", (bytes) => bytes.fill(0, 500_000)],
      ["has got bytes above 127", (bytes) => bytes.fill(0xe9, 500_000)],
      ["has got long lines", (bytes) => bytes.fill(0x61, 500_000)],
      ["is shorter", (bytes) => bytes.buffer.resize(500_000)],
      ["belongs to somebody else", (bytes) => structuredClone(bytes.buffer, { transfer: [bytes.buffer] })],
    ] as [string, (bytes: Uint8Array<ArrayBuffer>) => unknown][]
  ) {
    test(`SmtpClient.send() fails when a large message ${what} before it has left (${how})`, async () => {
      const wire = new Wire(chunking);
      const server = await wire.run(async (client) => {
        const text = message(600_000);
        const bytes = new Uint8Array(new ArrayBuffer(text.length, { maxByteLength: text.length }));
        bytes.set(text);
        let changed = false;
        wire.onWrite = (chunk) => {
          if (changed || chunk.length < 60_000) return; // the commands
          changed = true;
          change(bytes);
        };
        const error = await rejectsWith("invalid-message", () => client.send(ENVELOPE, bytes));
        assert(error.message.includes("was changed while it was being sent"), error.message);
        assertEquals([error.outcome, changed], ["not-sent", true]);
      });
      assertEquals([server.delivered, server.violations], [[], []]);
    });
  }

  test(`SmtpClient.send() takes a stream that fills the same memory again and again (${how})`, async () => {
    const wire = new Wire(chunking);
    const kept: Uint8Array[] = [];
    const rounds = 40;
    const server = await wire.run(async (client) => {
      wire.onWrite = (chunk) => void kept.push(chunk);
      const memory = new Uint8Array(20_000);
      const again = async function* () {
        yield HEADER;
        for (let i = 0; i < rounds; i++) {
          for (let at = 0; at < memory.length; at += 100) {
            memory.fill(0x61 + i % 26, at, at + 98);
            memory.set([0x0d, 0x0a], at + 98);
          }
          yield memory;
        }
      };
      await client.send(ENVELOPE, again());
    });
    const lines = Array.from({ length: rounds }, (_, i) => {
      return `${String.fromCharCode(0x61 + i % 26).repeat(98)}\r\n`.repeat(200);
    });
    assertEquals(server.delivered.map(({ content }) => content), [HEADER + lines.join("")]);
    // A stream of the caller's may keep what it was given: no byte of it changes afterwards.
    const text = kept.map((chunk) => new TextDecoder().decode(chunk)).join("");
    assert(
      lines.every((line) => text.includes(line.slice(0, 2000))),
      "What the socket has kept was overwritten",
    );
  });
}

for (const kind of ["message", "stream's chunk"] as const) {
  test(`SmtpClient.send() lets no command out of a large ${kind} that changes while the server does not read`, async () => {
    await using listener = await Listener.tcp();
    const { hostname, port } = listener.address as { hostname: string; port: number };
    const connecting = SmtpClient.connect({ hostname, port, security: "none", clientName: "client.test" });
    const peer = await listener.accept();
    await peer.write("220 mx.test\r\n");
    await hear(peer, "EHLO client.test\r\n");
    await peer.write("250-mx.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
    const client = await connecting;
    const bytes = message(16_000_000);
    let sent = 0;
    const receipt = client.send(
      ENVELOPE,
      kind === "message" ? bytes : ReadableStream.from([bytes]),
      { onProgress: (progress) => void (sent = progress.sent) },
    );
    receipt.catch(() => {}); // a test that fails ends the connection
    await hear(peer, "DATA\r\n");
    await peer.write("250 Ok\r\n250 Ok\r\n354 Go ahead\r\n");
    // Until the sender is stuck: what it is stuck with was encoded, and is not on the wire yet. If a busy machine only seems
    // to be stuck, less is found.
    for (let idle = 0, before = -1; idle < 20; idle++) {
      if (sent !== before) idle = 0;
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert(sent < bytes.length / 2, `${sent} bytes have left, and nobody has read them`);
    for (let at = 0; at + EVIL.length <= bytes.length; at += EVIL.length) bytes.set(EVIL, at);
    const { length } = await hear(peer, "\r\n.\r\n");
    assert(
      length >= bytes.length,
      `The content ended after ${length} of ${bytes.length} bytes`,
    );
    await peer.write("250 Ok\r\n");
    await receipt;
    const bye = client.quit();
    assertEquals(await hear(peer, "\r\n"), "QUIT\r\n");
    await peer.write("221 Bye\r\n");
    await peer.end();
    await bye;
  });
}

/** Reads until something was said, and nothing after it. */
async function hear(peer: Peer, end: string): Promise<string> {
  const decoder = new TextDecoder("latin1");
  const pieces: string[] = [];
  for (let tail = "";;) {
    const bytes = await peer.read();
    assert(bytes !== null, `The client hung up after ${tail}`);
    const piece = decoder.decode(bytes);
    pieces.push(piece);
    const recent = tail + piece;
    const at = recent.indexOf(end);
    tail = recent.slice(-end.length);
    if (at < 0) continue;
    assertEquals(recent.slice(at + end.length).slice(0, 200), "", `${end} is not the end`);
    return pieces.join("");
  }
}

test("sendMail() sends what it was given, although the caller changes it while the connection opens", async () => {
  const [socket, peer] = memorySocketPair();
  const server = new ModelServer(peer, { pipelining: true });
  const other = recipient("other", 250);
  const to = [ENVELOPE.to, { address: recipient("second", 250) }];
  const envelope = { from: ENVELOPE.from, to };
  const bytes = message(1_000);
  const opening = Promise.withResolvers<Socket>();
  const sent = sendMail(
    { socket: () => opening.promise, security: "none", clientName: "client.test" },
    envelope,
    bytes.buffer,
  );
  envelope.from = sender("other", { mail: 250, data: 354, chunk: 250, final: 250 });
  to[0] = other;
  (to[1] as { address: string }).address = other;
  to.push(other);
  bytes.set(EVIL, 20);
  opening.resolve(socket);
  await sent;
  await peer.close().catch(() => {});
  await server.done;
  assertEquals(server.delivered, [{
    from: ENVELOPE.from,
    to: [ENVELOPE.to, recipient("second", 250)],
    content: textOf(1_000),
  }]);
  assertEquals(server.violations, []);
});

test("SmtpClient.bdat() sends a chunk whole or not at all, although its memory changes as it leaves", async () => {
  const [socket, peer] = memorySocketPair();
  const server = new ModelServer(peer, { pipelining: true, chunking: true });
  const text = message(1_000);
  const bytes = new Uint8Array(new ArrayBuffer(text.length, { maxByteLength: text.length }));
  bytes.set(text);
  const client = await SmtpClient.connect({
    socket,
    security: "none",
    clientName: "client.test",
    trace: (event) => {
      if (event.type === "command" && event.line.startsWith("BDAT")) bytes.buffer.resize(20);
    },
  });
  await client.mail(ENVELOPE.from);
  await client.rcpt(ENVELOPE.to);
  await client.bdat(bytes, { last: true });
  await client.quit();
  await peer.close().catch(() => {});
  await server.done;
  assertEquals([server.delivered.map(({ content }) => content), server.violations], [[textOf(1_000)], []]);
});

test("compose() attaches small bytes as they were given, whatever becomes of their memory", async () => {
  const bytes = new TextEncoder().encode("a,b\r\n");
  const date = new Date(0);
  const mail = compose({
    from: "me@example.com",
    to: "you@example.org",
    date,
    attachments: [{ content: bytes }, { content: bytes.buffer }],
  });
  bytes.fill(0);
  date.setTime(NaN);
  const text = await new Response(mail.message as ReadableStream<Uint8Array<ArrayBuffer>>).text();
  assertEquals(text.match(/^YSxiDQo=$/mg)?.length, 2, text);
  assert(text.includes("Date: Thu, 01 Jan 1970 00:00:00 +0000"), text);
});

// A message is one of the kinds that send() takes: a list of chunks is not, so nothing can change in it.
test("SmtpClient.send() takes no list of chunks", async () => {
  await new Wire(false).run(async (client) => {
    await rejectsWith("invalid-message", () => client.send(ENVELOPE, [message(10)] as unknown as Message));
  });
});
