/**
 * Reads the JUnit reports of Deno, Bun and Node, decides what they prove, and prints the result.
 * @module
 */

/** One test in a report. */
export interface TestCase {
  name: string;
  /** Its file, if the runtime says so. */
  file: string | undefined;
  state: "passed" | "failed" | "skipped";
  /** Why it failed, in one line. */
  reason: string | undefined;
}

// Node leaves ">" as it is in attributes, so the tag's end is found by its quotes.
const ATTRIBUTES = /(?:\s+[\w:.-]+="[^"]*")*/.source;
const TAG = new RegExp(
  `<testsuite(${ATTRIBUTES})\\s*>|<testcase(${ATTRIBUTES})\\s*(?:/>|>([^]*?)</testcase>)`,
  "g",
);
const ATTRIBUTE = /([\w:.-]+)="([^"]*)"/g;
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** What Deno says is the file of every test: it declares them. */
const ENTRY = "tools/test_files.mjs";

/**
 * Reads a report.
 * @param xml The report; may be cut off where the runtime was.
 * @returns The tests that it names, in their order.
 */
export function parseReport(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  let suite = "";
  for (const [, suiteStart, start, body = ""] of xml.matchAll(TAG)) {
    if (start === undefined) {
      suite = parseAttributes(suiteStart!)["name"] ?? "";
      continue;
    }
    const { name = "", file = "" } = parseAttributes(start);
    const failure = body.match(new RegExp(`<(?:failure|error)(${ATTRIBUTES})`));
    cases.push({
      name,
      // A file is a suite: Bun makes it one, and for Node tools/test_files.mjs.
      file: [suite, file].find((path) => path !== ""),
      state: failure !== null ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed",
      reason: failure === null ? undefined : parseAttributes(failure[1]!)["message"]?.split("\n")[0],
    });
  }
  return cases;
}

/**
 * Finds the file of each test under Deno, which reports {@linkcode ENTRY} instead.
 * @param cases The tests, in the order in which they ran.
 * @param counts How many tests each file has, in that order.
 * @returns The tests with their files; unchanged if the numbers do not agree.
 */
export function assignFiles(
  cases: readonly TestCase[],
  counts: readonly { file: string; count: number }[],
): readonly TestCase[] {
  const isDeclaredThere = ({ file }: TestCase) => file?.endsWith(ENTRY) ?? false;
  const files = counts.flatMap(({ file, count }) => Array<string>(count).fill(file));
  if (files.length !== cases.filter(isDeclaredThere).length) return cases;
  const next = files.values();
  return cases.map((one) => isDeclaredThere(one) ? { ...one, file: next.next().value } : one);
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

/** The result of the tests under one runtime: one line of the table. */
export interface Outcome {
  label: string;
  version: string;
  seconds: number;
  passed: number;
  /** How many tests passed in each file. */
  files: ReadonlyMap<string, number>;
  /** One line for each failed test, and for everything else that went wrong. */
  failures: string[];
  /** The names of the tests that were skipped; the harness puts the reason into the name. */
  skipped: string[];
}

/** What is known when a runtime has ended. */
export interface Evidence {
  label: string;
  version: string;
  seconds: number;
  /** The files that were to run. */
  files: readonly string[];
  /** Only tests whose name contains this were wanted. */
  filter: string | undefined;
  cases: readonly TestCase[];
  /** The files in which something failed outside the tests. */
  broken: readonly string[];
  /** The runtime's exit status. */
  code: number;
  /** Whether it was killed because its time was up. */
  timedOut: boolean;
}

/**
 * Counts what a report says, and doubts it: a file that failed to load is missing in the reports of Deno and Bun, and a
 * runtime that crashed or hung leaves none. Each of these is a failure.
 */
export function judge(evidence: Evidence): Outcome {
  const { label, version, seconds, filter, cases, broken, code, timedOut } = evidence;
  const failures: string[] = [];
  const skipped: string[] = [];
  const files = new Map<string, number>();
  let passed = 0;
  for (const { name, file, state, reason } of cases) {
    const path = evidence.files.find((candidate) => file?.endsWith(candidate));
    if (path !== undefined) files.set(path, (files.get(path) ?? 0) + (state === "passed" ? 1 : 0));
    if (state === "skipped") {
      if (filter === undefined || name.includes(filter)) skipped.push(name); // for the reports, the others are skipped
    } else if (state === "failed") {
      failures.push(`${path === undefined ? "" : `${path}: `}${name}: ${reason ?? "failed"}`);
    } else passed++;
  }
  for (const file of broken) failures.push(`${file}: an error outside its tests`);
  if (timedOut) failures.push("it did not end in time and was killed");
  else if (cases.length === 0 && failures.length === 0) {
    failures.push(`it ended with ${code} and reported no test`);
  } else if (filter === undefined && files.size > 0) {
    for (const file of evidence.files) {
      if (!files.has(file) && !failures.some((failure) => failure.startsWith(`${file}:`))) {
        failures.push(`${file}: no test was reported`);
      }
    }
  }
  if (code !== 0 && failures.length === 0) failures.push(`it ended with ${code}, yet no test failed`);
  return { label, version, seconds, passed, files, failures, skipped };
}

/** Prints a line for each file: how many of its tests passed under each runtime. */
export function printFiles(outcomes: readonly Outcome[]): void {
  const names = [...new Set(outcomes.flatMap(({ files }) => [...files.keys()]))].sort();
  const columns = outcomes.filter(({ files }) => files.size > 0);
  printTable([
    ["passed", ...columns.map(({ label }) => label)],
    ...names.map((name) => [name, ...columns.map(({ files }) => `${files.get(name) ?? "-"}`)]),
  ], 1);
}

/** Prints rows in columns, the first of them aligned to the left. */
function printTable(rows: readonly string[][], left: number): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    );
    console.log(cells.join("  "));
  }
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
  console.log();
  printTable([["runtime", "version", "passed", "failed", "skipped", "seconds"], ...rows], 2);

  const sum = (count: (outcome: Outcome) => number) =>
    outcomes.reduce((total, outcome) => total + count(outcome), 0);
  const skipped = sum((outcome) => outcome.skipped.length);
  console.log(
    `\n${sum((outcome) => outcome.passed)} passed, ${sum((outcome) => outcome.failures.length)} failed` +
      (skipped > 0 ? `, ${skipped} skipped` : ""),
  );
}
