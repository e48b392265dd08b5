/**
 * How long one mail takes to a distant server, from the call to its return: the first mail of a program, with connection, TLS and
 * login, and each next mail on an open session. Against real Postfix, at 20, 50 and 100 ms.
 *
 * ```sh
 * deno task bench:latency [--pairs 5] [--json FILE] [--runtimes deno,bun,node] [--case "STARTTLS, PLAIN"] [--subjects nodemailer]
 * ```
 *
 * A relay adds the distance, that of the TCP handshake included: the greeting comes two round trips after the call, as on a real
 * network. Round trips are counted by time: what 50 ms more cost, from 50 to 100 ms, over 50 ms. So work that takes as long at
 * any distance (TLS, the login's hashes, Postfix's disk) falls out.
 *
 * Each library is called as its documentation shows for one mail: `sendMail()` of ours; `createTransport().sendMail()` of
 * nodemailer without a pool, and with its pool for the next mail; nodemailer's `smtp-connection` step by step. A library's first
 * call in a process is not measured: `bench:start` does that. Programs in C are measured as whole processes.
 *
 * @module
 */
import { findProgram } from "../tests/support/peers.ts";
import { postfixMissing } from "../tests/support/postfix.ts";
import { compare, type Metric, OURS, type Subject } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { pinned, SENDER_CPU, stepAside } from "./support/machine.ts";
import { prepare, type Runtime } from "./support/prepare.ts";
import { run } from "./support/process.ts";
import { startLoginPostfix, startRelay } from "./support/receivers.ts";
import { OURS_POOL, SENDERS } from "./support/senders.ts";

/** The distances, in milliseconds for the way there and back. */
const ROUND_TRIPS = [20, 50, 100];
const SIZE = 1_024;
/** How often a first mail is sent in a run, at each distance. The quickest counts: what disturbs it only ever adds. */
const TRIES = 2;
/** How many further messages a program in C sends on its session. */
const NEXT = 4;
const FROM = "sender@example.com";
const TO = "recipient@example.org";

/** Libraries that can do the login. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  "PLAIN": [OURS, OURS_POOL, "nodemailer", "nodemailer smtp-connection", "@upyo/smtp"],
  "SCRAM-SHA-256": [OURS],
};

/** What a subject needs to reach the server, at each distance. */
interface Way {
  readonly security: "starttls" | "tls";
  readonly mechanism: string;
  readonly ports: readonly number[];
  /** The same way without TLS and login, for what can do neither. */
  readonly plainPorts: readonly number[];
}

const MAILS = ["first mail", "next mail"];

const METRICS: readonly Metric[] = MAILS.flatMap((mail) => [
  ...ROUND_TRIPS.map((roundTrip) => ({
    name: `${mail}, ${roundTrip} ms`,
    unit: "ms",
    less: true,
    roundTrip,
  })),
  { name: `${mail}, round trips`, unit: "round trips", less: true },
]);

const flags = readFlags();
const runtimes = await prepare(flags.runtimes);
await stepAside();

const missing = postfixMissing();
if (missing !== undefined) console.log(`No bench:latency: ${missing}`);
else await measureAll();

