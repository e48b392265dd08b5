/**
 * Messages of 1 KiB per second over one connection to `smtp-sink` on loopback, with sender and receiver on the same CPU and on
 * a CPU each.
 *
 * ```sh
 * deno task bench:loopback [--pairs 5] [--seconds 2] [--json FILE] [--runtimes deno,bun,node] [--subjects nodemailer]
 * ```
 *
 * @module
 */
import { compare } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { canPin, RECEIVER_CPU, SENDER_CPU, stepAside } from "./support/machine.ts";
import { prepare } from "./support/prepare.ts";
import { startSmtpSink } from "./support/receivers.ts";
import { SENDERS, senderSubjects, smtpSource } from "./support/senders.ts";

const SIZE = 1_024;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();
const modes = canPin
  ? { "sharing a CPU": SENDER_CPU, "a CPU each": RECEIVER_CPU }
  : { "not pinned": undefined };

for (const [mode, cpu] of Object.entries(modes)) {
  await using sink = await startSmtpSink(cpu);
  const { seconds } = flags;
  const args = ["--port", sink.port, "--size", SIZE, "--seconds", seconds, "--warmup", seconds].map(
    String,
  );
  await compare(
    { bench: "loopback", case: mode, metrics: [{ name: "", unit: "msg/s" }] },
    [
      ...senderSubjects(runtimes, Object.keys(SENDERS), args),
      ...smtpSource({ port: sink.port, seconds, size: SIZE }),
    ],
    flags,
  );
}
