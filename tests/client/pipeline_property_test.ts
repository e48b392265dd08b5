/**
 * Random mail against a model of a server that refuses, fails and hangs up at random: what the client says of each
 * message must be what became of it.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import type { Receipt } from "../../src/client/receipt.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { test } from "../support/harness.ts";
import { ModelServer, recipient, sender, tapped } from "../support/model_server.ts";
import type { Decisions, ModelOptions } from "../support/model_server.ts";

interface Plan {
  /** Undefined: the null reverse-path, for which the server decides nothing. */
  decisions: Decisions | undefined;
  /** The reply to each RCPT, and under LMTP the one to the content. */
  recipients: readonly (readonly [number, number])[];
  policy: "some" | "all";
  fragments: readonly string[];
  /** How often a block of 1,000 bytes stands in it. */
  blocks: number;
  kind: "string" | "bytes" | "blob" | "stream" | "iterable";
  /** Sizes of the pieces of a stream; the rest is the last piece. */
  pieces: readonly number[];
  /** Turns that pass before each piece. */
  slow: number;
  /** The source fails, or stands still for ever, in the place of this piece. */
  breaks: { how: "fail" | "stall"; at: number } | undefined;
  abort: { on: "ticks" | "progress" | "trace" | "source" | "received"; at: number } | undefined;
  /** Turns between this call of send() and the one before. */
  gap: number;
}

interface Case {
  server: ModelOptions;
  highWaterMark: number;
  maxInFlight: number;
  transfer: "auto" | "data" | "bdat";
  /** Whether the client says QUIT behind the last message without waiting for its reply. */
  leaves: boolean;
  plans: readonly Plan[];
}

const EVIL = [
  "\r\n.\r\n",
  "\r\n.\r\nMAIL FROM:<evil@client.test>\r\n",
  "RSET\r\n",
  "BDAT 5 LAST\r\n",
  "QUIT\r\n",
  ".",
  "..\r\n",
  ".\n",
  "\r",
  "\n",
  "\n.\n",
  "\r.\r",
  "é",
  "€\u0001",
  "Hello, world",
  "x".repeat(998),
];

const yes = <T>(good: T, ...bad: T[]) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(good) }, { weight: 2, arbitrary: fc.constantFrom(...bad) });
const rarely = <T>(arbitrary: fc.Arbitrary<T>, weight = 1) =>
  fc.oneof({ weight: 10 - weight, arbitrary: fc.constant(undefined) }, { weight, arbitrary });

const plan: fc.Arbitrary<Plan> = fc.record({
  decisions: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        mail: yes(250, 250, 550, 451),
        data: yes(354, 554, 451),
        chunk: yes(250, 552, 452),
        final: yes(250, 554, 451),
      }),
    },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
  recipients: fc.array(fc.tuple(yes(250, 251, 550, 450), yes(250, 552, 450)), { minLength: 1, maxLength: 4 }),
  policy: fc.constantFrom("some", "some", "all"),
  fragments: fc.array(fc.constantFrom(...EVIL), { maxLength: 5 }),
  blocks: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, {
    weight: 2,
    arbitrary: fc.constantFrom(66, 140, 530),
  }),
  kind: fc.constantFrom("string", "string", "bytes", "blob", "stream", "stream", "iterable"),
  pieces: fc.array(fc.constantFrom(1, 1, 2, 7, 100, 5_000, 65_536, 70_000), { maxLength: 6 }),
  slow: fc.constantFrom(0, 0, 1, 7, 40),
  breaks: rarely(fc.record({ how: fc.constantFrom("fail", "fail", "stall"), at: fc.nat(5) }), 1),
  abort: rarely(
    fc.record({
      on: fc.constantFrom("ticks", "ticks", "progress", "trace", "source", "received"),
      at: fc.oneof(fc.nat(8), fc.nat(300)),
    }),
    2,
  ),
  gap: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(200) }),
}, { noNullPrototype: true });

