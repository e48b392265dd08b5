/**
 * TypeScript as a user of the package runs it.
 * @module
 */
import ts from "typescript";

/** The ways in which TypeScript finds modules today. */
export const RESOLUTIONS = ["nodenext", "bundler"] as const;

/**
 * Checks a file as strictly as possible, including the declarations of everything that it imports, with the types of the
 * web platform only.
 * @param files The files.
 * @param resolution How modules are found.
 * @returns The errors.
 */
export function checkTypes(files: readonly string[], resolution: (typeof RESOLUTIONS)[number]): string[] {
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
    skipDefaultLibCheck: true, // TypeScript checks its own
    noEmit: true,
    types: [],
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
    target: ts.ScriptTarget.ESNext,
    ...(resolution === "nodenext"
      ? { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext }
      : { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }),
  };
  const program = ts.createProgram(files, options, hostFor(options));
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined ? "" : `${file.getLineAndCharacterOfPosition(start ?? 0).line + 1}`;
    return `${file?.fileName ?? ""}:${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n  ")}`;
  });
}

const libraries = new Map<string, ts.SourceFile>();

/** Reads TypeScript's own declarations once for all checks: they are most of the text. */
function hostFor(options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (name, ...rest) => {
    const known = libraries.get(name);
    if (known !== undefined) return known;
    const file = getSourceFile(name, ...rest);
    if (file !== undefined && /\/typescript\/lib\/lib\.[^/]*d\.ts$/.test(name)) libraries.set(name, file);
    return file;
  };
  return host;
}

/** Lists what a module of the package imports, in code or in types. */
export function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}
