import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import { serveSocket } from "../../src/server/mod.ts";
import type { ServerHandlers, ServeSocketOptions } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { toBytes } from "@std/streams";
import { sendMail, test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** What a server has taken. */
interface Delivered {
  from: string | null;
  to: string[];
  content: string;
}

/** A client and a server wired together in memory. */
async function wired(
  body: (options: SmtpClientOptions, delivered: Delivered[], handlers: ServerHandlers) => Promise<void>,
  serverOptions: ServeSocketOptions = {},
): Promise<void> {
  const delivered: Delivered[] = [];
  const [socket, peer] = memorySocketPair();
  const handlers: ServerHandlers = {
    async message(content, session) {
      const bytes = await toBytes(content);
      delivered.push({
        from: session.envelope.from,
        to: [...session.envelope.to],
        content: decode(bytes),
      });
    },
  };
  const served = serveSocket(peer, { bareLineEnds: "reject", onError: () => {}, ...serverOptions }, handlers);
  try {
    await body({ socket, security: "none", clientName: "client.test" }, delivered, handlers);
  } finally {
    await socket.close().catch(() => {});
    await served;
  }
}

const TEXT = "Subject: Grüße\r\n\r\n.dot\r\n..\r\nend\r\n";

function* pieces(): Generator<Uint8Array> {
  for (const byte of encode(TEXT)) yield Uint8Array.of(byte);
}

async function* later(): AsyncGenerator<Uint8Array | string> {
  yield "Subject: Gr";
  await Promise.resolve();
  yield encode("üße\r\n\r");
  yield "";
  yield "\n.dot\r\n..\r\nend\r";
  yield "\n";
}

for (
  const [kind, make] of [
    ["a string", () => TEXT],
    ["a string with LF", () => TEXT.replaceAll("\r\n", "\n")],
    ["a string without a final line end", () => TEXT.slice(0, -2)],
    ["a Uint8Array", () => encode(TEXT)],
    ["an ArrayBuffer", () => encode(TEXT).buffer],
    ["a Blob", () => new Blob([TEXT])],
    ["a Response", () => new Response(TEXT)],
    ["a ReadableStream", () => ReadableStream.from(pieces())],
    ["an AsyncIterable", () => later()],
  ] as [string, () => Message][]
) {
  for (const hide of [[], ["PIPELINING", "SIZE"], ["CHUNKING"]]) {
    test(`SmtpClient.send() delivers ${kind} to a server without ${hide.join(", ") || "restrictions"}`, () =>
      wired(async (options, delivered) => {
        await using client = await SmtpClient.connect(options);
        await client.send(ENVELOPE, make());
        assertEquals(delivered, [{ from: "me@example.com", to: ["you@example.org"], content: TEXT }]);
      }, { hide }));
  }
}

test("SmtpClient.send() delivers ASCII to a server without EHLO, and says that it cannot take more", () =>
  wired(async (options, delivered) => {
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith("extension-missing", () => client.send(ENVELOPE, TEXT));
    assertEquals([error.outcome, error.usable], ["not-sent", true]);
    await client.send(ENVELOPE, TEXT.replace("üß", "uess"));
    assertEquals(delivered.map(({ content }) => content), [TEXT.replace("üß", "uess")]);
  }, { hide: ["EHLO"] }));

test("SmtpClient.send() cuts the connection where a stream turns out to be more than the server takes", () =>
  wired(async (options, delivered) => {
    const client = await SmtpClient.connect(options);
    const error = await rejectsWith("extension-missing", () => client.send(ENVELOPE, later()));
    assertEquals([error.outcome, error.usable, delivered], ["not-sent", false, []]);
  }, { hide: ["8BITMIME", "CHUNKING"] }));

test("SmtpClient.send() delivers an empty message, and a Response without a body", () =>
  wired(async (options, delivered) => {
    await using client = await SmtpClient.connect(options);
    await client.send(ENVELOPE, "", { missingHeader: "allow" });
    await client.send(ENVELOPE, new Response(), { missingHeader: "allow" });
    assertEquals(delivered.map(({ content }) => content), ["", ""]);
  }));

test("SmtpClient.send() keeps the order of many messages that are under way at once", () =>
  wired(async (options, delivered) => {
    await using client = await SmtpClient.connect(options);
    const numbers = Array.from({ length: 300 }, (_, i) => i);
    await Promise.all(numbers.map((i) =>
      client.send(
        { from: null, to: `u${i}@example.org` },
        i % 7 === 0 ? ReadableStream.from([encode(`N:${i}`)]) : `N:${i}`,
      )
    ));
    assertEquals(delivered.map(({ content }) => content), numbers.map((i) => `N:${i}\r\n`));
    assertEquals(delivered.map(({ to }) => to[0]), numbers.map((i) => `u${i}@example.org`));
  }));

test("SmtpClient.send() reads a stream no faster than the server takes it", () =>
  wired(async (options, _delivered, handlers) => {
    let pulled = 0;
    const go = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    handlers.message = async (content) => {
      begun.resolve();
      await go.promise;
      let size = 0;
      for await (const chunk of content) size += chunk.length;
      assertEquals(size, 200 * 16_384);
    };
    const line = encode("X:" + "x".repeat(60) + "\r\n");
    const chunk = new Uint8Array(16_384).map((_, i) => line[i % 64]!);
    const stream = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(chunk);
        if (pulled === 200) controller.close();
      },
    }, { highWaterMark: 0 });
    await using client = await SmtpClient.connect(options);
    const sent = client.send(ENVELOPE, stream);
    await begun.promise;
    // Everything that can happen without the server reading has happened once the loop of events has gone round.
    let before = -1;
    while (before !== pulled) {
      before = pulled;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert(pulled < 20, `${pulled} chunks were read though the server takes none`);
    go.resolve();
    await sent;
    assertEquals(pulled, 200);
  }, { maxMessageSize: 8_000_000 }));

