import { assertEquals, assertRejects } from "@std/assert";
import { SmtpChannel } from "../../src/client/channel.ts";
import { ProtocolError } from "../../src/core/errors.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { test } from "../support/harness.ts";
import { ALL_PIECES, replay } from "../support/replay.ts";

for (const pieces of ALL_PIECES) {
  test(`SmtpChannel carries a conversation, and goes on after STARTTLS (${pieces})`, async () => {
    const { socket, done } = replay(
      `S: 220-mx.test
      S: 220 ESMTP
      C: STARTTLS
      S: 220 go
      S! tls
      C: EHLO client.test
      S: 250 mx.test`,
      pieces,
    );
    const channel = await SmtpChannel.open({ socket });
    const { replies } = channel;
    assertEquals((await replies.next()).value?.lines, ["mx.test", "ESMTP"]);
    await channel.command("STARTTLS");
    assertEquals([(await replies.next()).value?.code, channel.secure], [220, false]);
    await channel.startTls();
    assertEquals(channel.secure, true);
    await channel.write("EHLO client");
    await channel.write(new TextEncoder().encode(".test\r\n"));
    assertEquals((await replies.next()).value?.code, 250);
    await channel.close();
    await done;
  });
}

test("SmtpChannel.replies ends when the server closes, and always is the same", async () => {
  const { socket } = replay("S: 220 mx.test\nS! close");
  await using channel = await SmtpChannel.open({ socket });
  const codes: number[] = [];
  for await (const reply of channel.replies) codes.push(reply.code);
  assertEquals([codes, channel.replies === channel.replies], [[220], true]);
});

test("SmtpChannel.command() writes nothing of a line with control characters", async () => {
  const { socket, done } = replay("S: 220 mx.test\nC: NOOP");
  const channel = await SmtpChannel.open({ socket });
  await channel.replies.next();
  await assertRejects(() => channel.command("NOOP\r\nQUIT"), TypeError);
  await channel.command("NOOP");
  await channel.close();
  await done;
});

test("SmtpChannel.startTls() refuses bytes that follow the 220", async () => {
  const { socket } = replay("S: 220 mx.test\nS: 250 injected");
  await using channel = await SmtpChannel.open({ socket });
  await channel.replies.next();
  const error = await assertRejects(() => channel.startTls(), SmtpError);
  assertEquals(error.code, "starttls-injection");
});

test("SmtpChannel keeps to the limits that it is given", async () => {
  const [socket, peer] = memorySocketPair();
  await using channel = await SmtpChannel.open({ socket, maxLineLength: 10 });
  await peer.writable.getWriter().write(new TextEncoder().encode("220 0123456789\r\n"));
  await assertRejects(() => channel.replies.next(), ProtocolError);
  await peer.close().catch(() => {});
});
