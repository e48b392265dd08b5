import { assertEquals, assertRejects } from "@std/assert";
import { Link } from "../../src/client/link.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { SmtpError } from "../../src/errors.ts";
import { test } from "../support/harness.ts";
import { tapped } from "../support/model_server.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** A link, its writes, and the other side. */
async function linked(
  body: (link: Link, writes: string[], peer: ReturnType<typeof memorySocketPair>[0]) => Promise<void>,
  highWaterMark = 65_536,
): Promise<void> {
  const [socket, peer] = memorySocketPair({ highWaterMark, secureTransport: "starttls" });
  const writes: string[] = [];
  const link = new Link(tapped(socket, (bytes) => writes.push(new TextDecoder().decode(bytes))));
  try {
    await body(link, writes, peer);
  } finally {
    await link.close().catch(() => {});
    await peer.close().catch(() => {});
  }
}

test("Link.scheduleFlush() lets what one turn writes leave in one chunk", () =>
  linked(async (link, writes) => {
    link.output.text("one ");
    link.scheduleFlush();
    link.output.text("two ");
    link.scheduleFlush();
    link.output.text("three");
    assertEquals(writes, []);
    await link.drain();
    assertEquals(writes, ["one two three"]);
  }));

test("Link lets what is written during a write leave whole when that has ended", () =>
  linked(async (link, writes, peer) => {
    link.output.text("0123456789");
    link.flush();
    link.output.text("one ");
    link.flush();
    link.output.text("two");
    link.flush();
    const reader = peer.readable.getReader();
    let heard = "";
    while (heard.length < 17) heard += new TextDecoder().decode((await reader.read()).value);
    assertEquals(heard, "0123456789one two");
    assertEquals(writes, ["0123456789", "one two"]);
  }, 4));

test("Link.send() keeps the order, and counts what was handed over", () =>
  linked(async (link, writes) => {
    link.output.text("BDAT 4\r\n");
    assertEquals([link.position, link.handedOver], [8, 0]);
    await link.send(encode("abcd"));
    assertEquals([link.position, link.handedOver], [12, 12]);
    assertEquals(writes, ["BDAT 4\r\n", "abcd"]);
  }));

test("Link.close() drops what waits, and nothing can be sent any more", () =>
  linked(async (link, writes) => {
    link.output.text("DATA");
    link.scheduleFlush();
    const reason = new Error("enough");
    await link.close(reason).catch(() => {});
    await assertRejects(() => link.send(encode("x")), Error, "enough");
    assertEquals([writes, link.output.length, link.writeError], [[], 0, reason]);
  }));

test("Link tells of a write that fails, once, and of no later one", () =>
  linked(async (link, _writes, peer) => {
    const errors: unknown[] = [];
    link.onWriteError = (error) => errors.push(error);
    await peer.close(new Error("gone")).catch(() => {});
    link.output.text("one");
    await assertRejects(() => link.drain());
    link.output.text("two");
    await assertRejects(() => link.drain());
    assertEquals([errors.length, errors[0] === link.writeError], [1, true]);
  }));

test("Link gives replies in whatever pieces they come, and the end of the connection", () =>
  linked(async (link, _writes, peer) => {
    const writer = peer.writable.getWriter();
    const said = (async () => {
      for (const byte of encode("220-a\r\n220 b\r\n250 c\r\n")) await writer.write(Uint8Array.of(byte));
      await peer.close();
    })();
    const codes: number[] = [];
    do {
      for (let reply = link.takeReply(); reply; reply = link.takeReply()) codes.push(reply.code);
    } while (await link.fill());
    assertEquals(codes, [220, 250]);
    await said;
  }));

test("Link.startTls() refuses bytes after the reply to STARTTLS, and a read that is under way", () =>
  linked(async (link, _writes, peer) => {
    await peer.writable.getWriter().write(encode("220 go\r\n250 injected\r\n"));
    await link.fill();
    link.takeReply();
    const error = await assertRejects(() => link.startTls({}), SmtpError);
    assertEquals([error.code, link.secure], ["starttls-injection", false]);
    link.takeReply();
    const read = link.fill();
    await assertRejects(() => link.startTls({}), TypeError, "a read is under way");
    await peer.close();
    assertEquals(await read, false);
  }));
