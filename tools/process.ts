/**
 * Runs programs to their end, or until their time is up.
 * @module
 */
/** A program with its arguments. */
export interface ProgramCommand {
  program: string;
  args: string[];
  /** Variables on top of the environment. */
  env?: Record<string, string>;
}

/** How a program ended. */
export interface ProcessResult {
  /** The exit status. */
  code: number;
  /** Whether it was killed because its time was up. */
  timedOut: boolean;
}

/** How to run it. */
export interface ProcessOptions {
  /** How long it may take, in milliseconds. */
  limit: number;
  /** Called with each line that it prints. */
  onLine(line: string): void;
}

/** How long a program may ignore SIGTERM before it is killed, in milliseconds. */
const GRACE = 3_000;

/**
 * Runs a program. When its time is up it is killed, together with everything that it has started: it leads its own process
 * group.
 * @returns How it ended.
 */
export async function runProcess(
  { program, args, env }: ProgramCommand,
  { limit, onLine }: ProcessOptions,
): Promise<ProcessResult> {
  const options: Deno.CommandOptions = {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  };
  if (env !== undefined) options.env = env;
  const child = new Deno.Command(program, options).spawn();

  if (running.size === 0) { for (const signal of signals()) Deno.addSignalListener(signal, interrupt); }
  running.add(child.pid);

  let timedOut = false;
  let killer: ReturnType<typeof setTimeout> | undefined;
  const timer = setTimeout(() => {
    timedOut = true;
    onLine(`${program} has not ended after ${limit / 1000} s: killed`);
    signalGroup(child.pid, "SIGTERM");
    killer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), GRACE);
  }, limit);
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) onLine(line);
  };
  const output = Promise.all([read(child.stdout), read(child.stderr)]);
  try {
    const { code } = await child.status;
    clearTimeout(timer);
    // A process that is still running may hold the pipes open: it is killed.
    const leftBehind = setTimeout(() => signalGroup(child.pid, "SIGKILL"), GRACE);
    await output;
    clearTimeout(leftBehind);
    return { code, timedOut };
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    running.delete(child.pid);
    if (running.size === 0) { for (const signal of signals()) Deno.removeSignalListener(signal, interrupt); }
  }
}

/**
 * Runs tasks side by side.
 * @param width How many run at once.
 * @param tasks The tasks, started in this order.
 * @returns Their results, in the same order.
 */
export async function inTurn<T>(width: number, tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  const queue = tasks.entries(); // shared: each takes the next
  await Promise.all(Array.from({ length: width }, async () => {
    for (const [i, task] of queue) results[i] = await task();
  }));
  return results;
}

/** The signals that end this program from outside. Windows knows no SIGTERM. */
const signals = (): Deno.Signal[] => Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];

/** The programs that run. */
const running = new Set<number>();

/** Their process groups do not get the terminal's Ctrl-C: pass it on. */
function interrupt(): void {
  for (const pid of running) signalGroup(pid, "SIGKILL");
  Deno.exit(130);
}

/** Runs a program for what it prints; throws with what it prints where it fails. */
export async function readOutput({ program, args, env }: ProgramCommand, cwd?: string): Promise<string> {
  const options: Deno.CommandOptions = { args, stdin: "null", stdout: "piped", stderr: "piped" };
  if (env !== undefined) options.env = env;
  if (cwd !== undefined) options.cwd = cwd;
  const { success, code, stdout, stderr } = await new Deno.Command(program, options).output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout);
  if (success) return text;
  throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${text}${decoder.decode(stderr)}`);
}

function signalGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(Deno.build.os === "windows" ? pid : -pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error; // it has ended
  }
}

/** Cuts a stream of text into lines, without their line ends. */
class TextLineStream extends TransformStream<string, string> {
  constructor() {
    let rest = "";
    super({
      transform(chunk, controller) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop()!;
        for (const line of lines) controller.enqueue(line.replace(/\r$/, ""));
      },
      flush(controller) {
        if (rest !== "") controller.enqueue(rest);
      },
    });
  }
}