const sessions: fc.Arbitrary<Case> = fc.record({
  server: fc.record({
    protocol: yes<"smtp" | "lmtp">("smtp", "lmtp"),
    pipelining: yes(true, false),
    chunking: yes(true, false, false),
    family: fc.constantFrom("postfix", "dovecot", "strict", "exim"),
    alwaysGoAhead: fc.boolean(),
    batch: fc.boolean(),
    lag: fc.constantFrom(0, 0, 3, 20),
    pieces: fc.constantFrom(10_000, 10_000, 1, 7),
    closingAt: rarely(fc.nat(30)),
    cutAfterReceived: rarely(fc.oneof(fc.nat(3_000), fc.nat(300_000))),
    cutAfterSent: rarely(fc.nat(600)),
    cutHard: fc.boolean(),
    refuseEarlyAt: rarely(fc.nat(100_000)),
  }, { noNullPrototype: true }).map((options) => {
    const known = Object.entries(options).filter(([, value]) => value !== undefined);
    return Object.fromEntries(known) as ModelOptions;
  }),
  highWaterMark: fc.constantFrom(65_536, 65_536, 1_000),
  maxInFlight: fc.constantFrom(64, 64, 1, 2, 3),
  transfer: fc.constantFrom("auto", "auto", "data", "bdat"),
  leaves: yes(false, true),
  plans: fc.array(plan, { minLength: 1, maxLength: 8 }),
}, { noNullPrototype: true });

const FIRST_BLOCK = "0123456789".repeat(99) + "12345678\r\n";

function textOf({ fragments, blocks }: Plan, index: number): string {
  const half = fragments.length >> 1;
  return `Message-ID: m${index}\r\n${fragments.slice(0, half).join("")}${FIRST_BLOCK.repeat(blocks)}${
    fragments.slice(half).join("")
  }\r\nend m${index}`;
}

/** The bytes of a text as the server counts them: one character a byte. */
function bytesOf(text: string): string {
  return new TextDecoder("latin1").decode(new TextEncoder().encode(text));
}

/** What arrives of a text, and a second way to say what DataEncoder does. */
function normalised(text: string): string {
  return bytesOf(text.replace(/\r\n|\r|\n/g, "\r\n").replace(/(?<!\r\n)$/, "\r\n"));
}

async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

/** One message on its way, and what is seen of it. */
class Sending {
  readonly index: number;
  readonly plan: Plan;
  readonly from: string | null;
  readonly to: string[];
  readonly text: string;
  readonly controller = new AbortController();
  sourceOver = true;
  #traced = 0;
  #progressed = 0;
  result: PromiseSettledResult<Receipt> | undefined;

  constructor(plan: Plan, index: number) {
    this.plan = plan;
    this.index = index;
    this.text = textOf(plan, index);
    this.from = plan.decisions === undefined ? null : sender(`s${index}`, plan.decisions);
    this.to = plan.recipients.map(([reply, final], i) => recipient(`r${i}m${index}`, reply, final));
  }

  /** Whether the caller or the source may put an end to it. */
  get disturbed(): boolean {
    return this.plan.abort !== undefined || (this.plan.breaks !== undefined && this.#streams);
  }

  get #streams(): boolean {
    return this.plan.kind === "stream" || this.plan.kind === "iterable";
  }

  get error(): SmtpError | undefined {
    return this.result?.status === "rejected" ? this.result.reason : undefined;
  }

  async send(client: SmtpClient): Promise<void> {
    const { abort, policy } = this.plan;
    const sent = client.send({ from: this.from, to: this.to }, this.message(), {
      recipients: policy,
      lineLength: "allow",
      signal: this.controller.signal,
      ...(abort?.on === "progress" && { onProgress: () => this.#on("progress", this.#progressed++) }),
    });
    if (abort?.on === "ticks") void ticks(abort.at).then(() => this.controller.abort());
    [this.result] = await Promise.allSettled([sent]);
  }

  message(): Message {
    switch (this.plan.kind) {
      case "string":
        return this.text;
      case "bytes":
        return new TextEncoder().encode(this.text);
      case "blob":
        return new Blob([this.text]);
      case "stream": {
        this.sourceOver = false;
        const pieces = this.#pieces();
        return new ReadableStream({
          pull: async (controller) => {
            try {
              const { value, done } = await pieces.next();
              if (!done) return controller.enqueue(value);
              controller.close();
            } catch (error) {
              controller.error(error);
            }
            this.sourceOver = true;
          },
          cancel: () => void (this.sourceOver = true),
        }, { highWaterMark: 0 });
      }
      case "iterable": {
        this.sourceOver = false;
        const pieces = this.#pieces();
        return {
          [Symbol.asyncIterator]: () => ({
            next: async () => {
              try {
                const result = await pieces.next();
                if (result.done) this.sourceOver = true;
                return result;
              } catch (error) {
                this.sourceOver = true;
                throw error;
              }
            },
            return: () => {
              this.sourceOver = true;
              return Promise.resolve({ done: true as const, value: undefined });
            },
          }),
        };
      }
    }
  }

  async *#pieces(): AsyncGenerator<Uint8Array | string, undefined> {
    const { pieces, breaks, slow } = this.plan;
    const characters = [...this.text];
    for (let at = 0, index = 0; at < characters.length; index++) {
      this.#on("source", index);
      await ticks(slow);
      if (breaks?.at === index) {
        if (breaks.how === "fail") throw new Error("The source has failed");
        await new Promise(() => {});
      }
      const end = at + (pieces[index] ?? Infinity);
      const piece = characters.slice(at, end).join("");
      at = end;
      yield index % 2 === 0 ? new TextEncoder().encode(piece) : piece;
    }
    if (breaks?.at === pieces.length + 1 && breaks.how === "fail") throw new Error("The source has failed");
    return undefined;
  }

  onTrace(): void {
    this.#on("trace", this.#traced++);
  }

  onReceived(total: number): void {
    if (this.plan.abort?.on === "received" && total >= this.plan.abort.at * 20) this.controller.abort();
  }

  #on(what: NonNullable<Plan["abort"]>["on"], count: number): void {
    if (this.plan.abort?.on === what && this.plan.abort.at === count) this.controller.abort();
  }
}

