import { assertEquals, assertRejects } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { conversation, converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { replay } from "../support/replay.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: null, to: "you@example.org" };

/** What must not be in a message for a server without 8BITMIME, and the error that says so. */
const FAULTS = {
  "a NUL": ["A:\0b", "invalid-message"],
  "bytes above 127": ["A:é", "extension-missing"],
  "a line that is too long": [`A:${"x".repeat(997)}`, "invalid-message"],
} as const;

for (const [what, [text, code]] of Object.entries(FAULTS)) {
  for (const extensions of [["PIPELINING"], ["PIPELINING", "CHUNKING"]]) {
    test(`SmtpClient says nothing of a message in memory with ${what} (${extensions.at(-1)})`, () =>
      converse(`${hello(...extensions)}\n${QUIT}`, async (client) => {
        for (const message of [text, new TextEncoder().encode(text), new TextEncoder().encode(text).buffer]) {
          const error = await rejectsWith(code, () => client.send(ENVELOPE, message));
          assertEquals([error.outcome, error.phase, error.usable], ["not-sent", "content", true]);
        }
      }));
  }

  test(`SmtpClient cuts the connection where a stream has ${what} behind DATA`, async () => {
    for (
      const message of [
        ReadableStream.from([text]),
        new Blob([text]),
        () => ReadableStream.from([text]),
      ]
    ) {
      const played = replay(`${hello("PIPELINING")}
        C: MAIL FROM:<>
        C: RCPT TO:<you@example.org>
        C: DATA
        S: 250 Ok
        S: 250 Ok
        S: 354 Ok`);
      const client = await SmtpClient.connect({
        socket: played.socket,
        clientName: "client.test",
        security: "none",
      });
      const error = await rejectsWith(code, () => client.send(ENVELOPE, message as Message));
      assertEquals([error.outcome, error.usable, client.usable], ["not-sent", false, false]);
      await played.done.catch(() => {}); // reset
    }
  });

  test(`SmtpClient goes on where a stream has ${what} behind BDAT`, () =>
    converse(
      `${hello("PIPELINING", "CHUNKING")}
      C: MAIL FROM:<>
      C: RCPT TO:<you@example.org>
      S: 250 Ok
      S: 250 Ok
      C: RSET
      S: 250 Ok
      C: MAIL FROM:<>
      C: RCPT TO:<you@example.org>
      C: BDAT 4 LAST
      C: A:
      S: 250 Ok
      S: 250 Ok
      S: 250 Ok
      ${QUIT}`,
      async (client) => {
        const error = await rejectsWith(
          code,
          () => client.send(ENVELOPE, ReadableStream.from(["A:\n", text])),
        );
        assertEquals([error.outcome, error.usable, client.usable], ["not-sent", true, true]);
        await client.send(ENVELOPE, "A:");
      },
    ));
}

conversation(
  "SmtpClient sends long lines where that is allowed",
  `${hello()}
  C: MAIL FROM:<>
  S: 250 Ok
  C: RCPT TO:<you@example.org>
  S: 250 Ok
  C: DATA
  S: 354 Ok
  C: X:${"x".repeat(997)}
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (client) => {
    const message = `X:${"x".repeat(997)}`;
    await assertRejects(
      () => client.send(ENVELOPE, message, { lineLength: "cut" as "allow" }),
      TypeError,
      'lineLength must be "error" or "allow", the current value is "cut"',
    );
    await client.send(ENVELOPE, message, { lineLength: "allow" });
  },
);

test("SmtpClient reports a function that opens no stream, or fails at it, and goes on", () =>
  converse(
    `${hello("PIPELINING", "CHUNKING")}
    C: MAIL FROM:<>
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    S: 250 Ok
    C: RSET
    S: 250 Ok
    C: MAIL FROM:<>
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    S: 250 Ok
    C: RSET
    S: 250 Ok
    C: MAIL FROM:<>
    C: RCPT TO:<you@example.org>
    C: BDAT 4 LAST
    C: A:
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const missing = () => Promise.reject(new Error("No such file"));
      const first = await rejectsWith("source-failed", () => client.send(ENVELOPE, missing));
      assertEquals([first.outcome, first.usable, first.message.includes("No such file")], [
        "not-sent",
        true,
        true,
      ]);
      const none = (() => "A:") as unknown as Message;
      await rejectsWith("source-failed", () => client.send(ENVELOPE, none));
      await client.send(ENVELOPE, () => Promise.resolve(ReadableStream.from(["A:"])));
    },
  ));