test("SmtpClient.send() reports progress", () =>
  wired(async (options) => {
    await using client = await SmtpClient.connect(options);
    const seen: [number, number | undefined][] = [];
    const onProgress = ({ sent, total }: { sent: number; total: number | undefined }) =>
      seen.push([sent, total]);
    await client.send(ENVELOPE, "X:" + "x".repeat(98) + "\r\n", { onProgress });
    assertEquals(seen, [[102, 102]]);
    seen.length = 0;
    await client.send(ENVELOPE, ReadableStream.from([encode("A:"), encode("cd")]), { onProgress });
    assertEquals(seen, [[2, undefined], [4, undefined]]);
  }));

test("SmtpClient.send() cuts the connection when the source of a message fails, and nobody gets a part of it", () =>
  wired(async (options, delivered) => {
    const client = await SmtpClient.connect(options);
    const cause = new Error("disk on fire");
    async function* failing() {
      yield "Subject: half\r\n\r\n";
      throw cause;
    }
    const [first, second] = await Promise.allSettled([
      client.send(ENVELOPE, failing()),
      client.send(ENVELOPE, "A: another"),
    ]) as PromiseRejectedResult[];
    assertInstanceOf(first!.reason, SmtpError);
    assertEquals([first!.reason.code, first!.reason.outcome, first!.reason.usable], [
      "source-failed",
      "not-sent",
      false,
    ]);
    assertEquals(first!.reason.cause, cause);
    assertEquals([second!.reason.code, second!.reason.outcome], ["connection-lost", "not-sent"]);
    assertEquals(client.usable, false);
    await client.quit();
    assertEquals(delivered, []);
  }));

test("SmtpClient.send() cancels a stream that is not read to its end", () =>
  wired(async (options, _delivered, handlers) => {
    const { Reply } = await import("../../src/core/reply.ts");
    handlers.rcpt = () => new Reply(550, "no", { enhancedCode: "5.1.1" });
    await using client = await SmtpClient.connect(options);
    let cancelled: unknown;
    const stream = new ReadableStream({ cancel: (reason) => void (cancelled = reason) });
    const error = await rejectsWith("recipients-refused", () => client.send(ENVELOPE, stream));
    assertEquals(cancelled, error);

    let returned = false;
    const iterable = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ value: "x", done: false as const }),
        return: () => {
          returned = true;
          return Promise.resolve({ value: undefined, done: true as const });
        },
      }),
    };
    await rejectsWith(
      "invalid-envelope",
      () => client.send({ from: "no address", to: "a@b.test" }, iterable),
    );
    assertEquals(returned, true);
  }));

