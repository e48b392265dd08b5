import { assertEquals, assertIsError, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/core/errors.ts";
import type { Reply } from "../../src/core/reply.ts";
import { readReplies, ReplyDecoderStream } from "../../src/streams/reply_stream.ts";
import { test } from "../support/unwatched.ts";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The server's side: what it sends, and whether its stream was cancelled. */
class Wire {
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** How often the reader asked for a chunk. */
  pulls = 0;
  cancelled: { reason: unknown } | undefined;
  readonly readable: ReadableStream<Uint8Array>;

  /** Has the chunks to give, one for each read; then it is silent. */
  constructor(...chunks: string[]) {
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller): void => {
        this.#controller = controller;
      },
      pull: (controller): void => {
        this.pulls++;
        const chunk = chunks.shift();
        if (chunk !== undefined) controller.enqueue(bytes(chunk));
      },
      cancel: (reason): void => {
        this.cancelled = { reason };
      },
    }, { highWaterMark: 0 });
  }

  say(text: string): void {
    this.#controller.enqueue(bytes(text));
  }

  close(): void {
    this.#controller.close();
  }

  fail(error: unknown): void {
    this.#controller.error(error);
  }
}

async function collect(replies: AsyncIterable<Reply>): Promise<string[]> {
  const result: string[] = [];
  for await (const reply of replies) result.push(reply.toString());
  return result;
}

function streamOf(chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller): void {
      for (const chunk of chunks) controller.enqueue(bytes(chunk));
      controller.close();
    },
  });
}

const SESSION =
  "220 mx.test ESMTP\r\n250-mx.test\r\n250-SIZE 1000\r\n250 PIPELINING\r\n250\r\n354 Go ahead\r\n";
const REPLIES = ["220 mx.test ESMTP", "250-mx.test\n250-SIZE 1000\n250 PIPELINING", "250 ", "354 Go ahead"];

/** The session whole, byte by byte, and cut in two at each place. */
function* cuts(): Generator<string[]> {
  yield [SESSION];
  yield [...SESSION];
  for (let i = 0; i <= SESSION.length; i++) yield [SESSION.slice(0, i), SESSION.slice(i)];
}

test("readReplies() gives the same replies however they are cut", async () => {
  for (const chunks of cuts()) {
    const replies = await collect(readReplies(streamOf(chunks)));
    assertEquals(replies.map((reply) => reply.trimEnd()), REPLIES.map((reply) => reply.trimEnd()));
  }
});

test("ReplyDecoderStream gives the same replies however they are cut", async () => {
  for (const chunks of cuts()) {
    const replies = await collect(streamOf(chunks).pipeThrough(new ReplyDecoderStream()));
    assertEquals(replies.map((reply) => reply.trimEnd()), REPLIES.map((reply) => reply.trimEnd()));
  }
});

test("ReplyDecoderStream fails when the stream ends within a reply, is no reply, or is too long", async () => {
  for (const wire of ["250-a\r\n", "25", "HTTP/1.1 400 Bad Request\r\n"]) {
    await assertRejects(() => collect(streamOf([wire]).pipeThrough(new ReplyDecoderStream())), ProtocolError);
  }
  const limited = new ReplyDecoderStream({ maxLineLength: 8 });
  await assertRejects(() => collect(streamOf(["250 12345\r\n"]).pipeThrough(limited)), ProtocolError);
});

test("ReplyDecoderStream and readReplies() refuse wrong limits", () => {
  assertThrows(() => new ReplyDecoderStream({ maxLineLength: 0 }), RangeError);
  const { readable } = new Wire();
  assertThrows(() => readReplies(readable, { maxReplyLength: -1 }), RangeError);
  assertEquals(readable.locked, false);
});

test("readReplies() reads only when a reply is asked for, and only what it needs", async () => {
  const wire = new Wire("220 a\r\n250 b\r\n250", " c\r\n");
  const replies = readReplies(wire.readable);
  assertEquals(wire.pulls, 0);
  await replies.next();
  assertEquals(wire.pulls, 1);
  await replies.next();
  assertEquals(wire.pulls, 1);
  await replies.next();
  assertEquals(wire.pulls, 2);
});

