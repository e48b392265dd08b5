/**
 * Memory, and how memory and cost grow with size and number:
 * - the peak memory of a process that sends 1 GB as a stream, compared with 1 KB;
 * - microseconds per message and the heap that remains, from 1,000 to 1,000,000 messages over one connection in memory, and
 *   microseconds per recipient, from 1 to 10,000. There the ratio is the cost at the first step divided by the cost at this
 *   step: 1 means constant;
 * - what a twentieth of 10,000 connections, 1,000,000 messages and 1,000 pools leaves behind: `deno task faults --what soak` runs
 *   all of it.
 *
 * ```sh
 * deno task bench:memory [--pairs 5] [--json FILE] [--case growth|soak]
 * ```
 *
 * @module
 */
import { compare, formatValue, median, OURS, type Result, type Subject } from "./support/compare.ts";
import { runElsewhere } from "../tests/support/elsewhere.ts";
import { readFlags } from "./support/flags.ts";
import { pinned, SENDER_CPU, stepAside } from "./support/machine.ts";
import { prepare, type Runtime } from "./support/prepare.ts";
import { run } from "./support/process.ts";
import { startSink, startSmtpSink } from "./support/receivers.ts";
import { EXACT, runSender, SENDERS } from "./support/senders.ts";

const MB = 1e6;
const SMALL = 1_000;
const LARGE = 1_000_000_000;
/** The stream is made and thrown away: the minimum for any library. */
const SOURCE = "the stream alone";
/** The maximum number of rounds for growth, which takes long and hardly varies. */
const GROWTH_PAIRS = 3;

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();
{
  await using plain = await startSmtpSink();
  await peak("plain, DATA", ["--port", String(plain.port), "--transfer", "data"]);
}
{
  await using tls = await startSink({ tls: true });
  await peak("TLS, BDAT if supported", ["--port", String(tls.port), "--security", "tls", "--ca", tls.ca]);
}
for (const transfer of ["bdat", "data"]) await growth(`growth, ${transfer.toUpperCase()}`, transfer);
await soak();

async function peak(name: string, args: readonly string[]): Promise<void> {
  await compare(
    {
      bench: "memory",
      case: `1 GB as a stream, ${name}`,
      metrics: ["peak for 1 KB", "peak for 1 GB", "more for 1 GB"].map((name) => ({
        name,
        unit: "MB",
        less: true,
      })),
    },
    runtimes.flatMap((runtime) =>
      [...EXACT, SOURCE].map((name) => peakSubject(runtime, name, SENDERS[name] ?? "discard", args))
    ),
    flags,
  );
}

function peakSubject(runtime: Runtime, name: string, program: string, args: readonly string[]): Subject {
  const peakOf = async (size: number) => {
    const all = [...args, "--streamed", "--count", "1", "--window", "1", "--size", String(size)];
    return (await runSender(runtime, program, all)).peakMemory / MB;
  };
  return {
    name,
    runtime: runtime.name,
    async run() {
      const small = await peakOf(SMALL);
      const large = await peakOf(LARGE);
      return [small, large, Math.max(large - small, 0.1)];
    },
  };
}

/** Prints what connections, messages and pools leave behind. It is a test: there is nothing to compare it with. */
async function soak(): Promise<void> {
  if (!"soak".includes(flags.case)) return;
  console.log("\nmemory: soak");
  for (const { name } of runtimes) {
    await runElsewhere(name, "tests/faults/main.ts", ["--what", "soak", "--scale", "0.05"]);
  }
}

interface Step {
  readonly what: string;
  readonly count: number;
  readonly microseconds: number;
  readonly heap: number;
}

async function growth(name: string, transfer: string): Promise<void> {
  if (!name.includes(flags.case)) return;
  const rounds = Math.min(flags.pairs, GROWTH_PAIRS);
  const results: Result[] = [];
  for (const runtime of runtimes) {
    const runs: Step[][] = [];
    for (let round = 0; round < rounds; round++) runs.push(await runGrowth(runtime, transfer));
    runs[0]!.forEach(({ what, count }, index) => {
      const steps = runs.map((run) => run[index]!);
      const firsts = runs.map((run) => run.find((step) => step.what === what)!);
      const add = (metric: string, unit: string, of: (step: Step) => number) =>
        results.push({
          bench: "memory",
          case: `${name}, ${count.toLocaleString("en")} ${what}, ${metric}`,
          runtime: runtime.name,
          subject: OURS,
          value: Number(median(steps.map(of)).toPrecision(4)),
          unit,
          ratio: Number(median(steps.map((step, round) => of(firsts[round]!) / of(step))).toPrecision(4)),
        });
      add(
        what.startsWith("recipients") ? "a recipient" : "a message",
        "µs",
        ({ microseconds }) => microseconds,
      );
      add("heap", "MB", ({ heap }) => heap / MB);
    });
  }
  printGrowth(name, rounds, results);
  if (flags.json === undefined) return;
  Deno.writeTextFileSync(flags.json, results.map((result) => JSON.stringify(result) + "\n").join(""), {
    append: true,
  });
}

async function runGrowth(runtime: Runtime, transfer: string): Promise<Step[]> {
  const collector = { deno: ["--v8-flags=--expose-gc"], node: ["--expose-gc"] }[runtime.name] ?? [];
  const command = runtime.command("senders/growth", ["--transfer", transfer], collector);
  const { output } = await run(pinned(SENDER_CPU, command));
  return output.trim().split("\n").map((line) => JSON.parse(line));
}

function printGrowth(name: string, rounds: number, results: readonly Result[]): void {
  console.log(`\nmemory: ${name} (median of ${rounds})`);
  for (const { case: title, runtime, value, unit, ratio } of results) {
    const what = title.slice(name.length + 2);
    console.log(
      `  ${what.padEnd(48)} ${runtime.padEnd(5)} ${`${formatValue(value)} ${unit}`.padStart(10)} ${
        ratio.toFixed(2).padStart(6)
      } x`,
    );
  }
}
