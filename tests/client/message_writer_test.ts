import { assertEquals, assertRejects } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { conversation, converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { replay } from "../support/replay.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const FROM = "me@example.com";
const TO = "you@example.org";
const BEGIN = `C: MAIL FROM:<${FROM}>
  S: 250 Ok
  C: RCPT TO:<${TO}>
  S: 250 Ok
  C: DATA
  S: 354 Go on`;

async function begin(client: SmtpClient): ReturnType<SmtpClient["data"]> {
  await client.mail(FROM);
  await client.rcpt(TO);
  return await client.data();
}

conversation(
  "MessageWriter takes a stream of text and bytes, makes line ends CRLF and stuffs dots",
  `${hello("8BITMIME")}
  C: MAIL FROM:<${FROM}> BODY=8BITMIME
  S: 250 Ok
  C: RCPT TO:<${TO}>
  S: 250 Ok
  C: DATA
  S: 354 Go on
  C: Subject: Hi
  C:
  C: ..é
  C: ...
  C: end
  C: .
  S: 250 Ok: queued as 7A
  ${QUIT}`,
  async (client) => {
    const content = await begin(client);
    const pieces = ["Subject: Hi\r", "\n\n.", "é", new TextEncoder().encode("\n"), "..\rend"];
    await ReadableStream.from(pieces).pipeTo(content);
    assertEquals((await content.receipt).queueId, "7A");
  },
);

test("MessageWriter closed without a word sends an empty message", () =>
  converse(
    `${hello()}\n${BEGIN}
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const content = await begin(client);
      await content.close();
      assertEquals((await content.receipt).accepted, [TO]);
    },
  ));

conversation(
  "MessageWriter rejects what closes it where the server refuses the message, and the session goes on",
  `${hello()}\n${BEGIN}
  C: Hi
  C: .
  S: 554 5.7.1 Spam
  ${BEGIN}
  C: Ho
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (client) => {
    const content = await begin(client);
    const writer = content.getWriter();
    await writer.write("Hi");
    const error = await rejectsWith("message-refused", () => writer.close());
    assertEquals([error.outcome, error.enhancedCode, error.usable], ["refused", "5.7.1", true]);
    assertEquals(await rejectsWith("message-refused", () => content.receipt), error);
    await ReadableStream.from(["Ho"]).pipeTo(await begin(client));
  },
);

test("MessageWriter waits for a server that does not read", async () => {
  const [socket, server] = memorySocketPair();
  const reader = server.readable.getReader();
  const writer = server.writable.getWriter();
  const decoder = new TextDecoder();
  const hear = async (until: string) => {
    let text = "";
    while (!text.endsWith(until)) text += decoder.decode((await reader.read()).value);
    return text;
  };
  const say = (reply: string) => writer.write(new TextEncoder().encode(`${reply}\r\n`));
  const talk = (async () => {
    await say("220 mx.test");
    for (const reply of ["250 mx.test", "250 Ok", "250 Ok", "354 Go on"]) {
      await hear("\r\n");
      await say(reply);
    }
  })();
  const client = await SmtpClient.connect({ socket, clientName: "x.test", security: "none" });
  const content = await begin(client);
  await talk;
  let taken = 0;
  const piece = new Uint8Array(64 * 1024).fill(0x0a);
  const piped = ReadableStream.from((async function* () {
    for (; taken < 100; taken++) yield piece;
    await Promise.resolve();
  })()).pipeTo(content);
  // As much as fits in between, and no more, however long we wait.
  let before = -1;
  for (let turns = 0; turns < 50 || taken !== before; turns++) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertEquals(taken < 20, true, `${taken} pieces left`);
  const heard = hear("\r\n.\r\n");
  const text = await heard;
  assertEquals([taken, text.length], [100, 100 * piece.length * 2 + 3]);
  await say("250 Ok");
  await piped;
  await client.close();
  await server.close();
});

for (
  const [what, write, code] of [
    ["a NUL", (writer) => writer.write("a\0b"), "invalid-message"],
    ["a line that is too long", (writer) => writer.write("x".repeat(999)), "invalid-message"],
    ["bytes above 127 that the server does not take", (writer) => writer.write("é"), "extension-missing"],
    ["what is neither text nor bytes", (writer) => writer.write(5 as never), "invalid-message"],
  ] as [
    string,
    (writer: WritableStreamDefaultWriter<Uint8Array | string>) => Promise<void>,
    "invalid-message",
  ][]
) {
  test(`MessageWriter cuts the connection where it is given ${what}`, async () => {
    const played = replay(`${hello()}\n${BEGIN}\nC: Hi`);
    const client = await SmtpClient.connect({
      socket: played.socket,
      clientName: "client.test",
      security: "none",
    });
    const content = await begin(client);
    const writer = content.getWriter();
    await writer.write("Hi\n");
    const error = await rejectsWith(code, () => write(writer));
    assertEquals([error.outcome, error.usable, client.usable], ["not-sent", false, false]);
    assertEquals(await rejectsWith(code, () => content.receipt), error);
    await rejectsWith("client-closed", () => client.noop());
    await played.done.catch(() => {}); // reset
  });
}

for (
  const [reply, code, outcome] of [
    ["552 5.3.4 Too much", "message-refused", "refused"],
    ["421 4.3.2 Down", "service-unavailable", "not-sent"],
    ["250 Ok already", "protocol-error", "not-sent"],
  ] as const
) {
  test(`MessageWriter stops where the server says ${reply} in the middle of the content`, async () => {
    const played = replay(`${hello()}\n${BEGIN}\nC: Hi\nS: ${reply}\nC: Ho`);
    const client = await SmtpClient.connect({
      socket: played.socket,
      clientName: "client.test",
      security: "none",
    });
    const content = await begin(client);
    async function* pieces(): AsyncGenerator<string> {
      yield "Hi\n";
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 0)); // a source that takes its time, as sources do
        yield "Ho\n";
      }
    }
    const error = await rejectsWith(code, () => ReadableStream.from(pieces()).pipeTo(content));
    assertEquals([error.outcome, client.usable], [outcome, false]);
    await assertRejects(() => content.receipt);
    await played.done.catch(() => {});
  });
}

