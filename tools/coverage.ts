/**
 * Checks how many lines the tests reach.
 * @module
 */
import type { Outcome } from "./report.ts";
import { readOutput } from "./process.ts";

/** Where Deno writes its measurements. */
export const COVERAGE_FOLDER = "coverage";

/** The least share of lines, in per cent, that the tests must reach in each folder. */
const LEAST_LINES = 95;

/** The folders that it counts for: code whose only input is bytes can be tested to the last line. */
const FOLDERS = ["src/core", "src/streams", "src/sasl"];

/** Checks the coverage that the tests under Deno have left; a folder that is below it is a failure. */
export async function checkCoverage(measured: boolean): Promise<Outcome> {
  const started = performance.now();
  const failures: string[] = [];
  console.log("\n== Coverage");
  if (!measured) failures.push("--coverage needs the tests under Deno");
  else {
    for (const folder of FOLDERS) {
      const { share, missed } = await measure(folder).catch((error: Error) => {
        console.error(error.message);
        return { share: 0, missed: [] };
      });
      console.log(`${folder}: ${share.toFixed(1)} % of lines (at least ${LEAST_LINES})`);
      for (const line of missed) console.log(`  not reached: ${line}`);
      if (!(share >= LEAST_LINES)) {
        failures.push(`${folder}: ${share.toFixed(1)} % of lines, not ${LEAST_LINES}`);
      }
    }
  }
  const seconds = (performance.now() - started) / 1000;
  return { label: "Coverage", version: "", seconds, passed: 0, files: new Map(), failures, skipped: [] };
}

async function measure(folder: string): Promise<{ share: number; missed: string[] }> {
  const lcov = await readOutput({
    program: Deno.execPath(),
    args: ["coverage", "--lcov", "--threshold=0", `--include=/${folder}/`, COVERAGE_FOLDER],
    env: { NO_COLOR: "1" },
  });
  let found = 0;
  let hit = 0;
  let file = "";
  const missed = new Map<string, number[]>();
  for (const line of lcov.split("\n")) {
    const [key, value = ""] = line.split(/:(.*)/);
    if (key === "SF") file = value.slice(value.indexOf(folder));
    else if (key === "LF") found += Number(value);
    else if (key === "LH") hit += Number(value);
    else if (key === "DA" && value.endsWith(",0")) {
      missed.set(file, [...missed.get(file) ?? [], Number(value.split(",")[0])]);
    }
  }
  return {
    share: 100 * hit / found, // NaN, and so a failure, where nothing was measured
    missed: [...missed].map(([file, lines]) => `${file}: ${lines.join(" ")}`),
  };
}
