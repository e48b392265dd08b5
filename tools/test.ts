/**
 * Runs the tests under every runtime and prints what passed, a line a file: `deno task test`.
 *
 * ```
 * deno task test [PART-OF-PATH...] [--only deno,bun,node,workers,browser] [--filter NAME] [--coverage] [--limit SECONDS]
 *   [--jobs NUMBER] [--reports FOLDER]
 * ```
 * - `PART-OF-PATH`: only the test files whose path contains one of these.
 * - `--only`: these runtimes, of `deno`, `bun`, `node` (or `node22`, `node24`), `workers` (workerd; only tests/workers),
 *   `browser` (Chromium; only tests/browser), `jsr` (Deno on the real `@std`).
 * - `--filter`: only the tests whose name contains the text.
 * - `--coverage`: also fail if the tests under Deno reach too few lines of `src/core`, `src/streams` and `src/sasl`.
 * - `--limit`: how long one runtime may take before it is killed. Default: 900.
 * - `--reports`: keep the JUnit reports in this folder.
 * - `--jobs`: how many runtimes run side by side. Default: 2.
 *
 * Needs Deno alone: Bun, Node and workerd are pinned npm packages that Deno installs into `.cache`. Chromium is the system's:
 * `chromium`, `chromium-browser` or `google-chrome` on the PATH, or what the environment's `CHROMIUM` names.
 * @module
 */
import { parseArgs } from "node:util";
import { checkCoverage } from "./coverage.ts";
import { assignFiles, judge, type Outcome, parseReport, printFiles, printOutcomes } from "./report.ts";
import { inTurn, runProcess } from "./process.ts";
import { type Runtime, runtimes } from "./runtimes.ts";

const ALL = "deno,bun,node,workers,browser";

const { values: flags, positionals: parts } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"), // `deno task test -- --only bun` passes the dashes on
  allowPositionals: true,
  options: {
    only: { type: "string", default: ALL },
    filter: { type: "string" },
    coverage: { type: "boolean", default: false },
    limit: { type: "string", default: "900" },
    reports: { type: "string" },
    jobs: { type: "string", default: `${Math.min(2, navigator.hardwareConcurrency)}` },
  },
});

const root = new URL("../", import.meta.url);
Deno.chdir(root);

const files = await listTestFiles("tests", parts);
const chosen = chooseRuntimes(flags.only.split(","));
const limit = Number(flags.limit) * 1000;
if (!(limit > 0)) stop(`--limit must be a number of seconds: the current value is ${flags.limit}`);
const jobs = Number(flags.jobs);
if (!(jobs >= 1)) stop(`--jobs must be a number from 1: the current value is ${flags.jobs}`);
if (files.length === 0) stop(`No test file under tests/ has ${parts.join(" or ") || "_test.ts"} in its path`);
if (chosen.every((runtime) => filesOf(runtime).length === 0)) {
  stop(`None of the test files is in ${chosen.map((runtime) => runtime.folder).join(" or ")}`);
}

const reports = flags.reports ?? await Deno.makeTempDir({ prefix: "smtp-tests-" });
await Deno.mkdir(reports, { recursive: true });
let outcomes: Outcome[];
try {
  // The tests of the npm package, under Deno, use Bun and Node, too. Failures here are reported when the runtime's turn comes.
  await Promise.allSettled(chosen.map((runtime) => runtime.prepare()));
  const suites = chosen.map((runtime) => ({ runtime, own: filesOf(runtime) }));
  outcomes = await inTurn(
    jobs,
    suites.filter(({ own }) => own.length > 0).map(({ runtime, own }) => () => runSuite(runtime, own)),
  );
  for (const { runtime, own } of suites) {
    if (own.length === 0) console.log(`${runtime.label}: none of the test files is in ${runtime.folder}`);
  }
  if (flags.coverage) {
    const coverage = await checkCoverage(chosen.some((runtime) => runtime.name === "deno"));
    if (coverage.failures.length > 0) outcomes.push(coverage);
  }
} finally {
  if (flags.reports === undefined) await Deno.remove(reports, { recursive: true });
}
printFiles(outcomes);
printOutcomes(outcomes);
Deno.exit(outcomes.some((outcome) => outcome.failures.length > 0) ? 1 : 0);

