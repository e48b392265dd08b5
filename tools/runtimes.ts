/**
 * The runtimes that the tests run under: where each comes from, and how it runs tests.
 * @module
 */
import { findChromium } from "../tests/browser/find_chromium.ts";
import { COVERAGE_FOLDER } from "./coverage.ts";
import {
  BROWSER_FOLDER,
  installPuppeteer,
  installRuntime,
  installWorkers,
  programPath,
  WORKERS_FOLDER,
} from "./install.ts";
import { type ProgramCommand, readOutput } from "./process.ts";

/** What to run. */
export interface Selection {
  /** The test files. */
  files: readonly string[];
  /** Whether these are all test files: then the examples in the documentation run too. */
  whole: boolean;
  /** Only the tests whose name contains this. */
  filter: string | undefined;
  /** Whether to measure which lines are reached. */
  coverage: boolean;
  /** Where the JUnit report goes. */
  report: string;
}

/** A runtime. */
export interface Runtime {
  /** Its name for `--only`. */
  name: string;
  /** The name of all of its kind for `--only`. */
  group: string;
  /** Its name in the table. */
  label: string;
  /** Lines of its output that are not worth printing. */
  noise: RegExp;
  /** A line of its output that says how many tests (the first group) it runs from a file (the second). */
  runs?: RegExp;
  /** The folder of its test files. Default: all. */
  folder?: string;
  /** A folder of test files that it leaves to other runtimes, unless it is asked for by name. */
  leavesOut?: string | undefined;
  /** A line of its output that says that a file (the first group) failed outside its tests, which no report says. */
  broken?: RegExp;
  /** Installs it where it is missing; returns its version. */
  prepare(): Promise<string>;
  /** How to run the tests. */
  command(selection: Selection): ProgramCommand;
  /** Removes what `prepare` made for this run only. */
  cleanUp?(): Promise<void>;
}

/** Runs all test files in one process. */
const TEST_FILES = "./tools/test_files.mjs";

/** Deno's flags for tests: the sanitizers are off unless asked for since 2.8. */
const DENO_FLAGS = ["-A", "--sanitize-ops", "--sanitize-resources"];

/** `deno.json` without the stand-ins, so that `@std/*` comes from JSR. */
const JSR_CONFIG = "deno.jsr.json";

const deno: Runtime = {
  name: "deno",
  group: "deno",
  label: "Deno",
  // When a hanging run is killed, the name of the hanging test is left.
  noise: /^(?:running )?\d+ tests? from |^-+ pre-test output |\.\.\. (?:ok|ignored)\b|^$/,
  runs: /^(\d+) tests from (\S+)$/,
  broken: /^(?:\.\/)?(\S+) \(uncaught error\)$/,
  prepare: () => Promise.resolve(Deno.version.deno),
  command({ files, whole, filter, coverage, report }) {
    // Types are checked by a gate.
    const args = ["test", "--no-check", ...DENO_FLAGS, `--junit-path=${report}`];
    if (coverage) args.push("--clean", `--coverage=${COVERAGE_FOLDER}`, "--coverage-raw-data-only");
    if (whole && filter === undefined) args.push("--doc", ...documents());
    args.push(TEST_FILES, "--", ...filtered(filter), ...files);
    return { program: Deno.execPath(), args };
  },
};

const jsr: Runtime = {
  ...deno,
  name: "jsr",
  group: "jsr",
  label: "Deno with JSR",
  async prepare() {
    const { links: _, ...config } = JSON.parse(await Deno.readTextFile("deno.json"));
    await Deno.writeTextFile(JSR_CONFIG, JSON.stringify(config));
    return Deno.version.deno;
  },
  command(selection) {
    const { program, args } = deno.command({ ...selection, coverage: false });
    return { program, args: [args[0]!, `--config=${JSR_CONFIG}`, "--no-lock", ...args.slice(1)] };
  },
  cleanUp: () => Deno.remove(JSR_CONFIG),
};

