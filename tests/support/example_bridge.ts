/** The bridge of examples/browser, which runs on Deno. @module */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtime } from "./harness.ts";
import { findProgram } from "./peers.ts";

/** Where Deno is; `undefined` if it cannot be found. */
export function denoPath(): string | undefined {
  return process.env.SMTP_DENO ?? (runtime === "deno" ? process.execPath : findProgram("deno"));
}

/** Whether the page of the bridge is bundled. */
let isBundled = false;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The example's bridge, run the way users run it. */
export class ExampleBridge implements AsyncDisposable {
  /** The page. */
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
  }

  /**
   * Runs the commands of `deno task example:browser`, without a shell.
   * @param args The arguments of the bridge.
   * @param options Whether its page is needed.
   */
  static async start(args: string[], { page = true } = {}): Promise<ExampleBridge> {
    const { tasks } = JSON.parse(readFileSync(`${ROOT}/deno.json`, "utf8"));
    const [bundle, run] = (tasks["example:browser"].command as string).split(" && ").map((command) =>
      command.split(" ").slice(1)
    ) as [string[], string[]];
    const deno = denoPath()!;
    const options = { cwd: ROOT, env: { ...process.env, NO_COLOR: "1" } };
    if (page && !isBundled) execFileSync(deno, bundle, { ...options, stdio: "pipe" });
    isBundled ||= page;
    const child = spawn(deno, [...run, "--port", "0", ...args], {
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const onOutput = (chunk: unknown) => {
      output += chunk;
      const url = output.match(/^Open (\S+)/m);
      if (url !== null) resolve(url[1]!);
    };
    child.stdout.on("data", onOutput);
    child.stderr.on("data", onOutput);
    child.on("exit", (code) => reject(new Error(`The bridge ended with ${code}:\n${output}`)));
    return new ExampleBridge(await promise, child);
  }

  /** Whether it has ended by itself. */
  get ended(): boolean {
    return this.#process.exitCode !== null;
  }

  /** The memory of the bridge, in bytes. */
  get memory(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    return Number(status.match(/^VmRSS:\s*(\d+) kB/m)![1]) * 1024;
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    if (this.ended) return;
    this.#process.kill();
    await ended;
  }
}
