import { assertEquals, assertRejects } from "@std/assert";
import type { Envelope } from "../../src/client/envelope.ts";
import { provideEncoder } from "../../src/client/content_encoder.ts";
import type { ContentEncoder } from "../../src/client/content_encoder.ts";
import { converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE: Envelope = { from: null, to: "you@example.org" };

/** Stands in for `toSevenBit`: writes what is beyond ASCII as question marks. */
const encode: ContentEncoder = (message) =>
  message.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => controller.enqueue(chunk.map((byte) => byte > 127 ? 0x3f : byte)),
    }),
  );

/** Sets what `encode: "auto"` does for one test: on Node all test files share the modules. */
function provided(encoder: ContentEncoder | undefined): Disposable {
  const before = provideEncoder(encoder);
  return { [Symbol.dispose]: () => void provideEncoder(before) };
}

function sent(content: string, mail = "C: MAIL FROM:<>"): string {
  return `${mail}
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Ok
    C: ${content}
    C: .
    S: 250 Ok`;
}

const SOURCES = {
  "a text": (text: string) => text,
  "a stream": (text: string) => ReadableStream.from([text]),
  "a Blob": (text: string) => new Blob([text]),
  "a function": (text: string) => () => ReadableStream.from([text]),
};

for (const [what, source] of Object.entries(SOURCES)) {
  test(`SmtpClient makes ASCII of ${what} for a server without 8BITMIME`, () =>
    converse(
      `${hello()}\n${sent("A:??")}\n${QUIT}`,
      async (client) => {
        await client.send({ ...ENVELOPE, size: 4, body: "8bitmime" }, source("A:é"), { encode });
      },
    ));

  test(`SmtpClient leaves ${what} alone for a server with 8BITMIME`, () =>
    converse(
      `${hello("8BITMIME")}\n${sent("A:é", "C: MAIL FROM:<> BODY=8BITMIME")}\n${QUIT}`,
      async (client) => {
        await client.send(ENVELOPE, source("A:é"), { encode });
      },
    ));

  test(`SmtpClient makes ASCII of ${what} that is binary for a server without BINARYMIME`, () =>
    converse(
      `${hello("8BITMIME", "CHUNKING")}\n${
        sent("A:?", "C: MAIL FROM:<> BODY=8BITMIME").replace(/C: DATA\n *S: 354 Ok\n/, "C: DATA\nS: 354 Ok\n")
      }\n${QUIT}`,
      async (client) => {
        const binary: ContentEncoder = (message) => {
          void message.cancel();
          return ReadableStream.from([new TextEncoder().encode("A:?")]);
        };
        await client.send({ ...ENVELOPE, body: "binarymime" }, source("A:\0"), { encode: binary });
      },
      { transfer: "data" },
    ));
}

test("SmtpClient does not encode what is known to be ASCII", () =>
  converse(`${hello()}\n${sent("A:")}\n${QUIT}`, async (client) => {
    const never: ContentEncoder = () => {
      throw new Error("not needed");
    };
    await client.send(ENVELOPE, "A:", { encode: never });
  }));

test("SmtpClient says what encode may be, and lets the message go", async () => {
  using _provided = provided(undefined);
  await converse(`${hello()}\n${QUIT}`, async (client) => {
    let cancelled = 0;
    const message = () => new ReadableStream<Uint8Array>({ cancel: () => void cancelled++ });
    const send = (encode: "auto") => client.send(ENVELOPE, message(), { encode });
    await assertRejects(() => send("auto"), TypeError, 'needs import "@streams/smtp/compose"');
    await assertRejects(() => send("always" as "auto"), TypeError, 'the current value is "always"');
    const broken: ContentEncoder = () => {
      throw new RangeError("No MIME");
    };
    await assertRejects(() => client.send(ENVELOPE, message(), { encode: broken }), RangeError, "No MIME");
    assertEquals(cancelled, 3);
    await rejectsWith("extension-missing", () => client.send(ENVELOPE, "A:é", { encode: "never" }));
  });
});

test("SmtpClient reports an encoder that fails on the way, and the session goes on", () =>
  converse(
    `${hello("PIPELINING", "CHUNKING")}
    C: MAIL FROM:<>
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    S: 250 Ok
    C: RSET
    S: 250 Ok
    C: NOOP
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const failing: ContentEncoder = () =>
        ReadableStream.from((async function* () {
          yield new TextEncoder().encode("A:");
          await Promise.resolve();
          throw new Error("Not MIME");
        })());
      const error = await rejectsWith(
        "source-failed",
        () => client.send(ENVELOPE, "A:é", { encode: failing }),
      );
      assertEquals([error.outcome, error.usable], ["not-sent", true]);
      await client.reset();
      await client.noop();
    },
  ));

test('SmtpClient encodes with encode: "auto" once somebody has said how', async () => {
  using _provided = provided(encode);
  await converse(`${hello()}\n${sent("A:??")}\n${QUIT}`, async (client) => {
    await client.send(ENVELOPE, "A:é", { encode: "auto" });
  });
});
