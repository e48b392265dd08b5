/**
 * The storm: many small messages through a pool, over a relay that fails at random. What the server has taken is compared with
 * what is reported, message by message.
 * @module
 */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { SmtpPool } from "../../src/pool/pool.ts";
import { PoolError } from "../../src/pool/results.ts";
import type { PoolReceipt } from "../../src/pool/results.ts";
import type { PoolMail } from "../../src/pool/send_all.ts";
import { serve } from "../../src/server/serve.ts";
import { nodeSocket } from "../../src/sockets/node/socket.ts";
import { Random } from "../fuzz/random.ts";
import { FaultRelay, type RelayPlan } from "../support/fault_relay.ts";
import { FAULT_KINDS, type FaultKind } from "../support/faults.ts";
import { ModelServer } from "../support/model_server.ts";
import { type Figures, noFigures } from "./books.ts";
import type { Swept } from "./sweep.ts";

/** How hard it blows. */
export interface StormOptions {
  /** How many messages. */
  readonly messages: number;
  /** How they go: by DATA to our own server, or by BDAT to another one. */
  readonly transfer: "data" | "bdat";
  /** Whether what is unknown is sent again. Default: `false`. */
  readonly retryUnknown?: boolean;
  /** Default: 1. */
  readonly seed?: number;
}

/** What a storm has done. */
export interface Stormed extends Swept {
  /** How many connections there were, and how many of them have failed. */
  readonly connections: number;
  readonly faults: number;
}

/** No fault comes later on a connection, in bytes. */
const MAX_PLACE = 100_000;

/** In plain text a changed byte would be another message, and nobody would know. */
const KINDS = FAULT_KINDS.filter((kind) => kind !== "corrupt");

/** The faults that nobody is told of cost a time limit. */
const SILENT: ReadonlySet<FaultKind> = new Set(["stall", "drop"]);

/** The time limit for each reply, in milliseconds. */
const LIMIT = 500;

/** What a message has come to, as the pool says. */
const OUTCOMES = ["nothing", "taken", "refused", "not-sent", "unknown"] as const;

/** What was taken and what was reported of each message, by its number: a million of them in a few bytes each. */
class Ledger {
  readonly #taken: Uint8Array;
  readonly #reported: Uint8Array;
  /** Whether a try of it has an outcome that nobody knows. */
  readonly #maybe: Uint8Array;
  #torn = 0;
  readonly violations: string[] = [];

  constructor(messages: number) {
    this.#taken = new Uint8Array(messages);
    this.#reported = new Uint8Array(messages);
    this.#maybe = new Uint8Array(messages);
  }

  /** The server takes a message. */
  take(from: string, content: string): void {
    const index = Number(from.slice(1, from.indexOf("@")));
    if (content !== textOf(index)) this.#torn++;
    this.#taken[index]!++;
  }

