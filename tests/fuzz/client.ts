/**
 * Fuzzes the client: a client that is used in any way, a server that answers anything, and what must hold all the same. All of
 * it follows from the seed.
 *
 * - Nothing is rejected or thrown that nobody holds.
 * - Every call settles once the server has ended the connection, `closed` does, and `usable` is false then.
 * - What calls throw is an `SmtpError`.
 * - A recipient is reported as accepted only if the server answered 2xx to their RCPT and to the content, after it was sent.
 * - A message is `not-sent` or `refused` for nobody to whose content the server answered 2xx, and not while that answer is open.
 * - No reply that came with the one before is taken for the answer to EHLO, STARTTLS or AUTH, which were said later.
 * - Streams were read to their end or cancelled.
 * @module
 */
// What a session loads when it is needed is here before the first one begins: loading takes turns that no session can count.
import "@noble/hashes/hmac.js";
import "@noble/hashes/legacy.js";
import "../../src/client/authenticate.ts";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { sendMail } from "../../src/client/send_mail.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { Caller, envelopeOf, OwnError, show } from "./caller.ts";
import type { Sent } from "./caller.ts";
import { Clock } from "./clock.ts";
import { FickleServer } from "./fickle_server.ts";
import type { Temper } from "./fickle_server.ts";
import { isPositive, Ledger } from "./ledger.ts";
import type { Verdict } from "./ledger.ts";
import type { Random } from "./random.ts";
import { Find, type Notes, type Target } from "./target.ts";

/** When the server had said more than it was asked, as far as the ledger knew. */
interface Unnoticed {
  /** The number of the next command. */
  readonly command: number;
  /** The write of the client's that had not ended. */
  readonly write: number | undefined;
}

/** Turns without any event after which nothing moves by itself any more. */
const STILL = 3;

/** Turns after which a session that is idle must have noticed what the server has said or done unasked. */
const NOTICE = 4;

/** More turns than any session takes. */
const MAX_TURNS = 20_000;

/** A client that is used in any way, against a server that answers anything. */
export const client: Target = {
  name: "client",
  async play(random, notes) {
    const violations = await new FuzzedSession(random, notes).play();
    if (violations.length > 0) throw new Find(violations.join("; "));
  },
};

const latin1 = new TextDecoder("latin1");

class FuzzedSession {
  readonly #notes: Notes;
  readonly #random: Random;
  readonly #clock = new Clock();
  readonly #temper: Temper;
  readonly #ledger: Ledger;
  readonly #caller: Caller;
  readonly #violations: string[] = [];
  readonly #log = (line: string) => this.#notes.log(`${this.#clock.turn} ${line}`);
  #client: SmtpClient | undefined;
  #isClosed = false;
  #isTapped = false;
  /** Since when the session should have ended. */
  #overSince: number | undefined;
  /** Replies that nobody has asked for, as far as the ledger knew, and that did not end the session. */
  readonly #unnoticed: Unnoticed[] = [];

  constructor(random: Random, notes: Notes) {
    this.#random = random;
    this.#notes = notes;
    this.#temper = temperOf(random.fork());
    this.#ledger = new Ledger(this.#temper.protocol, () => this.#clock.turn);
    this.#caller = new Caller(random.fork(), this.#clock, this.#log);
  }

