/**
 * Runs the processes that are measured, and those that they need.
 *
 * @module
 */

/** The longest time for one measured run, in milliseconds. Whatever takes longer hangs. */
const LIMIT = 300_000;

/** The longest time for a server to start, in milliseconds. */
const START_LIMIT = 15_000;

/** The time between two checks whether a server accepts connections, in milliseconds. */
const POLL = 10;

/** A process that listens on a port until it is disposed. */
export interface Helper extends AsyncDisposable {
  readonly port: number;
}

/**
 * Runs a command to its end.
 *
 * @param env Additional environment variables.
 * @returns The command's output, and how long it took from start to end, in seconds.
 * @throws {Error} If it fails or takes too long. The message has the output.
 */
export async function run(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ output: string; seconds: number }> {
  const [program, ...args] = command;
  const start = performance.now();
  let seconds = 0;
  const options: Deno.CommandOptions = { args, env, stdin: "null", stdout: "piped", stderr: "piped" };
  const child = new Deno.Command(program!, options).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, LIMIT);
  try {
    const [{ success, code }, output, errors] = await Promise.all([
      child.status.then((status) => {
        seconds = (performance.now() - start) / 1_000;
        return status;
      }),
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if (success) return { output, seconds };
    const why = late ? `took more than ${LIMIT / 1_000} s` : `ended with ${code}`;
    throw new Error(`${command.join(" ")} ${why}:\n${output}${errors}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Starts a program of `bench/receivers`, which prints `{"port":…}` when it is ready. */
export async function startProgram(command: readonly string[]): Promise<Helper> {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
    .spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${command.join(" ")} ended before it was ready`);
    line += value;
  }
  const { port } = JSON.parse(line) as { port: number };
  return {
    port,
    async [Symbol.asyncDispose]() {
      await reader.cancel();
      await stop(child);
    },
  };
}

/**
 * Starts a server that cannot choose a free port itself.
 *
 * @param command Makes the command for a port.
 */
export async function startServer(command: (port: number) => readonly string[]): Promise<Helper> {
  for (let attempt = 1;; attempt++) {
    const port = freePort();
    const [program, ...args] = command(port);
    const child = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    let running = true;
    child.status.then(() => running = false);
    const deadline = performance.now() + START_LIMIT;
    while (running && performance.now() < deadline) {
      if (await accepts(port)) {
        return { port, [Symbol.asyncDispose]: () => running ? stop(child) : Promise.resolve() };
      }
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
    // Another process may have taken the port in the meantime.
    if (running) await stop(child);
    if (attempt === 3) throw new Error(`${program} does not start`);
  }
}

async function stop(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended.
  }
  await child.status;
}

/** Finds a port that is free right now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
