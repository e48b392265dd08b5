/**
 * A Postfix of one's own, on loopback alone, in a folder of its own.
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "./certificates.ts";
import { peerMissing } from "./peers.ts";
import { layOutPostfix, MAILDIR, MASTER } from "./postfix_config.ts";

/** Who may log in. */
const USER = "user@mx.test";
const PASS = "secret";

/** How long Postfix may take to accept connections, and how long to end, in milliseconds. */
const START_LIMIT = 15_000;
const STOP_LIMIT = 10_000;

/** How long a message may take from the reply to the Maildir, in milliseconds. */
const MAIL_LIMIT = 15_000;

/** How often to look, in milliseconds. */
const POLL = 20;

/** The headers that Postfix puts in front of a message that it delivers. */
const TRACE_HEADERS = /^(?:(?:Return-Path|X-Original-To|Delivered-To|Received):[^\n]*\n(?:[ \t][^\n]*\n)*)*/;

/** A Postfix that runs. It is at `localhost`, `127.0.0.1`. */
export interface Postfix extends AsyncDisposable {
  /** Plain, offers STARTTLS and AUTH (and, as Postfix may, AUTH without TLS). */
  readonly submissionPort: number;
  /** TLS from the first byte. */
  readonly tlsPort: number;
  /** Plain, takes nothing but EHLO, STARTTLS, NOOP and QUIT before TLS. */
  readonly requiredTlsPort: number;
  /** The certificate that signed the server's, PEM. */
  readonly ca: string;
  /** Who may log in. */
  readonly user: string;
  /** With which password. */
  readonly pass: string;
  /**
   * Waits for messages to a recipient at `example.org` or `example.com`. Not delivered are `reject@example.org` (550)
   * and `defer@example.org` (450).
   * @param recipient The address as it was given in RCPT.
   * @param count How many messages to wait for. Default: 1.
   * @returns The messages in the order they came, as they stand in the Maildir: with LF, behind Postfix's own headers.
   * @throws {Error} Where they have not come in time; with Postfix's log.
   */
  waitForMail(recipient: string, count?: number): Promise<Uint8Array[]>;
  /** What Postfix has logged so far. */
  log(): string;
  /** Stops it, waits until it has gone, and removes its folder. */
  stop(): Promise<void>;
}

/** Says why Postfix cannot be started here; `undefined` where it can. Throws instead with `SMTP_PEERS=required`. */
export function postfixMissing(): string | undefined {
  return peerMissing("Postfix", {
    programs: [MASTER, "saslpasswd2", "setsid"],
    saslPlugins: ["plain", "login", "sasldb"],
    root: true,
  });
}

/** Takes a message from the Maildir out of the headers that Postfix has put in front of it. */
export function withoutTraceHeaders(message: Uint8Array): Uint8Array {
  // Latin-1 keeps one character a byte. The headers are short.
  const start = Buffer.from(message.buffer, message.byteOffset, Math.min(message.length, 8192)).toString(
    "latin1",
  );
  return message.subarray(start.match(TRACE_HEADERS)![0].length);
}