async function measureAll(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const postfix = stack.use(await startLoginPostfix());
  const message = await Deno.makeTempFile({ prefix: "smtp-bench-", suffix: ".eml" });
  stack.defer(() => Deno.remove(message));
  await Deno.writeTextFile(
    message,
    `From: <${FROM}>\r\nTo: <${TO}>\r\nSubject: Hi\r\n\r\n`.padEnd(SIZE - 2, "x ") + "\r\n",
  );

  const relays = async (to: number) => {
    const ports: number[] = [];
    for (const roundTrip of ROUND_TRIPS) {
      ports.push(stack.use(await startRelay(to, roundTrip, { handshake: true })).port);
    }
    return ports;
  };
  const plainPorts = await relays(postfix.port);
  const tlsPorts = await relays(postfix.tlsPort);
  for (const mechanism of ["PLAIN", "SCRAM-SHA-256"]) {
    for (
      const [name, security, ports] of [["STARTTLS", "starttls", plainPorts], [
        "TLS",
        "tls",
        tlsPorts,
      ]] as const
    ) {
      const way = { security, mechanism, ports, plainPorts };
      const libraries = runtimes.flatMap((runtime) =>
        LIBRARIES[mechanism]!.map((library) => librarySubject(runtime, library, way))
      );
      const programs = [curl(way), msmtp(way), smtpSource(way)].filter((subject) => subject !== undefined);
      await compare({ bench: "latency", case: `${name}, ${mechanism}`, metrics: METRICS }, [
        ...libraries,
        ...programs,
      ], flags);
    }
  }

  function librarySubject(runtime: Runtime, name: string, { security, mechanism, ports }: Way): Subject {
    const args = [
      ...[
        "--latency",
        ports.flatMap((port) => new Array<number>(TRIES).fill(port)).join(),
        "--size",
        SIZE,
        "--security",
        security,
        "--ca",
        postfix.ca,
      ],
      ...["--user", postfix.user, "--pass", postfix.pass, "--mechanism", mechanism],
    ].map(String);
    return {
      name,
      runtime: runtime.name,
      async run() {
        const { output } = await run(pinned(SENDER_CPU, runtime.command(`senders/${SENDERS[name]}`, args)));
        const results: { first: number; next: number }[] = JSON.parse(output.trim().split("\n").at(-1)!);
        return valuesOf(results.map(({ first }) => first), results.map(({ next }) => next));
      },
    };
  }

  /** curl, which waits for the reply to QUIT. */
  function curl({ security, mechanism, ports }: Way): Subject | undefined {
    const program = findProgram("curl");
    if (program === undefined || mechanism !== "PLAIN") return undefined; // its SCRAM is not in Debian's
    const mail = (port: number) => [
      ...[
        "-sS",
        "--cacert",
        postfix.ca,
        "--user",
        `${postfix.user}:${postfix.pass}`,
        "--login-options",
        "AUTH=PLAIN",
      ],
      ...["--mail-from", FROM, "--mail-rcpt", TO, "--upload-file", message],
      ...(security === "tls" ? [] : ["--ssl-reqd"]),
      `${security === "tls" ? "smtps" : "smtp"}://127.0.0.1:${port}/client.example.com`,
    ];
    return programSubject("curl (C)", ports, (port, count) => {
      const mails = Array.from({ length: count }, (_, i) => [...(i > 0 ? ["--next"] : []), ...mail(port)])
        .flat();
      return [program, ...mails];
    });
  }

  /** msmtp, which sends one mail and waits for the reply to QUIT. */
  function msmtp({ security, mechanism, ports }: Way): Subject | undefined {
    const program = findProgram("msmtp");
    if (program === undefined) {
      console.log("Without msmtp: it is not installed");
      return undefined;
    }
    return programSubject("msmtp (C)", ports, (port) => [
      ...[
        "sh",
        "-c",
        'message="$1"; shift; exec "$@" < "$message"',
        "sh",
        message,
        program,
        "--host=127.0.0.1",
      ],
      ...[`--port=${port}`, "--tls=on", `--tls-starttls=${security === "tls" ? "off" : "on"}`],
      ...[`--tls-trust-file=${postfix.ca}`, `--auth=${mechanism.toLowerCase()}`, `--user=${postfix.user}`],
      ...[`--passwordeval=echo ${postfix.pass}`, "--domain=client.example.com", `--from=${FROM}`, TO],
    ], 1);
  }

  /** Postfix's own sender, which knows neither TLS nor logins: for the next mail that makes no difference. */
  function smtpSource({ mechanism, security, plainPorts }: Way): Subject | undefined {
    const program = findProgram("smtp-source");
    if (program === undefined || mechanism !== "PLAIN" || security !== "starttls") return undefined;
    const subject = programSubject("smtp-source (C)", plainPorts, (port, count) => [
      ...[program, "-d", "-s", 1, "-m", count, "-l", SIZE, "-f", FROM, "-t", TO, `127.0.0.1:${port}`].map(
        String,
      ),
    ]);
    // Its first mail is another thing.
    const half = METRICS.length / 2;
    return {
      ...subject,
      run: async () => (await subject.run()).map((value, index) => index < half ? NaN : value),
    };
  }
}

/** A program that sends so many messages over one connection. Its process is part of the time, at no distance too. */
function programSubject(
  name: string,
  ports: readonly number[],
  command: (port: number, count: number) => readonly string[],
  most = 1 + NEXT,
): Subject {
  const timed = async (port: number, count: number) =>
    (await run(pinned(SENDER_CPU, command(port, count)))).seconds * 1_000;
  return {
    name,
    runtime: "native",
    async run() {
      const first: number[] = [];
      const next: number[] = [];
      for (const port of ports.flatMap((port) => new Array<number>(TRIES).fill(port))) {
        const one = await timed(port, 1);
        first.push(one);
        next.push(most > 1 ? (await timed(port, most) - one) / (most - 1) : NaN);
      }
      return valuesOf(first, next);
    },
  };
}

/** The values for the metrics, from `TRIES` times in milliseconds at each distance. */
function valuesOf(...mails: (readonly number[])[]): number[] {
  return mails.flatMap((all) => {
    const times = ROUND_TRIPS.map((_, index) => Math.min(...all.slice(index * TRIES, (index + 1) * TRIES)));
    const [near, far] = ROUND_TRIPS.slice(-2);
    return [...times, (times.at(-1)! - times.at(-2)!) / (far! - near!)];
  });
}
