/**
 * What the package is bundled and compared with: npm packages at pinned versions, in a folder of their own.
 * @module
 */
import { type ProgramCommand, readOutput } from "./run_process.ts";

/** The same as in `run_runtimes.ts`. */
const ESBUILD = "0.28.2";
const MINIFLARE = "4.20260730.0";

/** Other libraries that send mail, for the size of them. */
export const PEERS = {
  "nodemailer": "10.6.0",
  "emailjs": "5.0.3",
  "worker-mailer": "1.2.1",
  "emailjs-smtp-client": "2.0.1",
  "smtp-client": "0.4.0",
} as const;

/** The repository. */
export const ROOT: string = new URL("../../", import.meta.url).pathname.slice(0, -1);

/** Where all of this lies; git, `deno fmt`, `deno lint` and `deno publish` pass over it. */
const FOLDER = `${ROOT}/.cache/package`;

/**
 * Installs esbuild where it is missing.
 * @returns The program.
 */
export async function esbuild(): Promise<string> {
  const { os, arch } = Deno.build;
  const name = `@esbuild/${os === "windows" ? "win32" : os}-${arch === "aarch64" ? "arm64" : "x64"}`;
  const folder = await install("esbuild", { esbuild: `npm:${name}@${ESBUILD}` });
  return `${folder}/node_modules/esbuild/${os === "windows" ? "" : "bin/"}esbuild${suffix()}`;
}

/**
 * Installs miniflare, which brings workerd, where it is missing.
 * @returns The folder whose `node_modules` it is in.
 */
export function miniflare(): Promise<string> {
  return install("miniflare", { miniflare: `npm:miniflare@${MINIFLARE}` });
}

/**
 * Installs the peers where they are missing.
 * @returns The folder whose `node_modules` they are in.
 */
export function peers(): Promise<string> {
  return install(
    "peers",
    Object.fromEntries(Object.entries(PEERS).map(([name, version]) => [name, `npm:${name}@${version}`])),
  );
}

/** Makes a folder for one run, with no `node_modules` in the folders above it. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "smtp-package-" }));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Where a package manager keeps what it has downloaded. */
export async function cacheFolder(name: "npm" | "bun"): Promise<string> {
  const path = `${FOLDER}/${name}`;
  await Deno.mkdir(path, { recursive: true });
  return path;
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
  const runtimes = `${ROOT}/.cache/runtimes/node_modules`;
  const pinned = ["node22", "node24"].map((name) => `${runtimes}/${name}/bin/node${suffix()}`);
  const found = await Promise.all([...pinned, "node"].map((path) => versionOf("Node", path)));
  // `process.getBuiltinModule` came with 22.3.
  return found.filter((node) => node !== undefined && Number(/\d+/.exec(node.name)![0]) >= 22) as Program[];
}

/** Bun: the one that the runner of the tests has installed, or else the system's own. */
export async function bun(): Promise<Program | undefined> {
  const pinned = `${ROOT}/.cache/runtimes/node_modules/bun/bin/bun${suffix()}`;
  return await versionOf("Bun", pinned) ?? await versionOf("Bun", "bun");
}

/** npm, where there is one. */
export function npm(): Promise<Program | undefined> {
  return versionOf("npm", Deno.build.os === "windows" ? "npm.cmd" : "npm");
}

function suffix(): string {
  return Deno.build.os === "windows" ? ".exe" : "";
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

/** Installs npm packages with Deno's own npm client, so that npm need not be there. */
async function install(name: string, dependencies: Record<string, string>): Promise<string> {
  const folder = `${FOLDER}/${name}`;
  const manifest = JSON.stringify({ private: true, dependencies });
  const installed = await Deno.readTextFile(`${folder}/installed.json`).catch(() => "");
  if (installed === manifest) return folder;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/package.json`, manifest);
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ nodeModulesDir: "auto", lock: false }));
  const command: ProgramCommand = { program: Deno.execPath(), args: ["install"] };
  await readOutput(command, folder);
  await Deno.writeTextFile(`${folder}/installed.json`, manifest); // only when it is whole
  return folder;
}