test("MessageWriter cuts the connection when it is aborted, so that nobody gets a part of a message", async () => {
  const played = replay(`${hello()}\n${BEGIN}\nC: Hi`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  const content = await begin(client);
  const writer = content.getWriter();
  await writer.write("Hi\n");
  const reason = new Error("changed my mind");
  await writer.abort(reason);
  const error = await rejectsWith("aborted", () => content.receipt);
  assertEquals([error.cause, error.outcome, client.usable], [reason, "not-sent", false]);
  await played.done.catch(() => {});
});

test("MessageWriter cuts the connection when the stream that is piped into it fails", async () => {
  const played = replay(`${hello()}\n${BEGIN}\nC: Hi`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  const content = await begin(client);
  const reason = new Error("disk");
  const source = ReadableStream.from((async function* () {
    yield "Hi\n";
    await Promise.resolve();
    throw reason;
  })());
  assertEquals(await assertRejects(() => source.pipeTo(content)), reason);
  assertEquals((await rejectsWith("aborted", () => content.receipt)).cause, reason);
  assertEquals(client.usable, false);
  await played.done.catch(() => {});
});

for (const end of ["close", "reset"] as const) {
  test(`MessageWriter rejects a write where the connection has gone in the middle of the content (${end})`, async () => {
    const played = replay(`${hello()}\n${BEGIN}\nC: Hi\nS! ${end}`);
    const client = await SmtpClient.connect({
      socket: played.socket,
      clientName: "client.test",
      security: "none",
    });
    const content = await begin(client);
    const writer = content.getWriter();
    await writer.write("Hi\n").catch(() => {}); // the end may be there already
    await client.closed; // it is seen though nothing is being written
    const code = end === "close" ? "connection-lost" : "connection-reset";
    const error = await rejectsWith(code, () => writer.write("Ho\n"));
    assertEquals([error.outcome, error.phase, error.usable], ["not-sent", "content", false]);
    assertEquals(await rejectsWith(code, () => content.receipt), error);
    await played.done;
  });
}

test("MessageWriter rejects what closes it where the connection has gone before the end", async () => {
  const played = replay(`${hello()}\n${BEGIN}\nS! close`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  const content = await begin(client);
  await client.closed;
  const error = await rejectsWith("connection-lost", () => content.close());
  assertEquals([error.outcome, error.usable], ["not-sent", false]);
  assertEquals((await rejectsWith("connection-lost", () => content.receipt)).outcome, "not-sent");
  await played.done;
});

test("MessageWriter closed behind a refusal that came early does not end the message", async () => {
  const played = replay(`${hello()}\n${BEGIN}\nS: 552 5.3.4 Too much`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  const content = await begin(client);
  const error = await rejectsWith("message-refused", () => content.close());
  assertEquals([error.outcome, error.enhancedCode, client.usable], ["refused", "5.3.4", false]);
  await played.done.catch(() => {}); // reset
});

test("MessageWriter has a limit of time for a server that takes no more of the content", async () => {
  const [socket, server] = memorySocketPair();
  const reader = server.readable.getReader();
  const writer = server.writable.getWriter();
  const talk = (async () => {
    for (const reply of ["220 mx.test", "250 mx.test", "250 Ok", "250 Ok", "354 Go on"]) {
      await writer.write(new TextEncoder().encode(`${reply}\r\n`));
      if (!reply.startsWith("354")) await reader.read(); // a command each
    }
  })();
  const client = await SmtpClient.connect({
    socket,
    clientName: "x.test",
    security: "none",
    timeouts: { block: 1 },
  });
  const content = (await begin(client)).getWriter();
  await talk;
  const error = await rejectsWith("timeout", async () => {
    for (;;) await content.write("x\n".repeat(100_000));
  });
  assertEquals([error.outcome, error.phase, client.usable], ["not-sent", "content", false]);
  await server.close().catch(() => {});
});
