/**
 * Shared by all senders: the command line, the message and the clock. A sender is a program that sends with one library, in
 * the way that the library's documentation calls fastest, and prints one line of JSON. All of them run on Deno, Bun and Node.
 *
 * ```
 * streams_smtp --port 2525 --seconds 2 --warmup 0.5 --size 1024 --window 256
 * streams_smtp --port 2525 --count 3 --warm 1 --size 100000000 --window 1
 * ```
 * `--seconds` and `--warmup` are in seconds, `--count` and `--warm` in messages; whichever is reached first ends the run.
 *
 * For `bench:latency` a sender measures single calls instead, at several distances, each with a port of its own:
 * ```
 * streams_smtp --latency 2525,2526,2527 --security starttls --ca FILE --user NAME --pass WORD --mechanism PLAIN
 * ```
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";

/** The job of a sender, from its command line. */
export interface Job {
  readonly host: string;
  readonly port: number;
  /** `none`, `starttls` or `tls`. */
  readonly security: string;
  /** The certificate authority of the server, PEM. */
  readonly ca: string | undefined;
  readonly user: string | undefined;
  readonly pass: string | undefined;
  /** The login's mechanism; the library's choice if it is not given. */
  readonly mechanism: string | undefined;
  /** How many messages a library may have at a time. */
  readonly window: number;
  /** The number of connections. */
  readonly connections: number;
  readonly transfer: "auto" | "data" | "bdat";
  /** The message's size in bytes. */
  readonly size: number;
  /** Whether the message is a stream, made while it is sent. */
  readonly streamed: boolean;
  /** The text for libraries that compose messages themselves. With it the message is about as large as the others. */
  readonly text: string;
  /** The message in memory; empty with `streamed`. */
  readonly message: Uint8Array;
  /** The message in pieces. */
  pieces(): Generator<Uint8Array, undefined>;
  /** The message in pieces, as a web stream. */
  stream(): ReadableStream<Uint8Array>;
}

