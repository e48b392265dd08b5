/**
 * Compares subjects: in rounds, in each of which every subject runs once; by medians; in a table and in JSON.
 *
 * @module
 */
import type { Flags } from "./flags.ts";

/** Ours. */
export const OURS = "@streams/smtp";

/** What is measured. */
export interface Subject {
  /** The library or program, {@linkcode OURS} for ours. */
  readonly name: string;
  /** `deno`, `bun`, `node`, or `native` for programs in C. */
  readonly runtime: string;
  /** Which of our subjects it is measured against. Default: ours on the same runtime; for `native`, all of ours. */
  readonly against?: string;
  /** Runs once. Returns as many values as there are metrics. */
  run(): Promise<readonly number[]>;
}

/** What the values mean. */
export interface Metric {
  /** Stands behind the case's name where there are several. */
  readonly name: string;
  readonly unit: string;
  /** Whether less is better. */
  readonly less?: boolean;
}

/** One line of the JSON. */
export interface Result {
  bench: string;
  case: string;
  runtime: string;
  subject: string;
  value: number;
  unit: string;
  /** Ours against this subject, above 1 is better: the median over the rounds. */
  ratio: number;
}

/**
 * Measures a case and prints its table.
 *
 * @param what The benchmark, the case, the metrics.
 * @param subjects The subjects; one of ours at least on each of their runtimes.
 * @param flags How often, and where the records go.
 */
export async function compare(
  what: { bench: string; case: string; metrics: readonly Metric[] },
  subjects: readonly Subject[],
  flags: Flags,
): Promise<void> {
  if (!what.case.includes(flags.case)) return;
  const chosen = subjects.filter(({ name }) => isChosen(name, flags));
  const samples = new Map<Subject, (readonly number[])[]>(chosen.map((subject) => [subject, []]));
  for (let round = 0; round < flags.pairs; round++) {
    // One that is first in one round is last in the next: no subject always follows on the same other one.
    const order = round % 2 === 0 ? chosen : chosen.toReversed();
    for (const subject of order) samples.get(subject)!.push(await subject.run());
  }
  what.metrics.forEach((metric, index) => {
    const values = new Map([...samples].map(([subject, runs]) => [subject, runs.map((run) => run[index]!)]));
    const name = metric.name === "" ? what.case : `${what.case}, ${metric.name}`;
    report({ bench: what.bench, case: name, metric }, values, flags);
  });
}

function report(
  { bench, case: name, metric }: { bench: string; case: string; metric: Metric },
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
        // A program in C has no runtime: the record says against which of ours it was held.
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
export function printTable(title: string, results: readonly Result[]): void {
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

/** A number with as many digits as mean something. */
export function formatValue(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.1 ? 2 : 3);
}

/** The one in the middle; of an even number, the mean of the two. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
