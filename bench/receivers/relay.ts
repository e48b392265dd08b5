/**
 * Makes a server distant: forwards the bytes from either side half a round trip later, in order, with unlimited bandwidth.
 *
 * ```
 * relay --to PORT --rtt MILLISECONDS
 * ```
 * Timers have a resolution of a millisecond, so the last two milliseconds are spent polling: bytes come a few hundredths of a
 * millisecond late. `bench:wan` measures the delay each time. Runs on Node, whose `setImmediate` is the fastest.
 *
 * @module
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import process from "node:process";
import { parseArgs } from "node:util";
import { announce } from "./ready.ts";

const { values: flags } = parseArgs({
  args: process.argv.slice(2),
  options: { to: { type: "string" }, rtt: { type: "string" } },
});
const to = Number(flags.to);
const delay = Number(flags.rtt) / 2;

/** How long before their time bytes are polled for, in milliseconds. */
const AWAKE = 2;

interface Due {
  readonly at: number;
  deliver(): void;
}

/** In the order of arrival, which is also the order of delivery: every delay is the same. */
let queue: Due[] = [];
let head = 0;
let awaited = false;

function later(deliver: () => void): void {
  queue.push({ at: performance.now() + delay, deliver });
  if (!awaited) wait();
}

function wait(): void {
  const left = queue[head]!.at - performance.now();
  awaited = true;
  if (left > AWAKE) setTimeout(pass, left - AWAKE);
  else setImmediate(pass);
}

function pass(): void {
  const now = performance.now();
  while (head < queue.length && queue[head]!.at <= now) queue[head++]!.deliver();
  if (head === queue.length || head > 10_000) {
    queue = queue.slice(head);
    head = 0;
  }
  awaited = false;
  if (queue.length > 0) wait();
}

function pipe(from: Socket, into: Socket): void {
  from.on("data", (chunk) => later(() => into.destroyed || into.write(chunk)));
  from.on("end", () => later(() => into.end()));
  from.on("error", () => later(() => into.destroy()));
}

const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const upstream = connect({ host: "127.0.0.1", port: to, noDelay: true, allowHalfOpen: true });
  pipe(client, upstream);
  pipe(upstream, client);
});
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