test("readReplies() answers several next() in order, with one read in flight", async () => {
  const wire = new Wire();
  const replies = readReplies(wire.readable);
  const results = [replies.next(), replies.next(), replies.next(), replies.next()];
  await Promise.resolve();
  assertEquals(wire.pulls, 1);
  wire.say("220 a\r\n250 b\r\n25");
  assertEquals((await results[0])?.value?.code, 220);
  assertEquals((await results[1])?.value?.text, "b");
  wire.say("1 c\r\n");
  assertEquals((await results[2])?.value?.code, 251);
  wire.close();
  assertEquals(await results[3], { done: true, value: undefined });
});

test("readReplies() locks the readable at once and releases it at the end", async () => {
  const wire = new Wire("220 a\r\n");
  const replies = readReplies(wire.readable);
  assertEquals(wire.readable.locked, true);
  assertThrows(() => readReplies(wire.readable), TypeError);
  await replies.next();
  const end = replies.next();
  wire.close();
  assertEquals(await end, { done: true, value: undefined });
  assertEquals(wire.readable.locked, false);
  assertEquals(await replies.next(), { done: true, value: undefined });
});

test("readReplies() is its own iterator", () => {
  const replies = readReplies(new Wire().readable);
  assertStrictEquals(replies[Symbol.asyncIterator](), replies);
});

test("readReplies() cancels the readable when the loop is left", async () => {
  const wire = new Wire("220 a\r\n250 b\r\n");
  for await (const reply of readReplies(wire.readable)) {
    assertEquals(reply.code, 220);
    break;
  }
  assertEquals(wire.cancelled, { reason: undefined });
  assertEquals(wire.readable.locked, false);
});

test("readReplies() leaves the readable open with preventCancel", async () => {
  const wire = new Wire("220 a\r\n", "250 b\r\n");
  for await (const _ of readReplies(wire.readable, { preventCancel: true })) break;
  assertEquals(wire.cancelled, undefined);
  assertEquals(wire.readable.locked, false);
  assertEquals(await (await readReplies(wire.readable).next()).value?.code, 250);
});

test("readReplies() settles what waits when return() is called, although the server is silent", async () => {
  for (const preventCancel of [false, true]) {
    const wire = new Wire();
    const replies = readReplies(wire.readable, { preventCancel });
    const waiting = [replies.next(), replies.next()];
    assertEquals(await replies.return!(), { done: true, value: undefined });
    for (const result of waiting) assertEquals(await result, { done: true, value: undefined });
    assertEquals(wire.readable.locked, false);
    assertEquals(wire.cancelled === undefined, preventCancel);
    assertEquals(await replies.return!(), { done: true, value: undefined });
    assertEquals(await replies.next(), { done: true, value: undefined });
  }
});

test("readReplies() loses no chunk to a read that return() gave up, with preventCancel", async () => {
  const wire = new Wire();
  const first = readReplies(wire.readable, { preventCancel: true });
  const waiting = first.next();
  await first.return!();
  await waiting;
  const second = readReplies(wire.readable).next();
  wire.say("220 a\r\n");
  assertEquals((await second).value?.code, 220);
});

test("readReplies() tells the caller of return() that cancelling failed", async () => {
  const readable = new ReadableStream<Uint8Array>({
    cancel(): void {
      throw new Error("Cannot close");
    },
  });
  await assertRejects(() => readReplies(readable).return!(), Error, "Cannot close");
  assertEquals(readable.locked, false);
});

test("readReplies() rejects the waiting next() with the reason when the signal aborts", async () => {
  for (const preventCancel of [false, true]) {
    const wire = new Wire();
    const controller = new AbortController();
    const replies = readReplies(wire.readable, { signal: controller.signal, preventCancel });
    const [first, second] = [replies.next(), replies.next()];
    const reason = new Error("Enough");
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => first), reason);
    assertEquals(await second, { done: true, value: undefined });
    assertEquals(wire.cancelled, preventCancel ? undefined : { reason });
    assertEquals(wire.readable.locked, false);
  }
});

