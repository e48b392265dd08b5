/**
 * Draws a bar chart of the headline from the JSON of the benchmarks.
 *
 * ```sh
 * deno run -A bench/chart.ts RESULTS.jsonl [bench/results.svg]
 * ```
 *
 * @module
 */
import { formatValue, OURS, type Result } from "./support/compare.ts";

/** A group of bars: one case on one runtime. */
interface Group {
  readonly title: string;
  readonly bench: string;
  /** Cases whose name contains this. */
  readonly case: string;
  readonly runtime: string;
}

const GROUPS: readonly Group[] = [
  {
    title: "One connection, 50 ms away: Postfix with CHUNKING",
    bench: "wan",
    case: "Postfix, CHUNKING, 50 ms",
    runtime: "node",
  },
  {
    title: "One connection, 50 ms away: smtp-sink, PIPELINING only",
    bench: "wan",
    case: "smtp-sink, PIPELINING, 50 ms",
    runtime: "node",
  },
  { title: "One connection on loopback: Deno", bench: "loopback", case: "sharing a CPU", runtime: "deno" },
  { title: "One connection on loopback: Bun", bench: "loopback", case: "sharing a CPU", runtime: "bun" },
  { title: "One connection on loopback: Node", bench: "loopback", case: "sharing a CPU", runtime: "node" },
];

const WIDTH = 760;
const LABELS = 210;
const VALUES = 130;
const BAR = 16;
const GAP = 6;
const TITLE = 34;
/** Readable on white and on black. */
const INK = "#7d8590";
const OURS_COLOUR = "#2f81f7";
const PEER_COLOUR = "#9aa4af";

/**
 * Draws the chart.
 *
 * @param results The records; groups that they do not hold are left out.
 * @returns SVG.
 */
export function drawChart(results: readonly Result[]): string {
  const parts: string[] = [];
  let y = 30;
  for (const group of GROUPS) {
    const bars = results.filter((result) =>
      result.bench === group.bench && result.case.includes(group.case) && result.runtime === group.runtime
    ).sort((a, b) => b.value - a.value);
    if (bars.length === 0) continue;
    parts.push(text(0, y + 14, `${group.title}`, "font-weight='600'"));
    y += TITLE - 10;
    const most = Math.max(...bars.map(({ value }) => value));
    for (const bar of bars) {
      y = drawBar(parts, y, bar, most);
    }
    y += TITLE - BAR;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" ` +
    `font-family="system-ui, sans-serif" font-size="13" fill="${INK}">\n` +
    `<title>Messages of 1 KiB a second, ${OURS} and its peers</title>\n` +
    `${text(0, 14, "Messages of 1 KiB a second; each group has a scale of its own")}\n${
      parts.join("\n")
    }\n</svg>\n`;
}

function drawBar(parts: string[], y: number, { subject, value, ratio }: Result, most: number): number {
  const ours = subject === OURS;
  const width = Math.max(1, value / most * (WIDTH - LABELS - VALUES)).toFixed(1);
  parts.push(
    text(LABELS - 8, y + 12.5, subject, `text-anchor='end'${ours ? " font-weight='600'" : ""}`),
    `<rect x="${LABELS}" y="${y}" width="${width}" height="${BAR}" rx="2" fill="${
      ours ? OURS_COLOUR : PEER_COLOUR
    }"/>`,
    text(
      LABELS + Number(width) + 6,
      y + 12.5,
      ours ? formatValue(value) : `${formatValue(value)}: ours ${factor(ratio)}`,
    ),
  );
  return y + BAR + GAP;
}

/** How many times faster ours is. */
function factor(ratio: number): string {
  return `${ratio >= 10 ? Math.round(ratio) : ratio.toFixed(1)} x`;
}

function text(x: number, y: number, content: string, attributes = ""): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped}</text>`.replaceAll("'", '"').replace(
    " >",
    ">",
  );
}

/** Reads the JSON lines. */
export function readResults(path: string): Result[] {
  return Deno.readTextFileSync(path).split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line)
  );
}

if (import.meta.main) {
  const [from, to = new URL("./results.svg", import.meta.url).pathname] = Deno.args;
  if (from === undefined) {
    throw new TypeError("Say where the results are: chart.ts RESULTS.jsonl [results.svg]");
  }
  Deno.writeTextFileSync(to, drawChart(readResults(from)));
}
