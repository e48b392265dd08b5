/**
 * The driver behind `send()`: it pushes as much of a transaction into one write as the server's extensions allow.
 *
 * @module
 */
import { DataEncoder } from "../streams/data_encoder.ts";
import { SmtpError } from "../errors.ts";
import type { Reply } from "../core/reply.ts";
import { callback } from "../trace.ts";
import { doubtPipelining, LOST, markBroken, provePipelining } from "./broken_extensions.ts";
import { findCommand, namesRecipient } from "./command_lines.ts";
import type { Content } from "./content.ts";
import { Delivery } from "./delivery.ts";
import type { RenderedEnvelope } from "./envelope.ts";
import { thrown } from "./failure.ts";
import type { Progress } from "./options.ts";
import { NOT_BEGUN } from "./pipeline.ts";
import type { Session } from "./session.ts";
import { Transaction } from "./transaction.ts";

/** A message up to this size is encoded straight into the output, in one go with what else leaves then. */
const SMALL = 64 * 1024;

/** How to deliver a message. */
export interface DeliveryOptions {
  /** How the content travels: `DATA` (RFC 5321) or `BDAT` (RFC 3030). */
  readonly transfer: "data" | "bdat";
  /** Whether one refused recipient stops the message for all. */
  readonly recipientsPolicy: "some" | "all";
  /** Gives up. */
  readonly signal: AbortSignal | undefined;
  /** Told how much of the content was handed to the socket. */
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/** Delivers one message in one transaction. */
export class AutomaticDelivery extends Delivery {
  readonly #envelope: RenderedEnvelope;
  readonly #content: Content;
  readonly #options: DeliveryOptions;
  readonly #pipelining: boolean;
  #transfer: "data" | "bdat";
  /** Whether the content has a line that a server could take for a command, and BDAT is not known to work. */
  #needsProof = false;
  /** How many recipients were named to the server; `undefined` before MAIL. */
  #named: number | undefined;
  /** Whether the envelope left before the server had answered the content ahead of it, under DATA. */
  #followsContent = false;
  /** Whether a connection that is lost now shows that the server cannot handle a group of commands. */
  #pipeliningTested = false;

  /** No BDAT follows DATA: a server that takes commands there for smuggled ones would read the content as commands, too. */
  get exclusive(): boolean {
    const { held } = this.session;
    return this.#options.transfer === "bdat" && typeof held !== "string" && held.awaitsDataEnd;
  }

