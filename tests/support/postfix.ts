/**
 * Starts Postfix on loopback, in its own folder.
 * @module
 */
import { Buffer } from "node:buffer";
import { rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createAuthority } from "./certificates.ts";
import { MailStore } from "./mail_store.ts";
import { makePeerFolder, PeerProcess } from "./peer_process.ts";
import { peerMissing } from "./peers.ts";
import { findPorts } from "./ports.ts";
import { layOutPostfix, MAILDIR, MASTER, QUEUES } from "./postfix_config.ts";

/** Who may log in. */
const USER = "user@mx.test";
const PASS = "open-sesame";

/** How long a message may take from the reply to the Maildir, in milliseconds. */
const MAIL_LIMIT = 15_000;

/** How often to look, in milliseconds. */
const POLL = 20;

/** The headers that Postfix puts in front of a message that it delivers. */
const TRACE_HEADERS = /^(?:(?:Return-Path|X-Original-To|Delivered-To|Received):[^\n]*\n(?:[ \t][^\n]*\n)*)*/;

/** A running Postfix. It is at `localhost`, `127.0.0.1`. */
export interface Postfix extends AsyncDisposable {
  /** Plain, offers STARTTLS and AUTH (and, as Postfix may, AUTH without TLS). */
  readonly submissionPort: number;
  /** TLS from the first byte. */
  readonly tlsPort: number;
  /** Plain; accepts nothing but EHLO, STARTTLS, NOOP and QUIT before TLS. */
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
   * @returns The messages in the order they came, as the Maildir has them: with LF, after Postfix's own headers.
   * @throws {Error} Where they have not come in time; with Postfix's log.
   */
  waitForMail(recipient: string, count?: number): Promise<Uint8Array[]>;
  /** All that it has delivered. */
  readonly mail: MailStore;
  /** What Postfix has logged so far. */
  log(): string;
  /** Stops it, waits until it has gone, and removes its folder. */
  stop(): Promise<void>;
}

/** Returns why Postfix cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function postfixMissing(): string | undefined {
  return peerMissing("Postfix", {
    programs: [MASTER, "saslpasswd2", "setsid"],
    saslPlugins: ["plain", "login", "sasldb"],
    root: true,
  });
}

/** Removes the headers that Postfix has put in front of a message in the Maildir. */
export function withoutTraceHeaders(message: Uint8Array): Uint8Array {
  // Latin-1 keeps one character a byte. The headers are short.
  const start = Buffer.from(message.buffer, message.byteOffset, Math.min(message.length, 8192)).toString(
    "latin1",
  );
  return message.subarray(start.match(TRACE_HEADERS)![0].length);
}

/**
 * Starts Postfix and waits until it accepts connections.
 * @param configuration More lines of `main.cf`, such as `smtpd_delay_reject = no`.
 * @param saslauthd The socket of a `saslauthd` that PLAIN and LOGIN ask. Default: they look into the file of users.
 */
export async function startPostfix(configuration = "", saslauthd?: string): Promise<Postfix> {
  const authority = await createAuthority();
  const certificate = await authority.issue();
  for (let attempt = 1;; attempt++) {
    const ports = await findPorts(3);
    const folder = makePeerFolder("postfix");
    let master: PeerProcess | undefined;
    try {
      layOutPostfix(folder, {
        ports,
        certificate,
        ca: authority.cert,
        user: USER,
        pass: PASS,
        configuration,
        saslauthd,
      });
      master = new PeerProcess("Postfix", folder, {
        command: [MASTER, "-c", join(folder, "etc"), "-d"],
        logs: [join(folder, "maillog")],
      });
      await master.ready(ports);
      return postfixOf(folder, ports, authority.cert, master);
    } catch (error) {
      await master?.stop();
      rmSync(folder, { recursive: true, force: true });
      // Another program may have taken a port since we looked.
      if (attempt === 3 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

function postfixOf(folder: string, ports: readonly number[], ca: string, master: PeerProcess): Postfix {
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
    mail: new MailStore(
      { mail: join(folder, MAILDIR), queues: QUEUES.map((queue) => join(folder, queue)) },
      () => master.log(),
    ),
    log: () => master.log(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

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

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
