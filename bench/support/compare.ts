/**
 * Compares subjects. Every subject runs once in each round; the medians go into a table and into JSON.
 *
 * @module
 */
import type { Flags } from "./flags.ts";

/** The name of this library in tables. */
export const OURS = "@streams/smtp";

/** What is measured. */
export interface Subject {
  /** The library or program; {@linkcode OURS} for this one. */
  readonly name: string;
  /** `deno`, `bun`, `node`, or `native` for programs in C. */
  readonly runtime: string;
  /**
   * Which of our subjects it is compared with. Default: {@linkcode OURS} on the same runtime; for `native`,
   * {@linkcode OURS} on every runtime.
   */
  readonly against?: string;
  /** Runs once, and returns one value for each metric; `NaN` for one that it does not have. */
  run(): Promise<readonly number[]>;
}

/** What a value measures. */
export interface Metric {
  /** Follows the case's name where a case has several metrics; `""` where it has one. */
  readonly name: string;
  readonly unit: string;
  /** Whether a lower value is better. */
  readonly less?: boolean;
  /** The distance that it was measured at, where a case has several. */
  readonly roundTrip?: number;
}

/** A measured case. */
export interface Case {
  /** The benchmark: `wan` for `bench:wan`. */
  readonly bench: string;
  readonly case: string;
  /** The distance to the server, in milliseconds for the way there and back, where the case has one. */
  readonly roundTrip?: number;
  readonly metrics: readonly Metric[];
}

/** One line of the JSON: what one subject reached in one case, by one metric. */
export interface Result {
  /** The benchmark: `wan` for `bench:wan`. */
  bench: string;
  /** The case; with several metrics, the metric's name follows after a comma. */
  case: string;
  /** The distance to the server, in milliseconds for the way there and back, where the case has one. */
  roundTrip?: number;
  /** `deno`, `bun` or `node`. For a program in C, the runtime of ours that it is compared with. */
  runtime: string;
  subject: string;
  /** The median over the rounds. */
  value: number;
  unit: string;
  /** How much better ours is than this subject, by the median over the rounds: 2 means twice as good. */
  ratio: number;
}

/**
 * Measures a case and prints its table.
 *
 * @param what The case.
 * @param subjects The subjects. Each runtime among them needs at least one of ours.
 * @param flags The number of rounds, and the file for the results.
 */
export async function compare(
  what: Case,
  subjects: readonly Subject[],
  flags: Flags,
): Promise<void> {
  if (!what.case.includes(flags.case)) return;
  const chosen = subjects.filter(({ name }) => isChosen(name, flags));
  const samples = new Map<Subject, (readonly number[])[]>(chosen.map((subject) => [subject, []]));
  for (let round = 0; round < flags.pairs; round++) {
    // Every other round runs backwards, so that no subject always follows the same other one.
    const order = round % 2 === 0 ? chosen : chosen.toReversed();
    for (const subject of order) samples.get(subject)!.push(await subject.run());
  }
  what.metrics.forEach((metric, index) => {
    const all = [...samples].map(([subject, runs]) => [subject, runs.map((run) => run[index]!)] as const);
    const values = new Map(all.filter(([, values]) => !values.some(Number.isNaN)));
    const name = metric.name === "" ? what.case : `${what.case}, ${metric.name}`;
    const { roundTrip = what.roundTrip } = metric;
    report({ ...what, case: name, ...roundTrip !== undefined && { roundTrip } }, metric, values, flags);
  });
}

function report(
  { bench, case: name, roundTrip }: Case,
  metric: Metric,
  values: ReadonlyMap<Subject, readonly number[]>,
  { json, pairs }: Flags,
): void {
  const results: Result[] = [];
  for (const [subject, samples] of values) {
    for (const ours of referencesOf(subject, [...values.keys()])) {
      const ratios = values.get(ours)!.map((value, round) =>
        metric.less ? samples[round]! / value : value / samples[round]!
      );
      results.push({
        bench,
        case: name,
        ...roundTrip !== undefined && { roundTrip },
        // A program in C has no runtime: the result names the one of ours that it is compared with.
        runtime: subject.runtime === "native" ? ours.runtime : subject.runtime,
        subject: subject.name,
        value: round(median(samples)),
        unit: metric.unit,
        ratio: round(median(ratios)),
      });
    }
  }
  printTable(`${bench}: ${name} (median of ${pairs})`, results);
  if (json === undefined) return;
  Deno.writeTextFileSync(json, results.map((result) => JSON.stringify(result) + "\n").join(""), {
    append: true,
  });
}

function referencesOf(subject: Subject, all: readonly Subject[]): Subject[] {
  const ours = all.filter(({ name }) => name === (subject.against ?? OURS));
  if (subject.name === (subject.against ?? OURS)) return [subject];
  return subject.runtime === "native" ? ours : ours.filter(({ runtime }) => runtime === subject.runtime);
}

function isChosen(name: string, { subjects }: Flags): boolean {
  return subjects === undefined || name.startsWith(OURS) || subjects.some((text) => name.includes(text));
}

/** Prints results as a table. */
function printTable(title: string, results: readonly Result[]): void {
  const rows = results.map(({ subject, runtime, value, unit, ratio }) => [
    subject,
    runtime,
    `${formatValue(value)} ${unit}`,
    subject === OURS ? "" : `${ratio.toFixed(2)} x`,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  console.log(`\n${title}`);
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    );
    console.log(`  ${cells.join("  ")}`);
  }
}

/** Formats a number with as many digits as are significant. */
export function formatValue(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.1 ? 2 : 3);
}

/** The middle number; with an even count, the mean of the middle two. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
