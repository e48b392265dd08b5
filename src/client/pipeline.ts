/**
 * Commands in flight on one connection, in order, and who waits for which reply.
 *
 * Everything that is said to the server is an {@linkcode Exchange}. Exchanges take the wire one after the other; one that
 * has written everything releases it, so that the next may write before the replies to the first have come.
 * Replies come in the order of the commands (RFC 2920, section 3.1), so they belong to the oldest exchange that still
 * awaits one.
 *
 * From the first thing that is awaited on, the connection is read at all times, but around STARTTLS. What a server says
 * without having been asked must never be taken for the answer to what is asked next: it ends the session at once.
 *
 * @module
 */
import { ProtocolError } from "../core/errors.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";
import type { Trace } from "../trace.ts";
import { Deadline } from "../sockets/deadline.ts";
import { cutShort, phaseOf, serviceClosing, timedOut, toSmtpError } from "./failure.ts";
import type { Wait } from "./failure.ts";
import type { Link } from "./link.ts";
import { Queue } from "./queue.ts";
import { Window } from "./window.ts";

/** What a part of the conversation has to know and to do. Every method is called synchronously. */
export interface Exchange {
  /** Whether it begins only when nothing is in flight, and lets nothing else begin before its end. */
  readonly exclusive: boolean;
  /** Whether a reply is due. */
  readonly awaitsReply: boolean;
  /** Whether nothing more will happen: nothing to write, no reply due. */
  readonly finished: boolean;
  /** What the oldest reply due answers, or else what it waits for; selects the time limit. */
  readonly awaited: Wait;
  /** Where in the output it begins, {@linkcode NOT_BEGUN} before. Set by the pipeline. */
  position: number;
  /** Begins to write: the wire is free. */
  begin(): void;
  /** Takes a reply that was due. Nothing is written before {@linkcode proceed}. */
  receive(reply: Reply): void;
  /** Goes on after a reply, now that nothing unasked follows it. */
  proceed?(): void;
  /** Takes a reply that comes before it is due, which ends the session. Returns whether it makes sense. */
  receiveEarly?(reply: Reply): boolean;
  /** With what the session ends after the reply that has come, if it does. */
  readonly end?: SmtpError | undefined;
  /** Whether nothing is to be read after the reply that has come, until another one is awaited. */
  readonly pausesReading?: boolean;
  /** Whether there may be a secret in the reply. */
  readonly secret?: boolean;
  /** What is shown of a reply that may have a secret in it. */
  shown?(reply: Reply): Reply;
  /** The better error for a lost connection, if an earlier reply explains the loss. */
  explain?(error: SmtpError): SmtpError;
  /** The connection failed, or the exchange never had its turn. Called once, and nothing else afterwards. */
  fail(error: SmtpError): void;
}

/** The position of an exchange that has not had its turn. */
export const NOT_BEGUN = -1;

/** Limits in milliseconds, by what is awaited. */
export type PipelineTimeouts = Readonly<Record<Wait, number>>;

/** How long a connection that can no longer be written to is still read, for a last word of the server. */
const LAST_WORD_TIMEOUT = 1_000;

/** Errors that close the connection with a reset: something hangs, or was sent by half. Elsewhere that would be rude. */
const RESETTING: ReadonlySet<string> = new Set(["aborted", "timeout", "connection-lost"]);

/** Carries exchanges over a link. */
export class Pipeline {
  readonly #link: Link;
  readonly #timeouts: PipelineTimeouts;
  readonly #maxBytesInFlight: number;
  readonly #trace: Trace | undefined;
  readonly #waiting: Queue<Exchange> = new Queue();
  /** Of those that wait, the ones that were taken back: searching for them would take long where many wait. */
  readonly #withdrawn: Set<Exchange> = new Set();
  readonly #flying: Queue<Exchange> = new Queue();
  #wire: Exchange | undefined;
  /** Whether the code below is in the middle of its own loop, which looks again by itself. */
  #busy = false;
  #reading = false;
  /** Whether bytes have come that answer nothing. It ends the session, when it is known what they say. */
  #unasked = false;
  /** Why the session ends once what was sent whole has its replies. */
  #ending: SmtpError | undefined;
  /** Whether the connection keeps the process running: while somebody waits for the server. */
  #keepsProcess = true;
  #failure: SmtpError | undefined;
  readonly #deadline: Deadline = new Deadline(() => this.run(() => this.#expired()));
  readonly #closed: PromiseWithResolvers<void> = Promise.withResolvers();

  /** How many exchanges may be in flight. Its limit is 1 until the server is known to offer PIPELINING. */
  readonly window: Window = new Window();