function chooseRuntimes(names: string[]): Runtime[] {
  for (const name of names) {
    if (!runtimes.some((runtime) => runtime.name === name || runtime.group === name)) {
      const known = new Set(runtimes.flatMap(({ group, name }) => [group, name]));
      stop(`--only takes ${[...known].join(", ")}: the current value is ${name}`);
    }
  }
  return runtimes.filter((runtime) => names.includes(runtime.name) || names.includes(runtime.group));
}

function filesOf({ folder = "tests", leavesOut }: Runtime): string[] {
  const except = leavesOut !== undefined && flags.only === ALL && parts.length === 0 ? leavesOut : undefined;
  return files.filter((file) =>
    file.startsWith(`${folder}/`) && (except === undefined || !file.startsWith(`${except}/`))
  );
}

async function runSuite(runtime: Runtime, files: readonly string[]): Promise<Outcome> {
  const { label, noise, runs, broken } = runtime;
  const report = `${reports}/${runtime.name}.xml`;
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  let version = "";
  const counts: { file: string; count: number }[] = [];
  const brokenFiles = new Set<string>();
  const lines: string[] = [];
  const onLine = (line: string) => {
    const count = runs?.exec(line);
    if (count) counts.push({ file: count[2]!, count: Number(count[1]) });
    const file = broken?.exec(line)?.[1];
    if (file !== undefined) brokenFiles.add(file);
    if (!noise.test(line)) lines.push(line);
  };
  try {
    version = await runtime.prepare();
    const command = runtime.command({
      files,
      whole: parts.length === 0,
      filter: flags.filter,
      coverage: flags.coverage,
      report,
    });
    // One runtime is enough for the long run: the others send a few hundred.
    const env = { NO_COLOR: "1", ...runtime.name !== "deno" && { SMTP_VOLUME: "200" }, ...command.env };
    console.log(`${label} ${version}: ${files.length} files${leftOut(runtime)}`);
    const { code, timedOut } = await runProcess({ ...command, env }, { limit, onLine });
    const xml = await Deno.readTextFile(report).catch(() => "");
    const cases = runs === undefined ? parseReport(xml) : assignFiles(parseReport(xml), counts);
    const filter = flags.filter;
    const evidence = { label, version, seconds: elapsed(), files, filter, cases, code, timedOut };
    const outcome = judge({ ...evidence, broken: [...brokenFiles] });
    const { passed, failures, seconds } = outcome;
    // Two runtimes run at the same time, so the output of each is printed at once, and only if it is of interest.
    if (failures.length > 0 || parts.length > 0) { for (const line of lines) console.log(line); }
    console.log(
      `${label} ${version}: ${passed} passed, ${failures.length} failed in ${seconds.toFixed(1)} s`,
    );
    return outcome;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    for (const line of lines) console.log(line);
    console.error(`${label} could not run: ${reason}`);
    return {
      label,
      version,
      seconds: elapsed(),
      passed: 0,
      files: new Map(),
      failures: [`could not run: ${reason.split("\n")[0]}`],
      skipped: [],
    };
  } finally {
    await runtime.cleanUp?.();
  }
}

/** Names the folder that a runtime leaves to the others, for the log. */
function leftOut(runtime: Runtime): string {
  const all = filesOf({ ...runtime, leavesOut: undefined });
  return all.length > filesOf(runtime).length ? `, without ${runtime.leavesOut}` : "";
}

function stop(message: string): never {
  console.error(message);
  console.log("0 passed, 1 failed");
  Deno.exit(2);
}

/**
 * Lists every `*_test.ts` under a folder, sorted, as paths from the current folder.
 * @param folder Where to look, relative to the current folder.
 * @param parts Only files whose path contains one of these; all files where it is empty.
 * @returns The paths, with `/` between their parts.
 */
async function listTestFiles(folder: string, parts: readonly string[] = []): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await listTestFiles(path));
    else if (entry.name.endsWith("_test.ts")) found.push(path);
  }
  const wanted = parts.map((part) => part.replaceAll("\\", "/").replace(/^\.\//, ""));
  return found.filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part))).sort();
}
