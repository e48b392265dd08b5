import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { discardMessage, toSource } from "../../src/client/content.ts";
import type { Message, MessageSource } from "../../src/client/content.ts";
import { test } from "../support/harness.ts";

const encode = (text: string) => new TextEncoder().encode(text);

async function read(message: MessageSource): Promise<string> {
  const source = message.read();
  const decoder = new TextDecoder();
  let text = "";
  for (let next = await source.next(); !next.done; next = await source.next()) {
    text += decoder.decode(next.value, { stream: true });
  }
  return text + decoder.decode();
}

async function* pieces(): AsyncGenerator<string | Uint8Array> {
  yield "Grü";
  await Promise.resolve();
  yield encode("ße");
}

for (
  const [what, make, size, inMemory] of [
    ["a string", () => "Grüße", 7, true],
    ["a Uint8Array", () => encode("Grüße"), 7, true],
    ["an ArrayBuffer", () => encode("Grüße").buffer, 7, true],
    ["a Blob", () => new Blob(["Grüße"]), 7, false],
    ["a Response", () => new Response("Grüße"), undefined, false],
    ["a ReadableStream", () => ReadableStream.from(pieces()), undefined, false],
    ["an AsyncIterable", () => pieces(), undefined, false],
  ] as [string, () => Message, number | undefined, boolean][]
) {
  test(`toSource() reads ${what}`, async () => {
    const source = toSource(make());
    const kinds = inMemory ? { eightBit: true, nul: false, growth: 2 } : undefined;
    assertEquals([source.size, source.kinds, source.bytes !== undefined], [size, kinds, inMemory]);
    assertEquals(await read(source), "Grüße");
  });
}

test("toSource() knows whether a message in memory has bytes above 127", () => {
  for (const [message, eightBit] of [["abc", false], ["abc\x7f", false], ["é", true], ["", false]] as const) {
    assertEquals(toSource(message).kinds?.eightBit, eightBit);
    assertEquals(toSource(encode(message)).kinds?.eightBit, eightBit);
  }
});

test("toSource() looks at every byte of a view, wherever it begins and ends", () => {
  for (const at of [0, 1, 2, 3, 4, 5]) {
    for (const length of [0, 1, 2, 3, 4, 7, 9]) {
      for (const [byte, kinds] of [[65, [false, false]], [200, [true, false]], [0, [false, true]]] as const) {
        const bytes = new Uint8Array(at + length + 3).fill(255).fill(65, at, at + length);
        if (length > 0) bytes[at + length - 1] = byte;
        const view = bytes.subarray(at, at + length);
        const found = toSource(view).kinds!;
        assertEquals([found.eightBit, found.nul], length === 0 ? [false, false] : [...kinds]);
      }
    }
  }
});

test("toSource() takes a view for what it shows, and a Response without a body for nothing", async () => {
  assertEquals(await read(toSource(encode("abcdef").subarray(2, 4))), "cd");
  assertEquals(await read(toSource(new Response())), "");
});

test("toSource() cuts what is in memory in pieces that are no copies", async () => {
  const bytes = new Uint8Array(600_000);
  const source = toSource(bytes).read();
  let at = 0;
  for (let next = await source.next(); !next.done; next = await source.next()) {
    assertStrictEquals(next.value.buffer, bytes.buffer);
    assertEquals(next.value.byteOffset, at);
    at += next.value.length;
  }
  assertEquals(at, bytes.length);
});

for (const message of [42, null, undefined, {}, []]) {
  test(`toSource() refuses ${JSON.stringify(message) ?? typeof message}`, () => {
    assertThrows(() => toSource(message as unknown as Message), TypeError, "Cannot send the message");
  });
}

test("toSource() locks a stream, and refuses one that is locked", () => {
  const stream = new ReadableStream<string>();
  const source = toSource(stream);
  assertEquals(stream.locked, true);
  assertThrows(() => toSource(stream), TypeError);
  source.cancel(new Error("enough"));
});

test("toSource() refuses a piece that is neither bytes nor text", async () => {
  async function* numbers() {
    yield await Promise.resolve(42);
  }
  const source = toSource(numbers() as unknown as Message).read();
  let message = "";
  await source.next().catch((error) => message = error.message);
  assertEquals(
    message,
    "Cannot read the message: Cannot send a piece of the message: it must be bytes or a string, the current value is 42",
  );
});

test("discardMessage() cancels a stream and an iterable, once, and leaves everything else alone", async () => {
  const seen: unknown[] = [];
  const reason = new Error("enough");
  discardMessage(new ReadableStream({ cancel: (reason) => void seen.push(reason) }), reason);
  let returned = 0;
  const iterable = {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(new Error("Nobody asks")),
      return: () => Promise.resolve({ done: true as const, value: ++returned }),
    }),
  };
  discardMessage(iterable as unknown as Message, reason);
  discardMessage(42 as unknown as Message, reason);
  discardMessage("text", reason);
  const locked = new ReadableStream<string>();
  locked.getReader();
  discardMessage(locked, reason);
  await Promise.resolve();
  assertEquals([seen, returned], [[reason], 1]);
});

for (
  const [what, returns] of [
    ["throws", () => {
      throw new Error("no");
    }],
    ["rejects", () => Promise.reject(new Error("no"))],
    ["gives no promise", () => ({ done: true, value: undefined })],
  ] as [string, () => unknown][]
) {
  test(`MessageSource.cancel() does not mind an iterator whose return() ${what}`, () => {
    const iterable = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: returns }),
    };
    const source = toSource(iterable as unknown as Message);
    void source.read().next();
    source.cancel(new Error("enough"));
  });
}
