/**
 * Starts the servers that senders send to.
 *
 * @module
 */
import { startExim as startTestExim } from "../../tests/support/exim.ts";
import { startPostfix as startTestPostfix } from "../../tests/support/postfix.ts";
import { createAuthority } from "../../tests/support/certificates.ts";
import { findProgram } from "../../tests/support/peers.ts";
import { pinned, RECEIVER_CPU, RELAY_CPU } from "./machine.ts";
import { prepare, type Runtime } from "./prepare.ts";
import { type Helper, startProgram, startServer } from "./process.ts";

/** Starts Postfix's test receiver, written in C: PIPELINING, no CHUNKING, no TLS. */
export function startSmtpSink(cpu: number | undefined = RECEIVER_CPU): Promise<Helper> {
  const program = findProgram("smtp-sink");
  if (program === undefined) throw new Error("Cannot find smtp-sink: install Postfix");
  const user = Deno.uid() === 0 ? ["-u", "nobody"] : [];
  return startServer((port) => pinned(cpu, [program, ...user, `127.0.0.1:${port}`, "512"]));
}

/**
 * The settings of Postfix for a benchmark. It throws all mail away, and never delays a client on purpose: its
 * `in_flow_delay` stops a client for a second when mail comes in faster than it leaves. What limits it is its work for each
 * message: it writes a file into its queue and syncs it. No TLS, because some peers use TLS wherever it is offered.
 */
const POSTFIX_SETTINGS = `virtual_transport = discard:
in_flow_delay = 0
smtpd_tls_security_level = none
`;

/** Starts Postfix on the caller's CPU: PIPELINING and CHUNKING. */
export async function startPostfix(): Promise<Helper> {
  const postfix = await startTestPostfix(POSTFIX_SETTINGS);
  return { port: postfix.submissionPort, [Symbol.asyncDispose]: () => postfix.stop() };
}

/** A Postfix that wants a login. */
export interface LoginPostfix extends AsyncDisposable {
  /** The port that offers STARTTLS. */
  readonly port: number;
  /** The port that speaks TLS from the first byte. */
  readonly tlsPort: number;
  /** The file with the certificate of its authority. */
  readonly ca: string;
  readonly user: string;
  readonly pass: string;
}

/** Starts Postfix on the caller's CPU, with TLS and logins: PLAIN, SCRAM and others. */
export async function startLoginPostfix(): Promise<LoginPostfix> {
  const postfix = await startTestPostfix("virtual_transport = discard:\nin_flow_delay = 0\n");
  const { submissionPort: port, tlsPort, user, pass } = postfix;
  const ca = await Deno.makeTempFile({ prefix: "smtp-bench-", suffix: ".pem" });
  await Deno.writeTextFile(ca, postfix.ca);
  return {
    port,
    tlsPort,
    ca,
    user,
    pass,
    async [Symbol.asyncDispose]() {
      await postfix.stop();
      await Deno.remove(ca);
    },
  };
}

/**
 * Starts Exim on the caller's CPU: PIPELINING and CHUNKING, no TLS, because some peers use TLS wherever it is offered. What limits it is delivery: it delivers each message in a process
 * of its own while the next ones arrive.
 */
export async function startExim(): Promise<Helper> {
  const exim = await startTestExim(undefined, "tls_advertise_hosts =\n");
  return { port: exim.ports[0]!, [Symbol.asyncDispose]: () => exim.stop() };
}

/** The sink of `receivers/sink.ts`. */
export interface Sink extends Helper {
  /** The file with the certificate of its authority. */
  readonly ca: string;
}

/** Starts the sink of `receivers/sink.ts`, which is faster than every sender. It always runs on Node. */
export async function startSink(
  { hide = "", tls = false, cpu = RECEIVER_CPU }: { hide?: string; tls?: boolean; cpu?: number } = {},
): Promise<Sink> {
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

/**
 * Starts a relay, which makes a server distant.
 *
 * @param to The server's port.
 * @param rtt The distance, in milliseconds for the way there and back.
 * @param options `handshake`: whether opening a connection takes as long as it would over that distance. Default: `false`.
 */
export async function startRelay(
  to: number,
  rtt: number,
  { handshake = false, coarse = false, cpu = RELAY_CPU }: {
    handshake?: boolean;
    coarse?: boolean;
    cpu?: number;
  } = {},
): Promise<Helper> {
  const [node] = await nodeOnly();
  const args = ["--to", String(to), "--rtt", String(rtt)];
  if (handshake) args.push("--handshake");
  if (coarse) args.push("--coarse");
  return await startProgram(pinned(cpu, node!.command("receivers/relay", args)));
}

let node: Promise<Runtime[]> | undefined;

function nodeOnly(): Promise<Runtime[]> {
  return node ??= prepare(["node"]);
}
