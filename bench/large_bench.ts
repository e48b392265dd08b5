/**
 * Messages of 100 MB: MB per second, and the sender's CPU seconds for each message. Without TLS to `smtp-sink`, and with TLS to
 * our own sink, with DATA and, for senders that support it, with BDAT; from memory and as a stream.
 *
 * ```sh
 * deno task bench:large [--pairs 5] [--json FILE] [--case TLS]
 * ```
 *
 * @module
 */
import { compare } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { stepAside } from "./support/machine.ts";
import { prepare } from "./support/prepare.ts";
import type { Helper } from "./support/process.ts";
import { startSink, startSmtpSink } from "./support/receivers.ts";
import { EXACT, senderSubjects } from "./support/senders.ts";

const SIZE = 100_000_000;
/** The number of messages in one run, after one that warms up. */
const COUNT = 3;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();

await using plain = await startSmtpSink();
await using tls = await startSink({ tls: true });
await measure("plain, DATA", plain, ["--transfer", "data"]);
await measure("TLS, DATA", tls, ["--transfer", "data", "--security", "tls", "--ca", tls.ca]);
await measure("TLS, BDAT if supported", tls, ["--security", "tls", "--ca", tls.ca]);

async function measure(name: string, { port }: Helper, transport: readonly string[]): Promise<void> {
  for (const [from, flag] of [["from memory", []], ["as a stream", ["--streamed"]]] as const) {
    const args = ["--port", port, "--size", SIZE, "--count", COUNT, "--warm", 1, "--window", 1].map(String);
    await compare(
      {
        bench: "large",
        case: `100 MB, ${name}, ${from}`,
        metrics: [{ name: "speed", unit: "MB/s" }, { name: "CPU", unit: "s", less: true }],
      },
      senderSubjects(
        runtimes,
        EXACT,
        [...args, ...transport, ...flag],
        ({ bytesPerSecond, cpuSeconds, sent }) => [bytesPerSecond / 1e6, cpuSeconds / sent],
      ),
      flags,
    );
  }
}