for (
  const [what, make] of [
    ["a number", () => 42 as unknown as Message],
    ["null", () => null as unknown as Message],
    ["an object", () => ({ text: "A:" }) as unknown as Message],
    ["a locked stream", () => {
      const stream = new ReadableStream<Uint8Array>();
      stream.getReader();
      return stream;
    }],
  ] as [string, () => Message][]
) {
  test(`SmtpClient.send() refuses ${what} as a message before anything is sent`, () =>
    wired(async (options, delivered) => {
      await using client = await SmtpClient.connect(options);
      const error = await rejectsWith("invalid-message", () => client.send(ENVELOPE, make()));
      assertEquals([error.outcome, error.usable], ["not-sent", true]);
      await client.send(ENVELOPE, "A:");
      assertEquals(delivered.length, 1);
    }));
}

test("SmtpClient.send() refuses a Response whose body is used", () =>
  wired(async (options) => {
    await using client = await SmtpClient.connect(options);
    const response = new Response("A:");
    await response.text();
    await rejectsWith("invalid-message", () => client.send(ENVELOPE, response));
  }));

test("SmtpClient.send() with a signal that is aborted sends nothing", () =>
  wired(async (options, delivered) => {
    await using client = await SmtpClient.connect(options);
    const reason = new Error("enough");
    const error = await rejectsWith(
      "aborted",
      () => client.send(ENVELOPE, "A:", { signal: AbortSignal.abort(reason) }),
    );
    assertEquals([error.outcome, error.usable, error.cause], ["not-sent", true, reason]);
    await client.noop();
    assertEquals(delivered, []);
  }));

test("SmtpClient.send() takes a message that is aborted while it waits out of the queue", () =>
  wired(async (options, delivered) => {
    await using client = await SmtpClient.connect(options);
    const controller = new AbortController();
    const first = client.send(ENVELOPE, "A:1");
    const second = client.send(ENVELOPE, "A:2", { signal: controller.signal });
    const third = client.send(ENVELOPE, "A:003");
    controller.abort();
    const error = await rejectsWith("aborted", () => second);
    assertEquals([error.outcome, error.usable], ["not-sent", true]);
    await Promise.all([first, third]);
    assertEquals(delivered.map(({ content }) => content), ["A:1\r\n", "A:003\r\n"]);
  }));

test("SmtpClient.send() that is aborted while the content leaves cuts the connection", () =>
  wired(async (options, delivered) => {
    await using client = await SmtpClient.connect(options);
    const controller = new AbortController();
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      start: (c) => c.enqueue(encode("Subject: half\r\n\r\nhalf\r\n")),
      pull: () => controller.abort(),
      cancel: () => void (cancelled = true),
    });
    const error = await rejectsWith(
      "aborted",
      () => client.send(ENVELOPE, stream, { signal: controller.signal }),
    );
    assertEquals([error.outcome, error.usable], ["not-sent", false]);
    assertEquals([cancelled, client.usable], [true, false]);
    await client.close();
    assertEquals(delivered, []);
  }));

test("SmtpClient.send() that is aborted when the content has left says unknown, and the client goes on", () =>
  wired(async (options, delivered, handlers) => {
    const controller = new AbortController();
    const take = handlers.message!;
    handlers.message = async (content, session) => {
      await take(content, session);
      controller.abort();
      // The reply leaves only when the sender has heard of the abort.
      await new Promise((resolve) => setTimeout(resolve, 0));
    };
    await using client = await SmtpClient.connect(options);
    const error = await rejectsWith(
      "aborted",
      () => client.send(ENVELOPE, "A:", { signal: controller.signal }),
    );
    assertEquals([error.outcome, error.usable], ["unknown", true]);
    await client.noop();
    assertEquals(delivered.length, 1);
  }));

test("SmtpClient ends when its signal is aborted", () =>
  wired(async (options) => {
    const controller = new AbortController();
    const client = await SmtpClient.connect({ ...options, signal: controller.signal });
    const stuck = client.send(ENVELOPE, new ReadableStream());
    controller.abort(new Error("enough"));
    const error = await rejectsWith("aborted", () => stuck);
    assertEquals(error.outcome, "not-sent");
    assertEquals(client.usable, false);
    await client.quit();
  }));

