/**
 * Makes the npm package: JavaScript and declarations of what the entry points reach, and the package.json.
 *
 * `deno task pack [--output FILE]` writes it as a tarball that `npm install FILE`, `bun add FILE` and `npm publish FILE`
 * take. Default: `.cache/package/NAME-VERSION.tgz`.
 *
 * `deno pack` (2.9.6) makes one too. It writes the path of this checkout into its source maps, declares classes without
 * their private fields, so that anything of the same shape passes for one, and has no place for `sideEffects`, `engines`
 * and optional peer dependencies. TypeScript does all that is needed here, and is a second faster.
 * @module
 */
import { builtinModules } from "node:module";
import { parseArgs } from "node:util";
import ts from "typescript";
import { pack } from "./tarball.ts";

/** The part of deno.json that is used here. */
interface Configuration {
  name: string;
  version: string;
  license: string;
  exports: Record<string, string>;
  imports: Record<string, string>;
}

/** A package.json. */
export interface PackageJson {
  name: string;
  version: string;
  type: "module";
  /** The modules that do something when they are loaded, beyond making what they export; `false` for none. */
  sideEffects: false | string[];
  engines: Record<string, string>;
  exports: Record<string, string | { types: string; default: string }>;
  dependencies: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional: true }>;
}

/** A package: its files by their paths in it. */
export interface Package {
  manifest: PackageJson;
  files: Map<string, string>;
}

const DESCRIPTION =
  "SMTP on web streams: a client that keeps whole transactions in flight, and a server, for Deno, Bun, Node and Workers";
const KEYWORDS = ["smtp", "lmtp", "mail", "email", "client", "server", "streams", "workers", "deno", "bun"];

/** `process.getBuiltinModule` came with Node 22.3; TLS in Bun 1.4.0; STARTTLS by `node:tls` in Deno 2.7.13. */
const ENGINES = { node: ">=22.3", bun: ">=1.4", deno: ">=2.7.13" };

/** What is in it besides code. */
const DOCUMENTS = ["README.md", "LICENSE", "CHANGELOG.md"];

const root = new URL("../", import.meta.url).pathname.slice(0, -1);

/**
 * Makes the package.
 * @returns It, in memory: nothing is written.
 * @throws {Error} If something that the entry points reach is not there or is declared nowhere.
 */
export async function buildPackage(): Promise<Package> {
  const configuration: Configuration = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const emitted = compile(Object.values(configuration.exports));
  const entries = Object.entries(configuration.exports).map(([name, path]) => ({
    name,
    code: path.replace(/\.ts$/, ".js"),
    types: path.replace(/\.ts$/, ".d.ts"),
  }));

  const files = new Map<string, string>();
  const outside = new Map<string, Set<string>>();
  for (const { name, code, types } of entries) {
    const needed = new Set<string>();
    for (const path of [code, types]) collect(path.slice(2), emitted, files, needed);
    outside.set(name, needed);
  }
  const effects = [...files].filter(([path, text]) => path.endsWith(".js") && hasEffects(path, text))
    .map(([path]) => `./${path}`);
  const manifest: PackageJson = {
    name: configuration.name,
    version: configuration.version,
    ...{ description: DESCRIPTION, keywords: KEYWORDS, license: configuration.license },
    type: "module",
    sideEffects: effects.length > 0 && effects,
    engines: ENGINES,
    exports: {
      ...Object.fromEntries(entries.map(({ name, code, types }) => [name, { types, default: code }])),
      "./package.json": "./package.json",
    },
    ...dependencies(outside, configuration.imports),
  };
  const all = new Map([["package.json", JSON.stringify(manifest, undefined, 2) + "\n"]]);
  for (const name of DOCUMENTS) all.set(name, await Deno.readTextFile(`${root}/${name}`));
  for (const path of [...files.keys()].sort()) all.set(path, files.get(path)!);
  return { manifest, files: all };
}

/** Everything that is reached, by its path in the package. Another gate checks the types. */
function compile(entries: readonly string[]): Map<string, string> {
  const program = ts.createProgram(entries.map((path) => `${root}/${path.slice(2)}`), {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
    types: [],
    noCheck: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
    declaration: true,
    newLine: ts.NewLineKind.LineFeed,
    rootDir: root,
    outDir: "/package",
  });
  const emitted = new Map<string, string>();
  program.emit(undefined, (path, text) => {
    if (path.startsWith("/package/")) emitted.set(path.slice("/package/".length), text);
  });
  return emitted;
}