  /** The pool reports. */
  settle(index: number, result: PoolReceipt | PoolError): void {
    if (this.#reported[index] !== 0) this.violations.push(`${index} was settled twice`);
    const outcome = result instanceof PoolError ? result.outcome : "taken";
    this.#reported[index] = OUTCOMES.indexOf(outcome);
    if (result.tries.some((one) => one.outcome === "unknown")) this.#maybe[index] = 1;
  }

  /** Compares. Nothing may be taken any more. */
  figures(): Figures {
    const figures = { ...noFigures(), tried: this.#taken.length, torn: this.#torn };
    for (const [index, taken] of this.#taken.entries()) {
      const outcome = OUTCOMES[this.#reported[index]!]!;
      const isMaybe = this.#maybe[index] === 1;
      if (taken > 1 && !isMaybe) figures.doubled++;
      if (outcome === "unknown") {
        figures.unknown++;
        if (taken === 0) figures.unknownNotTaken++;
        continue;
      }
      if (outcome === "taken") figures.received++;
      if (outcome === "taken" && taken === 0) figures.lost++;
      // One whose last try was certainly not sent may have been taken at an earlier one, that is unknown.
      const isWrong = outcome === "taken" ? taken === 0 : taken > 0 && !isMaybe;
      if (!isWrong && outcome !== "nothing") continue;
      figures.wrong++;
      if (figures.wrong < 20) this.violations.push(`${index} is ${outcome}, and was taken ${taken} times`);
    }
    return figures;
  }
}

function textOf(index: number): string {
  return `Subject: ${index}\r\n\r\n${"A line of text.\r\n".repeat(index % 7)}End of ${index}.\r\n`;
}

function* mails(count: number): Generator<PoolMail> {
  for (let index = 0; index < count; index++) {
    yield { envelope: { from: `m${index}@client.test`, to: "you@mx.test" }, message: textOf(index) };
  }
}

/** Sends messages through a storm. */
export async function storm(options: StormOptions): Promise<Stormed> {
  forgetBroken();
  const { messages, transfer, retryUnknown = false, seed = 1 } = options;
  const random = new Random(seed);
  const ledger = new Ledger(messages);
  let connections = 0;
  let faults = 0;
  {
    await using server = transfer === "data" ? await startOwn(ledger) : await startModel(ledger);
    await using relay = await FaultRelay.start(server.port);
    relay.plan = () => {
      connections++;
      faults += relay.forget().filter(({ struck }) => struck).length;
      return planOf(random);
    };
    await using pool = new SmtpPool({
      hostname: "127.0.0.1",
      port: relay.port,
      security: "none",
      clientName: "client.test",
      maxConnections: 4,
      timeouts: {
        connect: LIMIT,
        greeting: LIMIT,
        command: LIMIT,
        mail: LIMIT,
        rcpt: LIMIT,
        data: LIMIT,
        block: LIMIT,
        end: LIMIT,
        quit: LIMIT,
      },
      retry: { attempts: 20, delay: 1, maxDelay: 20 },
      retryUnknown,
    });
    for await (const { index, receipt, error } of pool.sendAll(mails(messages))) {
      const result = receipt ?? error;
      if (result instanceof Error && !(result instanceof PoolError)) {
        ledger.violations.push(`${index} failed with what is no PoolError: ${result}`);
      } else ledger.settle(index, result);
    }
  }
  return { figures: ledger.figures(), violations: ledger.violations, connections, faults };
}

function planOf(random: Random): RelayPlan {
  const weather = random.pick<RelayPlan>([{}, {}, {}, {}, { coalesce: 2 }, { delay: 2 }, { pieces: 50 }]);
  const silent = random.chance(0.05);
  const kind = random.pick(KINDS.filter((kind) => SILENT.has(kind) === silent));
  // No connection lives on for good: as many end in the first few hundred bytes as in all that follows.
  const at = Math.floor(MAX_PLACE ** random.next());
  return { ...weather, fault: { kind, direction: random.pick(["up", "down"]), at } };
}

interface RunningServer extends AsyncDisposable {
  readonly port: number;
}

async function startOwn(ledger: Ledger): Promise<RunningServer> {
  const server = serve({ serverName: "mx.test", onError: () => {} }, {
    async message(content, { envelope }) {
      let text = "";
      const decoder = new TextDecoder("latin1");
      for await (const bytes of content) text += decoder.decode(bytes);
      ledger.take(envelope.from!, text);
    },
  });
  const { port } = await server.listening;
  return { port, [Symbol.asyncDispose]: () => server.shutdown() };
}

async function startModel(ledger: Ledger): Promise<RunningServer> {
  const running = new Set<Promise<void>>();
  const settings = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, highWaterMark: 0 };
  const server = createServer(settings, (raw) => {
    const model = new ModelServer(nodeSocket(raw, { allowHalfOpen: true }), {
      pipelining: true,
      chunking: true,
      batch: true,
    });
    const done = model.done.then(() => {
      for (const { from, content } of model.delivered) ledger.take(from, content);
      running.delete(done);
    });
    running.add(done);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all(running);
    },
  };
}
