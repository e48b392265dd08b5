/**
 * Makes a server distant: forwards the bytes from either side half a round trip later, in order, with unlimited bandwidth.
 *
 * ```
 * relay --to PORT --rtt MILLISECONDS [--handshake] [--coarse]
 * ```
 * With `--handshake` opening a connection takes as long as it would over that distance, though the system accepts it at once:
 * the client may speak after one round trip, and the server learns of the connection half a round trip later, when the client's
 * ACK arrives. So its greeting comes two round trips after the call, as on a real network.
 *
 * Timers have a resolution of a millisecond, so the last two milliseconds are spent polling: bytes come a few hundredths of a
 * millisecond late. `bench:wan` measures the delay each time. Runs on Node, whose `setImmediate` is the fastest.
 *
 * Where bytes are always on their way, polling takes all that a CPU gives, more of it the farther they go. With `--coarse` there is
 * none, and bytes come up to a millisecond late.
 *
 * @module
 */
import { type AddressInfo, createServer, Socket } from "node:net";
import process from "node:process";
import { parseArgs } from "node:util";
import { announce } from "./ready.ts";

const { values: flags } = parseArgs({
  args: process.argv.slice(2),
  options: {
    to: { type: "string" },
    rtt: { type: "string" },
    handshake: { type: "boolean", default: false },
    coarse: { type: "boolean", default: false },
  },
});
const to = Number(flags.to);
const delay = Number(flags.rtt) / 2;

/** How long before their time bytes are polled for, in milliseconds. */
const AWAKE = flags.coarse ? 0 : 2;

interface Due {
  readonly at: number;
  deliver(): void;
}

/** In the order of delivery. */
let queue: Due[] = [];
let head = 0;
let awaited = false;
let timer: ReturnType<typeof setTimeout> | undefined;
let poll: ReturnType<typeof setImmediate> | undefined;

function later(deliver: () => void, after = delay): void {
  const at = performance.now() + after;
  // Nearly always the order of arrival, too: all delays but those of the handshake are the same.
  let place = queue.length;
  while (place > head && queue[place - 1]!.at > at) place--;
  queue.splice(place, 0, { at, deliver });
  if (awaited && place > head) return;
  clearTimeout(timer);
  clearImmediate(poll);
  wait();
}

function wait(): void {
  const left = queue[head]!.at - performance.now();
  awaited = true;
  if (left > AWAKE) timer = setTimeout(pass, left - AWAKE);
  else poll = setImmediate(pass);
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
  const upstream = new Socket({ allowHalfOpen: true });
  const open = () => {
    upstream.setNoDelay(true);
    upstream.connect({ host: "127.0.0.1", port: to });
    pipe(upstream, client);
  };
  if (!flags.handshake) {
    open();
    pipe(client, upstream);
    return;
  }
  // What the client says before its SYN would have been answered waits until then, and comes behind the server's SYN.
  later(() => {
    later(open);
    pipe(client, upstream);
  }, 2 * delay);
});
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