for (
  const [phase, timeouts, say] of [
    ["greeting", { greeting: 10 }, []],
    ["ehlo", { command: 10 }, ["220 mx\r\n"]],
    ["mail", { mail: 10 }, ["220 mx\r\n", "250 mx\r\n"]],
    ["rcpt", { rcpt: 10 }, ["220 mx\r\n", "250 mx\r\n", "250 Ok\r\n"]],
    ["data", { data: 10 }, ["220 mx\r\n", "250 mx\r\n", "250 Ok\r\n", "250 Ok\r\n"]],
    ["content", { end: 10 }, ["220 mx\r\n", "250 mx\r\n", "250 Ok\r\n", "250 Ok\r\n", "354 Go\r\n"]],
  ] as const
) {
  test(`SmtpClient gives up when nothing comes in the phase ${phase}`, async () => {
    const [socket, peer] = memorySocketPair();
    const silent = (async () => {
      const writer = peer.writable.getWriter();
      const reader = peer.readable.getReader();
      for (const [index, line] of say.entries()) {
        if (index > 0) await reader.read();
        await writer.write(encode(line));
      }
      while (!(await reader.read()).done);
    })().catch(() => {});
    const error = await rejectsWith("timeout", async () => {
      await using client = await SmtpClient.connect({
        socket,
        security: "none",
        clientName: "a.test",
        timeouts,
      });
      await client.send(ENVELOPE, "A:");
    });
    assertEquals(error.phase, phase);
    assertEquals(error.outcome, phase === "content" ? "unknown" : "not-sent");
    assertEquals([error.temporary, error.usable], [true, false]);
    await silent;
  });
}

test("SmtpClient gives up when the server takes no more of the content", () =>
  wired(async (options, _delivered, handlers) => {
    const go = Promise.withResolvers<void>();
    handlers.message = () => go.promise;
    const client = await SmtpClient.connect({ ...options, timeouts: { block: 20 } });
    const error = await rejectsWith(
      "timeout",
      () => client.send(ENVELOPE, `X:${"x".repeat(76)}\r\n`.repeat(12_500)),
    );
    assertEquals([error.phase, error.outcome], ["content", "not-sent"]);
    go.resolve();
    await client.quit();
  }));

test("SmtpClient stops when the server refuses a content before its end", async () => {
  const [socket, peer] = memorySocketPair();
  const server = (async () => {
    const writer = peer.writable.getWriter();
    const reader = peer.readable.getReader();
    const say = (text: string) => writer.write(encode(text));
    await say("220 mx\r\n");
    await reader.read();
    await say("250-mx\r\n250 PIPELINING\r\n");
    await reader.read();
    await say("250 Ok\r\n250 Ok\r\n354 Go\r\n");
    await reader.read();
    await say("552 5.3.4 too much\r\n");
    // It reads no more: the client has to stop by itself.
  })();
  const client = await SmtpClient.connect({ socket, security: "none", clientName: "a.test" });
  const endless = new ReadableStream<Uint8Array>({
    pull: (c) => c.enqueue(encode(`A:${"A".repeat(60)}\r\n`.repeat(1024))),
  });
  const error = await rejectsWith("message-refused", () => client.send(ENVELOPE, endless));
  assertEquals([error.outcome, error.usable, error.reply?.code], ["refused", false, 552]);
  await server;
  await client.quit();
  await peer.close().catch(() => {});
});

test("sendMail() sends one message and quits", () =>
  wired(async (options, delivered) => {
    const receipt = await sendMail(options, ENVELOPE, "A:");
    assertEquals(receipt.accepted, ["you@example.org"]);
    assertEquals(delivered.length, 1);
    await (options.socket as Socket).closed;
  }));

test("sendMail() cancels the message when the connection cannot be made", async () => {
  let cancelled = false;
  const stream = new ReadableStream({ cancel: () => void (cancelled = true) });
  await assertRejects(() => sendMail({ port: -1 }, ENVELOPE, stream), RangeError);
  assertEquals(cancelled, true);
});
