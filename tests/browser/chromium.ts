/**
 * A real Chromium without a window, controlled with puppeteer-core, which the runner installs into a folder of its own. The
 * browser is the system's.
 * @module
 */
import { createRequire } from "node:module";
import process from "node:process";
import { after, test } from "../support/harness.ts";
import { findChromium, NAMES } from "./find_chromium.ts";

export { ExampleBridge } from "../support/example_bridge.ts";

/** The part of puppeteer's `Page` that is used here. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<Args extends unknown[], T>(body: (...args: Args) => T, ...args: Args): Promise<Awaited<T>>;
  evaluateOnNewDocument<Args extends unknown[]>(
    body: (...args: Args) => void,
    ...args: Args
  ): Promise<unknown>;
  waitForFunction(body: () => unknown, options?: { timeout: number }): Promise<unknown>;
  waitForSelector(selector: string): Promise<{ uploadFile(path: string): Promise<void> } | null>;
  click(selector: string): Promise<void>;
  setBypassCSP(enabled: boolean): Promise<void>;
  on(event: "pageerror", listener: (error: Error) => void): void;
}

/** A profile of its own within a browser. */
interface BrowserContext {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

interface Browser {
  createBrowserContext(): Promise<BrowserContext>;
  close(): Promise<void>;
}

/** Where the runner has installed puppeteer-core; `undefined` under the other runtimes. */
export const folder: string | undefined = process.env.SMTP_BROWSER;

/**
 * Makes a function that declares tests which need Chromium. If Chromium is missing, a single skipped test takes the place of
 * all tests of the file, and says so.
 * @param subject The subject of the file's tests.
 * @returns The function.
 */
export function chromiumTests(subject: string): (what: string, body: () => Promise<void>) => void {
  const missing = chromiumMissing();
  if (missing !== undefined) test(`Chromium: ${subject}`, { skip: missing }, () => {});
  else after(close);
  return (what, body) => {
    if (missing === undefined) test(`Chromium: ${what}`, { timeout: 60_000 }, body);
  };
}

/** Says why the tests cannot run; `undefined` if they can. */
function chromiumMissing(): string | undefined {
  if (folder === undefined) return "deno task test:browser runs it in Chromium";
  if (findChromium() !== undefined) return undefined;
  const reason = `Chromium is not installed: no ${process.env.CHROMIUM ?? NAMES.join(", no ")}`;
  // The same rule as for the mail servers.
  if (process.env.SMTP_PEERS === "required") throw new Error(`${reason}, and SMTP_PEERS is "required"`);
  return reason;
}

let running: Promise<Browser> | undefined;

/** Starts the browser, once for the tests of a file. */
function launch(): Promise<Browser> {
  const { launch } = createRequire(`${folder}/`)("puppeteer-core") as {
    launch: (options: unknown) => Promise<Browser>;
  };
  return running ??= launch({
    executablePath: findChromium(),
    headless: true,
    pipe: true,
    args: [
      "--no-sandbox", // it refuses to run as root with one
      "--disable-gpu",
      "--disable-quic",
      "--disable-dev-shm-usage", // 64 MB in a container
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

async function close(): Promise<void> {
  const browser = await running;
  running = undefined;
  await browser?.close();
}

/** The browser, as one test has it: with nothing left from other tests. */
export class Chromium implements AsyncDisposable {
  /** What was thrown in its pages and caught by nobody. */
  readonly errors: Error[] = [];
  readonly #context: BrowserContext;

  private constructor(context: BrowserContext) {
    this.#context = context;
  }

  /** Starts it. */
  static async start(): Promise<Chromium> {
    return new Chromium(await (await launch()).createBrowserContext());
  }

  /** Opens a page. */
  async open(url: string, prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
    const page = await this.#context.newPage();
    page.on("pageerror", (error) => this.errors.push(error));
    await prepare?.(page);
    await page.goto(url);
    return page;
  }

  /** Closes its pages. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }
}