  /**
   * @param link What carries it. Nobody else may read from it or write to it while exchanges are in flight.
   * @param options Limits, and what sees the replies and the end.
   */
  constructor(
    link: Link,
    options: { timeouts: PipelineTimeouts; maxBytesInFlight: number; trace: Trace | undefined },
  ) {
    this.#link = link;
    this.#timeouts = options.timeouts;
    this.#maxBytesInFlight = options.maxBytesInFlight;
    this.#trace = options.trace;
    link.onWriteError = (error) => this.run(() => this.#onWriteError(error));
  }

  /** Why nothing can be sent any more, once that is so. */
  get failure(): SmtpError | undefined {
    return this.#failure ?? this.#ending;
  }

  /** Resolves once nothing can be sent any more. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** How many exchanges wait or are in flight. */
  get pending(): number {
    return this.#waiting.length - this.#withdrawn.size + this.#flying.length;
  }

  /** Queues an exchange after all others. */
  enqueue(exchange: Exchange): void {
    if (this.#failure !== undefined) return failOne(exchange, this.#failure);
    this.#waiting.push(exchange);
    if (!this.#busy) this.#advance();
  }

  /**
   * Takes an exchange out that has not begun.
   *
   * @returns Whether it was still waiting.
   */
  withdraw(exchange: Exchange): boolean {
    if (exchange.position !== NOT_BEGUN || this.#failure !== undefined) return false;
    this.#withdrawn.add(exchange);
    return true;
  }

  /** An exchange has written all that it will, or has ended: the wire is free for the next. */
  release(exchange: Exchange): void {
    if (this.#wire === exchange) this.#wire = undefined;
    if (!this.#busy) this.#advance();
  }

  /** An exchange has written, or waits for something else than before: the time limit starts anew. */
  touch(): void {
    this.#deadline.renew();
    this.#watch();
  }

  /**
   * Takes a step that a timer, a signal or a stream has set off. What it throws ends the session: those whose exchanges are in
   * flight learn of it, and nobody else.
   */
  run(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#failWith(error);
    }
  }

  #advance(): void {
    try {
      this.#busy = true;
      this.#letOut();
      this.#busy = false;
      this.#watch();
    } catch (error) {
      this.#failWith(error);
    }
  }

  /** Lets exchanges out as long as the wire is free and the window open. */
  #letOut(): void {
    if (this.#unasked) return;
    this.#settleFront();
    while (this.#wire === undefined && this.failure === undefined) {
      const next = this.#waiting.peek();
      if (next === undefined) break;
      if (this.#withdrawn.delete(next)) {
        this.#waiting.shift();
        continue;
      }
      if (this.#blocks(next)) break;
      if (this.#flying.length === 0) this.window.onFirst();
      this.#waiting.shift();
      this.#flying.push(next);
      next.position = this.#link.position;
      this.#wire = next;
      this.#deadline.renew();
      next.begin();
      this.#settleFront();
    }
    if (this.#ending !== undefined && this.#flying.peek() === this.#wire) this.fail(this.#ending);
  }

  /** Whether an exchange has to wait for others to end. */
  #blocks(next: Exchange): boolean {
    const oldest = this.#flying.peek();
    if (oldest === undefined) return false;
    return next.exclusive || this.window.isFull(this.#flying.length) ||
      this.#link.position - oldest.position >= this.#maxBytesInFlight;
  }

  /** Exchanges that have ended leave, in order. */
  #settleFront(): void {
    while (this.#flying.peek()?.finished) {
      const exchange = this.#flying.shift()!;
      if (this.#wire === exchange) this.#wire = undefined;
      this.window.onEnd();
    }
    if (this.pending === 0) this.#deadline.stop();
  }

  /**
   * Sees to it that what was written leaves, and that the clock runs while somebody waits. What is read only to watch the
   * connection does not keep the process running.
   */
  #watch(): void {
    if (this.#failure !== undefined) return;
    const front = this.#flying.peek();
    const waits = front !== undefined && isWaiting(front);
    if (waits !== this.#keepsProcess) {
      this.#keepsProcess = waits;
      if (waits) this.#link.ref();
      else this.#link.unref();
    }
    if (this.#unasked) return this.#deadline.start(LAST_WORD_TIMEOUT);
    this.#link.scheduleFlush();
    if (!waits) {
      // Its timer, too, would keep the process running. Where writing has failed it limits the wait for the last word.
      if (this.#link.writeError === undefined) this.#deadline.stop();
      return;
    }
    this.#deadline.start(this.#timeouts[front.awaited]);
    if (!this.#reading) void this.#read();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    // What is said first leaves with what else is said in this turn; what answers replies leaves at once.
    let answering = false;
    try {
      while (this.#answer()) {
        if (answering && !this.#unasked) this.#link.flush();
        answering = true;
        // The clock goes on: a server that gives its reply byte by byte has no more time than others.
        this.#watch();
        if (!await this.#link.fill()) throw this.#endOfConnection();
      }
    } catch (error) {
      this.#failWith(error);
    } finally {
      this.#reading = false;
      this.#busy = false;
    }
    this.#advance(); // a reply that pauses the reading may have been the last that was due
  }

  /**
   * Gives the replies that are here to those that await them.
   *
   * @returns Whether to go on reading.
   */
  #answer(): boolean {
    this.#busy = true;
    const more = this.#giveReplies();
    this.#busy = false;
    return more;
  }

  #giveReplies(): boolean {
    while (this.#failure === undefined) {
      this.#letOut();
      const front = this.#flying.peek();
      const isDue = !this.#unasked && front !== undefined && front.awaitsReply;
      const reply = this.#link.takeReply();
      if (reply === undefined) {
        if (!isDue && this.#link.bufferedLength > 0) this.#onUnasked();
        return true;
      }
      this.window.onReply();
      const shown = front?.shown?.(reply) ?? reply;
      this.#deadline.renew();
      const phase = phaseOf(front?.awaited ?? "command");
      // The trace comes second: whoever aborts from there is too late for what the server has decided.
      try {
        if (isDue) front.receive(reply);
      } finally {
        this.#trace?.({ type: "reply", reply: shown });
      }
      if (isDue && front.end !== undefined) {
        this.fail(front.end);
        break;
      }
      // A server that says 421 closes the connection (RFC 5321, section 3.8). Replies come in order, so it has done
      // nothing of what was sent after the command that it answers.
      if (reply.code === 421) this.fail(serviceClosing(shown, phase));
      else if (!isDue) this.#endUnasked(reply, shown);
      else if (front.pausesReading) return false;
      // Those that fly after the front have said something, and a front that has more to say flies alone.
      else if (this.#link.bufferedLength > 0 && !front.awaitsReply && this.#flying.length === 1) {
        this.#onUnasked();
      } else if (this.#failure === undefined && (this.#ending === undefined || front !== this.#wire)) {
        front.proceed?.();
      }
    }
    return false;
  }

  /** Nothing more is said, and the server has a moment to end what it says. */
  #onUnasked(): void {
    if (this.#unasked) return;
    this.#unasked = true;
    this.#deadline.renew();
  }

  #endUnasked(reply: Reply, shown: Reply): void {
    if (this.#flying.peek()?.receiveEarly?.(reply)) return this.fail(cutShort());
    throw new ProtocolError(`Unexpected reply, no command is waiting for one: ${shown.toString()}`);
  }

  #endOfConnection(): SmtpError {
    const where = this.#link.bufferedLength > 0 ? " within a reply" : "";
    return new SmtpError("connection-lost", `The server has closed the connection${where}`, {
      phase: this.#phase,
      temporary: true,
      cause: this.#link.writeError,
    });
  }

  #onWriteError(error: unknown): void {
    if (this.#failure !== undefined) return;
    // A server that hangs up often says why, in a reply that is still to be read.
    if (!this.#reading) return this.#failWith(error);
    this.#deadline.renew();
    this.#deadline.start(LAST_WORD_TIMEOUT);
  }

  /** Ends the session with what was thrown. Itself it never throws, whatever an exchange does. */
  #failWith(error: unknown): void {
    let failure: SmtpError;
    try {
      // An error shows bytes that are not a reply, except during a login, which the server may repeat.
      const hides = error instanceof ProtocolError && this.#flying.peek()?.secret;
      const cause = hides ? new ProtocolError("The server's answer is not a reply") : error;
      failure = toSmtpError(cause, this.#phase);
      failure = this.#flying.peek()?.explain?.(failure) ?? failure;
    } catch (another) {
      failure = toSmtpError(another, "command");
    }
    this.fail(failure);
  }

  get #phase(): Phase {
    return phaseOf(this.#flying.peek()?.awaited ?? "command");
  }

  /**
   * Ends the session once what was sent whole has its replies, each within its own time limit. Nothing more is begun, and what
   * was sent in part is given up.
   *
   * @param error Why.
   */
  failWhenAnswered(error: SmtpError): void {
    this.#ending ??= error;
    if (!this.#busy) this.#advance();
  }

  /**
   * Ends everything: what is in flight and what waits fails, the connection is closed.
   *
   * @param error Why.
   */
  fail(error: SmtpError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#deadline.stop();
    const flying = this.#flying.drain();
    const waiting = this.#waiting.drain();
    this.#wire = undefined;
    for (const exchange of flying) failOne(exchange, error);
    for (const exchange of waiting) {
      if (!this.#withdrawn.has(exchange)) failOne(exchange, error);
    }
    this.#withdrawn.clear();
    this.#link.close(RESETTING.has(error.code) ? error : undefined).catch(() => {});
    const failed = error.code === "client-closed" ? {} : { failed: true } as const;
    this.#closed.resolve();
    this.#trace?.({ type: "state", state: "closed", detail: error.message, ...failed });
  }

  #expired(): void {
    if (this.#link.writeError !== undefined) return this.#failWith(this.#link.writeError);
    if (this.#unasked) throw new ProtocolError("Unexpected bytes, no command is waiting for a reply");
    const awaited = this.#flying.peek()?.awaited ?? "command";
    this.fail(timedOut(awaited, this.#timeouts[awaited]));
  }
}

/** Whether the server, or the caller's source, has to do something in time. */
function isWaiting({ awaitsReply, awaited }: Exchange): boolean {
  return awaitsReply || awaited === "block" || awaited === "source";
}

/** One that throws keeps the others from nothing. */
function failOne(exchange: Exchange, error: SmtpError): void {
  try {
    exchange.fail(error);
  } catch {
    // It has rejected its promises, or has none.
  }
}
