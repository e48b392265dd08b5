/**
 * A program that starts, sends one mail over STARTTLS with a login, and ends: milliseconds for the whole process, compared
 * with a program that does nothing.
 *
 * ```sh
 * deno task bench:start [--pairs 5] [--json FILE] [--runtimes deno,bun,node]
 * ```
 *
 * @module
 */
import { compare, OURS, type Subject } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { pinned, SENDER_CPU, stepAside } from "./support/machine.ts";
import { prepare, type Runtime } from "./support/prepare.ts";
import { run } from "./support/process.ts";
import { startSink } from "./support/receivers.ts";

const PROGRAMS = {
  [OURS]: "first_mail_streams_smtp",
  "nodemailer": "first_mail_nodemailer",
  "an empty program": "first_mail_nothing",
};
/** A process is short, so one run takes the minimum of a few. */
const TRIES = 3;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();
await using sink = await startSink();
await compare(
  { bench: "start", case: "one mail, STARTTLS and login", metrics: [{ name: "", unit: "ms", less: true }] },
  runtimes.flatMap((runtime) =>
    Object.entries(PROGRAMS).map(([name, program]) => subject(runtime, name, program))
  ),
  flags,
);

function subject(runtime: Runtime, name: string, program: string): Subject {
  const command = pinned(SENDER_CPU, runtime.command(`senders/${program}`, [String(sink.port)]));
  // The authority is trusted through the environment: as with a server on the Internet, programs need no option for it.
  const env = { NODE_EXTRA_CA_CERTS: sink.ca, DENO_CERT: sink.ca };
  return {
    name,
    runtime: runtime.name,
    async run() {
      let least = Infinity;
      for (let i = 0; i < TRIES; i++) least = Math.min(least, (await run(command, env)).seconds * 1_000);
      return [least];
    },
  };
}