/** Adds a file, with what it imports, to `files`, and what it imports from elsewhere to `outside`. */
function collect(
  path: string,
  emitted: ReadonlyMap<string, string>,
  files: Map<string, string>,
  outside: Set<string>,
  seen: Set<string> = new Set(),
): void {
  if (seen.has(path)) return;
  seen.add(path);
  const text = emitted.get(path);
  if (text === undefined) throw new Error(`There is no ${path}`);
  const declares = path.endsWith(".d.ts");
  const { importedFiles } = ts.preProcessFile(text, true, true);
  let rewritten = text;
  // Backwards, so that the positions stay right.
  for (const { fileName: specifier, pos } of importedFiles.toReversed()) {
    if (!specifier.startsWith(".")) {
      outside.add(specifier);
      continue;
    }
    // TypeScript leaves the extensions in declarations as they are.
    const target = specifier.replace(/\.ts$/, ".js");
    const start = rewritten.indexOf(specifier, pos);
    rewritten = rewritten.slice(0, start) + target + rewritten.slice(start + specifier.length);
    const imported = new URL(target, `file:///${path}`).pathname.slice(1);
    collect(declares ? imported.replace(/\.js$/, ".d.ts") : imported, emitted, files, outside, seen);
  }
  files.set(path, rewritten);
}

/** Whether a module calls something when it is loaded, as `./compose` does to have the client know it. */
function hasEffects(path: string, text: string): boolean {
  const { statements } = ts.createSourceFile(path, text, ts.ScriptTarget.Latest);
  return statements.some((statement) =>
    ts.isExpressionStatement(statement) && ts.isCallExpression(statement.expression)
  );
}

/**
 * What the package needs from elsewhere. What an entry point of its own needs, such as a composer for `./compose`, is for
 * its users to install.
 */
function dependencies(
  outside: ReadonlyMap<string, ReadonlySet<string>>,
  imports: Readonly<Record<string, string>>,
): Pick<PackageJson, "dependencies" | "peerDependencies" | "peerDependenciesMeta"> {
  const needed: Record<string, string> = {};
  const optional: Record<string, string> = {};
  for (const specifier of outside.get(".") ?? []) add(needed, specifier);
  for (const specifiers of outside.values()) {
    for (const specifier of specifiers) if (!(packageOf(specifier) in needed)) add(optional, specifier);
  }
  if (Object.keys(optional).length === 0) return { dependencies: needed };
  const meta = Object.fromEntries(Object.keys(optional).map((name) => [name, { optional: true } as const]));
  return { dependencies: needed, peerDependencies: optional, peerDependenciesMeta: meta };

  function add(into: Record<string, string>, specifier: string): void {
    if (specifier.startsWith("node:") || builtinModules.includes(specifier)) return;
    const name = packageOf(specifier);
    const version = /^npm:.+@([^@/]+)$/.exec(imports[name] ?? "")?.[1];
    if (version === undefined) {
      throw new Error(`deno.json says no version of ${name}, which ${specifier} is of`);
    }
    into[name] = version;
  }
}

/**
 * Says which package a module is of.
 * @param specifier Such as `"@noble/hashes/hmac.js"`, which is of `"@noble/hashes"`.
 */
export function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/**
 * Lists what the package needs from elsewhere, as esbuild's `--external` has it.
 * @param manifest The package.json.
 */
export function externals({ dependencies, peerDependencies = {} }: PackageJson): string[] {
  return Object.keys({ ...dependencies, ...peerDependencies }).flatMap((name) => [name, `${name}/*`]);
}

/**
 * Puts the package into the `node_modules` of a folder, without what it needs from elsewhere.
 * @param made The package.
 * @param folder The folder.
 */
export async function installPackage({ manifest, files }: Package, folder: string): Promise<void> {
  for (const [path, text] of files) {
    const target = `${folder}/node_modules/${manifest.name}/${path}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(target, text);
  }
}

if (import.meta.main) {
  const { values: flags } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: { output: { type: "string" } },
  });
  const { manifest, files } = await buildPackage();
  const tarball = await pack(files);
  const folder = ".cache/package";
  const output = flags.output ??
    `${folder}/${manifest.name.slice(1).replace("/", "-")}-${manifest.version}.tgz`;
  if (flags.output === undefined) await Deno.mkdir(folder, { recursive: true });
  await Deno.writeFile(output, tarball);

  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
  const unpacked = [...files.values()].reduce((sum, text) => sum + text.length, 0);
  const count = (extension: string) => [...files.keys()].filter((path) => path.endsWith(extension)).length;
  console.log(`${output}: ${kilobytes(tarball.length)}, ${kilobytes(unpacked)} unpacked`);
  console.log(`${files.size} files: ${count(".js")} modules, ${count(".d.ts")} declarations`);
  console.log(`exports ${Object.keys(manifest.exports).join(" ")}`);
  for (const [name, version] of Object.entries(manifest.dependencies)) {
    console.log(`needs ${name}@${version}`);
  }
  for (const [name, version] of Object.entries(manifest.peerDependencies ?? {})) {
    console.log(`may need ${name}@${version}`);
  }
}
