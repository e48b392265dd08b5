/**
 * The real workerd, through miniflare. The runner installs both and esbuild into a folder of their own.
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  readonly #miniflare: Miniflare;
  readonly #temporary: string;

  private constructor(miniflare: Miniflare, temporary: string) {
    this.#miniflare = miniflare;
    this.#temporary = temporary;
  }

  /**
   * Bundles worker.ts and starts it.
   * @param ca A certificate authority for it to trust, PEM.
   */
  static async start(ca: string): Promise<Workerd> {
    const temporary = mkdtempSync(join(tmpdir(), "smtp-workers-"));
    const extra = join(temporary, "ca.pem");
    writeFileSync(extra, ca);
    const bundle = join(temporary, "bundle");
    const esbuild = join(folder!, "node_modules/esbuild/bin/esbuild");
    // Only with splitting do the adapters of other runtimes, and their node: modules, stay out of what is loaded at once.
    execFileSync(esbuild, [
      fileURLToPath(new URL("worker.ts", import.meta.url)),
      "--bundle",
      "--format=esm",
      "--splitting",
      "--external:node:*",
      "--external:cloudflare:*",
      "--log-level=error",
      `--outdir=${bundle}`,
    ]);
    const files = readdirSync(bundle).sort((a, b) => Number(b === "worker.js") - Number(a === "worker.js"));
    process.env.NODE_EXTRA_CA_CERTS = extra; // miniflare reads it when it is loaded
    const { Miniflare } = createRequire(`${folder}/`)("miniflare");
    const miniflare: Miniflare = new Miniflare({
      modulesRoot: bundle,
      modules: files.map((name) => ({
        type: "ESModule",
        path: join(bundle, name),
        contents: readFileSync(join(bundle, name), "utf8"),
      })),
      compatibilityDate: "2026-07-01",
    });
    await miniflare.ready;
    return new Workerd(miniflare, temporary);
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
