/** Programs that keep a pool in a module and never close it: real ones, on each runtime, with real sockets. */
import { assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { serve } from "../../src/server/mod.ts";
import { createAuthority } from "../support/certificates.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import type { Peer } from "../support/peer.ts";
import { findPorts } from "../support/ports.ts";

/** What the program in `process_main.ts` does. */
export interface ProcessTask {
  port: number;
  /** With STARTTLS: whom to trust. */
  caCerts?: string[];
  /** How many mails it sends. */
  mails: number;
  /** How many milliseconds there are between two of them. */
  rate?: number;
  /** Whether it computes without a break between two mails, for longer than the server keeps an idle connection. */
  busy?: boolean;
}

test(`A program that never uses its pool ends by itself, on ${runtime}`, async () => {
  assertEquals(await run({ port: 1, mails: 0 }), [0, ""]);
});

for (const security of ["none", "starttls"] as const) {
  test(`A program ends by itself after its pool has sent everything, security ${security} on ${runtime}`, async () => {
    const authority = await createAuthority();
    await using server = serve({
      hostname: "127.0.0.1",
      ...(security === "starttls" && { tls: await authority.issue() }),
    });
    const { port } = await server.listening;
    const caCerts = security === "starttls" ? { caCerts: [authority.cert] } : {};
    assertEquals(await run({ port: port!, mails: 3, ...caCerts }), [0, "sent\nsent\nsent\n"]);
  });
}

test(`A program does not end while its pool waits for the time to send, on ${runtime}`, async () => {
  await using server = serve({ hostname: "127.0.0.1" });
  const { port } = await server.listening;
  assertEquals(await run({ port: port!, mails: 3, rate: 100 }), [0, "sent\nsent\nsent\n"]);
});

test(`A program does not end while its pool waits to try a server again, on ${runtime}`, async () => {
  const [port] = await findPorts(1);
  assertEquals(await run({ port: port!, mails: 2 }), [0, "connection-refused\nconnection-refused\n"]);
});

for (const farewell of ["421 4.4.2 Idle for too long\r\n", ""]) {
  const how = farewell === "" ? "FIN" : "421";
  test(`A program sends over another connection after ${how} has come while it was idle and busy, on ${runtime}`, async () => {
    await using listener = await Listener.tcp();
    const { port } = listener.address as { port: number };
    const serving = (async () => {
      for (let connection = 0; connection < 2; connection++) {
        await serveOne(await listener.accept(), connection === 0 ? farewell : undefined);
      }
    })();
    assertEquals(await run({ port, mails: 0, busy: true }), [0, "idle\naccepted\n"]);
    await serving;
  });
}

/** Takes a mail by a command at a time, and leaves a moment later, if it has a farewell. */
async function serveOne(peer: Peer, farewell: string | undefined): Promise<void> {
  await peer.write("220 mx.test\r\n");
  for (let bytes = await peer.read(); bytes !== null; bytes = await peer.read()) {
    const line = new TextDecoder().decode(bytes);
    await peer.write(
      line.startsWith("DATA") ? "354 Go\r\n" : line.startsWith("QUIT") ? "221 Bye\r\n" : "250 Ok\r\n",
    );
    if (farewell === undefined || !line.endsWith("\r\n.\r\n")) continue;
    await new Promise((resolve) => setTimeout(resolve, 300)); // the program is at its sums by now
    if (farewell !== "") await peer.write(farewell);
    return await peer.end();
  }
  await peer.end();
}

/** Runs the program. What it has printed, and how it ended. */
function run(task: ProcessTask): Promise<[number | null, string]> {
  const main = fileURLToPath(new URL("process_main.ts", import.meta.url));
  const hooks = new URL("../../tools/node_hooks.mjs", import.meta.url).href;
  const flags =
    { deno: ["run", "-A", "--no-check"], node: ["--import", hooks], bun: ["run"] }[runtime as "deno"];
  const child = spawn(process.execPath, [...flags, main, JSON.stringify(task)], {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => void (output += chunk));
  child.stderr.on("data", (chunk) => void (output += chunk));
  return new Promise((resolve) => void child.on("close", (code) => resolve([code, output])));
}
