/**
 * Reads the JUnit reports of Deno, Bun and Node, decides what they prove, and prints the table.
 * @module
 */
import type { ProcessResult } from "./process.ts";
import type { Runtime } from "./runtimes.ts";

/** One test in a report. */
export interface TestCase {
  name: string;
  /** The file that it stands in, where the runtime says so. */
  file: string | undefined;
  state: "passed" | "failed" | "skipped";
  /** Why it failed, in one line. */
  reason: string | undefined;
}

// Node leaves ">" as it is in attributes, so the tag's end is found by its quotes.
const TEST_CASE = /<testcase((?:\s+[\w:.-]+="[^"]*")*)\s*(\/>|>([\s\S]*?)<\/testcase>)/g;
const ATTRIBUTE = /([\w:.-]+)="([^"]*)"/g;
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/**
 * Reads a report.
 * @param xml The report; may be cut off where the runtime was.
 * @returns The tests that it names, in their order.
 */
export function parseReport(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  for (const [, start, , body = ""] of xml.matchAll(TEST_CASE)) {
    const attributes = parseAttributes(start!);
    const failure = body.match(/<(?:failure|error)((?:\s+[\w:.-]+="[^"]*")*)/);
    cases.push({
      name: attributes["name"] ?? "",
      // Deno says "classname", Bun and Node 24 "file"; Node 22 says neither.
      file: attributes["file"] ??
        (attributes["classname"]?.endsWith(".ts") ? attributes["classname"] : undefined),
      state: failure !== null ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed",
      reason: failure === null ? undefined : parseAttributes(failure[1]!)["message"]?.split("\n")[0],
    });
  }
  return cases;
}

function parseAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(ATTRIBUTE)) attributes[name!] = unescape(value!);
  return attributes;
}

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name] ?? whole;
  }).replaceAll("&quot;", '"'); // Node writes &amp;quot; for a quote
}

/** One line of the table. */
export interface Outcome {
  label: string;
  version: string;
  seconds: number;
  passed: number;
  /** One line for each test that failed and for everything else that went wrong. */
  failures: string[];
  /** The names of the tests that were skipped; the harness puts the reason into the name. */
  skipped: string[];
}

/** What is known when a runtime has ended. */
export interface Evidence {
  version: string;
  seconds: number;
  /** The files that were to run. */
  files: readonly string[];
  /** Only tests whose name contains this were wanted. */
  filter: string | undefined;
  cases: readonly TestCase[];
  result: ProcessResult;
}

/**
 * Counts what a report says, and doubts it: a file that failed to load is missing in the reports of Deno and Bun, and a
 * runtime that crashed or hung leaves none. Each of these is a failure.
 */
export function judge(runtime: Pick<Runtime, "label" | "namesFiles">, evidence: Evidence): Outcome {
  const { version, seconds, files, filter, cases, result } = evidence;
  const failures: string[] = [];
  const skipped: string[] = [];
  const heard = new Set<string>();
  const silent: string[] = [];
  let passed = 0;
  for (const { name, file, state, reason } of cases) {
    const path = files.find((candidate) => name !== candidate && file?.endsWith(candidate));
    if (path !== undefined) heard.add(path);
    if (state === "skipped") {
      if (filter === undefined || name.includes(filter)) skipped.push(name); // for the reports, the others are skipped
    } else if (state === "failed") {
      failures.push(`${path === undefined ? "" : `${path}: `}${name}: ${reason ?? "failed"}`);
    } else if (files.includes(name)) silent.push(name); // Node counts a file without tests as a test
    else passed++;
  }
  const unheard = runtime.namesFiles ? files.filter((file) => !heard.has(file)) : silent;
  for (const file of result.found) failures.push(`${file}: an error outside its tests`);
  if (result.timedOut) failures.push("it did not end in time and was killed");
  else if (cases.length === 0 && failures.length === 0) {
    failures.push(`it ended with ${result.code} and reported no test`);
  } else if (filter === undefined) {
    for (const file of unheard) {
      if (!failures.some((failure) => failure.startsWith(`${file}:`))) {
        failures.push(`${file}: no test was reported`);
      }
    }
  }
  if (result.code !== 0 && failures.length === 0) {
    failures.push(`it ended with ${result.code}, yet no test failed`);
  }
  return { label: runtime.label, version, seconds, passed, failures, skipped };
}

/** Prints the failures, the tests that were skipped, the table, and the sum as the last line. */
export function printOutcomes(outcomes: readonly Outcome[]): void {
  const skips = new Map<string, string[]>();
  for (const { label, skipped } of outcomes) {
    for (const name of new Set(skipped)) skips.set(name, [...skips.get(name) ?? [], label]);
  }
  if (skips.size > 0) console.log("\nSkipped");
  for (const [name, labels] of skips) console.log(`  ${name} (${labels.join(", ")})`);
  if (outcomes.some(({ failures }) => failures.length > 0)) console.log("\nFailed");
  for (const { label, failures } of outcomes) {
    for (const failure of failures) console.log(`  ${label}: ${failure}`);
  }

  const rows = outcomes.map(({ label, version, passed, failures, skipped, seconds }) =>
    [label, version, passed, failures.length, skipped.length, seconds.toFixed(1)].map(String)
  );
  const table = [["runtime", "version", "passed", "failed", "skipped", "seconds"], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  console.log();
  for (const row of table) {
    const cells = row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    );
    console.log(cells.join("  "));
  }

  const sum = (count: (outcome: Outcome) => number) =>
    outcomes.reduce((total, outcome) => total + count(outcome), 0);
  const skipped = sum((outcome) => outcome.skipped.length);
  console.log(
    `\n${sum((outcome) => outcome.passed)} passed, ${sum((outcome) => outcome.failures.length)} failed` +
      (skipped > 0 ? `, ${skipped} skipped` : ""),
  );
}