  /**
   * @param session The session.
   * @param envelope The envelope.
   * @param content The message.
   * @param options How.
   */
  constructor(session: Session, envelope: RenderedEnvelope, content: Content, options: DeliveryOptions) {
    super(session, newTransaction(session, options));
    this.#envelope = envelope;
    this.#content = content;
    this.#options = options;
    this.#pipelining = session.pipelining;
    this.#transfer = options.transfer;
    options.signal?.addEventListener("abort", this.#onAbort);
  }

  override begin(): void {
    const { held, quirks } = this.session;
    this.#followsContent = this.#options.transfer === "data" && typeof held !== "string" && !held.finished;
    this.#pipeliningTested = quirks.pipelining === "untested" && this.session.fresh;
    super.begin();
  }

  override receive(reply: Reply): void {
    const isReset = this.transaction.awaited === "reset";
    super.receive(reply);
    if (!isReset && this.#pipelining && this.session.quirks.pipelining === "untested") {
      provePipelining(this.session);
    }
  }

  /**
   * Until a BDAT was answered with 250, a content with a line that could be a command goes by DATA, whose content waits for 354.
   * That is for one message: further ones, and those that cannot go by DATA, ask with a chunk of what stands before that line. The
   * pump does that, as for a content that is large or comes in pieces.
   */
  #avoidBdat(): void {
    const { session } = this;
    const { chunking } = session.quirks;
    const { bytes, binary } = this.#content;
    if (this.#transfer === "data" || chunking === "proven") return;
    if (bytes === undefined || bytes.length > SMALL || findCommand(bytes) < 0) return;
    if (chunking === "avoided" || binary || session.settings.transfer !== "auto") this.#needsProof = true;
    else {
      session.quirks = { ...session.quirks, chunking: "avoided" };
      this.#transfer = "data";
    }
  }

  protected drive(): void {
    while (!this.pumping) {
      switch (this.transaction.state) {
        case "envelope":
          if (!this.#continueEnvelope()) return;
          break;
        case "data":
          if (this.transaction.awaitsReply) return;
          this.#sendContent();
          break;
        default:
          this.#finish();
          return;
      }
    }
    if (this.transaction.hopeless) this.stopEarly();
  }

  /**
   * Sends what of the envelope, and of the content after it, may be sent now.
   *
   * @returns Whether to look again; if not, a reply is awaited.
   */
  #continueEnvelope(): boolean {
    const { transaction } = this;
    if (!this.#pipelining && transaction.awaitsReply) return false; // to RSET
    if (this.#named === undefined) return this.#beginEnvelope();
    if (transaction.awaitsReply) return false;
    const { rcpts, recipients } = this.#envelope;
    const { recipientsPolicy } = this.#options;
    if (
      transaction.refusal !== undefined || (recipientsPolicy === "all" && transaction.rejected.length > 0)
    ) {
      transaction.stop();
    } else if (this.#named < rcpts.length) {
      transaction.rcpt(recipients[this.#named]!);
      this.write(rcpts[this.#named++]!);
    } else if (transaction.accepted.length === 0) {
      transaction.stop();
    } else {
      this.#avoidBdat();
      if (this.#transfer === "data") {
        transaction.data();
        this.write("DATA\r\n");
      } else {
        this.#sendContent();
      }
    }
    return true;
  }

  /** MAIL; with PIPELINING the whole envelope, and DATA or BDAT if they need not wait for replies. */
  #beginEnvelope(): boolean {
    const { transaction } = this;
    const { mail, rcpts, recipients } = this.#envelope;
    const { recipientsPolicy } = this.#options;
    transaction.mail();
    if (!this.#pipelining) {
      this.#named = 0;
      this.write(mail);
      return true;
    }
    for (const recipient of recipients) transaction.rcpt(recipient);
    this.#named = recipients.length;
    // With "all", a refused recipient must be able to stop the message: the content waits for the replies. So it does
    // for BDAT over LMTP: with nobody to deliver to, RFC 2033 leaves open whether BDAT LAST has a reply.
    let waits = recipientsPolicy === "all" ||
      (this.#transfer === "bdat" && this.session.settings.protocol === "lmtp");
    if (!waits) {
      this.#avoidBdat();
      waits = this.#transfer === "bdat" && !this.#pumps && namesRecipient(this.#content.bytes!);
    }
    const group = rcpts.length === 1 ? mail + rcpts[0] : mail + rcpts.join("");
    if (!waits && this.#transfer === "data") {
      transaction.data();
      this.write(group + "DATA\r\n");
    } else {
      this.write(group);
      if (!waits && transaction.state === "envelope") this.#sendContent(); // a trace may have aborted it
    }
    return true;
  }

  /** Under DATA the server has said 354, perhaps although it has refused every recipient. */
  #sendContent(): void {
    const { session: { link }, transaction } = this;
    const transfer = this.#transfer;
    if (!transaction.wanted) {
      // A server that wants content gets its end, and no empty message reaches anybody.
      link.output.text(".\r\n");
      return this.contentComplete(3);
    }
    const bytes = this.#content.bytes!;
    if (this.#pumps) {
      void this.pumpContent(this.#content, transfer);
    } else if (transfer === "bdat") {
      const encoder = this.#content.binary ? undefined : new DataEncoder({ transparency: false });
      const size = link.output.lastChunk(encoder, bytes);
      this.contentComplete(size, `BDAT ${size} LAST`);
    } else {
      const start = link.position;
      link.output.content(new DataEncoder(), bytes);
      this.contentComplete(link.position - start);
    }
  }

  /** Whether the content does not leave in one go with what else leaves then. */
  get #pumps(): boolean {
    const { bytes } = this.#content;
    return bytes === undefined || bytes.length > SMALL || this.#options.onProgress !== undefined ||
      this.#needsProof;
  }

  /** Nothing more will be written: lets the next begin, and settles when the last reply has come. */
  #finish(): void {
    const { pipeline } = this.session;
    if (this.transaction.awaitsReply) {
      if (this.#letsOthersFollow) pipeline.release(this);
      return;
    }
    if (this.#refusedAfterContent) {
      this.#beginAgain();
      return;
    }
    this.settle();
    pipeline.release(this);
  }

  /**
   * Whether the next may begin before the replies to this content have come. Over LMTP a server may answer BDAT LAST once
   * instead of once for each recipient: nothing may follow it whose reply could be taken for one that is missing.
   */
  get #letsOthersFollow(): boolean {
    const { quirks, settings } = this.session;
    if (this.#transfer === "bdat") return settings.protocol === "smtp";
    return !quirks.broken.has("PIPELINING after DATA");
  }

  /**
   * Whether the server has refused the envelope only because it did not wait for the reply to the content ahead, as RFC
   * 2920, section 3.1, allows. Against smuggled commands Haraka 3.3 answers 503 to each that it finds there, and 500 to
   * what is left of one that it has thrown away half.
   */
  get #refusedAfterContent(): boolean {
    const { refusal } = this.transaction;
    if (this.settled || !this.#followsContent || refusal?.command !== "mail") return false;
    return refusal.reply.code === 503 || refusal.reply.code === 500;
  }

  /** Nothing of the content has left, so the envelope may be sent again. */
  #beginAgain(): void {
    const { reply } = this.transaction.refusal!;
    this.#followsContent = false;
    this.#named = undefined;
    markBroken(
      this.session,
      "PIPELINING after DATA",
      `the server answers MAIL there with ${reply.toString()}`,
    );
    this.session.held = this.transaction = newTransaction(this.session, this.#options);
    this.drive();
  }

  protected override onProgress(sent: number): void {
    const { onProgress } = this.#options;
    if (this.settled || onProgress === undefined) return;
    callback(onProgress, { sent, total: this.#content.size }, this.#onProgressError);
  }

  readonly #onProgressError = (error: unknown): void => {
    this.session.pipeline.run(() => this.giveUp(thrown("onProgress", error, "content")));
  };

  readonly #onAbort = (): void => {
    const reason: unknown = this.#options.signal!.reason;
    const error = new SmtpError("aborted", "The send was aborted", { phase: "content", cause: reason });
    const { pipeline } = this.session;
    pipeline.run(() => {
      if (!pipeline.withdraw(this)) return this.giveUp(error);
      this.transaction.stop();
      this.reject(error.code, error.message, { outcome: "not-sent", usable: true, cause: reason });
    });
  };

  override fail(error: SmtpError): void {
    const { quirks } = this.session;
    if (
      !this.settled && this.position !== NOT_BEGUN && this.#pipeliningTested &&
      quirks.pipelining === "untested" && this.transaction.groupUnanswered && LOST.has(error.code)
    ) {
      doubtPipelining(this.session, `the first group of commands was not answered again: ${error.message}`);
    }
    super.fail(error);
  }

  protected onSettled(error: SmtpError | undefined): void {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    if (error !== undefined) this.#content.cancel(error);
  }
}

function newTransaction(session: Session, { recipientsPolicy }: DeliveryOptions): Transaction {
  return new Transaction({ protocol: session.settings.protocol, recipientsPolicy });
}
