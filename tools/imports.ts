/**
 * Checks the imports of the library: no circle of files, and arrows that point down: `deno task check:imports`.
 *
 * Every kind of import counts: static, type-only, `export ... from`, `import()` and `import("...").Type`.
 * @module
 */
import ts from "typescript";

/**
 * The rank of each folder of `src/`, and of each file outside them. A file imports what has a lower rank than its
 * own folder, and what is in its own folder. The files that stand in `src/` itself count as one folder.
 */
export const RANKS: Readonly<Record<string, number>> = {
  "src/core": 0,
  "src/streams": 1,
  "src/sasl": 1,
  "src/sockets": 1,
  "src/errors.ts": 2,
  "src/trace.ts": 2,
  "src/client": 3,
  "src/server": 3,
  "src/oauth2": 3,
  "src/pool": 4,
  "src/compose": 4,
  "src/nodemailer": 5,
  "src/cli": 5,
  "mod.ts": 6,
};

/** One file imports another. */
export interface Arrow {
  from: string;
  to: string;
  /** Where, counted from 1. */
  line: number;
}

/**
 * Checks the imports between files.
 * @param files The texts of the files by their paths, such as `src/core/reply.ts`.
 * @param ranks The rank of each folder.
 * @returns The problems, in words.
 */
export function checkImports(
  files: ReadonlyMap<string, string>,
  ranks: Readonly<Record<string, number>> = RANKS,
): string[] {
  const problems: string[] = [];
  const arrows: Arrow[] = [];
  const strangers = new Set<string>();
  for (const [path, text] of files) {
    for (const { specifier, line } of readImports(path, text)) {
      if (specifier === undefined) {
        problems.push(
          `${path}:${line}: import() needs a literal or a constant, so that this check can read it`,
        );
      } else if (specifier.startsWith(".")) {
        const to = new URL(specifier, `file:///${path}`).pathname.slice(1);
        arrows.push({ from: path, to, line });
        if (!files.has(to)) problems.push(`${path}:${line}: there is no ${to}`);
      }
    }
    if (!(partOf(path) in ranks)) strangers.add(partOf(path));
  }
  for (const part of strangers) problems.push(`${part} has no rank: add it to RANKS in tools/imports.ts`);
  for (const { from, to, line } of arrows) {
    const [above, below] = [partOf(from), partOf(to)];
    const [rank, target] = [ranks[above], ranks[below]];
    if (rank === undefined || target === undefined || folderOf(above) === folderOf(below)) continue;
    if (target >= rank) {
      problems.push(
        `${from}:${line}: ${above} must not import ${to}: imports point down, ` +
          `and ${below} has rank ${target}, ${above} has ${rank}`,
      );
    }
  }
  return [...problems, ...findCircles([...files.keys()], arrows).map(describeCircle)];
}

/** Lists what a file imports: the specifier, or `undefined` for an `import()` that does not show it. */
function readImports(path: string, text: string): { specifier: string | undefined; line: number }[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: { specifier: string | undefined; line: number }[] = [];
  const constants = new Map<string, ts.Expression>();
  const add = (node: ts.Node | undefined) => {
    if (node === undefined) return;
    const named = ts.isIdentifier(node) ? constants.get(node.text) ?? node : node;
    const literal = ts.isLiteralTypeNode(named) ? named.literal : named;
    found.push({
      specifier: ts.isStringLiteralLike(literal) ? literal.text : undefined,
      line: file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1,
    });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isImportTypeNode(node)) add(node.argument);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0]);
    } else if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer) {
      if (node.parent.flags & ts.NodeFlags.Const) constants.set(node.name.text, node.initializer);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** `"src/core"` for `src/core/reply.ts`, `"src/errors.ts"` for itself. */
function partOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

/** The part itself if it is a folder, else the folder of the file. */
function folderOf(part: string): string {
  return part.endsWith(".ts") ? part.slice(0, part.lastIndexOf("/") + 1) : part;
}

/** Finds circles: a shortest one among each set of files that all reach each other. */
function findCircles(
  files: readonly string[],
  arrows: readonly Arrow[],
): { circle: Arrow[]; size: number }[] {
  const out = new Map<string, Arrow[]>();
  for (const arrow of arrows) out.set(arrow.from, [...out.get(arrow.from) ?? [], arrow]);
  const circles: { circle: Arrow[]; size: number }[] = [];
  const done = new Set<string>();
  for (const start of files) {
    if (done.has(start)) continue;
    const forth = pathsFrom(start, out);
    if (!forth.has(start)) continue;
    const set = files.filter((file) => forth.has(file) && pathsFrom(file, out).has(start));
    for (const file of set) done.add(file);
    const candidates = set.map((file) => pathsFrom(file, out).get(file)!);
    const circle = candidates.reduce((best, next) => next.length < best.length ? next : best);
    circles.push({ circle, size: set.length });
  }
  return circles;
}

/** A shortest way from a file to each that it reaches; to itself where there is a circle. */
function pathsFrom(start: string, out: ReadonlyMap<string, readonly Arrow[]>): Map<string, Arrow[]> {
  const ways = new Map<string, Arrow[]>();
  const queue: { file: string; way: Arrow[] }[] = [{ file: start, way: [] }];
  for (const { file, way } of queue) { // grows
    for (const arrow of out.get(file) ?? []) {
      if (ways.has(arrow.to)) continue;
      ways.set(arrow.to, [...way, arrow]);
      queue.push({ file: arrow.to, way: [...way, arrow] });
    }
  }
  return ways;
}

function describeCircle({ circle, size }: { circle: Arrow[]; size: number }): string {
  const more = size > circle.length ? ` (the shortest among ${size} files that all reach each other)` : "";
  const lines = circle.map(({ from, to, line }) => `  ${from}:${line} imports ${to}`);
  return [`A circle of ${circle.length} ${circle.length === 1 ? "file" : "files"}${more}:`, ...lines].join(
    "\n",
  );
}

if (import.meta.main) {
  const root = new URL("../", import.meta.url).pathname.slice(0, -1);
  const paths = ts.sys.readDirectory(root, [".ts"], undefined, ["mod.ts", "src/**/*.ts"]).sort();
  const files = new Map(paths.map((path) => [path.slice(root.length + 1), Deno.readTextFileSync(path)]));
  const problems = checkImports(files);
  for (const problem of problems) console.error(problem);
  console.log(`${files.size} files: ${problems.length} problems`);
  if (problems.length > 0) Deno.exit(1);
}
