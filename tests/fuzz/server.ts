/**
 * Fuzzes the server: clients that say anything, in pieces of any size, and leave in any way; handlers that decide anything.
 *
 * What both sides have said and which handlers were called is read again, from the beginning, by {@linkcode StrictReading}. Beside that:
 *
 * - The session ends once the client has gone, or time is up, and nothing is rejected that nobody holds.
 * - `onError` is called for what handlers throw, and for a connection that broke, and for nothing else.
 * - While a handler does not read a message, the server takes no more of it than a few chunks.
 * @module
 */
import { Reply } from "../../src/core/reply.ts";
import type { ServerHandlers, ServerSession, ServeSocketOptions } from "../../src/server/mod.ts";
import { serveSocket } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { type Socket, SocketError } from "../../src/sockets/socket.ts";
import { show } from "./caller.ts";
import { Clock } from "./clock.ts";
import { ADDRESSES, COMMANDS, CONTENTS } from "./corpus.ts";
import { BYTES, mutate } from "./mutate.ts";
import type { Random } from "./random.ts";
import { type Call, type CallKind, type Conversation, readStrictly } from "./strict_reading.ts";
import { bytesOf, must, type Notes, type Target, textOf, utf8 } from "./target.ts";

/** The server. */
export const server: Target = {
  name: "server",
  async play(random, notes) {
    await new FuzzedServer(random, notes).play();
  },
};

/** What a handler throws that is no `Reply`. */
class HandlerError extends Error {
  override name = "HandlerError";
}

/** Something that the client says in one go, and whether it waits for what the server says to it. */
interface Step {
  readonly text: string;
  readonly waits: boolean;
}

/** Turns without any event after which nothing moves by itself any more. */
const STILL = 3;

/** More turns than any session takes. */
const MAX_TURNS = 20_000;

/** Handlers that may be left out. */
const KINDS: readonly CallKind[] = ["connect", "greet", "auth", "mail", "rcpt", "message", "reset", "close"];

class FuzzedServer {
  readonly #random: Random;
  readonly #notes: Notes;
  readonly #clock = new Clock();
  readonly #options: ServeSocketOptions;
  readonly #calls: Call[] = [];
  readonly #errors: unknown[] = [];
  readonly #shutdown = new AbortController();
  readonly #highWaterMark: number;
  /** What the client has said, before and after TLS began. */
  readonly #said: string[] = [""];
  /** How much of it the socket has taken. */
  #taken = 0;
  #heard = "";
  #hasEnded = false;
  #hasGone = false;
  #isServed = false;
  #without: readonly CallKind[] = [];
  #wasCut = false;
  #wasEnded = false;
  #asksForTls = false;
  #client: Socket;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #events = 0;
  /** Whether a handler holds a message up, and how much the socket had taken when it began. */
  #stalledAt: number | undefined;

