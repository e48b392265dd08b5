/**
 * Makes subjects of the senders.
 *
 * @module
 */
import { findProgram } from "../../tests/support/peers.ts";
import { OURS, type Subject } from "./compare.ts";
import { pinned, SENDER_CPU } from "./machine.ts";
import type { Runtime } from "./prepare.ts";
import { run } from "./process.ts";

/** The line that a sender prints. */
export interface SenderResult {
  readonly sent: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly bytesPerSecond: number;
  readonly cpuSeconds: number;
  readonly peakMemory: number;
}

/** Our pool, where it is measured beside our client. */
export const OURS_POOL = `${OURS} pool`;

/** The programs in `bench/senders`, by their names in tables. */
export const SENDERS: Readonly<Record<string, string>> = {
  [OURS]: "streams_smtp",
  [OURS_POOL]: "streams_smtp_pool",
  "nodemailer": "nodemailer",
  "nodemailer smtp-connection": "nodemailer_connection",
  "emailjs": "emailjs",
  "@upyo/smtp": "upyo",
  "smtp-client": "smtp_client",
};

/** The senders that can use several connections. */
export const POOLS: readonly string[] = [OURS, "nodemailer", "emailjs", "@upyo/smtp"];

/** The senders that send a message of any size, byte for byte. */
export const EXACT: readonly string[] = [OURS, "nodemailer", "nodemailer smtp-connection"];

/** Runs a sender once. */
export async function runSender(
  runtime: Runtime,
  program: string,
  args: readonly string[],
): Promise<SenderResult> {
  const { output } = await run(pinned(SENDER_CPU, runtime.command(`senders/${program}`, args)));
  return JSON.parse(output.trim().split("\n").at(-1)!);
}

/**
 * Makes subjects of senders.
 *
 * @param runtimes The runtimes.
 * @param names The senders' names in tables.
 * @param args The command line, the same for all.
 * @param values Takes the values for the metrics from a result. Default: messages per second.
 */
export function senderSubjects(
  runtimes: readonly Runtime[],
  names: readonly string[],
  args: readonly string[],
  values: (result: SenderResult) => readonly number[] = ({ perSecond }) => [perSecond],
): Subject[] {
  return runtimes.flatMap((runtime) =>
    names.map((name) => ({
      name,
      runtime: runtime.name,
      run: async () => values(await runSender(runtime, SENDERS[name]!, args)),
    }))
  );
}

/** How many messages a connection gets in the first try, which finds out the speed. */
const FIRST = 20;

/**
 * Makes a subject of smtp-source. It sends a number of messages and knows no time limit, so a first try finds out how many
 * messages fill the time.
 *
 * @returns No subject if Postfix is not installed.
 */
export function smtpSource(
  { port, seconds, size, connections = 1 }: {
    port: number;
    seconds: number;
    size: number;
    connections?: number;
  },
): Subject[] {
  const program = findProgram("smtp-source");
  if (program === undefined) return [];
  let count = FIRST * connections;
  const send = async () => {
    const args = ["-d", "-s", connections, "-m", count, "-l", size, "-f", "sender@example.com", "-t"].map(
      String,
    );
    return (await run(pinned(SENDER_CPU, [program, ...args, "recipient@example.org", `127.0.0.1:${port}`])))
      .seconds;
  };
  return [{
    name: "smtp-source (C)",
    runtime: "native",
    async run() {
      let elapsed = await send();
      // A run that is too short is not accurate.
      for (let tries = 0; tries < 4 && elapsed < seconds / 2; tries++) {
        count = Math.ceil(count * Math.min(20, seconds / elapsed));
        elapsed = await send();
      }
      return [count / elapsed];
    },
  }];
}
