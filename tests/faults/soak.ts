/**
 * The soak: connections, messages and pools in great number, one after the other, in one process with their server. What stays
 * behind of each would add up.
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpPool } from "../../src/pool/pool.ts";
import { serve, type SmtpServer } from "../../src/server/serve.ts";
import { makeCertificates } from "./over_tcp.ts";

/** How many of each. */
export interface SoakOptions {
  readonly connections: number;
  /** Connections with STARTTLS and a login. */
  readonly secured: number;
  readonly messages: number;
  readonly pools: number;
}

/** What one step has left behind. */
export interface Soaked {
  readonly what: string;
  readonly count: number;
  /** How much more memory is in use at the end than after the first tenth, in bytes. */
  readonly growth: number;
  /** What is in use at the end, in bytes. */
  readonly heap: number;
  /** How many sockets, timers and other things that keep a process running there are more than after the first tenth. */
  readonly resources: number;
  /** How many files and sockets of the system are open more than after the first tenth. 0 where that cannot be seen. */
  readonly files: number;
}

interface Sample {
  readonly heap: number;
  readonly resources: number;
  readonly files: number;
}

const ENVELOPE = { from: "me@client.test", to: "you@mx.test" };
const TEXT = `Subject: Hi\r\n\r\n${"A line of text.\r\n".repeat(50)}`;

/** How many messages are under way at a time. */
const WINDOW = 256;

/**
 * Soaks.
 *
 * @param options How many of each.
 * @returns What each step has left behind.
 */
export async function soak({ connections, secured, messages, pools }: SoakOptions): Promise<Soaked[]> {
  const { ca, cert, key } = await makeCertificates();
  await using plain = serve({ serverName: "mx.test", onError: () => {} });
  await using tls = serve({ serverName: "mx.test", tls: { cert, key }, onError: () => {} }, {
    auth: () => true,
  });
  const toPlain: SmtpClientOptions = {
    ...await addressOf(plain),
    security: "none",
    clientName: "client.test",
  };
  const toTls = await securedOptions(tls, ca);
  const connect = (options: SmtpClientOptions) => async () => {
    const client = await SmtpClient.connect(options);
    await client.quit();
  };
  const steps = [
    await step("connections", connections, connect(toPlain)),
    await step("connections with STARTTLS and a login", secured, connect(toTls)),
  ];
  {
    await using client = await SmtpClient.connect(toPlain);
    const batch = async () => {
      await Promise.all(Array.from({ length: WINDOW }, () => client.send(ENVELOPE, TEXT)));
    };
    steps.push(await step("messages", messages, batch, WINDOW));
  }
  steps.push(
    await step("pools", pools, async () => {
      await using pool = new SmtpPool(toPlain);
      await pool.send(ENVELOPE, TEXT);
    }),
  );
  return steps;
}

/** The step in words. */
export function showSoaked({ what, count, growth, heap, resources, files }: Soaked): string {
  const MB = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  return `soak: ${count.toLocaleString("en")} ${what}: heap ${MB(heap)}, ${
    MB(growth)
  } more than after a tenth, ` +
    `${resources} handles and ${files} files more`;
}

async function addressOf(server: SmtpServer): Promise<{ hostname: string; port: number }> {
  const { hostname, port } = await server.listening;
  return { hostname, port };
}

async function securedOptions(server: SmtpServer, ca: string): Promise<SmtpClientOptions> {
  return {
    ...await addressOf(server),
    security: "starttls",
    tls: { caCerts: ca },
    auth: { user: "me", pass: "secret words" },
    clientName: "client.test",
  };
}

/** Runs something many times, and looks at what is there after a tenth of it and at the end. */
async function step(what: string, count: number, body: () => Promise<void>, each = 1): Promise<Soaked> {
  const runs = Math.ceil(count / each);
  const first = Math.ceil(runs / 10);
  let before: Sample | undefined;
  for (let run = 1; run <= runs; run++) {
    await body();
    if (run === first) before = await sample();
  }
  const after = await sample();
  return {
    what,
    count: runs * each,
    growth: after.heap - before!.heap,
    heap: after.heap,
    resources: after.resources - before!.resources,
    files: after.files - before!.files,
  };
}

async function sample(): Promise<Sample> {
  // What ends with a connection on the server's side takes its turns, too.
  let last = resources();
  for (let turn = 0; turn < 200; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = resources();
    if (turn > 10 && now >= last) break;
    last = now;
  }
  collect();
  return { heap: process.memoryUsage().heapUsed, resources: resources(), files: files() };
}

function resources(): number {
  return process.getActiveResourcesInfo().length;
}

function files(): number {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

let gc: (() => void) | undefined;

/** Collects garbage, so that only what is in use counts. */
function collect(): void {
  const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
  if (Bun !== undefined) return Bun.gc(true);
  if (gc === undefined) {
    setFlagsFromString("--expose-gc");
    gc = runInNewContext("gc") as () => void;
  }
  gc();
}
