/**
 * The command line that all benchmarks share.
 *
 * @module
 */
import { parseArgs } from "node:util";

/** What was asked for. */
export interface Flags {
  /** How many rounds: in each, every subject runs once. */
  readonly pairs: number;
  /** How long one run is measured, in seconds, where the benchmark goes by time. */
  readonly seconds: number;
  /** Where records are appended, one JSON object a line. */
  readonly json: string | undefined;
  /** Names of the runtimes to measure on. */
  readonly runtimes: readonly string[];
  /** Only the cases whose name contains this. */
  readonly case: string;
  /** Only the subjects whose name contains one of these; `@streams/smtp` always runs. */
  readonly subjects: readonly string[] | undefined;
}

/**
 * Reads the command line: `--pairs N --seconds S --json FILE --runtimes deno,bun,node --case TEXT --subjects A,B`.
 *
 * @param defaults What differs from the usual defaults: 5 pairs of 2 seconds on all three runtimes.
 * @throws {RangeError} If a number is none.
 */
export function readFlags(defaults: { seconds?: number } = {}): Flags {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"), // `deno task` passes the dashes on
    options: {
      pairs: { type: "string", default: "5" },
      seconds: { type: "string", default: String(defaults.seconds ?? 2) },
      json: { type: "string" },
      runtimes: { type: "string", default: "deno,bun,node" },
      case: { type: "string", default: "" },
      subjects: { type: "string" },
    },
  });
  return {
    pairs: above0("pairs", values.pairs),
    seconds: above0("seconds", values.seconds),
    json: values.json,
    runtimes: values.runtimes.split(","),
    case: values.case,
    subjects: values.subjects?.split(","),
  };
}

function above0(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new RangeError(`--${name} must be a number above 0: the current value is ${text}`);
}