  constructor(random: Random, notes: Notes) {
    this.#random = random;
    this.#notes = notes;
    this.#options = this.#optionsOf(random);
    this.#highWaterMark = random.pick([100, 1_000, 65_536, 65_536]);
    const [client, socket] = memorySocketPair({
      highWaterMark: this.#highWaterMark,
      secureTransport: random.chance(0.5) ? "starttls" : "off",
      allowHalfOpen: true,
    });
    this.#client = client;
    this.#writer = client.writable.getWriter();
    this.#clock.install();
    try {
      const served = serveSocket(socket, this.#options, this.#handlers());
      served.then(
        () => this.#isServed = true,
        (error) => this.#errors.push(new Error("serveSocket() rejects", { cause: error })),
      );
    } catch (error) {
      this.#clock.uninstall();
      throw error;
    }
  }

  async play(): Promise<void> {
    try {
      for (const promise of [this.#client.closed, this.#writer.closed]) promise.catch(() => {});
      const reading = this.#read();
      await this.#settle();
      for (const step of script(this.#random)) {
        if (this.#hasEnded) break;
        await this.#say(step);
      }
      await this.#end();
      await reading;
    } finally {
      this.#clock.uninstall();
    }
    this.#judge();
  }

  #optionsOf(random: Random): ServeSocketOptions {
    return {
      serverName: "mx.test",
      maxMessageSize: random.pick([40, 5_000, 33_554_432, 33_554_432]),
      maxRecipients: random.pick([1, 2, 1_000]),
      maxLineLength: random.pick([512, 2_048]),
      maxErrors: random.pick([2, 20, 20, 1_000]),
      maxUnrecognized: random.pick([2, 10, 1_000]),
      maxUnauthenticatedCommands: random.pick([2, 10]),
      allowInsecureAuth: random.chance(0.7),
      requireTls: random.chance(0.05),
      bareLineEnds: random.pick(["reject", "reject", "allow"]),
      lenientAddresses: random.chance(0.2),
      hide: random.chance(0.1)
        ? [random.pick(["PIPELINING", "STARTTLS", "EHLO", "ENHANCEDSTATUSCODES", "SIZE", "AUTH"])]
        : [],
      greetDelay: random.pick([0, 0, 0, 50]),
      signal: this.#shutdown.signal,
      onError: (error) => void this.#errors.push(error),
    };
  }

  /** Handlers that accept, refuse, throw, hang up, now or later. Each decision has a number, by which its reply is known. */
  #handlers(): ServerHandlers {
    const random = this.#random.fork();
    const strictness = random.pick([0, 0, 0.1, 0.5]);
    const lag = random.pick([0, 0, 3]);
    const without = this.#without = KINDS.filter(() => random.chance(0.1));
    if (!without.includes("auth")) this.#options.requireAuth = random.chance(0.15);
    const decide = async (call: Call): Promise<Reply | undefined> => {
      if (lag > 0 && random.chance(0.5)) await this.#clock.sleep(1 + random.below(lag));
      const way = random.chance(strictness)
        ? random.weighted({ refuse: 6, throw: 2, thrown: 2, wrong: 1, hangUp: 1 })
        : "accept";
      call.decision = way;
      this.#events++;
      const id = `Call ${this.#calls.indexOf(call)}`;
      switch (way) {
        case "accept":
          if (call.kind === "connect" || call.kind === "greet" || random.chance(0.5)) return undefined;
          return new Reply(250, id, { enhancedCode: "2.0.0" });
        case "refuse":
          return new Reply(random.pick([450, 550]), id);
        case "throw":
          throw new HandlerError(id);
        case "thrown":
          throw new Reply(random.pick([451, 554]), id);
        case "wrong":
          return new Reply(354, id); // no decision at all
        case "hangUp":
          return new Reply(421, id);
      }
    };
    const note = (kind: CallKind, session: ServerSession, argument: string): Call => {
      const { from, to } = session.envelope;
      const { user, secure, clientName, esmtp } = session;
      const call: Call = {
        kind,
        argument,
        from,
        to: [...to],
        user,
        secure,
        clientName,
        esmtp,
        decision: undefined,
        read: "",
        ended: false,
      };
      this.#calls.push(call);
      this.#events++;
      this.#notes.log(`   ${kind} ${JSON.stringify(argument)}`);
      return call;
    };
    const all: Required<ServerHandlers> = {
      connect: (session) => decide(note("connect", session, "")),
      greet: (name, session) => decide(note("greet", session, name)),
      auth: async ({ mechanism, user, pass }, session) => {
        const reply = await decide(note("auth", session, JSON.stringify([mechanism, user, pass])));
        return reply ?? true;
      },
      mail: ({ address }, session) => decide(note("mail", session, address ?? "")),
      rcpt: ({ address }, session) => decide(note("rcpt", session, address)),
      message: async (content, session) => {
        const call = note("message", session, "");
        await this.#readMessage(random, content, call);
        return await decide(call);
      },
      reset: (session) => void note("reset", session, ""),
      close: (session) => void note("close", session, ""),
    };
    return Object.fromEntries(Object.entries(all).filter(([kind]) => !without.includes(kind as CallKind)));
  }

  async #readMessage(random: Random, content: ReadableStream<Uint8Array>, call: Call): Promise<void> {
    const way = random.weighted({ all: 8, some: 1, cancel: 1, nothing: 1, stall: 1 });
    if (way === "nothing") return;
    if (way === "stall") {
      this.#stalledAt = this.#taken;
      await this.#clock.sleep(30);
      this.#checkStalled();
      this.#stalledAt = undefined;
    }
    const reader = content.getReader();
    try {
      for (let reads = way === "some" ? 1 : Infinity; reads > 0; reads--) {
        const { value, done } = await reader.read();
        if (done) {
          call.ended = true;
          break;
        }
        call.read += textOf(value);
        if (way !== "cancel") continue;
        await reader.cancel();
        break;
      }
    } catch (error) {
      this.#notes.log(`   message: ${(error as Error).message}`);
      if (random.chance(0.5)) throw error;
    } finally {
      reader.releaseLock();
    }
  }

  #checkStalled(): void {
    const taken = this.#taken - this.#stalledAt!;
    // What waits in the pipe, in the chunk that was read, and in the one that is next.
    if (taken <= 4 * this.#highWaterMark) return;
    this.#errors.push(new Error(`${taken} bytes were taken of a message that nobody reads`));
  }

  async #read(): Promise<void> {
    let reader = this.#client.readable.getReader();
    reader.closed.catch(() => {});
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.#events++;
        const text = textOf(value);
        this.#heard += text;
        this.#notes.log(`S: ${JSON.stringify(text)}`);
        if (!this.#asksForTls || !text.endsWith("\r\n")) continue;
        this.#asksForTls = false;
        if (!text.startsWith("220")) continue;
        reader.releaseLock();
        this.#writer.releaseLock();
        this.#client = this.#client.startTls();
        this.#client.closed.catch(() => {});
        this.#client.opened.catch(() => {});
        this.#said.push("");
        this.#writer = this.#client.writable.getWriter();
        this.#writer.closed.catch(() => {});
        reader = this.#client.readable.getReader();
        reader.closed.catch(() => {});
      }
    } catch {
      this.#wasCut = true;
    }
    this.#hasEnded = true;
    this.#events++;
    await this.#leave();
  }

