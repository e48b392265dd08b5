/**
 * Bundles what users import, as their bundlers do, and weighs it.
 * @module
 */
import { brotliCompressSync, gzipSync } from "node:zlib";
import { buildPackage, type Package, type PackageJson } from "./pack_build.ts";
import { esbuild, temporaryFolder } from "./pack_tools.ts";
import { readOutput } from "./run_process.ts";

/** The most that the client alone may weigh, minified and gzipped: 20 KiB. */
export const CLIENT_LIMIT = 20 * 1024;

/** What imports the client alone. It is weighed with `later: "outside"`. */
export const CLIENT_ALONE = `export { SmtpClient } from "@streams/smtp";`;

/** A bundle: one file. */
export interface Bundle {
  code: string;
  /** How much of it comes from each module, such as `src/client/client.js`. */
  modules: ReadonlyMap<string, number>;
  /** What is imported dynamically and was left out. */
  outside: readonly string[];
}

/** How to bundle. */
export interface BundleOptions {
  /**
   * What becomes of what the package imports dynamically, to be loaded when it is needed. `"inside"`: it is in the file.
   * `"outside"`: it is not, and the file has what is loaded at once.
   */
  later: "inside" | "outside";
  /** With `"outside"`: what is inside all the same. */
  except?: readonly string[];
  /** Default: `"browser"`, which the bundlers of Workers take as well. */
  platform?: "browser" | "node";
  /** Other packages, and modules of runtimes, that are left out. Default: those that the package needs from elsewhere. */
  external?: readonly string[];
}

/** The package, installed as its users have it, without what it needs from elsewhere. */
export class Project implements AsyncDisposable {
  readonly manifest: PackageJson;
  readonly folder: string;
  readonly #dispose: () => PromiseLike<void>;

  private constructor(manifest: PackageJson, folder: string, dispose: () => PromiseLike<void>) {
    this.manifest = manifest;
    this.folder = folder;
    this.#dispose = dispose;
  }

  /**
   * Installs the package.
   * @param made The package, where it is made already.
   */
  static async create(made?: Package): Promise<Project> {
    const { manifest, files } = made ?? await buildPackage();
    const temporary = await temporaryFolder();
    const folder = `${temporary.path}/node_modules/${manifest.name}`;
    for (const [path, text] of files) {
      await Deno.mkdir(`${folder}/${path}`.replace(/[^/]+$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, text);
    }
    return new Project(manifest, temporary.path, () => temporary[Symbol.asyncDispose]());
  }

  /** Bundles a module. */
  bundle(code: string, options: BundleOptions): Promise<Bundle> {
    return bundle(code, this.folder, { external: ["node:*", ...elsewhere(this.manifest)], ...options });
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }
}

/**
 * Lists what the package needs from elsewhere, as esbuild's `--external` has it.
 * @param manifest The package.json.
 */
export function elsewhere({ dependencies, peerDependencies = {} }: PackageJson): string[] {
  return Object.keys({ ...dependencies, ...peerDependencies }).flatMap((name) => [name, `${name}/*`]);
}

/**
 * Bundles a module.
 * @param code The module.
 * @param folder Where what it imports is installed.
 * @param options How.
 */
export async function bundle(code: string, folder: string, options: BundleOptions): Promise<Bundle> {
  const { later, except = [], platform = "browser", external = [] } = options;
  const work = await Deno.makeTempDir({ dir: folder });
  try {
    await Deno.writeTextFile(`${work}/entry.js`, code);
    let made = await run(work, platform, external);
    if (later === "inside") return made;
    const dynamic = made.dynamic.filter((path) => !except.some((name) => path.endsWith(`/${name}`)));
    for (let outside = new Set(dynamic);;) {
      made = await run(work, platform, [...external, ...outside]);
      // What is imported both ways is loaded at once.
      const both = made.imported.filter((path) => outside.has(path));
      if (both.length === 0) return made;
      outside = outside.difference(new Set(both));
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The part of esbuild's metafile that is used here. */
interface Metafile {
  inputs: Record<string, { imports: Import[] }>;
  outputs: Record<string, { imports: Import[]; inputs: Record<string, { bytesInOutput: number }> }>;
}

interface Import {
  path: string;
  kind: string;
  external?: true;
}

/** Runs esbuild; with the paths of what is imported dynamically inside, and statically from outside. */
async function run(
  work: string,
  platform: string,
  external: readonly string[],
): Promise<Bundle & { dynamic: string[]; imported: string[] }> {
  const args = [
    "entry.js",
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
    `--platform=${platform}`,
    "--outfile=out.js",
    "--metafile=meta.json",
    "--log-level=error",
    ...external.map((name) => `--external:${name}`),
  ];
  await readOutput({ program: await esbuild(), args }, work);
  const { inputs, outputs }: Metafile = JSON.parse(await Deno.readTextFile(`${work}/meta.json`));
  const output = outputs["out.js"]!;
  const absolute = (path: string) => new URL(path, `file://${work}/`).pathname;
  const left = (kind: string) =>
    output.imports.filter((one) => one.external && one.kind === kind).map(({ path }) => path);
  return {
    code: await Deno.readTextFile(`${work}/out.js`),
    modules: new Map(
      Object.entries(output.inputs).map(([path, { bytesInOutput }]) => [moduleName(path), bytesInOutput]),
    ),
    outside: left("dynamic-import").filter((path) => path.startsWith(".")).map(moduleName),
    dynamic: Object.values(inputs).flatMap(({ imports }) => imports)
      .filter(({ kind, external }) => kind === "dynamic-import" && !external).map(({ path }) =>
        absolute(path)
      ),
    imported: left("import-statement").map(absolute),
  };
}

/** `"src/client/client.js"`. */
function moduleName(path: string): string {
  return path.replace(/^.*node_modules\/@streams\/smtp\//, "");
}

/** How many bytes. */
export interface Weight {
  minified: number;
  gzip: number;
  brotli: number;
}

/** Says what a text weighs. */
export function weigh(text: string): Weight {
  const bytes = new TextEncoder().encode(text);
  return {
    minified: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    brotli: brotliCompressSync(bytes).length,
  };
}

/** Says which modules make up a bundle, largest first, for when it is too much. */
export function breakdown({ modules }: Bundle): string {
  return [...modules].sort(([, a], [, b]) => b - a).filter(([, bytes]) => bytes > 0)
    .map(([module, bytes]) => `${bytes}`.padStart(6) + `  ${module}`).join("\n");
}
