/**
 * A long way to a server: passes on what comes from either side half a round trip later, in order, at any bandwidth.
 *
 * ```
 * relay --to PORT --rtt MILLISECONDS
 * ```
 * What is due within two milliseconds is waited for without sleep, as timers are a millisecond coarse: it comes a few
 * hundredths of a millisecond late. `bench:wan` measures it each time. Runs on Node: its `setImmediate` waits least.
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

/** How long before its time something is waited for without sleep, in milliseconds. */
const AWAKE = 2;

interface Due {
  readonly at: number;
  deliver(): void;
}

/** Every delay is the same, so what came first is due first. */
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
