/**
 * Runs test files in one process, under Deno and Node: `deno test tools/test_files.mjs -- [--filter=NAME] FILE...`,
 * `node --import ./tools/node_hooks.mjs ./tools/test_files.mjs [--filter=NAME] FILE...`.
 *
 * By themselves `deno test` and `node --test` load each file with all that it imports into an environment of its own, and
 * that takes longer than most tests. With `--test-isolation=none` Node does not say which file a test belongs to, and a file
 * that cannot be loaded ends the run. So the files are loaded here, and the runtime gets their tests one file at a time.
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

/** How long a file may take to close what it has opened, in milliseconds, when its tests are over. */
const PATIENCE = 5_000;

const { values: { filter = "" }, positionals: paths } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== "--"),
  allowPositionals: true,
  options: { filter: { type: "string" } },
});

/**
 * @typedef {() => void | Promise<void>} Body
 * @typedef {{ path: string, tests: { name: string, options: { skip?: boolean, timeout?: number }, body: Body }[], ends: Body[], open: string[] }} File
 */

/** @type {File[]} */
const files = [];

// The harness declares tests here instead of with the runtime.
globalThis[Symbol.for("smtp.tests")] = {
  test(name, options, body) {
    if (name.includes(filter)) files.at(-1).tests.push({ name, options, body });
  },
  after: (body) => files.at(-1).ends.push(body),
};

for (const path of paths) {
  const before = process.getActiveResourcesInfo();
  files.push({ path, tests: [], ends: [], open: [] });
  try {
    await import(pathToFileURL(path).href);
  } catch (error) {
    files.at(-1).tests.push({
      name: `${path} can be loaded`,
      options: {},
      body: () => Promise.reject(error),
    });
  }
  files.at(-1).open = without(process.getActiveResourcesInfo(), before);
}

if ("Deno" in globalThis) declareForDeno();
else await declareForNode();

function declareForDeno() {
  for (const { path, tests, ends } of files) {
    console.log(`${tests.length} tests from ${path}`); // for tools/test.ts
    for (const { name, options, body } of tests) {
      Deno.test({ name, ignore: options.skip ?? false, fn: body });
    }
    for (const end of ends) Deno.test.afterAll(end);
  }
}

async function declareForNode() {
  const { after, suite, test } = await import("node:test");

  // Node's own output, if that is a pipe or a terminal.
  void [process.stdout, process.stderr]; // opened on first use
  const output = process.getActiveResourcesInfo().filter((type) => /^(?:Pipe|TTY)Wrap$/.test(type));

  for (const [i, { path, tests, ends }] of files.entries()) {
    if (tests.length === 0 && ends.length === 0) continue; // Node would count an empty suite as a test
    const others = files.slice(i + 1).flatMap(({ open }) => open);
    /** The sockets, timers and processes that the file has opened and not closed. */
    const leftBehind = () => without(process.getActiveResourcesInfo(), [...output, ...others]);
    suite(path, () => {
      for (const { name, options, body } of tests) test(name, options, body);
      for (const end of ends) after(end);
      // Deno's sanitizers check each test; this checks each file.
      after(async () => {
        const started = Date.now();
        for (let left = leftBehind(); left.length > 0; left = leftBehind()) {
          if (Date.now() - started > PATIENCE) throw new Error(`Left behind: ${left.join(", ")}`);
          await delay(1);
        }
      });
    });
  }
}

/** A list without the elements of another, each taken out once. */
function without(list, others) {
  const left = [...list];
  for (const other of others) {
    const index = left.indexOf(other);
    if (index >= 0) left.splice(index, 1);
  }
  return left;
}
