/**
 * The real workerd, through miniflare. The runner installs both and esbuild into a folder of their own.
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Answer, Order } from "./worker.ts";

/** The part of miniflare that is used here. */
interface Miniflare {
  ready: Promise<URL>;
  dispatchFetch(url: string, init: { method: string; body: string }): Promise<{ json(): Promise<unknown> }>;
  dispose(): Promise<void>;
}

/** Where the runner has installed it; `undefined` under the other runtimes. */
export const folder: string | undefined = process.env.SMTP_WORKERS;

/** A running workerd with one worker. */
export class Workerd implements AsyncDisposable {
  /** Where the worker takes WebSockets. */
  readonly url: URL;
  readonly #miniflare: Miniflare;
  readonly #temporary: string;

  private constructor(miniflare: Miniflare, temporary: string, url: URL) {
    this.url = url;
    this.#miniflare = miniflare;
    this.#temporary = temporary;
  }

  /**
   * Bundles a worker and starts it.
   * @param ca A certificate authority for it to trust, PEM.
   * @param entry The worker's file.
   */
  static async start(ca: string, entry = "worker.ts"): Promise<Workerd> {
    const temporary = mkdtempSync(join(tmpdir(), "smtp-workers-"));
    const extra = join(temporary, "ca.pem");
    writeFileSync(extra, ca);
    const bundle = join(temporary, "worker.js");
    const esbuild = join(folder!, "node_modules/esbuild/bin/esbuild");
    const assert = fileURLToPath(new URL("../support/std/assert/mod.ts", import.meta.url));
    const util = fileURLToPath(new URL("node_util.ts", import.meta.url));
    execFileSync(esbuild, [
      fileURLToPath(new URL(entry, import.meta.url)),
      "--bundle",
      "--format=esm",
      `--alias:@std/assert=${assert}`,
      `--alias:node:util=${util}`,
      "--external:node:*",
      "--external:cloudflare:*",
      "--log-level=error",
      `--outfile=${bundle}`,
    ]);
    process.env.NODE_EXTRA_CA_CERTS = extra; // miniflare reads it when it is loaded: load it anew
    const require = createRequire(`${folder}/`);
    delete require.cache[require.resolve("miniflare")];
    const { Miniflare } = require("miniflare");
    const miniflare: Miniflare = new Miniflare({
      modules: [{ type: "ESModule", path: bundle, contents: readFileSync(bundle, "utf8") }],
      modulesRoot: temporary,
      compatibilityDate: "2026-07-01",
    });
    const url = await miniflare.ready;
    url.protocol = "ws:";
    return new Workerd(miniflare, temporary, url);
  }

  /** Has the worker do something. */
  async run(order: Order): Promise<Answer> {
    const response = await this.#miniflare.dispatchFetch("http://worker.test/", {
      method: "POST",
      body: JSON.stringify(order),
    });
    return await response.json() as Answer;
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#miniflare.dispose();
    rmSync(this.#temporary, { recursive: true });
  }
}
