/**
 * Lists the tests that files declare, without running them: `deno run -A tools/test_names.mjs FILE...` prints one JSON object, with
 * the names of each file's tests. Names that are made from tables come out as they are.
 * @module
 */
import process from "node:process";
import { pathToFileURL } from "node:url";

/** @type {Record<string, string[]>} */
const names = {};
let current = [];

// As tools/test_files.mjs does: the harness declares tests here instead of with the runtime.
globalThis[Symbol.for("smtp.tests")] = { test: (name) => void current.push(name), after: () => {} };

for (const path of process.argv.slice(2)) {
  current = names[path] = [];
  await import(pathToFileURL(path).href);
}
process.stdout.write(JSON.stringify(names) + "\n", () => process.exit(0));
