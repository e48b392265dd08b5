/**
 * A program that uses a client in any way that its interface allows: many messages at once, commands one by one, streams that
 * fail or stand still, signals that are aborted, QUIT at any time.
 * @module
 */
import type { SmtpClient } from "../../src/client/client.ts";
import type { Envelope } from "../../src/client/envelope.ts";
import type { Message } from "../../src/client/content.ts";
import type { Receipt } from "../../src/client/receipt.ts";
import type { SendOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

/** A message that somebody has tried to send, and what the client says became of it. */
export interface Sent {
  readonly name: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  /** Whether it was sent step by step. */
  byHand?: boolean;
  result?: Receipt | SmtpError;
}

/** The error of a caller's own: a stream that fails, a reason to abort. */
export class OwnError extends Error {
  override name = "OwnError";
}

const TEXTS = [
  "Subject: Hi\r\n\r\nHello",
  "Subject: Hi\r\n\r\n.",
  "Subject: Hi\r\n\r\nHello\r\n.\r\nMAIL FROM:<evil@client.test>\r\n",
  "Subject: Hi\n\n.\n..\n",
  "Subject: Hi\r\n\r\nRSET\r\nQUIT\r\n",
  "Subject: Hi\r\n\r\n" + "0123456789".repeat(9) + "\r\n",
  "Subject: Hi\r\n\r\n" + "A line of text.\r\n".repeat(9_000),
  "", // no header: refused
];

/** Makes calls and remembers every promise that it was given. */
export class Caller {
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #log: (line: string) => void;
  /** The calls that have not ended. */
  readonly pending = new Set<string>();
  /** Every message, in the order in which they were sent. */
  readonly sent: Sent[] = [];
  /** What must not have happened. */
  readonly violations: string[] = [];
  /** The streams that were neither read nor cancelled. */
  readonly openSources = new Set<string>();
  /** Aborts everything that may be aborted, for sources that stand still. */
  readonly patience = new AbortController();
  #calls = 0;

  /**
   * @param random Where its choices come from.
   * @param clock The time.
   * @param log For people to read.
   */
  constructor(random: Random, clock: Clock, log: (line: string) => void) {
    this.#random = random;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Makes a call. Whatever it throws must be an `SmtpError`, the caller's own, or what the caller says may come.
   *
   * @returns What the call returned, `undefined` if it failed.
   */
  async call<T>(
    name: string,
    body: () => Promise<T>,
    mayThrow?: (error: unknown) => boolean,
  ): Promise<T | undefined> {
    const id = `${++this.#calls} ${name}`;
    this.#log(`-> ${id}`);
    this.pending.add(id);
    try {
      const value = await body();
      this.#log(`<- ${id}`);
      return value;
    } catch (error) {
      this.#log(`<- ${id}: ${show(error)}`);
      if (!(error instanceof SmtpError) && !(error instanceof OwnError) && !mayThrow?.(error)) {
        this.violations.push(`${id} threw what is no SmtpError: ${show(error)}`);
      }
      return undefined;
    } finally {
      this.pending.delete(id);
    }
  }

  /** Notes what became of a message. */
  async #follow(sent: Sent, body: () => Promise<Receipt>): Promise<void> {
    await this.call(sent.name, async () => {
      try {
        sent.result = await body();
      } catch (error) {
        if (error instanceof SmtpError) sent.result = error;
        throw error;
      }
    });
  }

  /** A new message. */
  message(): Sent {
    const index = this.sent.length;
    const count = this.#random.pick([1, 1, 1, 2, 3, 6]);
    const sent: Sent = {
      name: `m${index}`,
      from: `m${index}@client.test`,
      to: Array.from({ length: count }, (_, i) => `m${index}r${i}@mx.test`),
      text: this.#random.pick(TEXTS),
    };
    this.sent.push(sent);
    return sent;
  }

  /** Sends a message with one call. */
  async send(send: (sent: Sent, message: Message, options: SendOptions) => Promise<Receipt>): Promise<void> {
    const sent = this.message();
    const controller = new AbortController();
    const isAborted = this.#random.chance(0.15);
    const options: SendOptions = {
      recipients: this.#random.pick(["some", "some", "all"]),
      signal: AbortSignal.any([this.patience.signal, controller.signal]),
      lineLength: this.#random.pick(["error", "allow"]),
    };
    const progressAt = this.#random.below(4);
    let progress = 0;
    if (isAborted && this.#random.chance(0.3)) {
      options.onProgress = () => progress++ === progressAt && controller.abort(new OwnError("progress"));
    } else if (isAborted) void this.#abortLater(controller);
    await this.#follow(sent, () => send(sent, this.#source(sent), options));
  }

  async #abortLater(controller: AbortController): Promise<void> {
    await this.#pause();
    this.#log("abort");
    controller.abort(new OwnError("enough"));
  }

  async #pause(): Promise<void> {
    await this.#clock.sleep(this.#random.pick([0, 0.1, 0.3, 0.9, 1, 2, 5, 20]));
  }

  #source(sent: Sent): Message {
    switch (this.#random.weighted({ string: 5, bytes: 2, blob: 1, stream: 4, iterable: 1 })) {
      case "string":
        return sent.text;
      case "bytes":
        return new TextEncoder().encode(sent.text);
      case "blob":
        return new Blob([sent.text]);
      case "stream":
        return this.#stream(sent);
      case "iterable":
        return this.#pieces(sent);
    }
  }

  #stream(sent: Sent): ReadableStream<string> {
    this.openSources.add(sent.name);
    const pieces = this.#pieces(sent);
    return new ReadableStream<string>({
      pull: async (controller) => {
        try {
          const { value, done } = await pieces.next();
          if (!done) return controller.enqueue(value);
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        this.openSources.delete(sent.name);
      },
      cancel: () => void this.openSources.delete(sent.name),
    }, { highWaterMark: this.#random.below(2) });
  }

  async *#pieces({ text }: Sent): AsyncGenerator<string, undefined> {
    const end = this.#random.weighted({ whole: 12, fail: 2, stall: 1 });
    const cutAt = end === "whole" ? text.length : this.#random.below(text.length + 1);
    const lag = this.#random.pick([0, 0, 0.2, 1, 3]);
    // Many thousand pieces of a few bytes would be the same test many times.
    const most = Math.max(this.#random.pick([2, 100, 50_000]), text.length / 100);
    for (let at = 0; at < cutAt;) {
      const next = Math.min(cutAt, at + 1 + this.#random.below(most));
      await this.#clock.sleep(lag);
      yield text.slice(at, next);
      at = next;
    }
    if (end === "fail") throw new OwnError("The source has failed");
    if (end === "stall") await new Promise(() => {});
    return undefined;
  }

  /** Uses a client for a while. */
  async use(client: SmtpClient): Promise<void> {
    const steps = this.#random.pick([1, 2, 4, 8]);
    for (let step = 0; step < steps; step++) {
      await this.#pause();
      await this.#step(client);
    }
  }

  async #step(client: SmtpClient): Promise<void> {
    const kind = this.#random.weighted({
      send: 8,
      burst: 5,
      steps: 4,
      command: 4,
      idle: 3,
      wrong: 1,
      end: 0.7,
      secure: 0.5,
    });
    const sendOne = () =>
      this.send((sent, message, options) => client.send(envelopeOf(sent), message, options));
    switch (kind) {
      case "send":
        return await (this.#random.chance(0.5) ? sendOne() : this.#behind(sendOne()));
      case "burst":
        for (let count = 2 + this.#random.below(6); count > 0; count--) {
          this.#behind(sendOne());
          if (this.#random.chance(0.3)) await this.#pause();
        }
        return;
      case "steps":
        return await (this.#random.chance(0.8) ? this.#steps(client) : this.#behind(this.#steps(client)));
      case "command":
        return await (this.#random.chance(0.5) ? this.#command(client) : this.#behind(this.#command(client)));
      case "idle":
        return await this.#clock.sleep(this.#random.pick([1, 5, 30]));
      case "wrong":
        // Steps in the wrong order, none of which waits for the one before.
        for (const name of ["rcpt", "data", "reset"] as const) {
          this.#behind(
            this.call<unknown>(name, () => name === "rcpt" ? client.rcpt("a@mx.test") : client[name]()),
          );
        }
        return;
      case "end":
        this.#behind(this.call("quit", () => this.#random.chance(0.7) ? client.quit() : client.close()));
        return;
      case "secure":
        this.#behind(
          this.#random.chance(0.5)
            ? this.call("startTls", () => client.startTls())
            : this.call("authenticate", () => client.authenticate({ user: "me", pass: "secret words" })),
        );
    }
  }

  /** Lets a call go on beside what follows. `call()` has seen to its errors. */
  #behind(call: Promise<unknown>): void {
    call.catch((error) => this.violations.push(`The fuzz itself has failed: ${show(error)}`));
  }

  async #command(client: SmtpClient): Promise<void> {
    const name = this.#random.pick(
      ["noop", "vrfy", "expn", "help", "command", "ehlo", "helo", "reset"] as const,
    );
    const calls = {
      noop: () => client.noop(),
      vrfy: () => client.vrfy("ada"),
      expn: () => client.expn("staff"),
      help: () => client.help(),
      command: () => client.command("NOOP again"),
      ehlo: () => client.ehlo(),
      helo: () => client.helo(),
      reset: () => client.reset(),
    };
    await this.call<unknown>(name, calls[name]);
  }

  /** A transaction by hand, that may be left at any point. */
  async #steps(client: SmtpClient): Promise<void> {
    const random = this.#random;
    const sent = this.message();
    sent.byHand = true;
    if (await this.call(`mail ${sent.name}`, () => client.mail(sent.from)) === undefined) return;
    for (const address of sent.to) {
      const rcpt = this.call("rcpt", () => client.rcpt(address));
      if (random.chance(0.7)) await rcpt;
    }
    if (random.chance(0.1)) await this.call("noop", () => client.noop());
    const way = random.weighted({ data: 5, bdat: 3, reset: 2, leave: 0.5 });
    if (way === "leave") return;
    if (way === "data") return await this.#data(client, sent);
    if (way === "bdat") {
      const bytes = (text: string) => new TextEncoder().encode(text);
      if (random.chance(0.5)) {
        const chunk = this.call("bdat", () => client.bdat(bytes("Subject: Hi\r\n")));
        if (random.chance(0.5)) await chunk;
      }
      if (random.chance(0.8)) {
        await this.#follow(
          sent,
          () => client.bdat(bytes(sent.text.replaceAll(/(?<!\r)\n/g, "\r\n")), { last: true }),
        );
        if (sent.result !== undefined && !(sent.result instanceof SmtpError)) return;
      }
    }
    await this.call("reset", () => client.reset());
  }

  async #data(client: SmtpClient, sent: Sent): Promise<void> {
    const random = this.#random;
    const content = await this.call("data", () => client.data());
    if (content === undefined) return void await this.call("reset", () => client.reset());
    const writer = content.getWriter();
    writer.closed.catch(() => {});
    const followed = this.#follow(sent, () => content.receipt);
    // The stream itself refuses what comes after its end.
    const fromStream = (error: unknown) => error instanceof TypeError;
    for (let count = random.below(4); count > 0; count--) {
      const written = this.call("write", () => writer.write(sent.text), fromStream);
      if (random.chance(0.5)) await written;
    }
    if (random.chance(0.1)) return; // and never closes it
    await (random.chance(0.85)
      ? this.call("close", () => writer.close(), fromStream)
      : this.call("abort", () => writer.abort(new OwnError("changed my mind")), fromStream));
    await followed;
  }
}

/** The envelope of a message. */
export function envelopeOf({ from, to }: Sent): Envelope {
  return { from, to };
}

/** An error for people to read. */
export function show(error: unknown): string {
  if (error instanceof SmtpError) {
    return `${error.code} in ${error.phase}, ${error.outcome}${
      error.usable ? ", usable" : ""
    }: ${error.message}`;
  }
  return error instanceof Error ? `${error.stack ?? error}` : String(error);
}
