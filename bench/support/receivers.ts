/**
 * What is sent to.
 *
 * @module
 */
import { createAuthority } from "../../tests/support/certificates.ts";
import { findProgram } from "../../tests/support/peers.ts";
import { pinned, RECEIVER_CPU, RELAY_CPU } from "./machine.ts";
import { prepare, type Runtime } from "./prepare.ts";
import { type Helper, startProgram, startServer } from "./process.ts";

/** Postfix's receiver for tests, in C: PIPELINING, no CHUNKING, no TLS. */
export function startSmtpSink(cpu: number | undefined = RECEIVER_CPU): Promise<Helper> {
  const program = findProgram("smtp-sink");
  if (program === undefined) throw new Error("smtp-sink is not here: it comes with Postfix");
  const user = Deno.uid() === 0 ? ["-u", "nobody"] : [];
  return startServer((port) => pinned(cpu, [program, ...user, `127.0.0.1:${port}`, "512"]));
}

/** Our own sink, with a certificate. */
export interface TlsSink extends Helper {
  /** The file with the authority's certificate. */
  readonly ca: string;
}

/** The sink of `receivers/sink.ts`, which takes more than anybody sends. It runs on Node whatever is measured. */
export async function startSink(
  { hide = "", tls = false, cpu = RECEIVER_CPU }: { hide?: string; tls?: boolean; cpu?: number } = {},
): Promise<TlsSink> {
  const [node] = await nodeOnly();
  const folder = await Deno.makeTempDir({ prefix: "smtp-bench-" });
  const authority = await createAuthority();
  const { cert, key } = await authority.issue();
  await Deno.writeTextFile(`${folder}/ca.pem`, authority.cert);
  await Deno.writeTextFile(`${folder}/cert.pem`, cert);
  await Deno.writeTextFile(`${folder}/key.pem`, key, { mode: 0o600 });
  const args = ["--cert", `${folder}/cert.pem`, "--key", `${folder}/key.pem`, "--hide", hide];
  if (tls) args.push("--tls");
  const helper = await startProgram(pinned(cpu, node!.command("receivers/sink", args)));
  return {
    port: helper.port,
    ca: `${folder}/ca.pem`,
    async [Symbol.asyncDispose]() {
      await helper[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A long way to a port. */
export async function startRelay(to: number, rtt: number): Promise<Helper> {
  const [node] = await nodeOnly();
  return await startProgram(
    pinned(RELAY_CPU, node!.command("receivers/relay", ["--to", String(to), "--rtt", String(rtt)])),
  );
}

let node: Promise<Runtime[]> | undefined;

function nodeOnly(): Promise<Runtime[]> {
  return node ??= prepare(["node"]);
}
