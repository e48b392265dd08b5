/**
 * One way to declare a test on every runtime: `Deno.test` on Deno, where the leak sanitizers watch it, and `node:test` on
 * Node and Bun.
 *
 * The tests of `core/`, `streams/` and `sasl/` use this file, which does not import the client: they run whatever state the
 * client is in. All others use `harness.ts`.
 * @module
 */

/** Options of a test. */
export interface TestOptions {
  /** Why the test cannot run here. With it the test is skipped, and its name shows the reason. */
  skip?: string | undefined;
  /** How long the test may take, in milliseconds. Default: 60,000. */
  timeout?: number;
}

/** The runtime that runs the tests. */
export const runtime: "deno" | "bun" | "node" = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "node";

/** The body of a test. */
export type Body = () => void | Promise<void>;

/** Where tests are declared. */
interface Declarations {
  test(name: string, options: { skip?: boolean; timeout?: number }, body: Body): void;
  after(body: Body): void;
}

const declarations: Declarations = await load();

async function load(): Promise<Declarations> {
  // tools/test_files.mjs loads test files and takes their tests.
  const taken: unknown = Reflect.get(globalThis, Symbol.for("smtp.tests"));
  if (taken !== undefined) return taken as Declarations;
  if (runtime !== "deno") return await import("node:test");
  return {
    test: (name, { skip = false }, fn) => Deno.test({ name, ignore: skip, fn }),
    after: (body) => Deno.test.afterAll(body),
  };
}

/** Declares a test. */
export function test(name: string, body: Body): void;
/** Declares a test with options. */
export function test(name: string, options: TestOptions, body: Body): void;
export function test(name: string, optionsOrBody: TestOptions | Body, maybeBody?: Body): void {
  const options = typeof optionsOrBody === "function" ? {} : optionsOrBody;
  const body = typeof optionsOrBody === "function" ? optionsOrBody : maybeBody!;
  const { skip, timeout = 60_000 } = options;
  if (skip === undefined) {
    // The harness's own limit comes first: it says which test it was.
    declarations.test(name, { timeout: timeout + 1_000 }, () => withDeadline(name, timeout, body));
  } else declarations.test(`${name} [${skip}]`, { skip: true }, () => {}); // reports and tables show names only
}

/** Runs when the tests of a file are over. */
export function after(body: Body): void {
  declarations.after(body);
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
