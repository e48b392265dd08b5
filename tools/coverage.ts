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
  console.log("\nCoverage");
  if (!measured) failures.push("--coverage needs the tests under Deno");
  else {
    const lines = await measure().catch((error: Error) => {
      console.error(error.message);
      return new Map<string, Lines>();
    });
    for (const folder of FOLDERS) {
      const files = [...lines].filter(([file]) => file.startsWith(`${folder}/`));
      const count = (key: "found" | "hit") => files.reduce((sum, [, lines]) => sum + lines[key], 0);
      const share = 100 * count("hit") / count("found"); // NaN, and so a failure, if nothing was measured
      console.log(`${folder}: ${share.toFixed(1)} % of lines (at least ${LEAST_LINES})`);
      for (const [file, { missed }] of files) {
        if (missed.length > 0) console.log(`  not reached: ${file}: ${missed.join(" ")}`);
      }
      if (!(share >= LEAST_LINES)) {
        failures.push(`${folder}: ${share.toFixed(1)} % of lines, not ${LEAST_LINES}`);
      }
    }
  }
  const seconds = (performance.now() - started) / 1000;
  return { label: "Coverage", version: "", seconds, passed: 0, files: new Map(), failures, skipped: [] };
}

interface Lines {
  found: number;
  hit: number;
  /** The numbers of the lines that were not reached. */
  missed: number[];
}

/** The lines of each file in {@linkcode FOLDERS}. */
async function measure(): Promise<Map<string, Lines>> {
  const lcov = await readOutput({
    program: Deno.execPath(),
    args: [
      "coverage",
      "--lcov",
      "--threshold=0",
      ...FOLDERS.map((folder) => `--include=/${folder}/`),
      COVERAGE_FOLDER,
    ],
    env: { NO_COLOR: "1" },
  });
  const files = new Map<string, Lines>();
  let lines: Lines = { found: 0, hit: 0, missed: [] };
  for (const line of lcov.split("\n")) {
    const [key, value = ""] = line.split(/:(.*)/);
    if (key === "SF") {
      lines = { found: 0, hit: 0, missed: [] };
      files.set(value.slice(value.lastIndexOf("/src/") + 1), lines);
    } else if (key === "LF") lines.found = Number(value);
    else if (key === "LH") lines.hit = Number(value);
    else if (key === "DA" && value.endsWith(",0")) lines.missed.push(Number(value.split(",")[0]));
  }
  return files;
}
