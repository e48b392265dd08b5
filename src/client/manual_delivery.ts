/**
 * The driver behind `mail()`, `rcpt()`, `data()`, `bdat()` and `reset()`: one command at a time, each waits for its reply.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import type { InvalidRecipient, RejectedRecipient, SmtpError } from "../errors.ts";
import { lengthAhead } from "./command_lines.ts";
import { Content, toBytes } from "./content.ts";
import { ContentCheck } from "./content_check.ts";
import type { ContentRules } from "./content_check.ts";
import { Delivery } from "./delivery.ts";
import { badSequence, commandRefused, messageRefused } from "./failure.ts";
import { MessageWriter, PushedSource } from "./message_writer.ts";
import type { Receipt } from "./receipt.ts";
import type { Session } from "./session.ts";
import { Transaction } from "./transaction.ts";
import type { TransactionCommand, TransactionState } from "./transaction.ts";

/** Why a command is not allowed, by the state. */
const REASONS: Readonly<Record<TransactionState, string>> = {
  envelope: "no content was begun",
  data: "the content is being written",
  bdat: "the content was begun",
  refused: "the server has refused a part of the content: reset() first",
  complete: "the transaction is over",
  over: "the transaction is over",
};

/** A transaction that the caller drives. From MAIL to its end nothing else is sent on the connection. */
export class ManualDelivery extends Delivery {
  readonly #rules: ContentRules | undefined;
  /** Looks at the chunks of BDAT. */
  readonly #check: ContentCheck | undefined;
  readonly #turn: PromiseWithResolvers<void> = Promise.withResolvers();
  #answer: PromiseWithResolvers<Reply> | undefined;
  /** The end of the step before: each waits for the reply to the one before it. */
  #last: Promise<unknown> = Promise.resolve();
  /** The recipients that the server was not asked about. */
  readonly #invalid: InvalidRecipient[] = [];
  /** What `data()` writes to. */
  #pushed: PushedSource | undefined;

  readonly exclusive = true;

  private constructor(session: Session, rules: ContentRules | undefined) {
    super(session, new Transaction({ protocol: session.settings.protocol, recipientsPolicy: "some" }));
    this.#rules = rules;
    this.#check = rules && new ContentCheck(rules);
    this.#turn.promise.catch(() => {});
    this.result.catch(() => {});
  }

  /**
   * Waits for everything that is in flight to end, and sends MAIL.
   *
   * @param session The session.
   * @param mail MAIL, with its line end.
   * @param rules What is allowed in the content; `undefined` for bytes of any kind (BINARYMIME).
   * @returns The delivery, and the reply to MAIL.
   * @throws {SmtpError} `"sender-refused"`, or why the session has failed.
   */
  static async start(
    session: Session,
    mail: string,
    rules: ContentRules | undefined,
  ): Promise<[ManualDelivery, Reply]> {
    const delivery = new ManualDelivery(session, rules);
    session.pipeline.enqueue(delivery);
    await delivery.#turn.promise;
    const reply = await delivery.#say(mail, (transaction) => transaction.mail());
    if (!reply.positive) {
      delivery.transaction.stop();
      delivery.drive();
      await delivery.result; // throws
    }
    return [delivery, reply];
  }

  /** Whether it has come to its end. */
  get over(): boolean {
    return this.transaction.state === "over" || this.session.pipeline.failure !== undefined;
  }

  /** Takes note of a recipient that the server is not asked about. */
  noteInvalid(recipient: InvalidRecipient): void {
    this.#invalid.push(recipient);
  }

