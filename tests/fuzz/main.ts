/**
 * Plays fuzzed sessions until one fails: `deno task fuzz`, or `bun tests/fuzz/main.ts`, or Node with its hooks.
 *
 * ```
 * deno task fuzz [--minutes N | --sessions N | --seed N] [--keep-going]
 * ```
 * - `--minutes`: how long. Default: 1.
 * - `--sessions`: how many, instead.
 * - `--seed`: play this session alone, and show what was said.
 * - `--from`: the first seed. Default: one that the clock gives.
 * - `--keep-going`: do not stop at the first failure; print one line for each.
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { playSession } from "./session.ts";
import type { Findings } from "./session.ts";
import { Strays } from "./strays.ts";

const { values: flags } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== "--"),
  options: {
    minutes: { type: "string" },
    sessions: { type: "string" },
    seed: { type: "string" },
    from: { type: "string" },
    "keep-going": { type: "boolean", default: false },
  },
});

using strays = new Strays();
strays.listen();
process.exitCode = flags.seed === undefined ? await playMany() : await playOne(Number(flags.seed));

async function playOne(seed: number): Promise<number> {
  const findings = await playSession(seed, strays);
  console.log(findings.log.join("\n"));
  console.log(findings.outcomes);
  return report(findings);
}

async function playMany(): Promise<number> {
  const from = flags.from === undefined ? Date.now() % 1_000_000_000 : Number(flags.from);
  const count = flags.sessions === undefined ? Infinity : Number(flags.sessions);
  const until = flags.sessions === undefined ? Date.now() + Number(flags.minutes ?? 1) * 60_000 : Infinity;
  const started = Date.now();
  const outcomes: Record<string, number> = {};
  let failed = 0;
  let played = 0;
  for (; played < count && Date.now() < until; played++) {
    const findings = await playSession(from + played, strays);
    for (const [name, times] of Object.entries(findings.outcomes)) {
      outcomes[name] = (outcomes[name] ?? 0) + times;
    }
    if (findings.violations.length === 0) continue;
    failed++;
    report(findings);
    if (!flags["keep-going"]) break;
  }
  const seconds = (Date.now() - started) / 1_000;
  console.log(
    `${played} sessions from seed ${from} in ${seconds.toFixed(1)} s, ${failed} failed; messages:`,
    outcomes,
  );
  return failed > 0 ? 1 : 0;
}

function report({ seed, violations }: Findings): number {
  for (const violation of violations) console.log(`seed ${seed}: ${violation}`);
  return violations.length > 0 ? 1 : 0;
}
