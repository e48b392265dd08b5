/** Pools over servers that cut their connections anywhere: what is reported is compared with what the servers have. */
import { assert, assertEquals } from "@std/assert";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { SmtpPool } from "../../src/pool/pool.ts";
import type { PoolError } from "../../src/pool/results.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { SocketError } from "../../src/sockets/socket.ts";
import { Random } from "../fuzz/random.ts";
import { test } from "../support/harness.ts";
import { ModelServer, recipient, sender } from "../support/model_server.ts";
import type { ModelOptions } from "../support/model_server.ts";
import { inTime } from "./time.ts";

const SEEDS = 120;
const MAILS = 25;

const FINE = { mail: 250, data: 354, chunk: 250, final: 250 };

/** What came of a mail. */
interface Report {
  accepted: readonly string[];
  outcome: string;
  /** Whether one of its tries has an outcome that nobody knows. */
  maybe: boolean;
}

for (const retryUnknown of [false, true]) {
  test(`SmtpPool loses and doubles no mail over connections that are cut anywhere, retryUnknown ${retryUnknown}`, () =>
    inTime(async () => {
      const totals = { mails: 0, taken: 0, refused: 0, "not-sent": 0, unknown: 0, connections: 0 };
      for (let seed = 1; seed <= SEEDS; seed++) await play(seed, retryUnknown, totals);
      console.log(JSON.stringify({ retryUnknown, ...totals }));
      assert(totals.taken > totals.mails / 2 && totals.connections > 2 * SEEDS);
      if (retryUnknown) assert(totals.unknown < totals.mails / 20);
    }));
}

async function play(seed: number, retryUnknown: boolean, totals: Record<string, number>): Promise<void> {
  forgetBroken();
  const random = new Random(seed);
  const servers: ModelServer[] = [];
  const kind: ModelOptions = {
    pipelining: random.chance(0.8),
    chunking: random.chance(0.6),
    family: random.pick(["postfix", "dovecot", "exim"] as const),
    protocol: random.chance(0.25) ? "lmtp" : "smtp",
  };
  const evil = random.pick([0, 0.3, 0.8]);
  const open = () => {
    if (random.chance(evil / 3)) throw new SocketError("connection-refused", "Cannot connect");
    const [ours, theirs] = memorySocketPair();
    const cuts: ModelOptions = !random.chance(evil) ? {} : random.pick<ModelOptions>([
      { closingAt: random.below(40) },
      { cutAfterReceived: random.below(3_000), cutHard: random.chance(0.5) },
      { cutAfterSent: random.below(600), cutHard: random.chance(0.5) },
    ]);
    servers.push(new ModelServer(theirs, { ...kind, ...cuts }));
    return ours;
  };
  const pool = new SmtpPool({
    socket: open,
    hostname: "mx.test",
    security: "none",
    clientName: "client.test",
    protocol: kind.protocol!,
    maxConnections: 1 + random.below(4),
    maxMessagesPerConnection: random.pick([3, Infinity]),
    maxInFlight: random.pick([1, 5, 128]),
    retry: { attempts: random.pick([2, 8]), refused: random.chance(0.3), refusedDelay: 1_000 },
    retryUnknown,
  });
  const reports: Report[] = await Promise.all(Array.from({ length: MAILS }, async (_, i) => {
    const decisions = random.chance(0.85) ? FINE : { ...FINE, final: random.pick([450, 550]) };
    const to = Array.from(
      { length: 1 + random.below(3) },
      (_, j) => recipient(`r${i}x${j}`, random.pick([250, 250, 250, 450, 550])),
    );
    const envelope = { from: sender(`s${i}`, decisions), to };
    return await pool.send(envelope, `N: ${i}\r\n\r\nHello`).then(
      ({ accepted, tries }) => ({
        accepted,
        outcome: "taken",
        maybe: tries.some(({ outcome }) => outcome === "unknown"),
      }),
      ({ accepted, outcome, tries }: PoolError) => ({
        accepted,
        outcome,
        maybe: tries.some(({ outcome }) => outcome === "unknown"),
      }),
    );
  }));
  await pool.close();
  const delivered = new Map<string, number>();
  for (const server of servers) {
    assertEquals(server.violations, [], `seed ${seed}`);
    for (const { to, content } of server.delivered) {
      const number = content.match(/^N: (\d+)/)![1];
      for (const name of to) {
        delivered.set(`${number} ${name}`, (delivered.get(`${number} ${name}`) ?? 0) + 1);
      }
    }
  }
  for (const [i, { accepted, outcome, maybe }] of reports.entries()) {
    totals.mails!++;
    totals[outcome]!++;
    for (let j = 0; j < 3; j++) {
      for (const [key, count] of delivered) {
        if (!key.startsWith(`${i} r${i}x${j}-`)) continue;
        const where = `seed ${seed}: ${key}, reported ${outcome}`;
        assert(count === 1 || maybe, `${where}, has it ${count} times`);
        assert(maybe || accepted.includes(key.split(" ")[1]!), `${where}, has it and was not reported`);
      }
    }
    for (const name of accepted) assert(delivered.has(`${i} ${name}`), `seed ${seed}: ${name} was lost`);
  }
  totals.connections! += servers.length;
}
