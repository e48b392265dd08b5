/**
 * Runs all benchmarks, one after the other, with lengths and numbers of rounds that fit the variance of each, in some 75 minutes:
 *
 * ```sh
 * deno task bench --json FILE [--pairs 3] [--benches wan,latency] [--runtimes deno,bun,node] [--seconds S]
 * deno task bench:results FILE
 * ```
 *
 * `--pairs` is the number of rounds of the benchmarks whose figures vary; those that hardly vary have fewer. `--seconds` makes
 * all runs that are measured by time as long, to try the whole out. What else is said goes to each benchmark. By itself each
 * benchmark does more: five rounds of longer runs, and every peer at every distance.
 *
 * @module
 */
import { parseArgs } from "node:util";

/** One start of a benchmark. */
interface Step {
  readonly bench: string;
  readonly args?: readonly string[];
  /** How long one run is measured, in seconds, where the benchmark measures by time. */
  readonly seconds?: number;
  /** The most rounds. */
  readonly pairs?: number;
}

/** At 50 ms all peers; at other distances, for the picture, ours and nodemailer. */
const DISTANCES = [1, 10, 25, 100].map((distance): Step => ({
  bench: "wan",
  args: ["--case", `Postfix, CHUNKING, ${distance} ms`, "--subjects", "nodemailer"],
  seconds: 3,
}));

const STEPS: readonly Step[] = [
  { bench: "encoder" },
  { bench: "loopback", seconds: 1 },
  { bench: "latency" },
  { bench: "wan", args: ["--case", "50 ms"], seconds: 1.5 },
  ...DISTANCES,
  { bench: "wan", args: ["--case", "distance"] },
  // Each run is the mean of three messages of 100 MB.
  { bench: "large", pairs: 1 },
  { bench: "pool", args: ["--case", "10 connections, 1 KiB"], seconds: 1 },
  { bench: "pool", args: ["--case", "sharing a CPU"], seconds: 1 },
  { bench: "start" },
  { bench: "server", seconds: 1 },
  // Memory hardly varies.
  { bench: "memory", pairs: 1 },
];

const { values: flags } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: {
    pairs: { type: "string", default: "3" },
    json: { type: "string" },
    benches: { type: "string" },
    runtimes: { type: "string" },
    seconds: { type: "string" },
  },
});
const steps = STEPS.filter(({ bench }) => flags.benches?.split(",").includes(bench) ?? true);
const started = performance.now();
const failed: string[] = [];
const times = new Map<string, number>();
if (flags.json !== undefined) noteRun(flags.json);
for (const step of steps) {
  const script = new URL(`./${step.bench}_bench.ts`, import.meta.url).pathname;
  const args = ["run", "-A", script, ...argumentsOf(step)];
  console.log(`\n# bench:${step.bench} ${argumentsOf(step).join(" ")}`);
  const start = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  times.set(step.bench, (times.get(step.bench) ?? 0) + performance.now() - start);
  if (!success) failed.push(step.bench);
}
for (const [bench, time] of times) console.log(`bench:${bench} took ${minutes(time)}`);
console.log(`All took ${minutes(performance.now() - started)}`);
if (failed.length > 0) {
  console.error(`Failed: ${failed.join(", ")}`);
  Deno.exit(1);
}

function argumentsOf({ args = [], seconds, pairs = Infinity }: Step): string[] {
  const all = [...args, "--pairs", String(Math.min(pairs, Number(flags.pairs)))];
  if (seconds !== undefined) all.push("--seconds", flags.seconds ?? String(seconds));
  if (flags.json !== undefined) all.push("--json", flags.json);
  if (flags.runtimes !== undefined) all.push("--runtimes", flags.runtimes);
  return all;
}

/** Writes down when, of which commit, and how: `results.ts` shows it. */
function noteRun(json: string): void {
  const command = [
    "deno task bench",
    ...Deno.args.filter((argument) => argument !== "--" && argument !== json && argument !== "--json"),
  ];
  const run = { date: new Date().toISOString().slice(0, 10), commit: commit(), command: command.join(" ") };
  Deno.writeTextFileSync(json, JSON.stringify({ run }) + "\n", { append: true });
}

function commit(): string {
  const git = (...args: string[]) => {
    const { stdout } = new Deno.Command("git", { args, cwd: new URL("..", import.meta.url) }).outputSync();
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    const isChanged = git("status", "--porcelain", "--untracked-files=no") !== "";
    return git("rev-parse", "--short=12", "HEAD") + (isChanged ? ", with changes" : "");
  } catch {
    return "unknown"; // without git
  }
}

function minutes(milliseconds: number): string {
  return `${(milliseconds / 60_000).toFixed(1)} min`;
}
