/**
 * Makes the README's table of speed from the results of the benchmarks.
 *
 * @module
 */
import { formatValue, OURS, type Result } from "./support/compare.ts";

const RUNTIMES = ["deno", "bun", "node"];
const PEER = "nodemailer";

/** Finds a figure. One runtime: Node, where both are used most. */
type Figure = (bench: string, name: string, subject: string, runtime?: string) => string | undefined;

interface Row {
  readonly what: string;
  readonly command: string;
  /** The row's two figures, with their units; `undefined` if the results do not have them. */
  figures(figure: Figure): readonly [string | undefined, string | undefined];
}

/** A row of `bench:latency`: milliseconds, and round trips. */
function latency(what: string, mail: string): Row {
  const name = `STARTTLS, PLAIN, ${mail}`;
  const of = (figure: Figure, subject: string) => {
    const [time, trips] = [
      figure("latency", `${name}, 50 ms`, subject),
      figure("latency", `${name}, round trips`, subject),
    ];
    return time && trips && `${time} ms, ${trips} round trips`;
  };
  return {
    what,
    command: "deno task bench:latency",
    figures: (figure) => [of(figure, OURS), of(figure, PEER)],
  };
}

const POSTFIX = "Postfix, CHUNKING, 50 ms";

const ROWS: readonly Row[] = [
  latency("first mail, 50 ms away, STARTTLS and login", "first mail"),
  latency("next mail, 50 ms away", "next mail"),
  {
    what: "50 ms away, Postfix with CHUNKING",
    command: 'deno task bench:wan --case "50 ms"',
    figures: (figure) => [
      withUnit(figure("wan", POSTFIX, OURS), "messages/s"),
      figure("wan", POSTFIX, PEER),
    ],
  },
  {
    what: "50 ms away, PIPELINING alone",
    command: 'deno task bench:wan --case "50 ms"',
    figures: (figure) => [
      withUnit(figure("wan", POSTFIX, `${OURS}, PIPELINING alone`), "messages/s"),
      figure("wan", POSTFIX, PEER),
    ],
  },
  {
    what: "on one machine and CPU: Deno / Bun / Node",
    command: "deno task bench:loopback",
    figures(figure) {
      const all = (subject: string) => {
        const values = RUNTIMES.map((runtime) => figure("loopback", "sharing a CPU", subject, runtime));
        return values.includes(undefined) ? undefined : values.join(" / ");
      };
      return [withUnit(all(OURS), "messages/s"), all(PEER)];
    },
  },
  {
    what: "100 MB from memory",
    command: "deno task bench:large",
    figures(figure) {
      const name = "100 MB, plain, DATA, from memory, CPU";
      return [withUnit(figure("large", name, OURS), "s of CPU"), withUnit(figure("large", name, PEER), "s")];
    },
  },
];

function withUnit(figure: string | undefined, unit: string): string | undefined {
  return figure && `${figure} ${unit}`;
}

/**
 * Puts the figures into the README's table of speed. A row whose figures the results do not have stays as it is.
 *
 * @param readme The README.
 * @param results The results.
 * @returns The README, with the new table.
 */
export function headline(readme: string, results: readonly Result[]): string {
  const figure: Figure = (bench, name, subject, runtime = "node") => {
    const found = results.find((result) =>
      result.bench === bench && result.case === name && result.subject === subject &&
      result.runtime === runtime
    );
    return found && formatValue(found.value);
  };
  const lines = readme.split("\n");
  const start = lines.findIndex((line, index) => line.startsWith("|") && index > lines.indexOf("## Speed"));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  const before = lines.slice(start + 2, end).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
  const rows = ROWS.flatMap(({ what, command, figures }) => {
    const [ours, peer] = figures(figure);
    if (ours !== undefined && peer !== undefined) return [[what, ours, peer, `\`${command}\``]];
    return before.filter(([name]) => name === what);
  });
  const table = [["", "ours", PEER, "measured by"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [...lines.slice(0, start), line(table[0]!), rule, ...rows.map(line), ...lines.slice(end)].join("\n");
}