/** A library, connected. */
export interface Outbox {
  /**
   * Sends messages as long as `more` returns `true`.
   *
   * @param more Tells whether to send another message. Called once for each.
   */
  run(more: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/**
 * How many messages a connection gets at a time, with libraries that send one after the other: there is always a next one, and
 * few are left when the time is over.
 */
export const AHEAD = 2;

/** The sender of every message. */
export const FROM = "sender@example.com";
/** The recipient of every message. */
export const TO = "recipient@example.org";
/** The name in every client's EHLO. */
export const CLIENT_NAME = "client.example.com";

const HEADER =
  `From: <${FROM}>\r\nTo: <${TO}>\r\nSubject: A message to measure\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n` +
  "Message-ID: <1@client.example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n";
/** The approximate length of the header that libraries write themselves. */
const OWN_HEADER = 300;
const LINE = "The quick brown fox jumps over the lazy dog, and the dog does not mind.\r\n";
const PIECE = 64 * 1024;

/**
 * Runs a sender: opens it, warms it up, measures it, prints the result.
 *
 * @param open Opens the library's connections.
 * @param sendFirst Sends one message in the library's way for a program that has only one, for `--latency`. Default: opens,
 * sends, and does not wait for the end of the session.
 */
export async function measure(
  open: (job: Job) => Promise<Outbox>,
  sendFirst?: (job: Job) => Promise<unknown>,
): Promise<void> {
  const { job, count, seconds, warmup, warm, latency } = readJob();
  if (latency.length > 0) {
    return await measureLatency(latency.map((port) => ({ ...job, port })), open, sendFirst);
  }
  const outbox = await open(job);
  if (warmup > 0 && warm > 0) await outbox.run(until(warmup, warm).more);
  const cpu = process.cpuUsage();
  const clock = until(seconds, count);
  const start = performance.now();
  await outbox.run(clock.more);
  const elapsed = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  await outbox.close();
  const sent = clock.sent();
  console.log(JSON.stringify({
    sent,
    seconds: elapsed,
    perSecond: sent / elapsed,
    bytesPerSecond: sent * job.size / elapsed,
    cpuSeconds: (user + system) / 1e6,
    peakMemory: peakMemory(),
  }));
  // Do not wait for timers or idle connections that a library leaves behind.
  process.exit(0);
}

/** How many further messages an open session gets with `--latency`; the median counts. */
const NEXT = 3;

/** One line of a sender with `--latency`, at one distance. */
export interface Latency {
  /** From the call to its return, with everything from the connection on, in milliseconds. */
  readonly first: number;
  /** A message on a session that has sent one, in milliseconds. */
  readonly next: number;
}

async function measureLatency(
  jobs: readonly Job[],
  open: (job: Job) => Promise<Outbox>,
  sendFirst: ((job: Job) => Promise<unknown>) | undefined,
): Promise<void> {
  const once = (outbox: Outbox) => {
    let sent = false;
    return outbox.run(() => !sent && (sent = true));
  };
  const timed = async (body: () => Promise<unknown>) => {
    const start = performance.now();
    await body();
    return performance.now() - start;
  };
  const results: Latency[] = [];
  // The first call loads and compiles, which bench:start measures.
  for (const job of [jobs[0]!, ...jobs]) {
    let first = sendFirst && await timed(() => sendFirst(job));
    let outbox!: Outbox;
    const opened = await timed(async () => {
      outbox = await open(job);
      await once(outbox);
    });
    first ??= opened;
    const next: number[] = [];
    for (let i = 0; i < NEXT; i++) next.push(await timed(() => once(outbox)));
    results.push({ first, next: next.sort((a, b) => a - b)[NEXT >> 1]! });
    await outbox.close();
  }
  console.log(JSON.stringify(results.slice(1)));
  process.exit(0);
}

/**
 * Keeps several sends in progress.
 *
 * @param width The number of sends at a time.
 */
export async function inParallel(
  width: number,
  more: () => boolean,
  send: () => Promise<unknown>,
): Promise<void> {
  await Promise.all(Array.from({ length: width }, async () => {
    while (more()) await send();
  }));
}

/** Counts messages, and ends when the time is over. A timer, because reading the clock for each message would cost speed. */
function until(seconds: number, count: number): { more: () => boolean; sent: () => number } {
  let sent = 0;
  let over = false;
  if (seconds < Infinity) setTimeout(() => over = true, seconds * 1_000);
  return {
    more: () => {
      if (over || sent >= count) return false;
      sent++;
      return true;
    },
    sent: () => sent,
  };
}

/** Reads the command line. */
export function readJob(): {
  job: Job;
  count: number;
  seconds: number;
  warmup: number;
  warm: number;
  latency: number[];
} {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string" },
      security: { type: "string", default: "none" },
      ca: { type: "string" },
      user: { type: "string" },
      pass: { type: "string" },
      mechanism: { type: "string" },
      latency: { type: "string", default: "" },
      count: { type: "string", default: "Infinity" },
      seconds: { type: "string", default: "Infinity" },
      warmup: { type: "string", default: "Infinity" },
      warm: { type: "string" },
      size: { type: "string", default: "1024" },
      window: { type: "string", default: "256" },
      connections: { type: "string", default: "1" },
      transfer: { type: "string", default: "auto" },
      streamed: { type: "boolean", default: false },
    },
  });
  const size = Number(values.size);
  const job: Job = {
    host: values.host,
    port: Number(values.port),
    security: values.security,
    ca: values.ca === undefined ? undefined : readFileSync(values.ca, "utf8"),
    user: values.user,
    pass: values.pass,
    mechanism: values.mechanism,
    window: Number(values.window),
    connections: Number(values.connections),
    transfer: values.transfer as Job["transfer"],
    size,
    streamed: values.streamed,
    text: values.streamed ? "" : LINE.repeat(Math.max(size - OWN_HEADER, 0) / LINE.length),
    message: values.streamed ? new Uint8Array() : join(pieces(size), size),
    pieces: () => pieces(size),
    stream: () => toStream(pieces(size)),
  };
  return {
    job,
    count: Number(values.count),
    seconds: Number(values.seconds),
    warmup: Number(values.warmup),
    // Without --warmup and --warm there is no warm-up.
    latency: values.latency === "" ? [] : values.latency.split(",").map(Number),
    warm: Number(values.warm ?? (values.warmup === "Infinity" ? 0 : Infinity)),
  };
}

/**
 * Makes the message in pieces. All but the first and the last are the same piece of memory: garbage of the source would hide
 * the memory that a library needs.
 */
function* pieces(size: number): Generator<Uint8Array, undefined> {
  const encoder = new TextEncoder();
  const header = encoder.encode(HEADER).subarray(0, size);
  yield header;
  const piece = encoder.encode(LINE.repeat(Math.floor(PIECE / LINE.length)));
  let left = size - header.length;
  for (; left > piece.length; left -= piece.length) yield piece;
  const last = piece.slice(0, left);
  if (left > 1) last.set([13, 10], left - 2); // end with a complete line
  yield last;
}

/** Bun has no `ReadableStream.from()`. */
function toStream(parts: Iterator<Uint8Array, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller): void {
      const { value, done } = parts.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
}

function join(parts: Iterable<Uint8Array>, size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Returns the peak of resident memory, in bytes. */
function peakMemory(): number {
  try {
    const line = readFileSync("/proc/self/status", "latin1").match(/^VmHWM:\s+(\d+) kB/m);
    return Number(line![1]) * 1_024;
  } catch {
    return process.resourceUsage().maxRSS * 1_024;
  }
}