  /** Returns what must not have happened. */
  async play(): Promise<string[]> {
    forgetBroken();
    const random = this.#random;
    // Our own sockets and a caller's are written to in different ways. Only a caller's shows when something was written, and so
    // its server may read late.
    const isTapped = this.#isTapped = random.chance(0.5);
    const [socket, peer] = memorySocketPair({
      highWaterMark: random.pick([65_536, 65_536, 1_000, 100]),
      secureTransport: random.chance(0.8) ? "starttls" : "off",
    });
    const server = new FickleServer(peer, isTapped ? this.#temper : { ...this.#temper, laziness: 0 }, {
      random: random.fork(),
      clock: this.#clock,
      ledger: this.#ledger,
      log: this.#log,
    });
    const seen = (bytes: Uint8Array) => this.#ledger.sent(latin1.decode(bytes));
    const options = this.#options(isTapped ? tapped(socket, this.#ledger) : socket);
    this.#clock.install();
    try {
      const running = server.run(isTapped ? () => {} : seen);
      running.catch((error) => this.#violations.push(`The fuzz itself has failed: ${show(error)}`));
      const used = this.#use(options);
      used.catch((error) => this.#violations.push(`The fuzz itself has failed: ${show(error)}`));
      await this.#drive(server);
      this.#judge();
      await this.#close([socket, peer]);
      for (const stray of this.#notes.strays.take()) this.#violations.push(`Nobody caught: ${show(stray)}`);
    } finally {
      this.#clock.uninstall();
    }
    for (const { result } of this.#caller.sent) {
      this.#notes.count(
        result === undefined ? "none" : result instanceof SmtpError ? result.outcome : "taken",
      );
    }
    return [...this.#violations, ...this.#caller.violations];
  }

  #options(socket: Socket): SmtpClientOptions {
    const random = this.#random;
    const security = random.pick(["none", "none", "opportunistic", "opportunistic", "starttls"] as const);
    const wait = random.pick([50, 1_000, 300_000]);
    return {
      hostname: "mx.test",
      socket: random.chance(0.5) ? () => socket : socket,
      security,
      protocol: this.#temper.protocol,
      clientName: "client.test",
      transfer: random.pick(["auto", "auto", "auto", "data"]),
      maxInFlight: random.pick([1, 2, 64]),
      timeouts: { command: wait, mail: wait, rcpt: wait, data: wait, end: wait, block: wait, greeting: wait },
      ...(random.chance(0.3) && { auth: this.#auth() }),
      ...(random.chance(0.1) && { signal: AbortSignal.any([this.#caller.patience.signal]) }),
      ...(random.chance(0.3) && { trace: () => {} }),
    };
  }

  #auth(): NonNullable<SmtpClientOptions["auth"]> {
    const credentials = { user: "me", pass: "secret words" };
    const mechanisms = this.#random.pick([["PLAIN"], ["LOGIN"], ["CRAM-MD5", "PLAIN"]]);
    const initialResponse = this.#random.chance(0.7);
    return this.#random.chance(0.2)
      ? { user: "me", accessToken: "secret token", initialResponse }
      : { ...credentials, mechanisms, initialResponse };
  }

  /** What the program does. */
  async #use(options: SmtpClientOptions): Promise<void> {
    const caller = this.#caller;
    const way = this.#random.weighted({ connect: 12, sendMail: 4, open: 1, verify: 1 });
    if (way === "sendMail") {
      return await caller.send((sent, message, more) =>
        sendMail({ ...options, ...more }, envelopeOf(sent), message)
      );
    }
    if (way === "verify") return void await caller.call("verify", () => SmtpClient.verify(options));
    const client = await caller.call(way, () => SmtpClient[way](options));
    if (client === undefined) return;
    this.#client = client;
    void client.closed.then(() => {
      this.#log("closed");
      this.#isClosed = true;
      if (client.usable) this.#violations.push("The session has ended, and usable is true");
    });
    if (way === "open") await caller.call("ehlo", () => client.ehlo());
    await caller.use(client);
    await this.#clock.sleep(this.#random.pick([0, 1, 10]));
    const end = this.#random.weighted({ quit: 6, close: 1, forget: 1 });
    if (end !== "forget") await caller.call(end, () => client[end]());
  }

  /** Lets the session go on until nothing is left to wait for. */
  async #drive(server: FickleServer): Promise<void> {
    let still = 0;
    let lines = 0;
    const remedies: [string, () => unknown][] = [
      ["The server ends the connection", () => server.end()],
      ["The caller loses patience", () => this.#caller.patience.abort(new OwnError("patience"))],
    ];
    while (this.#clock.turn < MAX_TURNS) {
      await this.#clock.pass();
      this.#watch(server);
      still = this.#clock.sleeping || this.#notes.lines.length > lines ? 0 : still + 1;
      lines = this.#notes.lines.length;
      if (still < STILL) continue;
      still = 0;
      if (this.#isOver) return;
      if (this.#clock.advance()) continue;
      const remedy = remedies.shift();
      if (remedy === undefined) {
        const what = this.#caller.pending.size > 0 ? [...this.#caller.pending].join(", ") : "closed";
        this.#violations.push(`Nothing moves any more, and this has not settled: ${what}`);
        return;
      }
      this.#log(remedy[0]);
      remedy[1]();
    }
    this.#violations.push(`The session does not end: ${[...this.#caller.pending].join(", ")}`);
  }

  /** Closes both ends, as a program does that has had enough. */
  async #close(sockets: readonly Socket[]): Promise<void> {
    let closed = false;
    void Promise.allSettled(sockets.map((socket) => socket.close())).then(() => closed = true);
    for (let still = 0; still < STILL || !closed;) {
      await this.#clock.pass();
      if (++still < STILL || closed) continue;
      still = 0;
      if (this.#clock.advance()) continue;
      this.#violations.push("close() of a socket does not settle");
      return;
    }
  }

  get #isOver(): boolean {
    return this.#caller.pending.size === 0 && (this.#client === undefined || this.#isClosed);
  }

  /** A session that nobody speaks in must notice at once what the server does unasked. */
  #watch(server: FickleServer): void {
    const client = this.#client;
    if (client === undefined || !client.usable) return;
    const over = server.endedAt !== undefined || this.#ledger.over;
    this.#overSince = over ? this.#overSince ?? this.#clock.turn : undefined;
    if (this.#overSince === undefined || this.#clock.turn - this.#overSince !== NOTICE) return;
    if (server.endedAt !== undefined || this.#ledger.poisoned) {
      const what = server.endedAt !== undefined ? "has ended the connection" : "will say no more";
      this.#violations.push(`The server ${what}, and the session has not noticed`);
    } else this.#unnoticed.push({ command: this.#ledger.commands.length, write: this.#ledger.underWay });
  }

  /** Compares what the client says with what was said on the wire. */
  #judge(): void {
    for (const { command, write } of this.#unnoticed) {
      if (this.#ledger.wasOnItsWay(command, write)) continue;
      this.#violations.push("The server has said something unasked, and the session has not noticed");
    }
    const verdicts = this.#ledger.verdicts();
    const isOpen = !this.#ledger.closing && !this.#ledger.resetRefused;
    for (const sent of this.#caller.sent) {
      const own = verdicts.filter(({ mail }) => mail.from === sent.from);
      for (const problem of judge(sent, own, isOpen)) this.#violations.push(`${sent.name} ${problem}`);
    }
    for (const { verb, turn } of this.#isTapped ? this.#ledger.answeredEarly : []) {
      const next = this.#ledger.commands.find((command) =>
        command.turn > turn + NOTICE && command.verb !== "QUIT"
      );
      if (next !== undefined) {
        this.#violations.push(`${verb} was answered before it was said, and ${next.verb} follows`);
      }
    }
    for (const name of this.#caller.openSources) {
      const { result } = this.#caller.sent.find((sent) => sent.name === name)!;
      if (result !== undefined) this.#violations.push(`${name}: its stream was neither read nor cancelled`);
    }
  }
}

/** What is wrong about what the client says of a message. */
function* judge(
  { to, result, text, byHand }: Sent,
  verdicts: readonly Verdict[],
  isOpen: boolean,
): Generator<string> {
  if (result === undefined) return;
  const failed = result instanceof SmtpError;
  const accepted = new Set(result.accepted);
  for (const address of accepted) {
    const took = verdicts.find(({ sender, recipients, finals, complete }) =>
      isPositive(sender) && isPositive(recipients.get(address)) && isPositive(finals.get(address)) &&
      finals.get(address)!.turn >= complete! - 1
    );
    if (took === undefined) yield `is reported as accepted for ${address}, and the server has not said so`;
    else if (!byHand && took.mail.content !== normalised(text)) yield "has changed on its way";
  }
  if (!failed) {
    const everybody = [...accepted, ...result.rejected.map(({ recipient }) => recipient)].sort();
    if (accepted.size === 0) yield "has a receipt that nobody is accepted in";
    if (everybody.join() !== [...to].sort().join() && !byHand) yield `has a receipt for ${everybody.join()}`;
    return;
  }
  if (result.outcome === "unknown") return;
  for (const address of to) {
    if (accepted.has(address)) continue;
    for (const { sender, recipients, finals, complete, chunkRefused } of verdicts) {
      if (complete === undefined || chunkRefused || !recipients.has(address)) continue;
      const final = finals.get(address);
      if (isPositive(sender) && isPositive(final) && final!.turn >= complete) {
        yield `is ${result.outcome} for ${address}, and the server has taken it: ${show(result)}`;
      }
      const rcpt = recipients.get(address);
      const isWanted = (sender === undefined || isPositive(sender)) &&
        (rcpt === undefined || isPositive(rcpt));
      const isUndecided = final === undefined || final.code < 400 && !isPositive(final);
      if (isWanted && isUndecided && isOpen) {
        yield `is ${result.outcome} for ${address}, and the server may have taken it: ${show(result)}`;
      }
    }
  }
}

/** What arrives of a text. */
function normalised(text: string): string {
  return text.replace(/\r\n|\r|\n/g, "\r\n").replace(/(?<=.)$/, "\r\n");
}

/** How a server is. */
function temperOf(random: Random): Temper {
  const offers = (name: string, probability = 0.5) => random.chance(probability) ? [name] : [];
  const unasked: Temper["unasked"][number][] = [];
  if (random.chance(0.3)) {
    const what = random.pick(["reply", "reply", "421", "bytes", "end", "cut"] as const);
    unasked.push({ turn: random.below(random.pick([4, 40])), what });
  }
  return {
    protocol: random.chance(0.8) ? "smtp" : "lmtp",
    extensions: [
      ...offers("PIPELINING", 0.8),
      ...offers("CHUNKING"),
      ...offers("SIZE 100000"),
      ...offers("8BITMIME"),
      ...offers("SMTPUTF8"),
      ...offers("DSN"),
      ...offers("STARTTLS"),
      ...offers("AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER", 0.7),
      ...offers(random.pick(["LIMITS RCPTMAX=2", "LIMITS MAILMAX=2", "LIMITS RCPTMAX=1 MAILMAX=3"]), 0.15),
    ],
    wildness: random.pick([0, 0, 0.01, 0.03, 0.1, 0.1, 0.5]),
    strictness: random.pick([0, 0.05, 0.3]),
    writes: random.pick(["whole", "pieces", "together"]),
    lag: random.pick([0, 0, 2, 10]),
    laziness: random.pick([0, 0, 3]),
    unasked,
  };
}

/** A caller's own socket, which shows each chunk that is written to it. */
function tapped(socket: Socket, ledger: Ledger): Socket {
  const writable = new WritableStream<Uint8Array>({
    async write(chunk) {
      ledger.beginWrite();
      ledger.sent(latin1.decode(chunk));
      const writer = socket.writable.getWriter();
      try {
        await writer.write(chunk);
      } finally {
        writer.releaseLock();
        ledger.endWrite();
      }
    },
    close: () => socket.writable.close(),
    abort: (reason) => socket.writable.abort(reason),
  });
  const { readable, opened, closed, secureTransport, upgraded } = socket;
  return {
    readable,
    writable,
    opened,
    closed,
    secureTransport,
    upgraded,
    close: (reason) => socket.close(reason),
    startTls: (options) => tapped(socket.startTls(options), ledger),
  };
}
