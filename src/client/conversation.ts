/**
 * A part of the session in which each command waits for the reply to the one before: greeting, EHLO, STARTTLS, AUTH, and
 * single commands.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import type { Phase, SmtpError } from "../errors.ts";
import type { Trace } from "../trace.ts";
import type { Awaited } from "./failure.ts";
import type { Link } from "./link.ts";
import { NOT_BEGUN } from "./pipeline.ts";
import type { Exchange, Pipeline } from "./pipeline.ts";

/** Says commands one by one. While it lasts, nothing else is said. */
export class Conversation implements Exchange {
  readonly #link: Link;
  readonly #pipeline: Pipeline;
  readonly #trace: Trace | undefined;
  readonly #turn: PromiseWithResolvers<void> = Promise.withResolvers();
  #answer: PromiseWithResolvers<Reply> | undefined;
  /** Why nothing can be said any more, once that is so. */
  failure: SmtpError | undefined;
  #ended = false;
  #mask: ((reply: Reply) => Reply) | undefined;
  /** What the server has said in the middle of a content: it wants no more of it. */
  early: Reply | undefined;

  readonly exclusive: boolean;
  watches = false;
  awaited: Awaited = "command";
  position = NOT_BEGUN;

  /**
   * @param link Where to write.
   * @param pipeline Whose turn it takes.
   * @param options `exclusive: false` for a single command that may leave behind others still in flight.
   */
  constructor(
    link: Link,
    pipeline: Pipeline,
    options: { trace: Trace | undefined; exclusive?: boolean },
  ) {
    this.#link = link;
    this.#pipeline = pipeline;
    this.#trace = options.trace;
    this.exclusive = options.exclusive ?? true;
    this.#turn.promise.catch(() => {});
  }

  /** Whether the reply may have a secret in it. */
  get secret(): boolean {
    return this.#mask !== undefined;
  }

  get awaitsReply(): boolean {
    return this.#answer !== undefined;
  }

  get finished(): boolean {
    return this.#ended && this.#answer === undefined;
  }

  /**
   * Waits for its turn, holds the conversation, and lets go.
   *
   * @param body What to say.
   * @returns What `body` returns.
   */
  async hold<T>(body: (conversation: Conversation) => Promise<T>): Promise<T> {
    this.#pipeline.enqueue(this);
    await this.#turn.promise;
    try {
      return await body(this);
    } finally {
      this.#ended = true;
      this.#pipeline.release(this);
    }
  }

  /**
   * Says a command.
   *
   * @param line The command with its line end, rendered.
   * @param phase What it is about.
   * @param shown What a trace shows, where the line has a secret in it.
   * @param mask What a trace shows of the reply, where that may have one too.
   * @returns The reply, whatever it is.
   */
  say(
    line: string,
    phase: Phase,
    shown: string = line,
    mask?: (reply: Reply) => Reply,
  ): Promise<Reply> {
    this.#mask = mask;
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.#link.output.text(line);
    this.#trace?.({ type: "command", line: shown.endsWith("\r\n") ? shown.slice(0, -2) : shown });
    return this.listen(phase);
  }

  /** Waits for a reply without saying anything. */
  listen(phase: Phase): Promise<Reply> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.awaited = phase;
    const answer = this.#answer = Promise.withResolvers();
    // Where the reply is here already, it is taken at once.
    this.#pipeline.progress();
    return answer.promise;
  }

  shown(reply: Reply): Reply {
    return this.#mask?.(reply) ?? reply;
  }

  begin(): void {
    this.#turn.resolve();
  }

  receive(reply: Reply): void {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer === undefined) this.early = reply;
    else answer.resolve(reply);
  }

  fail(error: SmtpError): void {
    this.failure = error;
    this.#turn.reject(error);
    this.#answer?.reject(error);
    this.#answer = undefined;
  }
}