test("SmtpClient refuses binary content that BDAT may not carry", () =>
  converse(
    `${hello("BINARYMIME", "CHUNKING")}\n${QUIT}`,
    async (client) => {
      const envelope = { ...ENVELOPE, body: "binarymime" } as const;
      const error = await rejectsWith("extension-missing", () => client.send(envelope, "A:"));
      assertEquals([error.usable, error.message.includes('transfer is "data"')], [true, true]);
    },
    { transfer: "data" },
  ));

/** A server that takes one binary message, and gives its bytes. */
async function takeBinary(
  message: (bytes: Uint8Array<ArrayBuffer>) => Message,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<{ received: Uint8Array; chunks: number }> {
  const [socket, server] = memorySocketPair();
  const reader = server.readable.getReader();
  const writer = server.writable.getWriter();
  let input = new Uint8Array();
  const fill = async () => {
    const { value = new Uint8Array() } = await reader.read();
    const grown = new Uint8Array(input.length + value.length);
    grown.set(input);
    grown.set(value, input.length);
    input = grown;
  };
  const take = async (length: number) => {
    while (input.length < length) await fill();
    const taken = input.slice(0, length);
    input = input.slice(length);
    return taken;
  };
  const line = async () => {
    while (!input.includes(0x0a)) await fill();
    return new TextDecoder().decode(await take(input.indexOf(0x0a) + 1)).trimEnd();
  };
  const say = (reply: string) => writer.write(new TextEncoder().encode(`${reply}\r\n`));
  const received: Uint8Array[] = [];
  const served = (async () => {
    await say("220 mx.test");
    for (;;) {
      const command = await line();
      if (command.startsWith("EHLO")) {
        await say("250-mx.test\r\n250-CHUNKING\r\n250-PIPELINING\r\n250 BINARYMIME");
      } else await say("250 Ok");
      const [verb, size, last] = command.split(" ");
      if (verb !== "BDAT") continue;
      received.push(await take(Number(size)));
      if (last === "LAST") return;
    }
  })();
  const client = await SmtpClient.connect({ socket, clientName: "client.test", security: "none" });
  const sent = client.send({ ...ENVELOPE, body: "binarymime" }, message(bytes), {
    missingHeader: "allow",
  });
  await Promise.all([served, sent]);
  await client.close();
  await server.close();
  const whole = new Uint8Array(received.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of received) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return { received: whole, chunks: received.length };
}

for (const size of [0, 1, 5, 64 * 1024, 64 * 1024 + 1, 300_000]) {
  test(`SmtpClient sends ${size} binary bytes as they are, from memory and from streams`, async () => {
    // NUL, bare CR and LF, dots at the start of a line, no line end at the end.
    const bytes = Uint8Array.from(
      { length: size },
      (_, i) => [0x00, 0x0d, 0x0a, 0x0a, 0x2e, 0xff, 0x0d, 0x2e][i % 8]!,
    );
    const memory = await takeBinary((bytes) => bytes, bytes);
    assertEquals(memory.received, bytes);
    for (const piece of [7, 100_000]) {
      const pieces = Array.from(
        { length: Math.ceil(size / piece) },
        (_, i) => bytes.subarray(i * piece, (i + 1) * piece),
      );
      if (pieces.length > 1000) continue;
      const streamed = await takeBinary(() => ReadableStream.from(pieces), bytes);
      assertEquals(streamed.received, bytes);
      assertEquals(streamed.chunks <= Math.ceil(size / (64 * 1024)) + 1, true);
    }
    assertEquals((await takeBinary((bytes) => new Blob([bytes]), bytes)).received, bytes);
  });
}
