/**
 * The command line that all benchmarks share.
 *
 * @module
 */
import { parseArgs } from "node:util";

/** The options of a benchmark. */
export interface Flags {
  /** The number of rounds. Every subject runs once in each. */
  readonly pairs: number;
  /** How long one run is measured, in seconds, where the benchmark measures by time. */
  readonly seconds: number;
  /** The file that results are appended to, one JSON object a line. */
  readonly json: string | undefined;
  /** The names of the runtimes. */
  readonly runtimes: readonly string[];
  /** Measures only the cases whose name contains this. */
  readonly case: string;
  /** Measures only the subjects whose name contains one of these, and always `@streams/smtp`. */
  readonly subjects: readonly string[] | undefined;
}

/**
 * Reads the command line: `--pairs N --seconds S --json FILE --runtimes deno,bun,node --case TEXT --subjects A,B`.
 *
 * @param defaults The default of `--seconds`, if not 2. The others are 5 pairs, on all three runtimes.
 * @throws {RangeError} If a number is not above 0.
 */
export function readFlags(defaults: { seconds?: number } = {}): Flags {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"), // `deno task` passes on the dashes
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
  throw new RangeError(
    `Cannot run the benchmark: --${name} must be a number above 0, the current value is ${text}`,
  );
}
