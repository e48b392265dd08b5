/**
 * Fuzzes until something is found: `deno task fuzz`, or `bun tests/fuzz/main.ts`, or Node with its hooks.
 *
 * ```
 * deno task fuzz [--target NAME...] [--runtime deno|bun|node22|node24] [--minutes N | --cases N | --seed N] [--from N] [--keep-going]
 * ```
 * - `--target`: only these targets. Default: all.
 * - `--runtime`: where. Default: Deno.
 * - `--minutes`: how long, for each target. Default: 1.
 * - `--cases`: how many, for each target, instead.
 * - `--seed`: play this case alone, and show what was said.
 * - `--from`: the first seed. Default: one that the clock gives.
 * - `--keep-going`: do not stop a target at its first find.
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { runtime } from "../support/unwatched.ts";
import { Strays } from "./strays.ts";
import { Notes, type Target } from "./target.ts";
import { play, targets } from "./targets.ts";

const { values: flags } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== "--"),
  options: {
    target: { type: "string", multiple: true, default: targets.map(({ name }) => name) },
    runtime: { type: "string", default: runtime },
    minutes: { type: "string", default: "1" },
    cases: { type: "string" },
    seed: { type: "string" },
    from: { type: "string" },
    "keep-going": { type: "boolean", default: false },
  },
});

if (flags.runtime === runtime || process.env["SMTP_RUNTIME"] === flags.runtime) {
  // A case that was given up may have left timers.
  process.exit(await fuzz() ? 1 : 0);
} else {
  const { runElsewhere } = await import("../support/elsewhere.ts");
  process.exitCode = await runElsewhere(flags.runtime, "tests/fuzz/main.ts", process.argv.slice(2));
}

/** Tells whether anything was found. */
async function fuzz(): Promise<boolean> {
  const chosen = targets.filter(({ name }) => flags.target.includes(name));
  if (chosen.length < new Set(flags.target).size) {
    console.error(`There is no such target: there are ${targets.map(({ name }) => name).join(", ")}`);
    return true;
  }
  using strays = new Strays();
  strays.listen();
  let found = 0;
  for (const target of chosen) {
    found += flags.seed === undefined
      ? await playMany(target, strays)
      : await playOne(target, Number(flags.seed), strays);
  }
  return found > 0;
}

async function playOne(target: Target, seed: number, strays: Strays): Promise<number> {
  const notes = new Notes(strays);
  const find = await play(target, seed, notes);
  for (const line of notes.lines) console.log(line);
  console.log(notes.counts);
  if (find === undefined) return 0;
  console.log(find);
  return 1;
}

async function playMany(target: Target, strays: Strays): Promise<number> {
  const from = flags.from === undefined ? Date.now() % 1_000_000_000 : Number(flags.from);
  const count = flags.cases === undefined ? Infinity : Number(flags.cases);
  const started = Date.now();
  const until = flags.cases === undefined ? started + Number(flags.minutes) * 60_000 : Infinity;
  const counts: Record<string, number> = {};
  let found = 0;
  let played = 0;
  for (; played < count && Date.now() < until; played++) {
    // What ends in microtasks alone would let nothing else happen.
    if (played % 256 === 0) await new Promise((resolve) => setTimeout(resolve));
    const notes = new Notes(strays);
    const find = await play(target, from + played, notes);
    for (const [name, times] of Object.entries(notes.counts)) counts[name] = (counts[name] ?? 0) + times;
    if (find === undefined) continue;
    found++;
    console.log(`${target.name} ${from + played}: ${find.message}`);
    console.log(
      `  again: deno task fuzz --runtime ${flags.runtime} --target ${target.name} --seed ${from + played}`,
    );
    if (!flags["keep-going"]) break;
  }
  const seconds = ((Date.now() - started) / 1_000).toFixed(1);
  console.log(
    `${target.name}, ${flags.runtime}: ${played} cases from seed ${from} in ${seconds} s, ${found} finds`,
    counts,
  );
  return found;
}