const PROBE = "Message-ID: probe\r\nend probe";

async function run(session: Case): Promise<void> {
  const [socket, peer] = memorySocketPair({ highWaterMark: session.highWaterMark });
  try {
    await play(session, socket, peer);
  } finally {
    await Promise.allSettled([socket.close(), peer.close()]);
  }
}

async function play(
  { server: options, maxInFlight, transfer, leaves, plans }: Case,
  socket: Socket,
  peer: Socket,
): Promise<void> {
  const server = new ModelServer(peer, options);
  let handedOver = "";
  const decoder = new TextDecoder("latin1");
  const sendings = plans.map((plan, index) => new Sending(plan, index));
  let begun = 0;
  server.onReceived = (total) => sendings.slice(0, begun).forEach((sending) => sending.onReceived(total));
  const client = await SmtpClient.connect({
    socket: tapped(socket, (bytes) => handedOver += decoder.decode(bytes)),
    security: "none",
    clientName: "client.test",
    protocol: options.protocol ?? "smtp",
    transfer: transfer === "bdat" && !options.chunking ? "auto" : transfer,
    maxInFlight,
    trace: () => sendings.slice(0, begun).forEach((sending) => sending.onTrace()),
  });

  const settled: Promise<void>[] = [];
  for (const sending of sendings) {
    await ticks(sending.plan.gap);
    begun++;
    settled.push(sending.send(client));
  }
  if (leaves) void client.quit();
  const open = () =>
    sendings.filter(({ result }) => result === undefined).map(({ index }) => `m${index}`).join();
  await settle(Promise.all(settled), open, () => {
    // A source that stands still ends with the patience of the caller.
    for (const { disturbed, controller } of sendings) {
      if (disturbed) controller.abort();
    }
  });

  // Whoever calls an error "usable" must be able to go on.
  const usable = client.usable;
  let probe: SmtpError | undefined;
  if (usable) {
    const sent = client.send({ from: "probe@client.test", to: "probe@mx.test" }, PROBE);
    const both = Promise.all([sent.then(() => undefined, (error) => error), client.noop().catch(() => {})]);
    [probe] = await settle(both, () => "what was sent behind all others");
  }
  await settle(client.quit(), () => "quit()");
  await settle(server.done, () => "the connection");
  assertEquals(client.pending, 0);
  check(options, sendings, server, handedOver.replaceAll(/BDAT \d+( LAST)?\r\n/g, ""), usable, leaves, probe);
}

/** Waits, but not for what no longer moves. */
async function settle<T>(
  promise: Promise<T>,
  what: () => string,
  onStill: () => void = () => {},
): Promise<T> {
  const settled = promise.then((value) => ({ value }));
  for (let round = 0; round < 150; round++) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = new Promise<void>((resolve) => timer = setTimeout(resolve, round < 100 ? 0 : 2));
    const done = await Promise.race([settled, turn]);
    clearTimeout(timer);
    if (done) return done.value;
    if (round === 50) onStill();
  }
  throw new Error(`Nothing moves any more, and this has not settled: ${what()}`);
}

