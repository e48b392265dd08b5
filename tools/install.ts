/**
 * Installs what the tools and tests need from npm, at pinned versions: runtimes, what runs workers, a driver for the
 * browser, and libraries to compare with.
 *
 * Deno's own npm client does it, so npm is not needed. Each goes into a folder of `.cache`, which git, `deno fmt`,
 * `deno lint` and `deno publish` ignore.
 * @module
 */
import { arch, platform } from "node:process";
import { readOutput } from "./process.ts";

const BUN = "1.4.5";
// Node strips types without a flag from 22.18 on.
const NODE_22 = "22.23.3";
const NODE_24 = "24.21.0";
/** It depends on the workerd of the same date. */
const MINIFLARE = "4.20260730.0";
const ESBUILD = "0.28.2";
/** It brings no browser: the system has one. */
const PUPPETEER = "25.16.0";

/** Other libraries that send mail, to compare sizes with. */
export const PEERS = { "nodemailer": "10.6.0" } as const;

/** The repository. */
export const ROOT: string = new URL("../", import.meta.url).pathname.slice(0, -1);

const RUNTIMES = `${ROOT}/.cache/runtimes`;

/** Where miniflare and esbuild go: `node_modules` is in it. */
export const WORKERS_FOLDER: string = `${ROOT}/.cache/workers`;

/** Where puppeteer-core goes: `node_modules` is in it. */
export const BROWSER_FOLDER: string = `${ROOT}/.cache/puppeteer`;

const WINDOWS = platform === "win32";
const SUFFIX = WINDOWS ? ".exe" : "";
const NODE_PACKAGE = `node-${WINDOWS ? "win" : platform}-${arch}`;

/** The runtimes: the npm packages hold the programs themselves, so no install script has to run. */
const PROGRAMS = {
  bun: {
    name: `@oven/bun-${WINDOWS ? "windows" : platform}-${arch === "arm64" ? "aarch64" : "x64"}`,
    version: BUN,
    path: `bin/bun${SUFFIX}`,
  },
  node22: { name: NODE_PACKAGE, version: NODE_22, path: `bin/node${SUFFIX}` },
  node24: { name: NODE_PACKAGE, version: NODE_24, path: `bin/node${SUFFIX}` },
} as const;

/** A pinned runtime. */
export type PinnedProgram = keyof typeof PROGRAMS;

/** The path of a pinned runtime, which is there once {@linkcode installRuntime} has installed it. */
export function programPath(program: PinnedProgram): string {
  return `${RUNTIMES}/node_modules/${program}/${PROGRAMS[program].path}`;
}

/**
 * Installs the pinned runtimes where they are missing, and the project's npm packages into `node_modules`, where Bun and
 * Node look for them.
 * @returns The version of the one that is asked for.
 */
export async function installRuntime(program: PinnedProgram): Promise<string> {
  await (runtimesReady ??= Promise.all([
    install(
      RUNTIMES,
      Object.fromEntries(
        Object.entries(PROGRAMS).map(([alias, { name, version }]) => [alias, `npm:${name}@${version}`]),
      ),
    ),
    readOutput({ program: Deno.execPath(), args: ["install"] }, ROOT),
  ]));
  const output = await readOutput({ program: programPath(program), args: ["--version"] });
  const version = output.trim().replace(/^v/, "");
  const wanted = PROGRAMS[program].version;
  if (version !== wanted) throw new Error(`${program} is ${version}, not ${wanted}`);
  return version;
}

let runtimesReady: Promise<unknown> | undefined;

/**
 * Installs miniflare, which brings workerd, and esbuild where they are missing.
 * @returns {@linkcode WORKERS_FOLDER}.
 */
export function installWorkers(): Promise<string> {
  return workersReady ??= install(WORKERS_FOLDER, {
    miniflare: `npm:miniflare@${MINIFLARE}`,
    esbuild: `npm:@esbuild/${platform}-${arch}@${ESBUILD}`,
  });
}

let workersReady: Promise<string> | undefined;

/**
 * Installs esbuild where it is missing.
 * @returns The program.
 */
export async function esbuild(): Promise<string> {
  return `${await installWorkers()}/node_modules/esbuild/${WINDOWS ? "" : "bin/"}esbuild${SUFFIX}`;
}

/** Installs puppeteer-core where it is missing. */
export function installPuppeteer(): Promise<string> {
  return install(BROWSER_FOLDER, { "puppeteer-core": `npm:puppeteer-core@${PUPPETEER}` });
}

/**
 * Installs the libraries to compare with where they are missing.
 * @returns The folder whose `node_modules` they are in.
 */
export function peers(): Promise<string> {
  return install(
    `${ROOT}/.cache/package/peers`,
    Object.fromEntries(Object.entries(PEERS).map(([name, version]) => [name, `npm:${name}@${version}`])),
  );
}

/** Installs npm packages into a folder of their own. */
async function install(folder: string, dependencies: Record<string, string>): Promise<string> {
  const manifest = JSON.stringify({ private: true, dependencies });
  const installed = await Deno.readTextFile(`${folder}/installed.json`).catch(() => "");
  if (installed === manifest) return folder;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/package.json`, manifest);
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ nodeModulesDir: "auto", lock: false }));
  await readOutput({ program: Deno.execPath(), args: ["install"] }, folder);
  await Deno.writeTextFile(`${folder}/installed.json`, manifest); // only when it is whole
  return folder;
}

/** A program that may be on this machine. */
export interface Program {
  /** Its name and version, such as `"Node 24.21.0"`. */
  name: string;
  /** Its path, or its name where the system finds it. */
  path: string;
}

/** The versions of Node at hand: those that the runner of the tests has installed, and the system's own. */
export async function nodes(): Promise<Program[]> {
  const paths = [programPath("node22"), programPath("node24"), "node"];
  const found = await Promise.all(paths.map((path) => versionOf("Node", path)));
  // `process.getBuiltinModule` came with 22.3.
  return found.filter((node) => node !== undefined && Number(/\d+/.exec(node.name)![0]) >= 22) as Program[];
}

/** Bun: the one that the runner of the tests has installed, or else the system's own. */
export async function bun(): Promise<Program | undefined> {
  return await versionOf("Bun", programPath("bun")) ?? await versionOf("Bun", "bun");
}

/** npm, where there is one. */
export function npm(): Promise<Program | undefined> {
  return versionOf("npm", WINDOWS ? "npm.cmd" : "npm");
}

async function versionOf(name: string, path: string): Promise<Program | undefined> {
  try {
    const version = await readOutput({ program: path, args: ["--version"] });
    return { name: `${name} ${version.trim().replace(/^v/, "")}`, path };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Where a package manager keeps what it has downloaded. */
export async function cacheFolder(name: "npm" | "bun"): Promise<string> {
  const path = `${ROOT}/.cache/package/${name}`;
  await Deno.mkdir(path, { recursive: true });
  return path;
}

/** Makes a folder for one run, with no `node_modules` in the folders above it. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "smtp-package-" }));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
