import { assertEquals, assertMatch } from "@std/assert";
import type { Message } from "../../src/client/content.ts";
import { converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: null, to: "you@example.org" };
const encode = (text: string) => new TextEncoder().encode(text);

const WRONG = [
  "Hello",
  "Hello\n\nSubject: Hi",
  "\r\nHello",
  "Hello there: you",
  ": x",
  " A: x",
  "Ü: x",
  "\ufeffA: x",
];

for (const text of [...WRONG, ""]) {
  test(`SmtpClient.send() says nothing of a message in memory that begins with ${JSON.stringify(text)}`, () =>
    converse(`${hello("PIPELINING", "8BITMIME")}\n${QUIT}`, async (client) => {
      for (const message of [text, encode(text), encode(text).buffer]) {
        const error = await rejectsWith("invalid-message", () => client.send(ENVELOPE, message));
        assertEquals([error.outcome, error.phase, error.usable], ["not-sent", "content", true]);
        assertMatch(
          error.message,
          text === ""
            ? /message is empty\. .*compose\(\)/
            : /does not begin with a header field\. .*compose\(\)/,
        );
      }
    }));

  test(`SmtpClient.send() stops where a stream begins with ${JSON.stringify(text)}, and goes on`, () =>
    converse(
      `${hello("PIPELINING", "CHUNKING", "8BITMIME")}
      C: MAIL FROM:<> BODY=8BITMIME
      C: RCPT TO:<you@example.org>
      S: 250 Ok
      S: 250 Ok
      C: RSET
      S: 250 Ok
      C: NOOP
      S: 250 Ok
      ${QUIT}`,
      async (client) => {
        const pieces = [...encode(text)].map((byte) => Uint8Array.of(byte));
        const error = await rejectsWith(
          "invalid-message",
          () => client.send(ENVELOPE, ReadableStream.from(pieces)),
        );
        assertEquals([error.outcome, error.phase, error.usable], ["not-sent", "content", true]);
        await client.reset();
        await client.noop();
      },
    ));
}

for (const text of ["A:", "Subject: Hi\r\n\r\nHello", "subject : Hi", "X-1~!:\n"]) {
  test(`SmtpClient.send() takes a message that begins with ${JSON.stringify(text)}, in any pieces`, () => {
    const taken = `C: MAIL FROM:<>
      S: 250 Ok
      C: RCPT TO:<you@example.org>
      S: 250 Ok
      C: DATA
      S: 354 Ok
      ${text.trimEnd().split(/\r?\n/).map((line) => `C: ${line}\n`).join("")}
      C: .
      S: 250 Ok`;
    return converse(`${hello()}\n${taken}\n${taken}\n${QUIT}`, async (client) => {
      await client.send(ENVELOPE, text);
      await client.send(ENVELOPE, ReadableStream.from([...text]));
    });
  });
}

test('SmtpClient.send() sends a message without a header with missingHeader: "allow"', () => {
  const taken = `C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Ok
    C: Hello
    C: .
    S: 250 Ok`;
  return converse(`${hello()}\n${taken}\n${taken}\n${QUIT}`, async (client) => {
    await client.send(ENVELOPE, "Hello", { missingHeader: "allow" });
    await client.send(ENVELOPE, ReadableStream.from(["Hel", "lo"]), { missingHeader: "allow" });
  });
});

test("SmtpClient.send() does not let an encoder make up for a header that is missing", () =>
  converse(`${hello("PIPELINING")}\n${QUIT}`, async (client) => {
    await rejectsWith(
      "invalid-message",
      () => client.send(ENVELOPE, "Grüße", { encode: () => ReadableStream.from([encode("A: x")]) }),
    );
  }));

async function* once(): AsyncGenerator<string> {
  yield await Promise.resolve("A: x\n");
}

