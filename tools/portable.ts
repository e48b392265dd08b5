/**
 * Checks that the library runs wherever the web platform's own interfaces are: `deno task check:portable`.
 *
 * - Everything but the files that may know a runtime type-checks with `lib: ["DOM", "ESNext"]` and the types of no runtime.
 * - No other file names a runtime, not even in a string.
 * - Nothing but relative modules, `node:` built-ins and the libraries listed below is imported.
 * @module
 */
import ts from "typescript";

/**
 * What may name a runtime: the socket adapters, the command line, where the server listens and does TLS, and the border to
 * libraries that know the streams of Node.
 */
const RUNTIME_FILES =
  /^src\/(?:sockets\/|cli\/|cli\.ts$|server\/(?:listener|tls)\.ts$|compose\/node_streams\.ts$)/;

/** Names of runtimes, and of globals that only some of them have. */
const RUNTIME_NAMES = new Set(["Deno", "Bun", "process", "Buffer", "WorkerGlobalScope", "WebSocketPair"]);
const RUNTIME_MODULES = /^(?:node|bun|cloudflare):/;

/**
 * Well-kept libraries for what is outside SMTP: imported dynamically and only where a server asks for it, or by their
 * own entry point.
 */
const LIBRARIES: Record<string, string[]> = {
  "src/sasl/cram_md5.ts": ["@noble/hashes/"],
  "src/sasl/text.ts": ["@mongodb-js/saslprep"],
  "src/oauth2/": ["oauth4webapi"],
  "src/compose/": ["nodemailer/lib/", "@zone-eu/mailsplit"],
};

const root = ts.sys.resolvePath(new URL("../", import.meta.url).pathname);
const relative = (path: string) => path.slice(root.length + 1);
const files = ts.sys.readDirectory(root, [".ts"], undefined, ["mod.ts", "src/**/*.ts"]);
const program = ts.createProgram(files, {
  ...strictness(),
  noUnusedLocals: true,
  noUnusedParameters: true,
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
  types: [],
  allowImportingTsExtensions: true,
  verbatimModuleSyntax: true,
  erasableSyntaxOnly: true,
  isolatedModules: true,
  skipLibCheck: true,
  noEmit: true,
});

const problems: string[] = [];
for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
  if (file !== undefined && RUNTIME_FILES.test(relative(file.fileName))) continue;
  report(file, start ?? 0, ts.flattenDiagnosticMessageText(messageText, "\n  "));
}
for (const path of files) {
  const file = program.getSourceFile(path)!;
  checkImports(file);
  if (!RUNTIME_FILES.test(relative(path))) checkNames(file, file);
}
for (const problem of problems) console.error(problem);
const free = files.filter((file) => !RUNTIME_FILES.test(relative(file))).length;
console.log(`${files.length} files, ${free} of them know no runtime: ${problems.length} problems`);
if (problems.length > 0) Deno.exit(1);

/** The strictness that deno.json sets. */
function strictness(): ts.CompilerOptions {
  return JSON.parse(Deno.readTextFileSync(`${root}/deno.json`)).compilerOptions;
}

function checkImports(file: ts.SourceFile): void {
  const here = relative(file.fileName);
  const libraries = Object.entries(LIBRARIES).flatMap(([path, names]) => here.startsWith(path) ? names : []);
  for (const { fileName: specifier, pos } of ts.preProcessFile(file.text, true, true).importedFiles) {
    if (specifier.startsWith(".") || libraries.some((name) => specifier.startsWith(name))) continue;
    if (!RUNTIME_MODULES.test(specifier)) {
      report(file, pos, `"${specifier}" is a dependency: src/ has none`);
    } else if (!RUNTIME_FILES.test(here)) report(file, pos, `"${specifier}" belongs to a runtime`);
  }
}

/** Finds the names of runtimes where they stand for a value, and in strings, as in `"Deno" in globalThis`. */
function checkNames(file: ts.SourceFile, node: ts.Node): void {
  if (ts.isStringLiteralLike(node) && (RUNTIME_NAMES.has(node.text) || RUNTIME_MODULES.test(node.text))) {
    report(file, node.getStart(file), `"${node.text}" belongs to a runtime`);
  } else if (ts.isIdentifier(node) && RUNTIME_NAMES.has(node.text) && !isMemberName(node)) {
    report(file, node.getStart(file), `${node.text} belongs to a runtime`);
  }
  ts.forEachChild(node, (child) => checkNames(file, child));
}

/** Whether an identifier names a member of one of our objects, such as the `process` in `decoder.process()`. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) {
    return parent.name === node &&
      !(ts.isIdentifier(parent.expression) && parent.expression.text === "globalThis");
  }
  return (ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) ||
    ts.isPropertyDeclaration(parent) ||
    ts.isPropertySignature(parent) || ts.isMethodSignature(parent)) && parent.name === node;
}

function report(file: ts.SourceFile | undefined, position: number, message: string): void {
  if (file === undefined) problems.push(message);
  else {
    const { line, character } = file.getLineAndCharacterOfPosition(position);
    const path = file.fileName.startsWith(root) ? relative(file.fileName) : file.fileName;
    problems.push(`${path}:${line + 1}:${character + 1}: ${message}`);
  }
}
