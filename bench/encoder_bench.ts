/**
 * The speed of encoding content for DATA in GB/s, ours and nodemailer's DataStream, on each runtime. The program that
 * measures is `data_encoder_bench.ts`.
 *
 * ```sh
 * deno task bench:encoder [--pairs 5] [--json FILE] [--case "64 KiB"]
 * ```
 *
 * @module
 */
import { readFlags } from "./support/flags.ts";
import { pinned, SENDER_CPU, stepAside } from "./support/machine.ts";
import { prepare } from "./support/prepare.ts";
import { run } from "./support/process.ts";

/** A round takes milliseconds, so there are more of them. */
const ROUNDS_PER_PAIR = 3;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();
const args = ["--peers", "--rounds", String(Math.ceil(flags.pairs * ROUNDS_PER_PAIR)), "--case", flags.case];
if (flags.json !== undefined) args.push("--json", flags.json);
for (const runtime of runtimes) {
  const { output } = await run(pinned(SENDER_CPU, runtime.command("data_encoder_bench", args)));
  console.log(`\n${output.trimEnd()}`);
}
