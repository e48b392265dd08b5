/**
 * Messages of 1 KiB per second over one connection to a distant server: Postfix and Exim, which offer CHUNKING, and
 * `smtp-sink`, which offers PIPELINING only. A relay of our own adds the distance, and what it really adds is measured
 * first. Ours is measured twice: as it is, and with `transfer: "data"`, which is what PIPELINING alone can do.
 *
 * The case "distance" shows what distance costs: ours to Postfix at 1, 50 and 100 ms, one after the other in each round, so that a
 * noisy machine weighs on all alike. The ratio is the rate at 1 ms over the rate at that distance. Each run takes ten seconds or
 * more: the way there and back at its end, when nothing new leaves, must not count.
 *
 * ```sh
 * deno task bench:wan [--pairs 5] [--seconds 3] [--json FILE] [--case "50 ms"]
 * deno task bench:wan --case distance --runtimes node
 * ```
 *
 * The figures of the chart, messages per second over the distance, come from one run:
 *
 * ```sh
 * deno task bench:wan --case Postfix --runtimes node --subjects nodemailer --seconds 10 --json FILE
 * ```
 *
 * Each line of FILE is a `Result` of `support/compare.ts` in JSON. `roundTrip` holds the distance:
 *
 * ```json
 * {"bench":"wan","case":"Postfix, CHUNKING, 50 ms","roundTrip":50,"runtime":"node","subject":"@streams/smtp","value":424.7,"unit":"msg/s","ratio":1}
 * {"bench":"wan","case":"Postfix, CHUNKING, 50 ms","roundTrip":50,"runtime":"node","subject":"@streams/smtp, PIPELINING alone","value":18.03,"unit":"msg/s","ratio":23.56}
 * {"bench":"wan","case":"Postfix, CHUNKING, 50 ms","roundTrip":50,"runtime":"node","subject":"nodemailer","value":8.995,"unit":"msg/s","ratio":47.21}
 * ```
 *
 * @module
 */
import { compare, median, OURS, type Subject } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { SENDER_CPU, stepAside } from "./support/machine.ts";
import { eximMissing } from "../tests/support/exim.ts";
import { postfixMissing } from "../tests/support/postfix.ts";
import { prepare } from "./support/prepare.ts";
import type { Helper } from "./support/process.ts";
import { startExim, startPostfix, startRelay, startSmtpSink } from "./support/receivers.ts";
import { SENDERS, senderSubjects, smtpSource } from "./support/senders.ts";

const SIZE = 1_024;
/** The distances, in milliseconds for the way there and back. */
const ROUND_TRIPS = [1, 10, 25, 50, 100];
/** What distance costs is shown at these. */
const DISTANCES = [1, 50, 100];
/** A run that shows it takes at least so many seconds. */
const LONG = 10;
/** How many messages a sender has ready: more than any library may have in flight. */
const READY = 2_048;
/** How many where messages leave one after the other. They must all be sent before a run ends: more would only make it longer. */
const FEW = 8;
/** How many times the relay's delay is measured. */
const PINGS = 30;
/** Ours without BDAT. */
const PIPELINING_ALONE = `${OURS}, PIPELINING alone`;

const flags = readFlags({ seconds: 3 });
const runtimes = await prepare(flags.runtimes);
await stepAside();

interface Receiver {
  /** The name in cases, with the extension that decides the speed. */
  readonly name: string;
  readonly chunking: boolean;
  start(): Promise<Helper>;
}

const receivers: Receiver[] = [
  { name: "smtp-sink, PIPELINING", chunking: false, start: () => startSmtpSink() },
];
const withoutPostfix = postfixMissing();
if (withoutPostfix !== undefined) console.log(`Without Postfix: ${withoutPostfix}`);
else receivers.push({ name: "Postfix, CHUNKING", chunking: true, start: startPostfix });
const withoutExim = eximMissing();
if (withoutExim !== undefined) console.log(`Without Exim: ${withoutExim}`);
else receivers.push({ name: "Exim, CHUNKING", chunking: true, start: startExim });