test("readReplies() rejects the following next() once when nobody waits at the abort", async () => {
  const wire = new Wire("220 a\r\n250 b\r\n");
  const controller = new AbortController();
  const replies = readReplies(wire.readable, { signal: controller.signal });
  await replies.next();
  controller.abort();
  assertIsError(await assertRejects(() => replies.next()), DOMException);
  assertEquals(await replies.next(), { done: true, value: undefined });
});

test("readReplies() reads nothing when the signal has aborted before", async () => {
  const wire = new Wire("220 a\r\n");
  const reason = new Error("Too late");
  const replies = readReplies(wire.readable, { signal: AbortSignal.abort(reason) });
  assertEquals(wire.readable.locked, false);
  assertStrictEquals(await assertRejects(() => replies.next()), reason);
  assertEquals(wire.pulls, 0);
});

test("readReplies() ignores an abort after the end, and forgets one that return() overtook", async () => {
  const controller = new AbortController();
  const ended = readReplies(streamOf([]), { signal: controller.signal });
  assertEquals(await ended.next(), { done: true, value: undefined });
  const left = readReplies(new Wire().readable, { signal: AbortSignal.abort() });
  await left.return!();
  controller.abort();
  assertEquals(await ended.next(), { done: true, value: undefined });
  assertEquals(await left.next(), { done: true, value: undefined });
});

test("readReplies() listens to the signal no longer than it runs", async () => {
  for (const end of ["close", "return", "fail"] as const) {
    const { signal } = new AbortController();
    const listeners = new Set<unknown>();
    signal.addEventListener = (_: string, listener: unknown): void => void listeners.add(listener);
    signal.removeEventListener = (_: string, listener: unknown): void => void listeners.delete(listener);
    const wire = new Wire();
    const replies = readReplies(wire.readable, { signal });
    assertEquals(listeners.size, 1);
    const waiting = replies.next().catch(() => {});
    if (end === "return") await replies.return!();
    else wire[end](new Error("Connection reset"));
    await waiting;
    assertEquals(listeners.size, 0, end);
  }
});

test("readReplies() ends well when return() overtakes a reply half received", async () => {
  const wire = new Wire();
  const replies = readReplies(wire.readable);
  const waiting = replies.next();
  wire.say("250-a\r\n");
  await replies.return!();
  assertEquals(await waiting, { done: true, value: undefined });
  assertEquals(await replies.next(), { done: true, value: undefined });
});

test("readReplies() gives the replies before a malformed one, then fails and cancels", async () => {
  const wire = new Wire("220 a\r\n250 b\r\nHTTP/1.1 400\r\n");
  const replies = readReplies(wire.readable);
  assertEquals((await replies.next()).value?.code, 220);
  assertEquals((await replies.next()).value?.code, 250);
  const error = await assertRejects(() => replies.next(), ProtocolError);
  assertEquals(wire.cancelled, { reason: error });
  assertEquals(wire.readable.locked, false);
  assertEquals(await replies.next(), { done: true, value: undefined });
});

test("readReplies() fails the first of those who wait for what is no reply", async () => {
  const wire = new Wire();
  const replies = readReplies(wire.readable);
  const [first, second, third] = [replies.next(), replies.next(), replies.next()];
  wire.say("220 a\r\nHTTP/1.1 400\r\n");
  assertEquals((await first).value?.code, 220);
  await assertRejects(() => second, ProtocolError);
  assertEquals(await third, { done: true, value: undefined });
});

test("readReplies() keeps to the limits", async () => {
  const replies = readReplies(streamOf(["250 12345\r\n"]), { maxLineLength: 8 });
  await assertRejects(() => replies.next(), ProtocolError);
});

test("readReplies() fails when the stream ends within a reply", async () => {
  const wire = new Wire();
  const replies = readReplies(wire.readable);
  const waiting = replies.next();
  wire.say("250-a\r\n");
  wire.close();
  await assertRejects(() => waiting, ProtocolError);
  assertEquals(wire.readable.locked, false);
});

test("readReplies() passes on the error of the readable", async () => {
  const wire = new Wire();
  const replies = readReplies(wire.readable);
  const waiting = replies.next();
  const error = new Error("Connection reset");
  wire.fail(error);
  assertStrictEquals(await assertRejects(() => waiting), error);
  assertEquals(wire.readable.locked, false);
});