/** Starts Postfix and waits until it accepts connections. */
export async function startPostfix(): Promise<Postfix> {
  const authority = await createAuthority();
  const certificate = await authority.issue();
  for (let attempt = 1;; attempt++) {
    const ports = await findPorts(3);
    const folder = mkdtempSync(join(tmpdir(), "smtp-postfix-"));
    let master: Master | undefined;
    try {
      layOutPostfix(folder, { ports, certificate, ca: authority.cert, user: USER, pass: PASS });
      master = new Master(folder);
      await master.ready(ports);
      return postfixOf(folder, ports, authority.cert, master);
    } catch (error) {
      await master?.stop();
      rmSync(folder, { recursive: true, force: true });
      // Between our look and its own, somebody else may have taken a port.
      if (attempt === 3 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

function postfixOf(folder: string, ports: readonly number[], ca: string, master: Master): Postfix {
  const stop = () => master.stop();
  return {
    submissionPort: ports[0]!,
    tlsPort: ports[1]!,
    requiredTlsPort: ports[2]!,
    ca,
    user: USER,
    pass: PASS,
    async waitForMail(recipient, count = 1) {
      const deadline = Date.now() + MAIL_LIMIT;
      for (;;) {
        const messages = await readMail(join(folder, MAILDIR), recipient);
        if (messages.length >= count) return messages;
        if (Date.now() > deadline) {
          throw new Error(`${recipient} has ${messages.length} of ${count} messages\n${master.log()}`);
        }
        await delay(POLL);
      }
    },
    log: () => master.log(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The process at the head of Postfix, and one that ends it where we are killed before we can. */
class Master {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #guard: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #guardEnded: Promise<unknown>;
  #running = true;
  #output = "";

  constructor(folder: string) {
    this.#folder = folder;
    // master signals its whole process group when it ends: it needs one of its own. setsid(1) keeps the process id.
    this.#process = spawn("setsid", [MASTER, "-c", join(folder, "etc"), "-d"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process.stderr!.on("data", (data) => this.#output += data);
    this.#ended = new Promise((resolve) => this.#process.once("close", resolve)).then(() =>
      this.#running = false
    );
    // The guard's standard input ends when we close it, or when we die.
    this.#guard = spawn("setsid", ["sh", "-c", GUARD, "guard", String(this.#process.pid), folder], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#guardEnded = new Promise((resolve) => this.#guard.once("close", resolve));
  }

  async ready(ports: readonly number[]): Promise<void> {
    const deadline = Date.now() + START_LIMIT;
    for (const port of ports) {
      while (!await accepts(port)) {
        if (!this.#running || Date.now() > deadline) throw new Error(`Postfix did not start\n${this.log()}`);
        await delay(POLL);
      }
    }
    if (!this.#running) throw new Error(`Postfix did not stay\n${this.log()}`);
  }

  log(): string {
    try {
      return this.#output + readFileSync(join(this.#folder, "maillog"), "utf8");
    } catch {
      return this.#output; // it has logged nothing yet, or its folder is gone
    }
  }

  async stop(): Promise<void> {
    this.#output = this.log();
    this.#guard.stdin!.end();
    await Promise.all([this.#ended, this.#guardEnded]);
  }
}

/**
 * Waits for the end of its input, then ends the process group $1 and removes the folder $2. The kernel's list is asked
 * and not kill(1), for which the dead count until somebody has buried them.
 */
const GUARD = String.raw`
cat > /dev/null
alive() { grep -qsE "^[0-9]+ \(.*\) [^ZX] [0-9]+ $1 " /proc/[0-9]*/stat; }
kill -s TERM -- "-$1"
left=${STOP_LIMIT / 20}
while alive "$1" && [ $left -gt 0 ]; do left=$((left - 1)); sleep 0.02; done
kill -s KILL -- "-$1"
rm -rf "$2"
`;

async function readMail(folder: string, recipient: string): Promise<Uint8Array[]> {
  const names = await readdir(folder).catch(() => []); // made with the first message
  const messages: Uint8Array[] = [];
  for (const name of names.sort(byArrival)) {
    const message = await readFile(join(folder, name));
    const headers = message.subarray(0, 8192).toString("utf8").match(TRACE_HEADERS)![0];
    if (headers.includes(`\nX-Original-To: ${recipient}\n`)) messages.push(new Uint8Array(message));
  }
  return messages;
}

/** Maildir names are `SECONDS.V…I…M MICROSECONDS.HOST`. */
function byArrival(a: string, b: string): number {
  const [secondsA = 0, microsecondsA = 0] = arrival(a);
  const [secondsB = 0, microsecondsB = 0] = arrival(b);
  return secondsA - secondsB || microsecondsA - microsecondsB;
}

function arrival(name: string): number[] {
  return (name.match(/^(\d+)\..*M(\d+)\./) ?? []).slice(1).map(Number);
}

async function findPorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () =>
      new Promise<Server>((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => resolve(server));
      })),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let connected = false;
    socket.once("connect", () => {
      connected = true;
      socket.destroy();
    });
    socket.once("error", () => {});
    socket.once("close", () => resolve(connected));
  });
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
