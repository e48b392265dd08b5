/**
 * Draws the headline from the JSON of `bench:wan`: messages per second over the round trip to the server.
 *
 * ```sh
 * deno task bench:wan --case Postfix --runtimes node --subjects nodemailer --json RESULTS.jsonl
 * deno run -A bench/chart.ts RESULTS.jsonl [bench/results.svg]
 * ```
 *
 * @module
 */
import { formatValue, OURS, type Result } from "./support/compare.ts";

/** A line of the chart. */
interface Line {
  /** The subject in the results. */
  readonly subject: string;
  /** What stands at its end. */
  readonly label: string;
  readonly colour: "ours" | "other";
  readonly dashed?: boolean;
  /** Whether the values stand above or below the line. */
  readonly values: "above" | "below";
}

const LINES: readonly Line[] = [
  { subject: OURS, label: OURS, colour: "ours", values: "above" },
  {
    subject: `${OURS}, PIPELINING alone`,
    label: "PIPELINING alone",
    colour: "ours",
    dashed: true,
    values: "above",
  },
  { subject: "nodemailer", label: "nodemailer", colour: "other", values: "below" },
];

/** The case that has PIPELINING and CHUNKING. */
const CASE = "Postfix, CHUNKING";

/** The distance at which the lines are compared, in milliseconds. */
const COMPARED = 50;

const WIDTH = 760;
const HEIGHT = 400;
/** Where the lines are: the rest is for titles and labels. */
const LEFT = 58;
const RIGHT = 590;
const TOP = 84;
const BOTTOM = 342;

/** The chart has its own background, so that it can be read on any page; it follows the reader's colour scheme. */
const STYLE = `
.page { fill: #ffffff; stroke: #d0d7de }
text { fill: #59636e; font: 13px system-ui, sans-serif; stroke: #ffffff; stroke-width: 4; paint-order: stroke }
.title { fill: #1f2328; font-size: 16px; font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.label { font-weight: 600 }
.times { fill: #1f2328; font-weight: 600 }
.gap { stroke: #59636e; stroke-dasharray: 2 3 }
.line.ours { stroke: #0969da }
.line.other { stroke: #bc4c00 }
circle.ours, text.ours { fill: #0969da }
circle.other, text.other { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; stroke: #3d444d }
  text { fill: #9198a1; stroke: #0d1117 }
  .title, .times { fill: #f0f6fc }
  .grid { stroke: #3d444d }
  .gap { stroke: #9198a1 }
  .line.ours { stroke: #4493f8 }
  .line.other { stroke: #f0883e }
  circle.ours, text.ours { fill: #4493f8 }
  circle.other, text.other { fill: #f0883e }
}`;

/**
 * Draws the chart.
 *
 * @param results The results.
 * @returns SVG; `undefined` if the results have no distances.
 */
export function drawChart(results: readonly Result[]): string | undefined {
  const all = results.filter((result) =>
    result.bench === "wan" && result.case.startsWith(CASE) && result.roundTrip !== undefined
  );
  // One runtime: Node if it was measured, as that is where both are used most.
  const runtime = ["node", "deno", "bun"].find((name) => all.some((result) => result.runtime === name));
  const points = all.filter((result) => result.runtime === runtime);
  const lines = LINES.map((line) => ({
    ...line,
    points: points.filter(({ subject }) => subject === line.subject).sort((a, b) =>
      a.roundTrip! - b.roundTrip!
    ),
  }));
  if (lines.some((line) => line.points.length < 2)) return undefined;
  const shown = lines.flatMap((line) => line.points);
  const x = scale([0, Math.max(...shown.map(({ roundTrip }) => roundTrip!))], [LEFT + 22, RIGHT]);
  const values = shown.map(({ value }) => Math.log10(value));
  const y = scale([Math.min(...values) - 0.25, Math.max(...values) + 0.25], [BOTTOM, TOP]);
  const at = ({ roundTrip, value }: Result) => [x(roundTrip!), y(Math.log10(value))] as const;

  const parts = [
    `<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>`,
    text(20, 32, "Messages per second over one connection to Postfix, by distance", "title"),
    text(20, 53, `Messages of 1 KiB, sent by ${capital(runtime!)}; logarithmic scale`),
  ];
  for (let power = Math.ceil(Math.min(...values) - 0.25); power <= Math.max(...values) + 0.25; power++) {
    parts.push(
      `<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${y(power)}" y2="${y(power)}"/>`,
      text(LEFT - 8, y(power) + 4.5, (10 ** power).toLocaleString("en"), "", "end"),
    );
  }
  for (const roundTrip of new Set(shown.map((point) => point.roundTrip!))) {
    parts.push(text(x(roundTrip), BOTTOM + 20, roundTrip === 1 ? "1 ms" : String(roundTrip), "", "middle"));
  }
  parts.push(text((LEFT + RIGHT) / 2, BOTTOM + 42, "round trip to the server, ms", "", "middle"));
  const over: string[] = [];
  for (const { label, colour, dashed, values, points } of lines) {
    const path = points.map((point) => at(point).join(",")).join(" ");
    parts.push(
      `<polyline class="line ${colour}" ${dashed ? 'stroke-dasharray="7 5" ' : ""}points="${path}"/>`,
    );
    for (const point of points) {
      const [cx, cy] = at(point);
      over.push(
        `<circle class="${colour}" cx="${cx}" cy="${cy}" r="4"/>`,
        text(cx, values === "above" ? cy - 10 : cy + 20, formatValue(point.value), "", "middle"),
      );
    }
    const [, end] = at(points.at(-1)!);
    over.push(text(RIGHT + 16, end + 4.5, label, `label ${colour}`));
  }
  parts.push(...gap(lines, at), ...over);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    `role="img">\n<title>${escape(describe(lines))}</title>\n<style>${STYLE}\n</style>\n${
      parts.join("\n")
    }\n</svg>\n`;
}

