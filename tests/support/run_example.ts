/** Runs an example as a user would: as a program of its own. @module */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtime } from "./harness.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** How it ended. */
export interface ExampleResult {
  /** The exit code. */
  code: number | null;
  /** Everything that it has printed. */
  output: string;
}

/**
 * Runs a file of `examples/` on the runtime that runs the test, and waits for its end.
 * @param file The name of the file.
 * @param args Its arguments.
 * @param env More variables for its environment.
 */
export function runExample(
  file: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<ExampleResult> {
  const flags = runtime === "deno"
    ? ["run", "-A"]
    : runtime === "node"
    ? ["--import", `${ROOT}/tools/node_hooks.mjs`]
    : ["run"];
  const child = spawn(process.execPath, [...flags, `${ROOT}/examples/${file}`, ...args], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => output += chunk);
  child.stderr.on("data", (chunk) => output += chunk);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}
