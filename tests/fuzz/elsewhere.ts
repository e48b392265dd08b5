/** Runs the fuzz under another runtime than Deno. @module */
import { installRuntime, programPath, ROOT } from "../../tools/install.ts";

/**
 * Runs it.
 *
 * @param name `bun`, `node22`, `node24`; `node` is the newer one.
 * @param args The arguments of `main.ts`.
 * @returns Its exit code.
 */
export async function runElsewhere(name: string, args: readonly string[]): Promise<number> {
  const program = name === "node" ? "node24" : name;
  if (program !== "bun" && program !== "node22" && program !== "node24") {
    console.error(`--runtime takes deno, bun, node22 and node24: the current value is ${name}`);
    return 2;
  }
  await installRuntime(program);
  const hooks = program === "bun"
    ? []
    : ["--disable-warning=ExperimentalWarning", "--import=./tools/node_hooks.mjs"];
  const child = new Deno.Command(programPath(program), {
    args: [...hooks, "tests/fuzz/main.ts", ...args],
    cwd: ROOT,
    env: { SMTP_FUZZ_RUNTIME: name },
    stdin: "null",
  }).spawn();
  return (await child.status).code;
}
