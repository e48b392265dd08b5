/**
 * A part of the session in which each command waits for the reply to the one before: greeting, EHLO, STARTTLS, AUTH, and
 * single commands.
 *
 * @module
 */
import { challengeOf, Reply } from "../core/reply.ts";
import { MASK } from "../core/secrets.ts";
import type { Secrets } from "../core/secrets.ts";
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";
import { NOT_BEGUN } from "./pipeline.ts";
import type { Exchange } from "./pipeline.ts";
import type { Session } from "./session.ts";
import { hasNoPlace } from "./transaction.ts";

/** Sends commands one by one. While it lasts, nothing else is sent. */
export class Conversation implements Exchange {
  readonly #session: Session;
  readonly #turn: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #abandoned: PromiseWithResolvers<never> = Promise.withResolvers();
  #patience: ReturnType<typeof setTimeout> | undefined;
  #answer: PromiseWithResolvers<Reply> | undefined;
  #failure: SmtpError | undefined;
  #hasTurn = false;
  #ended = false;
  /** Whether the last reply was a yes. */
  #accepted = false;
  /** Whether what was said last is a secret. */
  #secret = false;

  readonly exclusive: boolean;
  awaited: Phase = "command";
  position = NOT_BEGUN;

  private constructor(session: Session, exclusive: boolean) {
    this.#session = session;
    this.exclusive = exclusive;
    this.#turn.promise.catch(() => {});
    this.#abandoned.promise.catch(() => {});
  }

  /**
   * Holds a conversation once everything that was queued before has ended.
   *
   * @param session The session.
   * @param body Sends the commands.
   * @returns What `body` returns.
   */
  static hold<T>(session: Session, body: (conversation: Conversation) => Promise<T>): Promise<T> {
    return new Conversation(session, true).#hold(body);
  }

  /**
   * Sends one command, which may leave while others are still in flight.
   *
   * @param session The session.
   * @param line The command with its line end, rendered.
   * @param phase What it is about.
   * @param held Whether the server may hold a transaction open afterwards. Default: as before.
   * @returns The reply, whatever it is.
   */
  static command(session: Session, line: string, phase: Phase, held?: "unknown" | "none"): Promise<Reply> {
    return new Conversation(session, false).#hold((conversation) => {
      // Only now: a message that goes first may reset what was open until then.
      if (held !== undefined) session.held = held;
      return conversation.say(line, phase);
    });
  }

  async #hold<T>(body: (conversation: Conversation) => Promise<T>): Promise<T> {
    this.#session.pipeline.enqueue(this);
    await this.#turn.promise;
    this.#hasTurn = true;
    try {
      if (this.#failure !== undefined) throw this.#failure;
      return await Promise.race([body(this), this.#abandoned.promise]);
    } finally {
      clearTimeout(this.#patience);
      this.#ended = true;
      this.#session.pipeline.release(this);
    }
  }

  /** Whether the reply may have a secret in it. */
  get secret(): boolean {
    return this.#secret;
  }

  /**
   * Hides secrets in all that the server says from now on.
   *
   * @param secrets What to hide. Secrets that are added later count, too.
   * @returns The same, or those that are hidden already, to add to.
   */
  hide(secrets: Secrets): Secrets {
    return this.#session.link.secrets ??= secrets;
  }

  /** After its 220 to STARTTLS the server speaks TLS. */
  get pausesReading(): boolean {
    return this.awaited === "starttls" && this.#accepted;
  }

  get awaitsReply(): boolean {
    return this.#answer !== undefined;
  }

  get finished(): boolean {
    return this.#ended && this.#answer === undefined;
  }

  /**
   * Sends a command.
   *
   * @param line The command with its line end, rendered.
   * @param phase What it is about.
   * @param shown What a trace shows, if the line has a secret in it. It then does not show a challenge either.
   * @returns The reply, whatever it is.
   */
  say(line: string, phase: Phase, shown?: string): Promise<Reply> {
    this.#secret = shown !== undefined;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { link, trace } = this.#session;
    link.output.text(line);
    trace?.({ type: "command", line: shown ?? line.slice(0, -2) });
    return this.listen(phase);
  }

  /** Waits for a reply without sending anything. */
  listen(phase: Phase): Promise<Reply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.awaited = phase;
    const answer = this.#answer = Promise.withResolvers();
    // If the reply is here already, it is taken at once.
    this.#session.pipeline.touch();
    return answer.promise;
  }

  /** Challenges of SCRAM together let a weak password be guessed by whoever reads the trace. */
  shown(reply: Reply): Reply {
    const hides = this.#secret && reply.code === 334 && challengeOf(reply) !== "";
    return hides ? new Reply(334, MASK) : reply;
  }

  begin(): void {
    this.#turn.resolve();
  }

  receive(reply: Reply): void {
    if (hasNoPlace(reply, this.awaited === "auth")) {
      throw new SmtpError("protocol-error", `Unexpected reply: ${reply.toString()}`, {
        phase: this.awaited,
        reply,
      });
    }
    this.#accepted = reply.positive;
    const answer = this.#answer!; // nothing is given to an exchange that awaits no reply
    this.#answer = undefined;
    answer.resolve(reply);
  }

  fail(error: SmtpError): void {
    this.#failure = error;
    // It may wait for something else than the server, such as a token. If it has heard why the session ends, it says so first.
    if (this.#hasTurn && !this.#ended) this.#patience = setTimeout(() => this.#abandoned.reject(error), 0);
    this.#turn.reject(error);
    this.#answer?.reject(error);
    this.#answer = undefined;
  }
}
