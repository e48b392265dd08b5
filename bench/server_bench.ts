/**
 * Messages per second into a server, from `smtp-source`, which sends one command at a time, and from our client, which has
 * many messages in flight; and MB/s of large messages. Ours is compared with the npm package smtp-server, and with
 * `smtp-sink` in C, which ignores what it receives.
 *
 * ```sh
 * deno task bench:server [--pairs 5] [--seconds 2] [--json FILE]
 * ```
 *
 * @module
 */
import { compare, OURS, type Subject } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { pinned, RECEIVER_CPU, stepAside } from "./support/machine.ts";
import { prepare, type Runtime } from "./support/prepare.ts";
import { type Helper, startProgram } from "./support/process.ts";
import { startSmtpSink } from "./support/receivers.ts";
import { runSender, smtpSource } from "./support/senders.ts";

const SERVERS = { [OURS]: "streams_smtp", "smtp-server": "smtp_server" };
const LARGE = 10_000_000;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
const [node] = await prepare(["node"]);
await stepAside();
const { seconds } = flags;

type Load = (port: number) => Promise<number>;

const loads: Record<string, { unit: string; load: Load }> = {
  "smtp-source, one connection": { unit: "msg/s", load: (port) => fromSource(port, 1) },
  "smtp-source, ten connections": { unit: "msg/s", load: (port) => fromSource(port, 10) },
  "our client, one connection": { unit: "msg/s", load: async (port) => (await fromClient(port)).perSecond },
  "10 MB messages": {
    unit: "MB/s",
    load: async (port) =>
      (await fromClient(port, ["--size", String(LARGE), "--window", "1", "--transfer", "data"]))
        .bytesPerSecond / 1e6,
  },
};

for (const [name, { unit, load }] of Object.entries(loads)) {
  await compare(
    { bench: "server", case: name, metrics: [{ name: "", unit }] },
    [
      ...runtimes.flatMap((runtime) =>
        Object.entries(SERVERS).map(([name, program]) => subject(runtime, name, program, load))
      ),
      sinkSubject(load),
    ],
    flags,
  );
}

function subject(runtime: Runtime, name: string, program: string, load: Load): Subject {
  const start = () => startProgram(pinned(RECEIVER_CPU, runtime.command(`receivers/${program}`)));
  return { name, runtime: runtime.name, run: () => measure(start, load) };
}

function sinkSubject(load: Load): Subject {
  return { name: "smtp-sink (C)", runtime: "native", run: () => measure(startSmtpSink, load) };
}

/** Starts a server for each run: everything that is measured is a process of its own. */
async function measure(start: () => Promise<Helper>, load: Load): Promise<number[]> {
  await using server = await start();
  return [await load(server.port)];
}

async function fromSource(port: number, connections: number): Promise<number> {
  const [source] = smtpSource({ port, seconds, size: 1_024, connections });
  if (source === undefined) throw new Error("Cannot find smtp-source: install Postfix");
  return (await source.run())[0]!; // its first tries are the warm-up
}

function fromClient(port: number, args: readonly string[] = []) {
  const times = ["--port", port, "--seconds", seconds, "--warmup", seconds / 4].map(String);
  return runSender(node!, "streams_smtp", [...times, ...args]);
}
