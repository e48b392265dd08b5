/**
 * A transaction that is said step by step: MAIL, RCPT, and DATA or BDAT.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { Phase, RejectedRecipient, SmtpErrorCode } from "../errors.ts";
import { ContentCheck } from "./content_check.ts";
import type { ContentRules } from "./content_check.ts";
import { Conversation } from "./conversation.ts";
import { MessageWriter } from "./message_writer.ts";
import { Receipt } from "./receipt.ts";
import { badSequence, refusedStep } from "./refusal.ts";
import type { Session } from "./session.ts";
import { StepContent } from "./step_content.ts";

/** What a transaction is to know from its MAIL on. */
export interface StepPlan {
  /** MAIL, with its line end. */
  readonly mail: string;
  /** What is allowed in the content; `undefined` for bytes of any kind (BINARYMIME). */
  readonly rules: ContentRules | undefined;
}

/** One transaction. From MAIL to its end nothing else is said on the connection. */
export class StepTransaction {
  readonly #session: Session;
  readonly #conversation: Conversation;
  readonly #over: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #accepted: string[] = [];
  readonly #rejected: RejectedRecipient[] = [];
  #state: "envelope" | "data" | "bdat" | "refused" | "over" = "envelope";
  /** The end of the step before: each waits for the reply to the one before it. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #check: ContentCheck | undefined;

  private constructor(session: Session, plan: StepPlan) {
    this.#session = session;
    this.#check = plan.rules && new ContentCheck(plan.rules);
    this.#conversation = new Conversation(session.link, session.pipeline, { trace: session.trace });
  }

  /**
   * Waits for everything that is in flight to end, and says MAIL.
   *
   * @param session Where.
   * @param plan What.
   * @returns The transaction, and the reply to MAIL.
   * @throws {SmtpError} `"sender-refused"`, or why the session has failed.
   */
  static async begin(session: Session, plan: StepPlan): Promise<[StepTransaction, Reply]> {
    const transaction = new StepTransaction(session, plan);
    const begun = Promise.withResolvers<void>();
    transaction.#conversation.hold(() => {
      begun.resolve();
      return transaction.#over.promise;
    }).catch(begun.reject);
    await begun.promise;
    try {
      if (session.needsReset) await transaction.#say("RSET\r\n", "reset", "command-refused");
      session.lastTransaction = undefined;
      session.transactionOpen = false;
      const reply = await transaction.#say(plan.mail, "mail", "sender-refused");
      return [transaction, reply];
    } catch (error) {
      transaction.#end(error instanceof SmtpError && error.code === "sender-refused");
      throw error;
    }
  }

  /** Whether it has come to its end. */
  get over(): boolean {
    return this.#state === "over" || this.#session.pipeline.failure !== undefined;
  }

  /** Says a command that is allowed within a transaction, whatever the reply is. */
  command(line: string, phase: Phase): Promise<Reply> {
    return this.#inTurn(() => {
      this.#mustBe(["envelope", "bdat", "refused"], "a command");
      return this.#conversation.say(line, phase);
    });
  }

  /**
   * Says RCPT.
   *
   * @param line The command with its line end.
   * @param recipient The recipient, as the caller wrote it.
   */
  rcpt(line: string, recipient: string): Promise<Reply> {
    return this.#inTurn(() => this.#rcpt(line, recipient));
  }

  async #rcpt(line: string, recipient: string): Promise<Reply> {
    this.#mustBe(["envelope"], "RCPT");
    const reply = await this.#conversation.say(line, "rcpt");
    if (reply.positive) {
      this.#accepted.push(recipient);
      return reply;
    }
    this.#rejected.push({ recipient, reply });
    throw refusedStep("recipients-refused", "rcpt", reply, recipient);
  }

  /**
   * Says DATA.
   *
   * @returns Where to write the message.
   */
  data(): Promise<MessageWriter> {
    return this.#inTurn(() => this.#data());
  }

  async #data(): Promise<MessageWriter> {
    this.#mustBe(["envelope"], "DATA");
    this.#mustHaveRecipients("DATA");
    const check = this.#check;
    if (check === undefined) throw badSequence("Cannot say DATA: BINARYMIME goes with BDAT (RFC 3030)");
    const reply = await this.#conversation.say("DATA\r\n", "data");
    if (!reply.intermediate) throw refusedStep("message-refused", "data", reply);
    this.#state = "data";
    const content = new StepContent(this.#session, this.#conversation);
    return new MessageWriter(check, {
      get early() {
        return content.early;
      },
      write: (bytes) => content.write(bytes),
      complete: (end) => this.#finish(content.complete(end), true),
      cut: (error) => this.#session.end(error),
    });
  }

  /**
   * Says BDAT, with a chunk of the content behind it, as it is.
   *
   * @param chunk The bytes.
   * @param last Whether they are the last.
   * @returns The reply; with `last` the receipt.
   */
  bdat(chunk: Uint8Array, last: boolean): Promise<Reply | Receipt> {
    return this.#inTurn(() => this.#bdat(chunk, last));
  }

  async #bdat(chunk: Uint8Array, last: boolean): Promise<Reply | Receipt> {
    this.#mustBe(["envelope", "bdat"], "BDAT");
    this.#mustHaveRecipients("BDAT");
    this.#check?.push(chunk);
    this.#state = "bdat";
    const answer = this.#conversation.say(`BDAT ${chunk.length}${last ? " LAST" : ""}\r\n`, "content");
    // What was said leaves at the end of this turn: command and chunk go together.
    this.#session.link.output.bytes(chunk);
    if (last) return await this.#finish(answer, false);
    const reply = await answer;
    if (reply.positive) return reply;
    this.#state = "refused";
    throw refusedStep("message-refused", "content", reply);
  }

  /** Says RSET: the server forgets the transaction. */
  reset(): Promise<Reply> {
    return this.#inTurn(() => this.#reset());
  }

  async #reset(): Promise<Reply> {
    this.#mustBe(["envelope", "bdat", "refused"], "RSET");
    try {
      const reply = await this.#say("RSET\r\n", "reset", "command-refused");
      this.#end(true);
      return reply;
    } catch (error) {
      this.#end(false);
      throw error;
    }
  }

  /** The end of the content has left: what do the replies say? Over LMTP there is one for each recipient. */
  async #finish(first: Promise<Reply>, closes: boolean): Promise<Receipt> {
    const end = this.#session.link.position;
    const taken: string[] = [];
    let reply: Reply;
    try {
      reply = await first;
      mustBeDecision(reply);
      if (this.#session.settings.protocol === "lmtp") {
        for (const [index, recipient] of this.#accepted.entries()) {
          // Nothing comes behind 421: it is the reply for all that are left.
          if (index > 0 && reply.code !== 421) reply = await this.#conversation.listen("content");
          mustBeDecision(reply);
          if (reply.positive) taken.push(recipient);
          else this.#rejected.push({ recipient, reply });
        }
      } else if (reply.positive) taken.push(...this.#accepted);
    } catch (error) {
      this.#end(false);
      throw this.#lost(error, end, taken);
    }
    const accepted = taken.length > 0;
    this.#end(closes || accepted);
    if (accepted) return new Receipt(taken, this.#rejected, reply);
    throw new SmtpError("message-refused", `The server refuses the message: ${reply.toString()}`, {
      outcome: "refused",
      phase: "content",
      reply,
      rejected: this.#rejected,
      usable: reply.code !== 421,
    });
  }

  #lost(error: unknown, end: number, accepted: readonly string[]): unknown {
    if (!(error instanceof SmtpError)) return error;
    this.#session.end(error);
    const { code, message, phase, reply, temporary, cause } = error;
    const mayBeThere = end <= this.#session.link.handedOver && code !== "service-unavailable";
    return new SmtpError(code, message, {
      outcome: mayBeThere ? "unknown" : "not-sent",
      phase,
      reply,
      temporary,
      cause,
      accepted,
      rejected: this.#rejected,
    });
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(step);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #say(line: string, phase: Phase, refusal: SmtpErrorCode): Promise<Reply> {
    const reply = await this.#conversation.say(line, phase);
    if (reply.positive) return reply;
    throw refusedStep(refusal, phase, reply);
  }

  /** @param clean Whether the server has forgotten the transaction; if not, the next one begins with RSET. */
  #end(clean: boolean): void {
    this.#state = "over";
    this.#session.transactionOpen = !clean;
    this.#over.resolve();
  }

  #mustBe(states: readonly string[], verb: string): void {
    if (states.includes(this.#state)) return;
    const why = {
      envelope: "no content was begun",
      data: "the content is being written",
      bdat: "the content was begun",
      refused: "the server has refused a part of the content: reset() first",
      over: "the transaction is over",
    }[this.#state];
    throw badSequence(`Cannot say ${verb}: ${why}`);
  }

  #mustHaveRecipients(verb: string): void {
    if (this.#accepted.length > 0) return;
    throw badSequence(`Cannot say ${verb}: the server has accepted no recipient`);
  }
}

/** The reply to a content is a yes or a no. */
function mustBeDecision(reply: Reply): void {
  if (!reply.intermediate) return;
  throw new SmtpError("protocol-error", `Unexpected reply to the content: ${reply.code}`, {
    phase: "content",
    reply,
  });
}