/** How many times faster ours is, where that is compared. */
function gap(
  lines: readonly (Line & { points: readonly Result[] })[],
  at: (point: Result) => readonly [number, number],
): string[] {
  const [ours, , other] = lines.map(({ points }) => points.find(({ roundTrip }) => roundTrip === COMPARED));
  if (ours === undefined || other === undefined) return [];
  const [x, top] = at(ours);
  const [, bottom] = at(other);
  const middle = top + (bottom - top) * 0.4;
  return [
    `<line class="gap" x1="${x}" x2="${x}" y1="${top + 8}" y2="${bottom - 8}"/>`,
    text(x + 8, middle, `${factor(other.ratio)} times`, "times"),
  ];
}

/** A sentence for those who do not see the picture. */
function describe(lines: readonly (Line & { points: readonly Result[] })[]): string {
  const texts = lines.map(({ label, points }) =>
    `${label}: ${points.map(({ roundTrip, value }) => `${formatValue(value)} at ${roundTrip} ms`).join(", ")}`
  );
  return `Messages per second by the round trip to the server. ${texts.join("; ")}`;
}

/** Maps a range to another. */
function scale([from, to]: [number, number], [start, end]: [number, number]): (value: number) => number {
  return (value) => Math.round((start + (value - from) / (to - from) * (end - start)) * 10) / 10;
}

/** How many times faster, with as many digits as are significant. */
function factor(ratio: number): string {
  return ratio >= 10 ? String(Math.round(ratio)) : ratio.toFixed(1);
}

function capital(name: string): string {
  return name[0]!.toUpperCase() + name.slice(1);
}

function text(x: number, y: number, content: string, style = "", anchor = ""): string {
  const attributes = (style && ` class="${style}"`) + (anchor && ` text-anchor="${anchor}"`);
  return `<text x="${x}" y="${Math.round(y * 10) / 10}"${attributes}>${escape(content)}</text>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** When and how the benchmarks were run. */
export interface Run {
  readonly date: string;
  readonly commit: string;
  readonly command: string;
}

/** Reads the JSON lines: the results, and what `run.ts` has noted of the run. */
export function readResults(path: string): { results: Result[]; run: Run | undefined } {
  const lines: (Result | { run: Run })[] = Deno.readTextFileSync(path).split("\n").filter((line) =>
    line !== ""
  )
    .map((line) => JSON.parse(line));
  const results = lines.filter((line) => "bench" in line);
  return { results, run: lines.find((line) => "run" in line)?.run };
}

if (import.meta.main) {
  const [from, to = new URL("./results.svg", import.meta.url).pathname] = Deno.args;
  if (from === undefined) {
    throw new TypeError("Say where the results are: chart.ts RESULTS.jsonl [results.svg]");
  }
  const chart = drawChart(readResults(from).results);
  if (chart === undefined) {
    throw new TypeError(`Cannot draw: ${from} has no results of bench:wan with Postfix`);
  }
  Deno.writeTextFileSync(to, chart);
}
