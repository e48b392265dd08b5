/** What docs/coming-from-smtp-channel.md says, shown. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ProtocolError, type Reply, SmtpChannel, SmtpError, SocketError } from "../../mod.ts";
import { serve } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { DataEncoderStream } from "../../src/streams/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { test } from "../support/harness.ts";
import { replay } from "../support/replay.ts";

/** Says a line, and gives the reply: what their `write()` does. */
async function say(channel: SmtpChannel, line: string): Promise<Reply> {
  await channel.command(line);
  const { value } = await channel.replies.next();
  return value!;
}

test("smtp-channel: host, port and secure", async () => {
  const { authority, good } = await certificates();
  const server = serve({ serverName: "mx.test", onError: () => {}, security: "tls", tls: good });
  try {
    const { hostname, port } = await server.listening;
    const tls = { caCerts: [authority.cert] };
    await using channel = await SmtpChannel.open({ hostname, port }, { secureTransport: "on", tls });
    assertEquals(channel.secure, true);
    assertEquals((await channel.replies.next()).value?.code, 220);
    await assertRejects(() => SmtpChannel.open({ hostname, port }, { secureTransport: "on" }), SocketError);
  } finally {
    await server.shutdown();
  }
});

test("smtp-channel: connect()", async () => {
  const { socket, done } = replay("S: 220-mx.test\nS: 220 ESMTP");
  const channel = await SmtpChannel.open(socket);
  const { value: greeting } = await channel.replies.next();
  assertEquals(greeting?.lines, ["mx.test", "ESMTP"]);
  await channel.close();
  await done;
});

test("smtp-channel: timeout", async () => {
  // Whoever has waited long enough closes: a late reply would be taken for the next command's.
  const { socket } = replay("S: 220 mx.test\nC: NOOP");
  const channel = await SmtpChannel.open(socket);
  await channel.replies.next();
  await channel.command("NOOP");
  const waiting = channel.replies.next();
  await channel.close();
  assertEquals(await waiting, { value: undefined, done: true });
  const options = { signal: AbortSignal.abort() };
  await assertRejects(() => SmtpChannel.open({ hostname: "127.0.0.1", port: 25 }, options), SocketError);
});

test("smtp-channel: close()", async () => {
  const { socket, done } = replay("S: 220 mx.test");
  const channel = await SmtpChannel.open(socket);
  await channel.close();
  await channel.closed;
  assertEquals((await channel.replies.next()).done, true);
  await done;
});

test("smtp-channel: write()", async () => {
  const { socket, done } = replay(`
    S: 220 mx.test
    C: DATA
    S: 354 Go ahead
    C: ..hidden
    C: .
    S: 250 Ok`);
  await using channel = await SmtpChannel.open(socket);
  await channel.replies.next();
  assertEquals((await say(channel, "DATA")).code, 354);
  // Strings and bytes leave as they are; an encoder makes a message of a stream, the last dot included.
  const content = new Blob([".hidden\n"]).stream().pipeThrough(new DataEncoderStream());
  for await (const chunk of content) await channel.write(chunk);
  assertEquals((await channel.replies.next()).value?.code, 250);
  await channel.close();
  await done;
});

test("smtp-channel: negotiateTLS() and isSecure()", async () => {
  const { socket, done } = replay(`
    S: 220 mx.test
    C: STARTTLS
    S: 220 Go
    S! tls
    C: EHLO client.test
    S: 250 mx.test`);
  const channel = await SmtpChannel.open(socket);
  await channel.replies.next();
  await say(channel, "STARTTLS");
  assertEquals(channel.secure, false);
  await channel.startTls();
  assertEquals(channel.secure, true);
  assertEquals((await say(channel, "EHLO client.test")).code, 250);
  await channel.close();
  await done;
  // What stands behind the 220 is an attack, and not taken for the server's words.
  const injected = await SmtpChannel.open(
    replay("S: 220 mx.test\nC: STARTTLS\nS: 220 Go\nS: 250 Evil").socket,
  );
  await injected.replies.next();
  await say(injected, "STARTTLS");
  await assertRejects(() => injected.startTls(), SmtpError);
});

test("smtp-channel: handler, parseReplyCode() and isLastReply()", async () => {
  const { socket, done } = replay("S: 250-mx.test\nS: 250-SIZE 10\nS: 250 HELP");
  const channel = await SmtpChannel.open(socket);
  // One reply, whole: there is no line of it that is not the last.
  const { value: reply } = await channel.replies.next();
  assertEquals([reply?.code, reply?.lines], [250, ["mx.test", "SIZE 10", "HELP"]]);
  await channel.close();
  await done;
});

test("smtp-channel: command and send", async () => {
  // What leaves is what one writes; a socket of one's own sees the bytes.
  const [near, far] = memorySocketPair();
  const sent: string[] = [];
  const tap = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      sent.push(new TextDecoder().decode(chunk));
      controller.enqueue(chunk);
    },
  });
  void tap.readable.pipeTo(near.writable);
  const channel = await SmtpChannel.open({ readable: near.readable, writable: tap.writable });
  await Promise.all([channel.command("MAIL FROM:<>"), channel.command("RCPT TO:<you@example.org>")]);
  assertEquals(sent, ["MAIL FROM:<>\r\nRCPT TO:<you@example.org>\r\n"]);
  await channel.close();
  await far.close();
});

test("smtp-channel: receive and reply", async () => {
  const { socket, done } = replay("S: 220 mx.test\nC: NOOP\nS: 250 Ok\nS! close", "bytes");
  const seen: number[] = [];
  const received: number[] = [];
  const tap = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      received.push(chunk.length);
      controller.enqueue(chunk);
    },
  });
  const readable = socket.readable.pipeThrough(tap);
  const channel = await SmtpChannel.open({ readable, writable: socket.writable });
  for await (const reply of channel.replies) {
    seen.push(reply.code);
    if (reply.code === 220) await channel.command("NOOP");
  }
  await done;
  assertEquals(seen, [220, 250]);
  assert(received.length > 0);
});

test("smtp-channel: end and close", async () => {
  const channel = await SmtpChannel.open(replay("S: 220 mx.test\nS! close").socket);
  const codes: number[] = [];
  for await (const reply of channel.replies) codes.push(reply.code);
  assertEquals(codes, [220]); // the loop ends where the server does
  await channel.closed;
});

test("smtp-channel: error", async () => {
  const channel = await SmtpChannel.open(replay("S: 220 mx.test\nS! reset").socket);
  await channel.replies.next();
  await assertRejects(() => channel.replies.next(), SocketError);
  await assertRejects(() => channel.closed, SocketError);
  const confused = await SmtpChannel.open(replay("S: What?").socket);
  await assertRejects(() => confused.replies.next(), ProtocolError);
  assertMatch(String(await confused.command("NO\r\nOP").catch((error) => error)), /^TypeError/);
});