function check(
  options: ModelOptions,
  sendings: readonly Sending[],
  server: ModelServer,
  handedOver: string,
  usable: boolean,
  leaves: boolean,
  probe: SmtpError | undefined,
): void {
  assertEquals(server.violations, []);
  const calm = options.closingAt === undefined && options.cutAfterReceived === undefined &&
    options.cutAfterSent === undefined && options.refuseEarlyAt === undefined;

  // Everything that anybody got was sent so, whole, once, by the right sender, in order.
  const arrived = new Map<number, string[]>();
  let last = -1;
  for (const { from, to, content } of server.delivered) {
    const [, id] = /^Message-ID: (m\d+|probe)\r\n/.exec(content) ??
      assertNever(`A mail of nobody: ${content}`);
    if (id === "probe") {
      assertEquals([from, to, content], ["probe@client.test", ["probe@mx.test"], normalised(PROBE)]);
      continue;
    }
    const index = Number(id!.slice(1));
    assert(index > last, `m${index} arrived behind m${last}`);
    last = index;
    const sending = sendings[index]!;
    assert(content === normalised(sending.text), `m${index} has changed on its way`);
    assertEquals(from, sending.from ?? "");
    assertEquals(to.filter((address) => !sending.to.includes(address)), []);
    arrived.set(index, to);
  }

  for (const sending of sendings) {
    const { index, plan } = sending;
    const result = sending.result!;
    const to = arrived.get(index);
    const about = `m${index}: ${sending.error ?? "resolved"} (${sending.error?.outcome})`;
    assert(
      sending.sourceOver || plan.breaks?.how === "stall",
      `${about}: its stream was neither read nor cancelled`,
    );
    assert(sending.sourceOver, `${about}: its stalled stream was not cancelled`);
    if (result.status === "fulfilled") {
      assertEquals(result.value.accepted, to, about);
      assertEquals(
        result.value.rejected.map(({ recipient }) => recipient).sort(),
        sending.to.filter((address) => !to!.includes(address)).sort(),
        about,
      );
      continue;
    }
    const error = sending.error!;
    assert(error instanceof SmtpError, `Not an SmtpError: ${error}`);
    if (error.outcome === "unknown") {
      const byData = sending.from !== null && server.dataSenders.has(sending.from);
      const whole = handedOver.includes(`end m${index}\r\n${byData ? ".\r\n" : ""}`);
      assert(whole || error.code === "aborted", `${about}, but the content was not handed over`);
      if (calm && error.usable && usable) assert(whole, `${about}, but the content never left`);
    } else {
      assertEquals(to, undefined, `${about}, and it was delivered`);
    }
    if (error.outcome === "refused") assert(error.reply !== undefined && error.reply.code >= 400, about);
    if (!error.usable) assert(!usable, `${about}: not usable, but the client says it is`);
    const own = error.code === "aborted" || error.code === "source-failed";
    assert(!own || sending.disturbed, about);
  }

  if (!calm) return;
  const cut = sendings.find(({ error }) => error !== undefined && !error.usable);
  assert(usable || leaves || cut !== undefined, "The client is not usable and nobody has said so");
  if (cut !== undefined) {
    assert(sendings.some(({ disturbed, error }) => disturbed && error && !error.usable), `${cut.error}`);
    return;
  }
  assertEquals(probe, undefined, `The client says that it is usable: ${probe}`);
  assertEquals(server.delivered.filter(({ from }) => from === "probe@client.test").length, leaves ? 0 : 1);
  for (const sending of sendings.filter(({ disturbed }) => !disturbed)) {
    assertEquals(
      sending.error === undefined ? "taken" : `${sending.error.code} ${sending.error.reply?.code}`,
      expected(options, sending, server),
      `m${sending.index}: ${sending.error}`,
    );
  }
}

/** What becomes of a message that nothing disturbs, on a server that does what it is told. */
function expected({ protocol }: ModelOptions, { plan, from }: Sending, server: ModelServer): string {
  const { mail, data, final } = plan.decisions ?? { mail: 250, data: 354, final: 250 };
  const accepted = plan.recipients.filter(([reply]) => reply < 300);
  const refused = plan.recipients.find(([reply]) => reply >= 300);
  if (mail !== 250) return `sender-refused ${mail}`;
  if (refused !== undefined && (accepted.length === 0 || plan.policy === "all")) {
    return `recipients-refused ${refused[0]}`;
  }
  if (from !== null && server.dataSenders.has(from) && data !== 354) return `message-refused ${data}`;
  if (from !== null && server.refusedChunks.has(from)) return `message-refused ${plan.decisions!.chunk}`;
  if (protocol !== "lmtp") return final === 250 ? "taken" : `message-refused ${final}`;
  return accepted.some(([, reply]) => reply === 250) ? "taken" : `message-refused ${accepted.at(-1)![1]}`;
}

function assertNever(message: string): never {
  throw new Error(message.slice(0, 200));
}

/** A seed that stays: what fails here fails everywhere. For a longer search take more runs, and other seeds. */
function parameters(numRuns: number): fc.Parameters<[Case]> {
  return { numRuns, seed: 20_260_801 };
}

test("SmtpClient.send() says of every message what became of it, whatever the server does", () =>
  fc.assert(fc.asyncProperty(sessions, run), parameters(600)));
