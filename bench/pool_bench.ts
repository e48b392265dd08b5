/**
 * Messages of 1 KiB per second over ten connections to `smtp-sink` on loopback. Ours are ten clients that share the work.
 *
 * ```sh
 * deno task bench:pool [--pairs 5] [--seconds 2] [--json FILE]
 * ```
 *
 * @module
 */
import { compare } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { canPin, RECEIVER_CPU, SENDER_CPU, stepAside } from "./support/machine.ts";
import { prepare } from "./support/prepare.ts";
import { startSmtpSink } from "./support/receivers.ts";
import { POOLS, senderSubjects, smtpSource } from "./support/senders.ts";

const SIZE = 1_024;
const CONNECTIONS = 10;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();
const modes = canPin
  ? { "sharing a CPU": SENDER_CPU, "a CPU each": RECEIVER_CPU }
  : { "not pinned": undefined };

for (const [mode, cpu] of Object.entries(modes)) {
  await using sink = await startSmtpSink(cpu);
  const { seconds } = flags;
  const args = ["--port", sink.port, "--size", SIZE, "--connections", CONNECTIONS];
  const times = ["--seconds", seconds, "--warmup", seconds];
  await compare(
    { bench: "pool", case: `${CONNECTIONS} connections, ${mode}`, metrics: [{ name: "", unit: "msg/s" }] },
    [
      ...senderSubjects(runtimes, POOLS, [...args, ...times].map(String)),
      ...smtpSource({ port: sink.port, seconds, size: SIZE, connections: CONNECTIONS }),
    ],
    flags,
  );
}
