/**
 * Writes `bench/RESULTS.md`, `bench/results.svg` and the README's table of speed from the JSON of the benchmarks, on the machine
 * they ran on.
 *
 * ```sh
 * deno task bench --json RESULTS.jsonl && deno task bench:results RESULTS.jsonl [--note TEXT]
 * ```
 *
 * @module
 */
import { arch, availableParallelism, cpus, release, totalmem, type as system } from "node:os";
import { parseArgs } from "node:util";
import { drawChart, readResults } from "./chart.ts";
import { headline } from "./headline.ts";
import { formatValue, OURS, type Result } from "./support/compare.ts";
import { PEERS, prepare } from "./support/prepare.ts";

const ABOUT: Readonly<Record<string, string>> = {
  encoder:
    "Content encoded for DATA (CRLF, dots), in chunks of 64 KiB unless the case says otherwise. Ours is `DataEncoder.encode()`.",
  loopback: "One connection to `smtp-sink`, messages of 1 KiB.",
  wan:
    'One connection, messages of 1 KiB, through a relay that delays each direction by half the round trip. "PIPELINING alone" ' +
    'is ours with `transfer: "data"`. "Distance" compares ours at 1 ms with ours farther away, on longer runs.',
  latency:
    "One mail to real Postfix through a relay that adds the distance, that of the TCP handshake included: milliseconds from the " +
    "call to its return. The first mail has the connection, TLS and the login in it; the greeting comes two round trips after " +
    "the call. Round trips are what 50 ms more cost, from 50 to 100 ms, over 50 ms: work that takes as long at any distance is " +
    "not counted. " +
    "Programs in C are whole processes, which wait for the reply to QUIT; smtp-source uses neither TLS nor a login.",
  large: "Messages of 100 MB. CPU is the sender's user and system time for one message; less is better.",
  pool:
    "Pools of ten connections, messages of 1 KiB. Ours is `SmtpPool`, and beside it ten clients that share the work.",
  start: "A whole process: it starts, sends one mail over STARTTLS with a login, and ends. Less is better.",
  server:
    "Messages into a server: ours, the npm package smtp-server, and `smtp-sink`, which ignores what it receives.",
  memory:
    "The peak of resident memory, and the cost of a message or a recipient as their number grows. For growth, the ratio is " +
    "the cost at the first step divided by the cost at this step: 1 means constant.",
};

const { values: { note = "" }, positionals: [path] } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  allowPositionals: true,
  options: { note: { type: "string" } },
});
if (path === undefined) throw new TypeError("Usage: results.ts RESULTS.jsonl [--note TEXT]");
const { results, run } = readResults(Deno.realPathSync(path));
const runtimes = await prepare(["deno", "bun", "node"]);
const benches = [...new Set(results.map(({ bench }) => bench))];

const sections = benches.map((bench) => {
  const rows = results.filter((result) => result.bench === bench);
  const cases = [...new Set(rows.map((row) => row.case))];
  return `## ${bench}\n\n${ABOUT[bench] ?? ""} Run it with \`deno task bench:${bench}\`.\n\n` +
    (bench === "latency"
      ? latencyTables(rows)
      : cases.map((name) => table(name, rows.filter((row) => row.case === name))))
      .join("\n");
});

Deno.writeTextFileSync(
  "bench/RESULTS.md",
  `# Results

Written by \`bench/results.ts\` from the results of the benchmarks. Each figure is the median of the rounds of one run, in which
all subjects took turns, each in a process of its own. The ratio in brackets is the median of the rounds' ratios between ours and
that subject: above 1, ours is better.
${note === "" ? "" : `\n${note}\n`}
![Messages a second](results.svg)

\`\`\`sh
deno task bench --json results.jsonl          # all, or deno task bench:loopback and so on
deno task bench:results results.jsonl         # this page, the picture, and the table in the README
\`\`\`

${machine()}

${sections.join("\n")}`,
);
// A run without bench:wan leaves the picture as it is.
const chart = drawChart(results);
if (chart !== undefined) Deno.writeTextFileSync("bench/results.svg", chart);

Deno.writeTextFileSync("README.md", headline(Deno.readTextFileSync("README.md"), results));

/** The tables of `bench:latency`: a column for each distance, a row for each subject on each runtime. */
function latencyTables(rows: readonly Result[]): string[] {
  const split = (row: Result) => /^(.*), (\d+ ms|round trips)$/.exec(row.case)!.slice(1) as [string, string];
  const columns = [...new Set(rows.map((row) => split(row)[1]))];
  return [...new Set(rows.map((row) => split(row)[0]))].map((title) => {
    const own = rows.filter((row) => split(row)[0] === title);
    // A program in C has no runtime, and a row for each one of ours that it is compared with.
    const runtimeOf = ({ subject, runtime }: Result) => subject.endsWith("(C)") ? "" : runtime;
    const keys = new Map(own.map((row) => [`${row.subject} | ${runtimeOf(row)}`, row]));
    const lines = [...keys].map(([key, { subject, runtime }]) => {
      const cells = columns.map((column) => {
        const found = own.find((row) =>
          row.subject === subject && row.runtime === runtime && split(row)[1] === column
        );
        const text = found === undefined ? "" : formatValue(found.value);
        return subject === OURS ? `**${text}**` : text;
      });
      return `| ${key} | ${cells.join(" | ")} |\n`;
    });
    return `### ${title}\n\n| ms | | ${columns.join(" | ")} |\n|---|---|${"---:|".repeat(columns.length)}\n${
      lines.join("")
    }`;
  });
}

/** Makes a table with a row for each subject and a column for each runtime: the value, and the ratio to ours. */
function table(name: string, rows: readonly Result[]): string {
  const columns = [...new Set(rows.map(({ runtime }) => runtime))];
  const lines = [...new Set(rows.map(({ subject }) => subject))].map((subject) => {
    const cells = columns.map((runtime) =>
      cell(rows.find((row) => row.subject === subject && row.runtime === runtime))
    );
    return `| ${subject} | ${cells.join(" | ")} |`;
  });
  return `### ${name}\n\n| ${rows[0]!.unit} | ${columns.join(" | ")} |\n|---|${
    "---:|".repeat(columns.length)
  }\n` +
    `${lines.join("\n")}\n`;
}

function cell(row: Result | undefined): string {
  if (row === undefined) return "";
  const value = formatValue(row.value);
  return row.subject === OURS && row.ratio === 1 ? `**${value}**` : `${value} (${row.ratio.toFixed(2)} x)`;
}

function machine(): string {
  const versions = runtimes.map(({ name, version }) =>
    `${name[0]!.toUpperCase()}${name.slice(1)} ${version}`
  );
  const peers = Object.entries(PEERS).map(([name, version]) => `${name} ${version}`);
  const memory = Math.round(totalmem() / 2 ** 30);
  return `- Machine: ${
    cpus()[0]?.model.trim()
  }, ${availableParallelism()} CPUs, ${memory} GiB, ${system()} ${release()} ${arch()}
- Runtimes: ${versions.join(", ")}
- Peers: ${peers.join(", ")}${postfixVersion()}
- Run: ${
    run === undefined ? "several, put together" : `\`${run.command}\` on ${run.date}, of commit ${run.commit}`
  }`;
}

function postfixVersion(): string {
  try {
    const { stdout } = new Deno.Command("postconf", { args: ["-d", "-h", "mail_version"] }).outputSync();
    return `; Postfix ${new TextDecoder().decode(stdout).trim()} with its smtp-sink and smtp-source`;
  } catch {
    return "";
  }
}