for (
  const [what, make] of [
    ["a stream", () => ReadableStream.from(["A: x\n"])],
    ["an iterable", () => once()],
    ["a stream that was read by somebody else", () => {
      const stream = ReadableStream.from(["A: x\n"]);
      return Object.assign(stream, {
        read: (async () => {
          for await (const _ of stream);
        })(),
      });
    }],
    ["a Response", () => new Response("A: x\n")],
  ] as [string, () => Message][]
) {
  test(`SmtpClient.send() names the function that opens a stream where ${what} is sent twice`, () =>
    converse(
      `${hello("PIPELINING", "CHUNKING")}
      C: MAIL FROM:<>
      C: RCPT TO:<you@example.org>
      ${what.includes("else") ? "" : "C: BDAT 6 LAST\nC: A: x\nS: 250 Ok"}
      S: 250 Ok
      S: 250 Ok
      ${
        what === "an iterable"
          ? "C: MAIL FROM:<>\nC: RCPT TO:<you@example.org>\nS: 250 Ok\nS: 250 Ok\nC: RSET\nS: 250 Ok"
          : ""
      }
      ${what.includes("else") ? "C: RSET\nS: 250 Ok" : ""}
      C: NOOP
      S: 250 Ok
      ${QUIT}`,
      async (client) => {
        const message = make();
        if ("read" in (message as object)) await (message as unknown as { read: Promise<void> }).read;
        else await client.send(ENVELOPE, message);
        const error = await rejectsWith("invalid-message", () => client.send(ENVELOPE, message));
        assertMatch(error.message, /to send it again, give a function that opens it, `\(\) => open\(\)`/);
        assertEquals([error.outcome, error.usable], ["not-sent", true]);
        if (client.extensions.chunking && what !== "a stream" && what !== "a Response") await client.reset();
        await client.noop();
      },
    ));
}

test("SmtpClient.send() says that a function must open another stream each time", () =>
  converse(
    `${hello("PIPELINING", "CHUNKING")}
    C: MAIL FROM:<>
    C: RCPT TO:<you@example.org>
    C: BDAT 6 LAST
    C: A: x
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    C: MAIL FROM:<>
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const stream = ReadableStream.from(["A: x\n"]);
      await client.send(ENVELOPE, () => stream);
      const error = await rejectsWith("source-failed", () => client.send(ENVELOPE, () => stream));
      assertMatch(error.message, /must open another stream each time/);
    },
  ));

test("SmtpClient.send() says what to do with what compose() returns as its only argument", () =>
  converse(`${hello()}\n${QUIT}`, async (client) => {
    const send = client.send.bind(client) as unknown as (mail: unknown) => Promise<unknown>;
    const error = await rejectsWith("invalid-message", () => send({ envelope: ENVELOPE, message: "A: x" }));
    assertMatch(error.message, /send\(mail\.envelope, mail\.message\)/);
  }));

for (
  const [what, message, words] of [
    ["a mail", { subject: "Hi", text: "Hello" }, /compose\(\) of @streams\/smtp\/compose/],
    ["a mail of denomailer", { content: "Hello" }, /compose\(\) of @streams\/smtp\/compose/],
    ["a mail of nodemailer", { raw: "A: x" }, /compose\(\) of @streams\/smtp\/compose/],
    ["attachments", { attachments: [] }, /compose\(\) of @streams\/smtp\/compose/],
    ["headers", { headers: {} }, /compose\(\) of @streams\/smtp\/compose/],
    ["what compose() returns", { envelope: {}, message: {} }, /send\(mail\.envelope, mail\.message\)/],
    ["a number", 42, /must be a string, bytes, .*, the current value is 42$/],
  ] as [string, unknown, RegExp][]
) {
  test(`SmtpClient.send() says what to do with ${what} as a message`, () =>
    converse(`${hello()}\n${QUIT}`, async (client) => {
      const error = await rejectsWith("invalid-message", () => client.send(ENVELOPE, message as Message));
      assertMatch(error.message, words);
    }));
}
