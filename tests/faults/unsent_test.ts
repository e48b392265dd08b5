/** What is still in our own buffers when the link fails is not sent, and is reported so. */
import { createServer } from "node:net";
import type { AddressInfo, Socket as NodeSocket } from "node:net";
import { assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { test } from "../support/harness.ts";
import { tapped } from "../support/model_server.ts";

const EHLO = "250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
const KB = 1024;

/** Greets, and reads nothing after EHLO. */
async function greet(peer: Socket): Promise<void> {
  const writer = peer.writable.getWriter();
  const reader = peer.readable.getReader();
  const encode = (text: string) => new TextEncoder().encode(text);
  await writer.write(encode("220 mx.test\r\n"));
  await reader.read();
  reader.releaseLock();
  await writer.write(encode(EHLO));
  writer.releaseLock();
}

/** Sends messages at once, closes the connection when nothing moves any more, and returns what became of each. */
async function sendAndClose(client: SmtpClient, count: number, size: number): Promise<string[]> {
  const sent = Array.from({ length: count }, (_, index) => {
    const text = `Subject: ${index}\r\n\r\n${"x".repeat(70)}\r\n`.padEnd(size - 10, "x".repeat(70) + "\r\n");
    return client.send({ from: "me@client.test", to: "you@mx.test" }, `${text}\r\nEnd ${index}.\r\n`).then(
      () => "taken",
      (error) => error instanceof SmtpError ? error.outcome : String(error),
    );
  });
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  await client.close();
  return await Promise.all(sent);
}

function count(outcomes: readonly string[], outcome: string): number {
  return outcomes.filter((one) => one === outcome).length;
}

const OPTIONS: SmtpClientOptions = { security: "none", clientName: "client.test" };

for (const isOpened of [false, true]) {
  const where = isOpened ? "a connection that a function has opened" : "the connection";
  test(`send() reports as not sent what ${where} has not taken of a write`, async () => {
    const [socket, peer] = memorySocketPair({ highWaterMark: 1_000 });
    const options = { ...OPTIONS, hostname: "mx.test", socket: isOpened ? () => socket : socket };
    const [client] = await Promise.all([SmtpClient.connect(options), greet(peer)]);
    const outcomes = await sendAndClose(client, 5, 400);
    await peer.close();
    // Each is some 500 bytes with its envelope: two are within 1,000 bytes at most, all five within one write.
    const [unknown, notSent] = [count(outcomes, "unknown"), count(outcomes, "not-sent")];
    assertEquals([unknown <= 2, notSent >= 3], [true, true], `${outcomes}`);
  });
}

test("send() gives a connection no more than 64 KiB at once, so that what waits behind is not sent", async () => {
  const [socket, peer] = memorySocketPair({ highWaterMark: 1_000 });
  // A socket of the caller's does not tell how much it has taken of a write.
  const client = await Promise.all([
    SmtpClient.connect({ ...OPTIONS, socket: tapped(socket, () => {}) }),
    greet(peer),
  ]).then(([client]) => client);
  const outcomes = await sendAndClose(client, 100, 4 * KB);
  await peer.close();
  const unknown = count(outcomes, "unknown");
  assertEquals([unknown <= 16, count(outcomes, "not-sent")], [true, 100 - unknown], `${unknown} unknown`);
});

test("send() knows within 64 KiB which messages have left for a server that does not read", async () => {
  // The window begins with 128 messages: more than a kernel takes, each small enough to leave in one write with others.
  const SIZE = 56 * KB;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<NodeSocket>((resolve) => server.once("connection", resolve));
  const { port } = server.address() as AddressInfo;
  const connecting = SmtpClient.connect({
    ...OPTIONS,
    hostname: "127.0.0.1",
    port,
    maxBytesInFlight: 1024 * KB * KB,
  });
  const peer = await accepted;
  peer.write("220 mx.test\r\n");
  await new Promise<void>((resolve) => peer.once("data", () => resolve()));
  peer.pause();
  peer.write(EHLO);
  const client = await connecting;
  const outcomes = await sendAndClose(client, 200, SIZE);
  // All that has left the process arrives now.
  let heard = "";
  const ended = new Promise<void>((resolve) => peer.on("close", () => resolve()));
  peer.on("error", () => {});
  peer.on("data", (bytes) => heard += bytes.toString("latin1"));
  peer.on("end", () => peer.destroy());
  peer.resume();
  await ended;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  const arrived = new Set(Array.from(heard.matchAll(/End (\d+)\./g), ([, index]) => Number(index)));
  const wrong = outcomes.filter((outcome, index) => outcome === "not-sent" && arrived.has(index)).length;
  const imprecise = outcomes.filter((outcome, index) => outcome === "unknown" && !arrived.has(index)).length;
  assertEquals(wrong, 0);
  assertEquals(imprecise <= 2, true, `${imprecise} unknown that have not left`);
  assertEquals(
    count(outcomes, "unknown") > 0 && count(outcomes, "not-sent") > 0,
    true,
    "all or nothing has left",
  );
});
