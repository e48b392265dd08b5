import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import { toText } from "@std/streams";
import { ProtocolError } from "../../src/core/errors.ts";
import { Reply } from "../../src/core/reply.ts";
import { type ServerHandlers, serveSocket, type ServeSocketOptions } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { test } from "../support/harness.ts";
import { Peer } from "./transcript.ts";

const LINE = "x".repeat(998) + "\r\n";

/** A client up to the reply to DATA, and how its session ends. */
async function atData(
  handlers: ServerHandlers,
  options: ServeSocketOptions = {},
): Promise<{ peer: Peer; errors: unknown[]; [Symbol.asyncDispose](): Promise<void> }> {
  const [client, server] = memorySocketPair({ highWaterMark: 4096 });
  const errors: unknown[] = [];
  const served = serveSocket(server, { onError: (error) => errors.push(error), ...options }, handlers);
  const peer = new Peer(client);
  await peer.reply();
  await peer.ask("EHLO client.test");
  await peer.ask("MAIL FROM:<a@example.com>");
  await peer.ask("RCPT TO:<b@example.org>");
  assertEquals(await peer.ask("DATA"), "354 End data with <CR><LF>.<CR><LF>");
  return {
    peer,
    errors,
    async [Symbol.asyncDispose]() {
      await peer.close();
      await served;
    },
  };
}

test("the message handler gets the content as it comes, and nothing is read ahead", async () => {
  const chunks: string[] = [];
  let written = 0;
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  const { promise: goOn, resolve: letGo } = Promise.withResolvers<void>();
  await using session = await atData({
    async message(content) {
      start();
      await goOn;
      for await (const chunk of content) chunks.push(new TextDecoder().decode(chunk));
    },
  });
  const { peer } = session;
  const sent = (async () => {
    for (let i = 0; i < 100; i++) {
      await peer.say(LINE);
      written += LINE.length;
    }
    await peer.say(".\r\n");
  })();
  await started;
  // Let everything happen that can: the pipe holds 4096 bytes, the server the chunk it began with.
  for (let i = 0; i < 1000; i++) await Promise.resolve();
  assertLess(written, 10_000);
  letGo();
  await sent;
  assertEquals(await peer.reply(), "250 2.0.0 Ok");
  assertEquals(chunks.join(""), LINE.repeat(100));
});

test("what the message handler does not read is thrown away, and the session goes on", async () => {
  const handlers: ServerHandlers["message"][] = [
    () => {},
    async (content) => {
      const reader = content.getReader();
      await reader.read();
    },
    (content) => content.cancel(),
    async (content) => {
      await content.getReader().read();
      throw new Reply(554, "Spam", { enhancedCode: "5.7.1" });
    },
  ];
  for (const [i, message] of handlers.entries()) {
    await using session = await atData({ message: message! });
    const { peer } = session;
    await peer.say(LINE.repeat(20) + "..\r\n.\r\nNOOP\r\n");
    assertEquals(await peer.reply(), i === 3 ? "554 5.7.1 Spam" : "250 2.0.0 Ok");
    assertEquals(await peer.reply(), "250 2.0.0 Ok");
    assertEquals(session.errors, []);
  }
});

test("a content stream that was kept gives nothing once the handler has returned", async () => {
  let kept: ReadableStream<Uint8Array> | undefined;
  await using session = await atData({ message: (content) => void (kept = content) });
  await session.peer.say(LINE.repeat(20));
  await session.peer.say(".\r\n");
  assertEquals(await session.peer.reply(), "250 2.0.0 Ok");
  await assertRejects(() => toText(kept!), TypeError, "the handler has returned");
});

test("the content stream errors when the connection is cut before the end of the message", async () => {
  for (const first of ["Subject: Hi\r\n", "", "Subject: Hi\r\n.\r", "Subject: Hi\r\n."]) {
    let failure: unknown;
    let closed = false;
    {
      await using session = await atData({
        async message(content) {
          try {
            await toText(content);
          } catch (error) {
            failure = error;
            throw error;
          }
        },
        close: () => void (closed = true),
      });
      await session.peer.say(first);
      await session.peer.cut();
      assertEquals(session.errors, []);
    }
    assert(closed);
    // Without a byte of content there is no message to tell of.
    if (first === "") assertEquals(failure, undefined);
    else assertInstanceOf(failure, ProtocolError);
  }
});

test("the content stream errors when the message is too large or has a lone LF, whatever the handler says", async () => {
  const contents = [
    [LINE.repeat(5), "552 5.3.4 Message is too large"],
    ["one\ntwo\r\n", "550 5.6.0 Message has a bare CR or LF, see RFC 5321 section 2.3.8"],
    [LINE + "one\rtwo\r\n", "550 5.6.0 Message has a bare CR or LF, see RFC 5321 section 2.3.8"],
  ] as const;
  for (const [content, reply] of contents) {
    for (const rethrow of [true, false]) {
      let failure: unknown;
      await using session = await atData({
        async message(content) {
          try {
            await toText(content);
          } catch (error) {
            failure = error;
            if (rethrow) throw error;
          }
        },
      }, { maxMessageSize: 4000 });
      const { peer } = session;
      for (const line of content.split(/(?<=\r\n)/)) await peer.say(line);
      await peer.say(".\r\n");
      assertEquals(await peer.reply(), reply);
      assertInstanceOf(failure, ProtocolError);
      assertEquals(await peer.ask("NOOP"), "250 2.0.0 Ok");
      assertEquals(session.errors, []);
    }
  }
});

test("a client that goes on sending what is too large is hung up on", async () => {
  await using session = await atData({}, { maxMessageSize: 10 });
  const { peer } = session;
  const sent = (async () => {
    for (let i = 0; i < 2000; i++) await peer.say(LINE);
  })();
  assertEquals(await peer.reply(), "552 5.3.4 Message is too large");
  assertEquals(await peer.reply(), "(end)");
  await peer.cut();
  await sent;
});
