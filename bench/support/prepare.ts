/**
 * Prepares what is measured: the runtimes, the peers from npm at pinned versions, and this project in the form of its
 * package. Everything is in `.cache/bench`, separate from the project's own dependencies.
 *
 * @module
 */
import ts from "typescript";
import { type ProgramCommand, readOutput } from "../../tools/process.ts";
import { runtimes as testRuntimes } from "../../tools/runtimes.ts";

/** The libraries that ours is compared with. */
export const PEERS = {
  "nodemailer": "10.6.0",
  "emailjs": "5.0.3",
  "@upyo/core": "0.4.0",
  "@upyo/smtp": "0.4.0",
  "smtp-client": "0.4.0",
  "smtp-server": "3.21.6",
} as const;

/** A runtime to measure on. */
export interface Runtime {
  /** `deno`, `bun` or `node`. */
  readonly name: string;
  readonly version: string;
  /** Makes the command for a program of `bench/`, named without its extension: `senders/nodemailer`. */
  command(program: string, args?: readonly string[], flags?: readonly string[]): string[];
}

const FOLDER = ".cache/bench";

/** The names of the runtimes in the tests, which pin their versions. */
const TEST_NAMES: Readonly<Record<string, string>> = { deno: "deno", bun: "bun", node: "node24" };

/**
 * Prepares everything. The first time it downloads the peers; later it takes a second or two.
 *
 * @param names The names of the runtimes.
 * @returns The runtimes.
 * @throws {RangeError} If a name is unknown.
 */
export async function prepare(names: readonly string[]): Promise<Runtime[]> {
  Deno.chdir(new URL("../../", import.meta.url));
  await (ready ??= installPeers().then(build));
  const found: Runtime[] = [];
  for (const name of names) found.push(await prepareRuntime(name));
  return found;
}

let ready: Promise<void> | undefined;

async function prepareRuntime(name: string): Promise<Runtime> {
  const runtime = testRuntimes.find((runtime) => runtime.name === TEST_NAMES[name]);
  if (runtime === undefined) {
    throw new RangeError(
      `Cannot prepare the runtime: its name must be deno, bun or node, the current value is ${name}`,
    );
  }
  const version = await runtime.prepare();
  const { program } = runtime.command({
    files: [],
    whole: false,
    filter: undefined,
    coverage: false,
    report: "",
  });
  return {
    name,
    version,
    command(file, args = [], flags = []) {
      const run = name === "deno" ? ["run", "-A", "--no-lock"] : [];
      return [program, ...run, ...flags, `${Deno.cwd()}/${FOLDER}/dist/bench/${file}.js`, ...args];
    },
  };
}

async function installPeers(): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  const wanted = JSON.stringify({ private: true, type: "module", dependencies: PEERS }, null, 2);
  const present = await Deno.readTextFile(`${FOLDER}/installed.json`).catch(() => "");
  if (present === wanted) return;
  await Deno.writeTextFile(`${FOLDER}/package.json`, wanted);
  await Deno.writeTextFile(`${FOLDER}/deno.json`, JSON.stringify({ nodeModulesDir: "manual", lock: false }));
  const install: ProgramCommand = {
    program: Deno.execPath(),
    args: ["install", "--node-modules-dir=auto", "--no-lock"],
  };
  await readOutput(install, FOLDER);
  await Deno.writeTextFile(`${FOLDER}/installed.json`, wanted);
}

/**
 * Strips the types, file by file, as JSR does for its npm packages. Otherwise the figures of Bun and Node would include their
 * own compilers.
 */
async function build(): Promise<void> {
  const files = [
    "mod.ts",
    "bench/data_encoder_bench.ts",
    ...await list("src"),
    ...await list("bench/senders"),
    ...await list("bench/receivers"),
  ];
  for (const file of files) {
    const { outputText } = ts.transpileModule(await Deno.readTextFile(file), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    const path = `${FOLDER}/dist/${file.replace(/\.ts$/, ".js")}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    // Unchanged files are not written: another benchmark may be loading them.
    if (await Deno.readTextFile(path).catch(() => undefined) !== outputText) {
      await Deno.writeTextFile(path, outputText);
    }
  }
}

async function list(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) files.push(...await list(`${folder}/${name}`));
    else if (name.endsWith(".ts")) files.push(`${folder}/${name}`);
  }
  return files;
}
