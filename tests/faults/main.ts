/**
 * Makes connections fail in every way, and compares what is reported with what servers have: `deno task faults`, or
 * `bun tests/faults/main.ts`, or Node with its hooks. Prints the figures of each part in one line.
 *
 * ```
 * deno task faults [--what sweep|storm|stalls|aborts|soak...] [--runtime deno|bun|node22|node24] [--share S] [--seed N]
 *   [--messages N] [--scale S]
 * ```
 * - `--what`: only these. Default: all but the soak.
 * - `--runtime`: where. Default: Deno.
 * - `--share`: the share of the places that the sweep and the aborts try. Default: 1, all, which takes some 20 minutes.
 * - `--messages`: how many the storm has. Default: 1,000,000.
 * - `--scale`: how much of 10,000 connections, 1,000,000 messages and 1,000 pools the soak has. Default: 1.
 * - `--seed`: of what is random. Default: 1.
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Strays } from "../fuzz/strays.ts";
import { runtime } from "../support/unwatched.ts";
import { abortInMemory, abortOverTcp } from "./aborts.ts";
import { type Figures, showFigures } from "./books.ts";
import { showSoaked, soak } from "./soak.ts";
import { stalls } from "./stalls.ts";
import { storm } from "./storm.ts";
import { sweepInMemory, sweepOverTcp, type Swept } from "./sweep.ts";

const { values: flags } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== "--"),
  options: {
    what: { type: "string", multiple: true, default: ["sweep", "stalls", "aborts", "storm"] },
    runtime: { type: "string", default: runtime },
    share: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    messages: { type: "string", default: "1000000" },
    scale: { type: "string", default: "1" },
  },
});

const share = Number(flags.share);
const seed = Number(flags.seed);
const messages = Number(flags.messages);
const scale = Number(flags.scale);

/** How many connections the sweep has side by side: most of them wait for something. */
const LANES = 8;

/** How many violations of a part are shown. */
const SHOWN = 20;

/** More memory than this, in bytes, that a soak has gained after its first tenth is a leak. */
const LEAK = 3e6;

/** Each part prints its figures, and returns how much is wrong. */
const parts: Readonly<Record<string, () => Promise<number>>> = {
  async sweep() {
    return await show("sweep in memory", () => sweepInMemory({ share, seed })) +
      await show("sweep over TCP", () => sweepOverTcp({ share, seed, lanes: LANES }));
  },
  async aborts() {
    return await show("aborts in memory", () => abortInMemory({ share, seed })) +
      await show("aborts over TCP", () => abortOverTcp({ share, seed }));
  },
  async stalls() {
    let wrong = 0;
    for (const { name, run } of stalls) {
      try {
        await run();
      } catch (error) {
        wrong++;
        console.log(`${name}: ${error}`);
      }
    }
    console.log(`${runtime}, stalls: ${stalls.length} tried, ${wrong} wrong`);
    return wrong;
  },
  async storm() {
    let wrong = 0;
    for (const transfer of ["data", "bdat"] as const) {
      for (const retryUnknown of [false, true]) {
        const what = `storm by ${transfer.toUpperCase()}${retryUnknown ? ", what is unknown again" : ""}`;
        wrong += await show(
          what,
          () => storm({ messages: Math.ceil(messages / 4), transfer, retryUnknown, seed }),
        );
      }
    }
    return wrong;
  },
  async soak() {
    const counts = { connections: 10_000, secured: 2_000, messages: 1_000_000, pools: 1_000 };
    const scaled = Object.entries(counts).map(([name, count]) => [name, Math.ceil(count * scale)]);
    const steps = await soak(Object.fromEntries(scaled) as typeof counts);
    for (const step of steps) console.log(`${runtime}, ${showSoaked(step)}`);
    return steps.filter(({ growth, resources, files }) => growth > LEAK || resources > 0 || files > 0).length;
  },
};

if (flags.runtime === runtime || process.env["SMTP_RUNTIME"] === flags.runtime) {
  process.exitCode = await play() ? 1 : 0;
} else {
  const { runElsewhere } = await import("../support/elsewhere.ts");
  process.exitCode = await runElsewhere(flags.runtime, "tests/faults/main.ts", process.argv.slice(2));
}

/** Tells whether anything is wrong. */
async function play(): Promise<boolean> {
  using strays = new Strays();
  strays.listen();
  let wrong = 0;
  for (const what of flags.what) {
    const part = parts[what];
    if (part === undefined) {
      console.error(`--what takes ${Object.keys(parts).join(", ")}: the current value is ${what}`);
      return true;
    }
    wrong += await part();
    for (const stray of strays.take()) {
      wrong++;
      console.log(`Nobody caught: ${stray instanceof Error ? stray.stack : stray}`);
    }
  }
  return wrong > 0;
}

async function show(
  what: string,
  run: () => Promise<Swept & { connections?: number; faults?: number }>,
): Promise<number> {
  const started = Date.now();
  const { figures, violations, connections, faults } = await run();
  for (const violation of violations.slice(0, SHOWN)) console.log(violation);
  const seconds = (Date.now() - started) / 1_000;
  const over = connections === undefined ? "" : `, over ${connections} connections with ${faults} faults`;
  console.log(`${runtime}, ${showFigures(what, figures, seconds)}${over}`);
  return violations.length + wrongOf(figures);
}

function wrongOf({ wrong, imprecise, doubled, torn }: Figures): number {
  return wrong + imprecise + doubled + torn;
}