  async #say({ text, waits }: Step): Promise<void> {
    if (/^STARTTLS\r\n/i.test(text) && waits && this.#client.secureTransport === "starttls") {
      await this.#settle();
      this.#asksForTls = !this.#hasEnded;
    }
    this.#notes.log(`C: ${JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}...` : text)}`);
    const most = this.#random.pick([1, 7, 100, 100_000]);
    for (let at = 0; at < text.length && !this.#hasEnded;) {
      const piece = text.slice(at, at += 1 + this.#random.below(Math.max(most, text.length / 100)));
      this.#said[this.#said.length - 1] += piece;
      this.#writer.write(bytesOf(piece)).then(() => {
        this.#taken += piece.length;
        this.#events++;
      }, () => {});
      if (this.#random.chance(0.05)) await this.#clock.pass();
    }
    if (waits) await this.#settle();
  }

  /** Lets turns pass until nothing moves by itself any more. */
  async #settle(): Promise<void> {
    let still = 0;
    while (still < STILL && this.#clock.turn < MAX_TURNS) {
      const before = this.#events;
      await this.#clock.pass();
      still = this.#clock.sleeping || this.#events > before ? 0 : still + 1;
      if (still < STILL || this.#heard !== "" || this.#hasEnded || !this.#clock.advance()) continue;
      still = 0; // the greeting was delayed
    }
  }

  async #leave(reason?: Error): Promise<void> {
    if (this.#hasGone) return;
    this.#hasGone = true;
    this.#notes.log(`C: (${reason === undefined ? "closes" : "cuts"})`);
    await this.#client.close(reason).catch(() => {});
  }

  /** Ends the session in one way or another. */
  async #end(): Promise<void> {
    const way = this.#random.weighted({ quit: 4, fin: 2, cut: 2, time: 1, shutdown: 1 });
    this.#notes.log(`   (end: ${way})`);
    if (way === "quit" && !this.#hasEnded) await this.#say({ text: "QUIT\r\n", waits: true });
    if (way === "fin" || way === "quit") void this.#writer.close().catch(() => {});
    this.#wasCut ||= way === "cut";
    this.#wasEnded ||= way === "time" || way === "shutdown";
    if (way === "cut") void this.#leave(new Error("cut"));
    if (way === "shutdown") this.#shutdown.abort();
    while (
      !this.#isServed && this.#clock.turn < MAX_TURNS &&
      this.#errors.every((error) =>
        error instanceof SocketError || error instanceof HandlerError || error instanceof TypeError
      )
    ) {
      await this.#settle();
      if (!this.#isServed && !this.#clock.advance()) break;
    }
    must(this.#isServed, `The session does not end: ${this.#errors.map(show).join("; ")}`);
    await this.#leave();
    await this.#settle();
  }

  #judge(): void {
    for (const error of this.#errors) {
      const known = error instanceof SocketError || error instanceof HandlerError ||
        error instanceof TypeError && error.message.startsWith("A handler must give a Reply");
      must(known, `Not to be expected: ${show(error)}`);
    }
    const conversation: Conversation = {
      said: this.#said,
      heard: this.#heard,
      calls: this.#calls,
      options: this.#options,
      without: this.#without,
      wasCut: this.#wasCut,
      wasEnded: this.#wasEnded,
    };
    readStrictly(conversation, this.#notes);
  }
}

