/**
 * A server that runs in its own folder, with everything that it has started.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { accepts } from "./ports.ts";

/** How long a server may take to accept connections, and how long to end, in milliseconds. */
const START_LIMIT = 15_000;
const STOP_LIMIT = 10_000;

/** How often to look, in milliseconds. */
const POLL = 20;

/** A server to start. It must stay in the foreground. */
export interface PeerCommand {
  /** The program and its arguments. */
  command: readonly [program: string, ...args: string[]];
  /** Variables on top of the environment. */
  env?: Record<string, string>;
  /** Where it writes its log, beside its standard error and standard output. */
  logs?: readonly string[];
}

/**
 * Makes a folder for a server, in memory where the system has such a place: mail servers wait for the disk with every
 * message.
 */
export function makePeerFolder(name: string): string {
  const memory = "/dev/shm";
  return mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), `smtp-${name}-`));
}

/** The main process of a server, and one that ends it if we are killed first. */
export class PeerProcess {
  readonly #name: string;
  readonly #logs: readonly string[];
  readonly #process: ChildProcess;
  readonly #guard: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #guardEnded: Promise<unknown>;
  #running = true;
  #output = "";

  /**
   * @param name The server's name, for messages.
   * @param folder Its folder, removed when it has ended.
   * @param command How to start it.
   */
  constructor(name: string, folder: string, { command, env, logs = [] }: PeerCommand) {
    this.#name = name;
    this.#logs = logs;
    // Its own process group, so that everything it has started can be ended. setsid(1) keeps the process id.
    this.#process = spawn("setsid", command, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const output of [this.#process.stdout!, this.#process.stderr!]) {
      output.on("data", (data) => this.#output += data);
    }
    this.#ended = new Promise((resolve) => this.#process.once("close", resolve)).then(() =>
      this.#running = false
    );
    // The guard's standard input ends when we close it, or when we die. Detached: Deno kills its other children when a
    // test run breaks off.
    this.#guard = spawn("sh", ["-c", GUARD, "guard", String(this.#process.pid), folder], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#guardEnded = new Promise((resolve) => this.#guard.once("close", resolve));
  }

  /** The process id of the main process. */
  get pid(): number {
    return this.#process.pid!;
  }

  /** Waits until it accepts connections at all these ports and paths. */
  async ready(addresses: readonly (number | string)[]): Promise<void> {
    const deadline = Date.now() + START_LIMIT;
    for (const address of addresses) {
      while (!await accepts(address)) {
        if (!this.#running || Date.now() > deadline) {
          throw new Error(`${this.#name} did not start\n${this.log()}`);
        }
        await delay(POLL);
      }
    }
    if (!this.#running) throw new Error(`${this.#name} did not stay\n${this.log()}`);
  }

  /** What it has printed and logged so far. */
  log(): string {
    return this.#output + this.#logs.map(readIfThere).join("");
  }

  /** Ends it and everything it has started, waits until all have ended, and removes its folder. */
  async stop(): Promise<void> {
    this.#output = this.log();
    this.#guard.stdin!.end();
    await Promise.all([this.#ended, this.#guardEnded]);
  }
}

/**
 * Waits for the end of its input, then ends the process group $1 and removes the folder $2. It asks the kernel's list and
 * not kill(1), which counts processes that have ended until their parent has waited for them.
 */
const GUARD = String.raw`
cat > /dev/null
alive() { grep -qsE "^[0-9]+ \(.*\) [^ZX] [0-9]+ $1 " /proc/[0-9]*/stat; }
kill -s TERM -- "-$1"
left=${STOP_LIMIT / 20}
while alive "$1" && [ $left -gt 0 ]; do left=$((left - 1)); sleep 0.02; done
kill -s KILL -- "-$1"
rm -rf "$2"
`;

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it has logged nothing yet, or its folder is gone
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
