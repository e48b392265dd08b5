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
  /** What `find` found in its output, each once. */
  found: string[];
}

/** How to run it. */
export interface ProcessOptions {
  /** How long it may take, in milliseconds. */
  limit: number;
  /** Lines that are not passed on. */
  hide?: RegExp | undefined;
  /** What to look for in each line: its first group is collected. */
  find?: RegExp | undefined;
}

/** A program that ignores SIGTERM for as long as this, in milliseconds, is killed. */
const GRACE = 3_000;

/**
 * Runs a program and passes on what it prints. Where its time is up it is killed, together with everything that it has
 * started: it leads a process group of its own.
 * @returns How it ended.
 */
export async function runProcess(
  { program, args, env }: ProgramCommand,
  { limit, hide, find }: ProcessOptions,
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

  // A group of its own does not get the terminal's Ctrl-C: hand it on.
  const interrupt = () => {
    signalGroup(child.pid, "SIGKILL");
    Deno.exit(130);
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);

  let timedOut = false;
  let killer: ReturnType<typeof setTimeout> | undefined;
  const timer = setTimeout(() => {
    timedOut = true;
    console.error(`${program} has not ended after ${limit / 1000} s: killed`);
    signalGroup(child.pid, "SIGTERM");
    killer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), GRACE);
  }, limit);
  const found = new Set<string>();
  const passOn = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, write: (line: string) => void) => {
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      const match = find?.exec(line);
      if (match) found.add(match[1]!);
      if (!hide?.test(line)) write(line);
    }
  };
  const output = Promise.all([
    passOn(child.stdout, (line) => console.log(line)),
    passOn(child.stderr, (line) => console.error(line)),
  ]);
  try {
    const { code } = await child.status;
    clearTimeout(timer);
    // A process that was left behind may hold the pipes open: it is killed, not waited for.
    const leftBehind = setTimeout(() => signalGroup(child.pid, "SIGKILL"), GRACE);
    await output;
    clearTimeout(leftBehind);
    return { code, timedOut, found: [...found] };
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
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
