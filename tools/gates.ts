/**
 * Runs the gates: the checks that have to pass before anything is committed. `deno task ok` runs them all.
 *
 * ```
 * deno run -A tools/gates.ts [--no-tests] [GATE...]
 * ```
 * @module
 */
import { parseArgs } from "node:util";
import { inTurn } from "./process.ts";

/** A gate: Deno must succeed with these arguments. */
interface Gate {
  name: string;
  args: string[];
  /** Whether its output is shown while it runs; the output of others is shown if they fail. */
  live?: boolean;
}

Deno.chdir(new URL("../", import.meta.url));

const configuration = JSON.parse(Deno.readTextFileSync("deno.json"));
const entryPoints = Object.values<string>(configuration.exports);
const docs = [...Deno.readDirSync("docs")].map(({ name }) => `docs/${name}`);
const pages = ["README.md", ...docs.filter((path) => path.endsWith(".md"))];
const sources = ["mod.ts", "src", "tools", "tests", "bench", "examples"];

const gates: Gate[] = [
  { name: "fmt", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  { name: "doc", args: ["doc", "--lint", ...entryPoints] },
  { name: "check", args: ["check", "--doc", ...sources, ...pages] },
  { name: "imports", args: ["run", "-A", "tools/imports.ts"] },
  { name: "portable", args: ["run", "-A", "tools/portable.ts"] },
  { name: "publish", args: ["publish", "--dry-run", "--allow-dirty"] },
  { name: "test", args: ["run", "-A", "tools/test.ts", "--only=deno", "--coverage"], live: true },
];

const { values: flags, positionals: names } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  allowPositionals: true,
  options: { "no-tests": { type: "boolean", default: false } },
});
const unknown = names.filter((name) => !gates.some((gate) => gate.name === name));
if (unknown.length > 0) {
  console.error(
    `There is no gate ${unknown.join(", ")}: there are ${gates.map(({ name }) => name).join(", ")}`,
  );
  Deno.exit(2);
}
const chosen = gates.filter(({ name }) =>
  names.length > 0 ? names.includes(name) : !(flags["no-tests"] && name === "test")
);

const tasks = (live: boolean) =>
  chosen.filter((gate) => (gate.live ?? false) === live).map((gate) => async () => ({
    name: gate.name,
    passed: await passes(gate),
  }));
// Gates that print nothing while they run can run side by side.
const results = [...await inTurn(2, tasks(false)), ...await inTurn(1, tasks(true))];
const failed = results.filter(({ passed }) => !passed).map(({ name }) => name);
console.log(failed.length === 0 ? `${chosen.length} gates: all passed` : `Failed: ${failed.join(", ")}`);
Deno.exit(failed.length === 0 ? 0 : 1);

async function passes({ name, args, live = false }: Gate): Promise<boolean> {
  const started = performance.now();
  const output = live ? "inherit" : "piped";
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: output, stderr: output })
    .spawn();
  const [{ success }, ...texts] = await Promise.all(
    live
      ? [child.status]
      : [child.status, new Response(child.stdout).text(), new Response(child.stderr).text()] as const,
  );
  if (!success) console.error(texts.join(""));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${success ? "ok    " : "FAILED"}  ${name.padEnd(8)}  ${seconds.padStart(5)} s`);
  return success;
}
