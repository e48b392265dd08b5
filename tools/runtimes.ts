/**
 * The runtimes that the tests run under: where each comes from, and how it is told to run tests.
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
  /** Whether these are all there are: then the examples in the documentation run too. */
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
  /** Whether its report says for each test which file it stands in. */
  namesFiles: boolean;
  /** Lines of its output that say nothing. */
  noise?: RegExp;
  /** The folder of its test files. Default: all. */
  folder?: string;
  /** A folder of test files that it leaves to others, unless it is asked for by name. */
  leavesOut?: string | undefined;
  /** A line of its output that says that a file (the first group) failed outside its tests, which no report says. */
  crash?: RegExp;
  /** Installs it where it is missing; returns its version. */
  prepare(): Promise<string>;
  /** How to run the tests. */
  command(selection: Selection): ProgramCommand;
  /** Removes what `prepare` left for this run only. */
  cleanUp?(): Promise<void>;
}

/** Deno's flags for tests: the sanitizers are off unless asked for since 2.8. */
const DENO_FLAGS = ["-A", "--sanitize-ops", "--sanitize-resources"];

/** `deno.json` without the stand-ins, so that `@std/*` comes from JSR. */
const JSR_CONFIG = "deno.jsr.json";

const deno: Runtime = {
  name: "deno",
  group: "deno",
  label: "Deno",
  namesFiles: false, // it names the harness
  // What is left when a hanging run is killed is the name of the test that hangs.
  noise: /^Check |^running \d+ tests? from |\.\.\. (?:ok|ignored)\b|^$/,
  crash: /^(?:\.\/)?(\S+) \(uncaught error\)$/,
  prepare: () => Promise.resolve(Deno.version.deno),
  command({ files, whole, filter, coverage, report }) {
    const args = ["test", ...DENO_FLAGS, `--junit-path=${report}`];
    if (filter !== undefined) args.push(`--filter=${filter}`);
    // Who asks for coverage has had the types checked by a gate of its own.
    if (coverage) {
      args.push("--no-check", "--clean", `--coverage=${COVERAGE_FOLDER}`, "--coverage-raw-data-only");
    }
    if (whole) args.push("--doc", ...documents());
    return { program: Deno.execPath(), args: [...args, ...files] };
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
  namesFiles: true,
  noise: /^$|^\S+_test\.ts:$/,
  prepare: () => installRuntime("bun"),
  command({ files, filter, report }) {
    // The harness has a limit for each test; Bun's own, 5 s, stays out of its way.
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
  namesFiles: false, // 22 names none, 24 the harness
  noise: /^$/,
  prepare: () => installRuntime(`node${major}`),
  command({ files, filter, report }) {
    const args = [
      "--disable-warning=ExperimentalWarning", // type stripping says that it is experimental
      "--import=./tools/node_hooks.mjs",
      "--test",
      "--test-reporter=./tools/node_reporter.mjs",
      "--test-reporter-destination=stdout",
      "--test-reporter=junit",
      `--test-reporter-destination=${report}`,
    ];
    if (filter !== undefined) args.push(`--test-name-pattern=${quotePattern(filter)}`);
    return { program: programPath(`node${major}`), args: [...args, ...files] };
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
    // Without it the tests say so, each by itself; where it has to be here, they fail.
    if (program === undefined) return "not installed";
    await installPuppeteer();
    const version = await readOutput({ program, args: ["--version"] });
    return version.match(/\d+(\.\d+)+/)?.[0] ?? version.trim();
  },
  command(selection) {
    const env = { SMTP_BROWSER: BROWSER_FOLDER, SMTP_DENO: Deno.execPath() };
    const { program, args } = runtimeOfNode("24").command(selection);
    // One after the other: they share the bundle, and a browser takes what the machine has.
    return { program, args: ["--test-concurrency=1", ...args], env };
  },
};

/** All of them, in the order of the table. */
export const runtimes: readonly Runtime[] = [
  deno,
  jsr,
  bun,
  // Each real server is met under Deno, Bun and Node 24: a fourth time would take a minute more.
  { ...runtimeOfNode("22"), leavesOut: "tests/interop" },
  runtimeOfNode("24"),
  workerd,
  browser,
];

/** What holds examples: the entry points with all of src, and the README. */
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

function quotePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
