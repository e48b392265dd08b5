/**
 * One way to declare a test on every runtime: `Deno.test` on Deno, where the leak sanitizers watch it, and
 * `node:test` on Node and Bun. Each test is watched: what a client logs in with must not show up in what can be seen.
 * @module
 */

/** What a test may ask for. */
export interface TestOptions {
  /** Why the test cannot run here. Where it is given, the test is skipped and its name shows the reason. */
  skip?: string | undefined;
  /** How long the test may take, in milliseconds. Default: 30,000. */
  timeout?: number;
}

/** The runtime that runs the tests. */
export const runtime: "deno" | "bun" | "node" = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "node";

type Body = () => void | Promise<void>;
type Register = (name: string, options: { skip: boolean; timeout: number }, body: Body) => void;

const register: Register = await load();

async function load(): Promise<Register> {
  if (runtime === "deno") {
    return (name, { skip }, fn) => Deno.test({ name, ignore: skip, fn });
  }
  const { test } = await import("node:test");
  return (name, { skip, timeout }, body) => {
    if (skip) test.skip(name, body); // `test()` has put the reason into the name: the table prints it
    else test(name, { timeout: timeout + 1_000 }, body); // ours comes first: it says how long it took
  };
}

/** Tests of what knows of no client, and has to run whatever state the client is in. */
const WITHOUT_CLIENT = /\/tests\/(core|streams|sasl)\//;

/** No literal where it is imported: Deno would have it, and with it the client, fit before it runs any test. */
const SECRETS = new URL("./secrets.ts", import.meta.url).href;

/** Has a test watched for secrets that it lets out. */
function watched(body: Body): Body {
  if (WITHOUT_CLIENT.test(new Error().stack ?? "")) return body;
  return async () => {
    const { watchSecrets } = await import(SECRETS) as { watchSecrets(body: Body): Promise<void> };
    await watchSecrets(body);
  };
}

/** Declares a test. */
export function test(name: string, body: Body): void;
/** Declares a test with options. */
export function test(name: string, options: TestOptions, body: Body): void;
export function test(name: string, optionsOrBody: TestOptions | Body, maybeBody?: Body): void {
  const options = typeof optionsOrBody === "function" ? {} : optionsOrBody;
  const body = typeof optionsOrBody === "function" ? optionsOrBody : maybeBody!;
  const { skip, timeout = 30_000 } = options;
  const run = watched(body);
  if (skip === undefined) register(name, { skip: false, timeout }, () => withDeadline(name, timeout, run));
  else register(`${name} [${skip}]`, { skip: true, timeout }, () => {}); // reports and tables show names only
}

/** Fails a test that hangs, by name, rather than letting the whole run stand still. */
async function withDeadline(name: string, timeout: number, body: Body): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`"${name}" took more than ${timeout} ms`)), timeout);
  });
  try {
    await Promise.race([body(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}