const wanted = receivers.map((receiver) => ({
  receiver,
  roundTrips: ROUND_TRIPS.filter((roundTrip) => caseName(receiver, roundTrip).includes(flags.case)),
})).filter(({ roundTrips }) => roundTrips.length > 0);

const distant = receivers.find(({ name }) => name.startsWith("Postfix"));
const showsDistance = distant !== undefined && distanceName(distant).includes(flags.case);

for (const roundTrip of ROUND_TRIPS) {
  const isWanted = wanted.some(({ roundTrips }) => roundTrips.includes(roundTrip)) ||
    (showsDistance && DISTANCES.includes(roundTrip));
  if (isWanted) await verifyRelay(roundTrip);
}
for (const { receiver, roundTrips } of wanted) {
  await using helper = await receiver.start();
  for (const roundTrip of roundTrips) await measure(receiver, helper.port, roundTrip);
}
if (showsDistance) await measureDistance(distant);

function distanceName({ name }: Receiver): string {
  return `${name}, distance`;
}

async function measureDistance(receiver: Receiver): Promise<void> {
  await using helper = await receiver.start();
  await using stack = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const roundTrip of DISTANCES) {
    // On two CPUs the relay would share its own with Postfix and slow it down, the more the farther it is. The sender has time.
    const relay = stack.use(await startRelay(helper.port, roundTrip, { coarse: true, cpu: SENDER_CPU }));
    const name = roundTrip === DISTANCES[0] ? OURS : `${OURS}, ${roundTrip} ms`;
    const seconds = Math.max(LONG, flags.seconds);
    const args = senderArgs(relay.port, seconds, READY);
    subjects.push(...senderSubjects(runtimes, [OURS], args).map((subject) => ({ ...subject, name })));
  }
  await compare(
    { bench: "wan", case: distanceName(receiver), metrics: [{ name: "", unit: "msg/s" }] },
    subjects,
    flags,
  );
}

function senderArgs(port: number, seconds: number, ready: number): string[] {
  return ["--port", port, "--size", SIZE, "--seconds", seconds, "--warmup", seconds / 4, "--window", ready]
    .map(String);
}

function caseName({ name }: Receiver, roundTrip: number): string {
  return `${name}, ${roundTrip} ms`;
}

async function measure(receiver: Receiver, port: number, roundTrip: number): Promise<void> {
  await using relay = await startRelay(port, roundTrip);
  const { seconds } = flags;
  const args = senderArgs(relay.port, seconds, receiver.chunking ? READY : FEW);
  const fewArgs = senderArgs(relay.port, seconds, FEW);
  // A server without CHUNKING gets PIPELINING alone anyway.
  const alone = receiver.chunking
    ? senderSubjects(runtimes, [OURS], [...fewArgs, "--transfer", "data"]).map((subject) => ({
      ...subject,
      name: PIPELINING_ALONE,
    }))
    : [];
  await compare(
    { bench: "wan", case: caseName(receiver, roundTrip), roundTrip, metrics: [{ name: "", unit: "msg/s" }] },
    [
      ...senderSubjects(runtimes, Object.keys(SENDERS), args),
      ...alone,
      ...smtpSource({ port: relay.port, seconds, size: SIZE }),
    ],
    flags,
  );
}

/** Prints the delay that the relay really adds. */
async function verifyRelay(roundTrip: number): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echoed = (async () => {
    using connection = await listener.accept();
    connection.setNoDelay(true);
    const buffer = new Uint8Array(1);
    while (await connection.read(buffer) !== null) await connection.write(buffer);
  })();
  await using relay = await startRelay(listener.addr.port, roundTrip);
  const times: number[] = [];
  {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: relay.port });
    connection.setNoDelay(true);
    const buffer = new Uint8Array(1);
    for (let i = 0; i < PINGS; i++) {
      const start = performance.now();
      await connection.write(buffer);
      await connection.read(buffer);
      times.push(performance.now() - start);
    }
  }
  await echoed;
  const [least, middle, most] = [Math.min(...times), median(times), Math.max(...times)].map((time) =>
    time.toFixed(2)
  );
  console.log(`Relay: ${roundTrip} ms asked for, ${middle} ms measured (${least} to ${most})`);
}
