/**
 * Runs the tests under every runtime and prints one table: `deno task test`.
 *
 * ```
 * deno task test [PART-OF-PATH...] [--only deno,bun,node,workers,browser] [--filter NAME] [--coverage] [--limit SECONDS]
 * ```
 * - `PART-OF-PATH`: only the test files whose path contains one of these.
 * - `--only`: these runtimes, of `deno`, `bun`, `node` (or `node22`, `node24`), `workers` (workerd; only tests/workers),
 *   `browser` (Chromium; only tests/browser), `jsr` (Deno on the real `@std`).
 * - `--filter`: only the tests whose name contains the text.
 * - `--coverage`: also fail if the tests under Deno reach too few lines of `src/core`, `src/streams` and `src/sasl`.
 * - `--limit`: how long one runtime may take before it is killed. Default: 600.
 *
 * Needs Deno alone: Bun, Node and workerd are pinned npm packages that Deno installs into `.cache`. Chromium is the system's:
 * `chromium`, `chromium-browser` or `google-chrome` on the PATH, or what the environment's `CHROMIUM` names.
 * @module
 */
import { parseArgs } from "node:util";
import { checkCoverage } from "./coverage.ts";
import { runProcess } from "./process.ts";
import { judge, type Outcome, parseReport, printOutcomes } from "./report.ts";
import { type Runtime, runtimes, type Selection } from "./runtimes.ts";

const ALL = "deno,bun,node,workers,browser";

const { values: flags, positionals: parts } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"), // `deno task test -- --only bun` passes the dashes on
  allowPositionals: true,
  options: {
    only: { type: "string", default: ALL },
    filter: { type: "string" },
    coverage: { type: "boolean", default: false },
    limit: { type: "string", default: "600" },
  },
});

const root = new URL("../", import.meta.url);
Deno.chdir(root);

const files = await listTestFiles("tests", parts);
const chosen = chooseRuntimes(flags.only.split(","));
const limit = Number(flags.limit) * 1000;
if (!(limit > 0)) stop(`--limit must be a number of seconds: the current value is ${flags.limit}`);
if (files.length === 0) stop(`No test file under tests/ has ${parts.join(" or ") || "_test.ts"} in its path`);
if (chosen.every((runtime) => filesOf(runtime).length === 0)) {
  stop(`None of the test files is in ${chosen.map((runtime) => runtime.folder).join(" or ")}`);
}

const reports = await Deno.makeTempDir({ prefix: "smtp-tests-" });
let outcomes: Outcome[];
try {
  outcomes = [];
  // The tests of the npm package, under Deno, install it for these. What is wrong with one its own turn tells.
  for (const runtime of chosen) if (runtime.group === "node") await runtime.prepare().catch(() => {});
  for (const runtime of chosen) {
    const own = filesOf(runtime);
    if (own.length > 0) outcomes.push(await runSuite(runtime, own));
    else console.log(`\n== ${runtime.label}: none of the test files is in ${runtime.folder}`);
  }
  if (flags.coverage) {
    const coverage = await checkCoverage(chosen.some((runtime) => runtime.name === "deno"));
    if (coverage.failures.length > 0) outcomes.push(coverage);
  }
} finally {
  await Deno.remove(reports, { recursive: true });
}
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
  const report = `${reports}/${runtime.name}.xml`;
  const selection: Selection = {
    files,
    whole: parts.length === 0,
    filter: flags.filter,
    coverage: flags.coverage,
    report,
  };
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  let version = "";
  try {
    version = await runtime.prepare();
    const left =
      runtime.leavesOut !== undefined && filesOf({ ...runtime, leavesOut: undefined }).length > files.length
        ? `, without ${runtime.leavesOut}`
        : "";
    console.log(`\n== ${runtime.label} ${version}: ${files.length} files${left}`);
    const command = runtime.command(selection);
    // Once is enough for what only takes longer: the other runtimes send their few hundred.
    if (runtime.name !== "deno") command.env = { ...command.env, SMTP_VOLUME: "200" };
    const result = await runProcess(command, {
      limit,
      hide: runtime.noise,
      find: runtime.crash,
    });
    const cases = parseReport(await Deno.readTextFile(report).catch(() => ""));
    return judge(runtime, {
      version,
      seconds: elapsed(),
      files,
      filter: flags.filter,
      cases,
      result,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`${runtime.label} could not run: ${reason}`);
    return {
      label: runtime.label,
      version,
      seconds: elapsed(),
      passed: 0,
      failures: [`could not run: ${reason.split("\n")[0]}`],
      skipped: [],
    };
  } finally {
    await runtime.cleanUp?.();
  }
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
