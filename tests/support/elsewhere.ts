/** Runs a program of the tests under a runtime of choice. @module */
import { installRuntime, programPath, ROOT } from "../../tools/install.ts";

/** The variable that tells a program under which name it was asked for. */
export const ASKED = "SMTP_RUNTIME";

/**
 * Runs it.
 *
 * @param name `deno`, `bun`, `node22`, `node24`; `node` is the newer one.
 * @param main The program, from the root of the project.
 * @param args Its arguments.
 * @returns Its exit code.
 */
export async function runElsewhere(name: string, main: string, args: readonly string[]): Promise<number> {
  if (name === "deno") return await run(Deno.execPath(), ["run", "-A", main, ...args], name);
  const program = name === "node" ? "node24" : name;
  if (program !== "bun" && program !== "node22" && program !== "node24") {
    console.error(`--runtime takes deno, bun, node22 and node24: the current value is ${name}`);
    return 2;
  }
  await installRuntime(program);
  const hooks = program === "bun"
    ? []
    : ["--disable-warning=ExperimentalWarning", "--import=./tools/node_hooks.mjs"];
  return await run(programPath(program), [...hooks, main, ...args], name);
}

async function run(program: string, args: string[], name: string): Promise<number> {
  const child = new Deno.Command(program, { args, cwd: ROOT, env: { [ASKED]: name }, stdin: "null" }).spawn();
  return (await child.status).code;
}