const bun: Runtime = {
  name: "bun",
  group: "bun",
  label: "Bun",
  noise: /^$|^\S+_test\.ts:$/,
  prepare: () => installRuntime("bun"),
  command({ files, filter, report }) {
    // The harness limits each test; Bun's own limit of 5 s must not get in its way.
    const args = [
      "test",
      "--only-failures",
      "--timeout=600000",
      "--reporter=junit",
      `--reporter-outfile=${report}`,
    ];
    if (filter !== undefined) args.push(`--test-name-pattern=${quotePattern(filter)}`);
    return { program: programPath("bun"), args: [...args, ...files.map((file) => `./${file}`)] };
  },
};

const runtimeOfNode = (major: "22" | "24"): Runtime => ({
  name: `node${major}`,
  group: "node",
  label: `Node ${major}`,
  noise: /^$/,
  broken: /^(\S+) \(outside its tests\)$/,
  prepare: () => installRuntime(`node${major}`),
  command({ files, filter, report }) {
    const args = [
      "--disable-warning=ExperimentalWarning", // type stripping says that it is experimental
      "--import=./tools/node_hooks.mjs",
      "--test-force-exit", // what a file leaves behind is a failure, and must not keep the process alive
      "--test-reporter=./tools/node_reporter.mjs",
      "--test-reporter-destination=stdout",
      "--test-reporter=junit",
      `--test-reporter-destination=${report}`,
      TEST_FILES,
      ...filtered(filter),
      ...files,
    ];
    return { program: programPath(`node${major}`), args };
  },
});

const workerd: Runtime = {
  ...runtimeOfNode("24"), // it drives miniflare, which drives workerd
  name: "workerd",
  group: "workers",
  label: "workerd",
  folder: "tests/workers",
  noise: /^$|^workerd\/|^stack: /, // what a connection that fails means to it
  async prepare() {
    await installRuntime("node24");
    await installWorkers();
    const manifest = await Deno.readTextFile(`${WORKERS_FOLDER}/node_modules/miniflare/package.json`);
    return JSON.parse(manifest).dependencies.workerd;
  },
  command(selection) {
    const env = { SMTP_WORKERS: WORKERS_FOLDER };
    return { ...runtimeOfNode("24").command(selection), env };
  },
};

const browser: Runtime = {
  ...runtimeOfNode("24"), // it drives puppeteer-core, which drives Chromium
  name: "browser",
  group: "browser",
  label: "Chromium",
  folder: "tests/browser",
  async prepare() {
    await installRuntime("node24");
    const program = findChromium();
    // Without it each test says so, and fails if it is required.
    if (program === undefined) return "not installed";
    await installPuppeteer();
    const version = await readOutput({ program, args: ["--version"] });
    return version.match(/\d+(\.\d+)+/)?.[0] ?? version.trim();
  },
  command(selection) {
    const env = { SMTP_BROWSER: BROWSER_FOLDER, SMTP_DENO: Deno.execPath() };
    return { ...runtimeOfNode("24").command(selection), env };
  },
};

/** All of them. They start in this order, two side by side: the slowest first, so that both ends are close together. */
export const runtimes: readonly Runtime[] = [
  deno,
  jsr,
  runtimeOfNode("24"),
  bun,
  // Deno, Bun and Node 24 test every real server: a fourth time would take a minute more.
  { ...runtimeOfNode("22"), leavesOut: "tests/interop" },
  browser,
  workerd,
];

/** The files that contain examples: the entry points, all of src, and the documentation. */
function documents(): string[] {
  return ["mod.ts", "src", "README.md", "docs"].filter((path) => {
    try {
      Deno.statSync(path);
      return true;
    } catch {
      return false;
    }
  });
}

/** The filter as {@linkcode TEST_FILES} takes it. */
function filtered(filter: string | undefined): string[] {
  return filter === undefined ? [] : [`--filter=${filter}`];
}

function quotePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
