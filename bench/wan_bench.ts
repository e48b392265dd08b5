/**
 * Messages a second over one connection and a long way, 1 KiB each: to Postfix, which offers CHUNKING, and to
 * `smtp-sink`, which offers PIPELINING only. The way is our own relay; how long it really is, is measured first.
 *
 * ```sh
 * deno task bench:wan [--pairs 5] [--seconds 3] [--json FILE] [--case "50 ms"]
 * ```
 *
 * @module
 */
import { compare, median } from "./support/compare.ts";
import { readFlags } from "./support/flags.ts";
import { stepAside } from "./support/machine.ts";
import { eximMissing, startExim } from "../tests/support/exim.ts";
import { postfixMissing } from "../tests/support/postfix.ts";
import { startPostfix } from "./support/postfix.ts";
import { prepare } from "./support/prepare.ts";
import type { Helper } from "./support/process.ts";
import { startRelay, startSmtpSink } from "./support/receivers.ts";
import { SENDERS, senderSubjects, smtpSource } from "./support/senders.ts";

const SIZE = 1_024;
const ROUND_TRIPS = [1, 20, 50, 100];
/** How often the relay is measured. */
const PINGS = 30;

const flags = readFlags({ seconds: 3 });
const runtimes = await prepare(flags.runtimes);
await stepAside();
for (const rtt of ROUND_TRIPS) if (isWanted(`${rtt} ms`)) await verifyRelay(rtt);

const receivers: Record<string, () => Promise<Helper>> = { "smtp-sink, PIPELINING": () => startSmtpSink() };
const missing = postfixMissing();
if (missing !== undefined) console.log(`Without Postfix: ${missing}`);
else {
  receivers["Postfix, CHUNKING"] = async () => {
    const postfix = await startPostfix();
    return { port: postfix.submissionPort, [Symbol.asyncDispose]: () => postfix.stop() };
  };
}

const eximAbsent = eximMissing();
if (eximAbsent !== undefined) console.log(`Without Exim: ${eximAbsent}`);
else {
  // It delivers each message, in a process of its own, while the next come: that is what limits.
  receivers["Exim, CHUNKING"] = async () => {
    const exim = await startExim();
    return { port: exim.ports[0]!, [Symbol.asyncDispose]: () => exim.stop() };
  };
}

for (const [name, start] of Object.entries(receivers)) {
  if (!ROUND_TRIPS.some((rtt) => isWanted(caseName(name, rtt)))) continue;
  await using receiver = await start();
  for (const rtt of ROUND_TRIPS) {
    if (!isWanted(caseName(name, rtt))) continue;
    await using relay = await startRelay(receiver.port, rtt);
    const { seconds } = flags;
    const args = ["--port", relay.port, "--size", SIZE, "--seconds", seconds, "--warmup", seconds / 4].map(
      String,
    );
    await compare(
      { bench: "wan", case: caseName(name, rtt), metrics: [{ name: "", unit: "msg/s" }] },
      [
        ...senderSubjects(runtimes, Object.keys(SENDERS), args),
        ...smtpSource({ port: relay.port, seconds, size: SIZE }),
      ],
      flags,
    );
  }
}

function caseName(receiver: string, rtt: number): string {
  return `${receiver}, ${rtt} ms`;
}

function isWanted(name: string): boolean {
  return name.includes(flags.case) || flags.case.includes(name);
}

/** Says how long the way is that was asked for. */
async function verifyRelay(rtt: number): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echoed = (async () => {
    using connection = await listener.accept();
    connection.setNoDelay(true);
    const buffer = new Uint8Array(1);
    while (await connection.read(buffer) !== null) await connection.write(buffer);
  })();
  await using relay = await startRelay(listener.addr.port, rtt);
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
  console.log(`Relay: ${rtt} ms asked for, ${middle} ms measured (${least} to ${most})`);
}
