/**
 * Measures the cost of a message in microseconds and memory as the number of messages grows, over one connection to a peer in
 * memory. Prints a line of JSON for each step.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { SmtpClient } from "../../mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import type { Socket } from "../../src/sockets/mod.ts";
import { SinkSession } from "../receivers/sink_session.ts";
import { FROM, inParallel, readJob, TO } from "./sender.ts";

const MESSAGES = [1_000, 10_000, 100_000, 1_000_000];
const QUEUED = [1_000, 10_000, 100_000];
const RECIPIENTS = [1, 10, 100, 1_000, 10_000];
/** The number of recipients at each step, over all of its messages. */
const RECIPIENTS_IN_ALL = 20_000;
const WARM = 20_000;

const { job } = readJob();
const offers = job.transfer === "data" ? ["PIPELINING"] : ["PIPELINING", "CHUNKING"];
const [socket, peer] = memorySocketPair();
void answer(peer);
const client = await SmtpClient.connect({ socket, security: "none", clientName: "client.example.com" });
const envelope = { from: FROM, to: TO };

await messages(WARM);
for (const count of MESSAGES) await step("messages", count, count, () => messages(count));
for (const count of QUEUED) {
  await step("messages queued at once", count, count, async () => {
    await Promise.all(Array.from({ length: count }, () => client.send(envelope, job.message)));
  });
}
for (const count of RECIPIENTS) {
  const to = Array.from({ length: count }, (_, index) => `recipient${index}@example.org`);
  const rounds = RECIPIENTS_IN_ALL / count;
  await step("recipients of a message", count, RECIPIENTS_IN_ALL, () => messages(rounds, to));
}
await client.quit();
process.exit(0);

async function messages(count: number, to: string | string[] = TO): Promise<void> {
  let sent = 0;
  await inParallel(job.window, () => sent++ < count, () => client.send({ from: FROM, to }, job.message));
}

async function step(what: string, count: number, units: number, body: () => Promise<void>): Promise<void> {
  collect();
  const start = performance.now();
  await body();
  const microseconds = (performance.now() - start) * 1_000 / units;
  collect();
  console.log(JSON.stringify({ what, count, microseconds, heap: process.memoryUsage().heapUsed }));
}

/** Collects garbage, so that only memory in use is counted. */
function collect(): void {
  const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(force: boolean): void } };
  if (Bun !== undefined) Bun.gc(true);
  else gc?.();
}

async function answer(peer: Socket): Promise<void> {
  const session = new SinkSession(offers);
  const writer = peer.writable.getWriter();
  const encoder = new TextEncoder();
  await writer.write(encoder.encode("220 sink.example.org ESMTP\r\n"));
  for (const reader = peer.readable.getReader();;) {
    const { value, done } = await reader.read();
    if (done) break;
    const replies = session.push(Buffer.from(value.buffer, value.byteOffset, value.length));
    // Not awaited, as a kernel would buffer them: if both sides waited for the other to read, neither would go on.
    if (replies !== "") void writer.write(encoder.encode(replies)).catch(() => {});
  }
}
