/**
 * Messages per second through pools: over 1, 10 and 50 connections, of 1 KiB and 100 KiB, on loopback and 50 ms away, with and
 * without TLS. Ours is `SmtpPool`; beside it as many clients as there are connections, which share the work.
 *
 * On loopback without TLS the receiver is `smtp-sink`, which offers PIPELINING; elsewhere it is the sink of `receivers/`, which
 * offers CHUNKING, too. A relay adds the distance.
 *
 * ```sh
 * deno task bench:pool [--pairs 5] [--seconds 2] [--json FILE] [--case "10 connections, 1 KiB"] [--runtimes node]
 * ```
 *
 * @module
 */
import { compare, OURS } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { canPin, SENDER_CPU, stepAside } from "./support/machine.ts";
import { prepare } from "./support/prepare.ts";
import type { Helper } from "./support/process.ts";
import { startRelay, startSink, startSmtpSink } from "./support/receivers.ts";
import { OURS_POOL, POOLS, senderSubjects, smtpSource } from "./support/senders.ts";

const CONNECTIONS = [10, 1, 50];
const SIZES = { "1 KiB": 1_024, "100 KiB": 102_400 };
const ROUND_TRIPS = { "loopback": 0, "50 ms": 50 };
const TRANSPORTS = ["plain", "TLS"] as const;

/** How many messages of ours are ready for each connection: far away as many as the pool hands to one. All of them end a run. */
const READY = { near: 8, far: 128 };
/** More than this are not needed to keep every connection busy. */
const MOST_READY = 1_280;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();

for (const connections of CONNECTIONS) {
  for (const [size, bytes] of Object.entries(SIZES)) {
    for (const [distance, roundTrip] of Object.entries(ROUND_TRIPS)) {
      for (const transport of TRANSPORTS) {
        const name = `${connections} connection${
          connections === 1 ? "" : "s"
        }, ${size}, ${distance}, ${transport}`;
        if (name.includes(flags.case)) await measure(name, { connections, bytes, roundTrip, transport });
      }
    }
  }
}
if (canPin && "10 connections, sharing a CPU".includes(flags.case)) {
  const settings = {
    connections: 10,
    bytes: 1_024,
    roundTrip: 0,
    transport: "plain",
    cpu: SENDER_CPU,
  } as const;
  await measure("10 connections, sharing a CPU", settings);
}

interface Settings {
  readonly connections: number;
  readonly bytes: number;
  readonly roundTrip: number;
  readonly transport: "plain" | "TLS";
  /** The receiver's CPU, if it is not to have one of its own. */
  readonly cpu?: number;
}

async function measure(
  name: string,
  { connections, bytes, roundTrip, transport, cpu }: Settings,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const tls = transport === "TLS";
  const ca: string[] = [];
  let receiver: Helper;
  if (tls || roundTrip > 0) {
    // Some peers use TLS wherever it is offered.
    const sink = stack.use(await startSink({ tls, hide: tls ? "" : "STARTTLS" }));
    if (tls) ca.push("--security", "tls", "--ca", sink.ca);
    receiver = roundTrip === 0 ? sink : stack.use(await startRelay(sink.port, roundTrip, { coarse: true }));
  } else receiver = stack.use(await startSmtpSink(cpu));
  const { port } = receiver;
  const { seconds } = flags;
  const window = Math.min(MOST_READY, READY[roundTrip > 0 ? "far" : "near"] * connections);
  const args = ["--port", port, "--size", bytes, "--connections", connections, "--window", window, ...ca];
  const times = ["--seconds", seconds, "--warmup", seconds];
  const names = [OURS_POOL, ...POOLS];
  const subjects = senderSubjects(runtimes, names, [...args, ...times].map(String)).map((subject) => {
    if (subject.name === OURS_POOL) return { ...subject, name: OURS };
    return subject.name === OURS ? { ...subject, name: `${OURS}, ${connections} clients` } : subject;
  });
  const native = tls || roundTrip > 0 ? [] : smtpSource({ port, seconds, size: bytes, connections });
  const settings = { bench: "pool", case: name, metrics: [{ name: "", unit: "msg/s" }] };
  await compare({ ...settings, ...roundTrip > 0 && { roundTrip } }, [...subjects, ...native], flags);
}
