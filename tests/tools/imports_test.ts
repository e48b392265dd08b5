import { assertEquals } from "@std/assert";
import { checkImports } from "../../tools/imports.ts";
import { test } from "../support/unwatched.ts";

const RANKS = {
  "src/low": 0,
  "src/left": 1,
  "src/right": 1,
  "src/errors.ts": 2,
  "src/trace.ts": 2,
  "mod.ts": 3,
};

function problemsOf(files: Record<string, string>): string[] {
  return checkImports(new Map(Object.entries(files)), RANKS);
}

test("checkImports() finds no fault with imports that point down or stay in their folder", () => {
  assertEquals(
    problemsOf({
      "mod.ts": `export * from "./src/left/a.ts"; export { trace } from "./src/trace.ts";`,
      "src/trace.ts": `import { SmtpError } from "./errors.ts"; import ts from "typescript";`,
      "src/errors.ts": `import type { A } from "./left/a.ts";`,
      "src/left/a.ts":
        `import { b } from "./b.ts"; import "node:net"; const c = () => import("../low/c.ts");`,
      "src/left/b.ts": `import { c } from "../low/c.ts";`,
      "src/right/d.ts": "",
      "src/low/c.ts": `const text = 'import "../left/a.ts"'; // import "../left/a.ts"`,
    }),
    [],
  );
});

test("checkImports() names the line of an import that points up, of whatever kind it is", () => {
  const kinds = {
    "a static import": `import { a } from "../left/a.ts";`,
    "an import of a type": `import type { A } from "../left/a.ts";`,
    "an import for its effects": `import "../left/a.ts";`,
    "a late import": `export const load = () => import("../left/a.ts");`,
    "a late import of a constant": `const a = "../left/a.ts"; export const load = () => import(a);`,
    "a type of a module": `export type A = import("../left/a.ts").A;`,
    "an export": `export { a } from "../left/a.ts";`,
    "an export of everything": `export * from "../left/a.ts";`,
    "an export of types": `export type * from "../left/a.ts";`,
  };
  for (const [kind, text] of Object.entries(kinds)) {
    assertEquals(
      problemsOf({ "src/left/a.ts": "", "src/low/c.ts": `// Why.\n${text}` }),
      [
        "src/low/c.ts:2: src/low must not import src/left/a.ts: imports point down, and src/left has rank 1, src/low has 0",
      ],
      kind,
    );
  }
});

test("checkImports() lets no folder import another of its rank", () => {
  assertEquals(problemsOf({ "src/left/a.ts": `import "../right/d.ts";`, "src/right/d.ts": "" }), [
    "src/left/a.ts:1: src/left must not import src/right/d.ts: imports point down, and src/right has rank 1, src/left has 1",
  ]);
});

test("checkImports() wants each folder to have a rank", () => {
  assertEquals(problemsOf({ "src/new/a.ts": "", "src/new/b.ts": "", "src/extra.ts": "" }), [
    "src/new has no rank: add it to RANKS in tools/imports.ts",
    "src/extra.ts has no rank: add it to RANKS in tools/imports.ts",
  ]);
});

test("checkImports() wants files that are there, and specifiers that it can read", () => {
  assertEquals(problemsOf({ "src/low/c.ts": `import "./gone.ts";\nawait import(name);` }), [
    "src/low/c.ts:1: there is no src/low/gone.ts",
    "src/low/c.ts:2: import() needs a literal or a constant, so that this check can read it",
  ]);
});

test("checkImports() shows the whole circle, types and late imports included", () => {
  assertEquals(
    problemsOf({
      "src/low/a.ts": `import type { B } from "./b.ts";`,
      "src/low/b.ts": `\nimport("./c.ts");`,
      "src/low/c.ts": `export * from "./a.ts";`,
      "src/low/d.ts": `import "./a.ts";`, // leads into the circle, is no part of it
    }),
    [[
      "A circle of 3 files:",
      "  src/low/a.ts:1 imports src/low/b.ts",
      "  src/low/b.ts:2 imports src/low/c.ts",
      "  src/low/c.ts:1 imports src/low/a.ts",
    ].join("\n")],
  );
});

test("checkImports() shows the shortest circle of those that hang together, and one of each set", () => {
  assertEquals(
    problemsOf({
      "src/low/a.ts": `import "./b.ts";`,
      "src/low/b.ts": `import "./c.ts";`,
      "src/low/c.ts": `import "./a.ts";\nimport "./b.ts";`,
      "src/low/self.ts": `import "./self.ts";`,
    }),
    [
      [
        "A circle of 2 files (the shortest among 3 files that all reach each other):",
        "  src/low/b.ts:1 imports src/low/c.ts",
        "  src/low/c.ts:2 imports src/low/b.ts",
      ].join("\n"),
      "A circle of 1 file:\n  src/low/self.ts:1 imports src/low/self.ts",
    ],
  );
});
