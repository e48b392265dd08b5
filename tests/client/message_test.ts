import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { discardMessage, toContent } from "../../src/client/message.ts";
import type { Content, Message } from "../../src/client/message.ts";
import { test } from "../support/harness.ts";

const encode = (text: string) => new TextEncoder().encode(text);

async function read(content: Content): Promise<string> {
  const source = content.read();
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
  test(`toContent() reads ${what}`, async () => {
    const content = toContent(make());
    const kinds = inMemory ? { eightBit: true, nul: false } : undefined;
    assertEquals([content.size, content.kinds, content.bytes !== undefined], [size, kinds, inMemory]);
    assertEquals(await read(content), "Grüße");
  });
}

test("toContent() knows whether a message in memory has bytes above 127", () => {
  for (const [message, eightBit] of [["abc", false], ["abc\x7f", false], ["é", true], ["", false]] as const) {
    assertEquals(toContent(message).kinds?.eightBit, eightBit);
    assertEquals(toContent(encode(message)).kinds?.eightBit, eightBit);
  }
});

test("toContent() looks at every byte of a view, wherever it begins and ends", () => {
  for (const at of [0, 1, 2, 3, 4, 5]) {
    for (const length of [0, 1, 2, 3, 4, 7, 9]) {
      for (const [byte, kinds] of [[65, [false, false]], [200, [true, false]], [0, [false, true]]] as const) {
        const bytes = new Uint8Array(at + length + 3).fill(255).fill(65, at, at + length);
        if (length > 0) bytes[at + length - 1] = byte;
        const view = bytes.subarray(at, at + length);
        const found = toContent(view).kinds!;
        assertEquals([found.eightBit, found.nul], length === 0 ? [false, false] : [...kinds]);
      }
    }
  }
});

test("toContent() takes a view for what it shows, and a Response without a body for nothing", async () => {
  assertEquals(await read(toContent(encode("abcdef").subarray(2, 4))), "cd");
  assertEquals(await read(toContent(new Response())), "");
});

test("toContent() cuts what is in memory in pieces that are no copies", async () => {
  const bytes = new Uint8Array(600_000);
  const source = toContent(bytes).read();
  let at = 0;
  for (let next = await source.next(); !next.done; next = await source.next()) {
    assertStrictEquals(next.value.buffer, bytes.buffer);
    assertEquals(next.value.byteOffset, at);
    at += next.value.length;
  }
  assertEquals(at, bytes.length);
});

for (const message of [42, null, undefined, {}, []]) {
  test(`toContent() refuses ${JSON.stringify(message) ?? typeof message}`, () => {
    assertThrows(() => toContent(message as unknown as Message), TypeError, "Cannot send the message");
  });
}

test("toContent() locks a stream, and refuses one that is locked", () => {
  const stream = new ReadableStream<string>();
  const content = toContent(stream);
  assertEquals(stream.locked, true);
  assertThrows(() => toContent(stream), TypeError);
  content.cancel(new Error("enough"));
});

test("toContent() refuses a piece that is neither bytes nor text", async () => {
  async function* numbers() {
    yield await Promise.resolve(42);
  }
  const source = toContent(numbers() as unknown as Message).read();
  let message = "";
  await source.next().catch((error) => message = error.message);
  assertEquals(message, "Cannot send a piece of the message: it must be bytes or a string, it is number");
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
  test(`Content.cancel() does not mind an iterator whose return() ${what}`, () => {
    const iterable = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: returns }),
    };
    const content = toContent(iterable as unknown as Message);
    void content.read().next();
    content.cancel(new Error("enough"));
  });
}