const line = (text: string) => `${utf8(text)}\r\n`;

/** What a client says in a session: mostly what clients say, with something wrong in it. */
function script(random: Random): Step[] {
  const steps: Step[] = [];
  const wildness = random.pick([0, 0.02, 0.1, 0.1, 0.5]);
  const pipelines = random.chance(0.4);
  const say = (text: string, waits = !pipelines) => {
    const wild = random.chance(wildness);
    const said = wild ? mutate(random, text, BYTES, [...COMMANDS, ...CONTENTS]) : text;
    steps.push({ text: said, waits: random.chance(0.05) ? !waits : waits });
  };
  const other = () => say(line(random.pick(COMMANDS)));
  const greet = () =>
    say(
      line(random.pick(["EHLO client.test", "EHLO client.test", "EHLO client.test", "HELO client.test"])),
      true,
    );
  greet();
  if (random.chance(0.2)) {
    say(line("STARTTLS") + (random.chance(0.2) ? line(random.pick(COMMANDS)) : ""), true);
    greet();
  }
  if (random.chance(0.5)) logIn(random, say);
  for (let mails = random.below(4); mails > 0; mails--) {
    say(
      line(
        `MAIL FROM:<${random.chance(0.8) ? `m${mails}@client.test` : random.pick(ADDRESSES)}>${
          random.pick(["", "", " SIZE=30", " BODY=8BITMIME", " SMTPUTF8"])
        }`,
      ),
    );
    for (let count = random.pick([0, 1, 1, 2, 3]); count > 0; count--) {
      say(line(`RCPT TO:<${random.chance(0.8) ? `r${count}@mx.test` : random.pick(ADDRESSES)}>`));
    }
    if (random.chance(0.15)) other();
    if (random.chance(0.1)) continue;
    say(line("DATA"), true);
    say(contentOf(random), random.chance(0.7));
  }
  for (let count = random.below(3); count > 0; count--) other();
  return steps;
}

function logIn(random: Random, say: (text: string, waits?: boolean) => void): void {
  const plain = "AGFkYQBvcGVuLXNlc2FtZQ=="; // \0ada\0open-sesame
  switch (random.below(4)) {
    case 0:
      return say(line(`AUTH PLAIN ${plain}`));
    case 1:
      say(line("AUTH PLAIN"), true);
      return say(line(random.pick([plain, plain, "*", "", "AGFkYQ==", "!"])), true);
    case 2:
      say(line("AUTH LOGIN YWRh"), true);
      return say(line("cGFzcw=="), true);
    default:
      say(line("AUTH LOGIN"), true);
      say(line("YWRh"), true);
      say(line(random.pick(["cGFzcw==", "*", "="])), true);
  }
}

/** A content with its end, and often what somebody wants to smuggle in. */
function contentOf(random: Random): string {
  const content = random.chance(0.1)
    ? "Subject: Hi\r\n\r\n" + "A line of text.\r\n".repeat(random.pick([100, 9_000]))
    : random.pick(CONTENTS);
  if (random.chance(0.5)) {
    // As a client encodes it.
    const lines = content.replaceAll(/\r\n|\r|\n/g, "\r\n").replace(/[^\n]$/, "$&\r\n");
    return lines.replaceAll(/(^|\r\n)\./g, "$1..") + ".\r\n";
  }
  const ends = ["\r\n.\r\n", "\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n\0.\r\n"];
  const smuggled = random.chance(0.5)
    ? random.pick(ends) +
      ["MAIL FROM:<evil@client.test>", "RCPT TO:<victim@mx.test>", "DATA", "Gotcha"].join(
        random.pick(["\r\n", "\n"]),
      )
    : "";
  return content + smuggled + (random.chance(0.9) ? "\r\n.\r\n" : random.pick(ends));
}