  protected override get rejected(): readonly RejectedRecipient[] {
    return [...this.#invalid, ...this.transaction.rejected];
  }

  /** Sends a command that is allowed within a transaction, whatever the reply is. */
  command(line: string): Promise<Reply> {
    return this.#inTurn(() => {
      this.#mustAllow("command", "a command");
      return this.#say(line, (transaction) => transaction.command());
    });
  }

  /**
   * Sends RCPT.
   *
   * @param line The command with its line end.
   * @param recipient The recipient, as the caller wrote it.
   * @returns The reply.
   * @throws {SmtpError} `"recipients-refused"`: the transaction goes on with the others.
   */
  rcpt(line: string, recipient: string): Promise<Reply> {
    return this.#inTurn(async () => {
      this.#mustAllow("rcpt", "RCPT");
      const reply = await this.#say(line, (transaction) => transaction.rcpt(recipient));
      if (reply.positive) return reply;
      throw messageRefused({ command: "rcpt", reply }, [{ recipient, reply }]);
    });
  }

  /**
   * Sends DATA.
   *
   * @returns Where to write the message.
   * @throws {SmtpError} `"message-refused"`.
   */
  data(): Promise<MessageWriter> {
    return this.#inTurn(async () => {
      this.#mustAllow("data", "DATA");
      this.#mustHaveRecipients("DATA");
      if (this.#rules === undefined) throw badSequence("Cannot say DATA: BINARYMIME needs BDAT (RFC 3030)");
      const pushed = this.#pushed = new PushedSource();
      const reply = await this.#say("DATA\r\n", (transaction) => transaction.data());
      if (!reply.intermediate) throw messageRefused({ command: "data", reply }, this.transaction.rejected);
      return new MessageWriter(pushed, this.result, (error) => this.giveUp(error));
    });
  }

  /**
   * Sends BDAT, with a chunk of the content after it, as it is.
   *
   * @param chunk The bytes.
   * @param last Whether they are the last.
   * @returns The reply; with `last` the receipt.
   * @throws {SmtpError} `"message-refused"`.
   */
  bdat(chunk: Uint8Array, last: boolean): Promise<Reply | Receipt> {
    return this.#inTurn(async () => {
      this.#mustAllow("bdat", "BDAT");
      this.#mustHaveRecipients("BDAT");
      let bytes: Uint8Array = new Uint8Array(toBytes(chunk)); // a trace is called between the command and the chunk
      this.#check?.push(bytes);
      if (this.session.quirks.chunking !== "proven") {
        // Nothing that a server without BDAT could take for a command leaves before it has taken what stands ahead of that.
        const ahead = lengthAhead(bytes);
        if (ahead > 0) await this.#chunk(bytes.subarray(0, ahead));
        bytes = bytes.subarray(ahead);
      }
      if (!last) return await this.#chunk(bytes);
      const command = `BDAT ${bytes.length} LAST\r\n`;
      const end = this.session.link.position + command.length + bytes.length;
      this.countContent(command.length + bytes.length);
      this.#say(command, (transaction) => transaction.end(end), bytes).catch(() => {}); // the result says it, too
      return await this.result;
    });
  }

  async #chunk(chunk: Uint8Array): Promise<Reply> {
    const command = `BDAT ${chunk.length}\r\n`;
    this.countContent(command.length + chunk.length);
    const reply = await this.#say(command, (transaction) => transaction.chunk(), chunk);
    if (!reply.positive) throw messageRefused({ command: "chunk", reply }, this.transaction.rejected);
    return reply;
  }

  /**
   * Sends RSET: the server forgets the transaction.
   *
   * @returns The reply.
   * @throws {SmtpError} `"command-refused"`.
   */
  reset(): Promise<Reply> {
    return this.#inTurn(async () => {
      this.#mustAllow("reset", "RSET");
      const reply = await this.#say("RSET\r\n", (transaction) => transaction.reset());
      if (reply.positive) return reply;
      throw commandRefused("RSET", "reset", reply);
    });
  }

  /**
   * Tells the transaction of a command, writes it, and waits for the reply.
   *
   * @param line The command with its line end.
   * @param sent Tells the transaction.
   * @param chunk What follows the command. Both leave together, at the end of this turn.
   */
  #say(line: string, sent: (transaction: Transaction) => void, chunk?: Uint8Array): Promise<Reply> {
    const { pipeline, link } = this.session;
    if (pipeline.failure !== undefined) return Promise.reject(pipeline.failure);
    const answer = this.#answer = Promise.withResolvers<Reply>();
    sent(this.transaction);
    this.write(line); // a trace may end the session here: then the answer is rejected
    if (chunk !== undefined) link.output.bytes(chunk);
    pipeline.touch();
    return answer.promise;
  }

  override receive(reply: Reply): void {
    super.receive(reply);
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.resolve(reply);
  }

  protected drive(): void {
    const { transaction } = this;
    if (transaction.awaitsReply) return;
    this.#turn.resolve();
    if (transaction.state === "data" && this.#pushed !== undefined && !this.pumping) {
      // At once: the server may refuse the content in the same packet as its 354.
      void this.pumpContent(new Content(this.#pushed, this.#rules), "data");
    } else if (this.pumping && transaction.hopeless) {
      this.stopEarly();
    } else if (transaction.finished) {
      this.#finish();
    }
  }

  /** The last reply has come, or nothing more is to be sent. */
  #finish(): void {
    const { transaction } = this;
    if (transaction.endReply !== undefined || transaction.refusal !== undefined) this.settle();
    this.session.pipeline.release(this);
  }

  override fail(error: SmtpError): void {
    super.fail(error);
    this.#turn.reject(error);
    this.#answer?.reject(error);
    this.#answer = undefined;
  }

  protected onSettled(error: SmtpError | undefined): void {
    if (error !== undefined) this.#pushed?.fail(error);
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#last.then(step);
    this.#last = result.catch(() => {});
    return result;
  }

  #mustAllow(command: TransactionCommand, verb: string): void {
    if (this.transaction.allows(command)) return;
    throw badSequence(`Cannot say ${verb}: ${REASONS[this.transaction.state]}`);
  }

  #mustHaveRecipients(verb: string): void {
    if (this.transaction.accepted.length > 0) return;
    throw badSequence(`Cannot say ${verb}: the server has accepted no recipient`);
  }
}
