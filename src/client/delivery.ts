/**
 * A {@linkcode Transaction} on the wire: its commands, its content and the promise of its result. What is common to
 * `send()`, which drives it by itself, and to the single commands, which let the caller drive it.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import { markBroken, proveChunking } from "./broken_extensions.ts";
import type { Outcome, Phase, RejectedRecipient, SmtpErrorCode } from "../errors.ts";
import type { Content } from "./content.ts";
import {
  cutShort,
  isLost,
  leavesHope,
  messageRefused,
  resetRefused,
  serviceClosing,
  toSmtpError,
} from "./failure.ts";
import type { Wait } from "./failure.ts";
import { NOT_BEGUN } from "./pipeline.ts";
import type { Exchange } from "./pipeline.ts";
import { Pump } from "./pump.ts";
import { Receipt } from "./receipt.ts";
import type { Transfer } from "./receipt.ts";
import type { Session } from "./session.ts";
import type { Transaction } from "./transaction.ts";

/** Carries one transaction through the pipeline. */
export abstract class Delivery implements Exchange {
  protected readonly session: Session;
  protected transaction: Transaction;
  readonly #result: PromiseWithResolvers<Receipt> = Promise.withResolvers();
  #settled = false;
  /** At work while the content is being written. */
  #pump: Pump | undefined;
  /** Ends the wait of a pump for the reply to its last chunk. */
  #onAnswer: (() => void) | undefined;
  /** When it began, and when the last reply to RCPT or DATA came, on the clock of `performance.now()`. */
  #began = 0;
  #envelopeTaken = 0;
  /** The length of the content on the wire. */
  #contentLength = 0;

  abstract readonly exclusive: boolean;
  position = NOT_BEGUN;

  /**
   * @param session The session.
   * @param transaction The transaction, new.
   */
  constructor(session: Session, transaction: Transaction) {
    this.session = session;
    this.transaction = transaction;
  }

  /** Does what can be done until the next reply. Called when the transaction begins, and after each reply. */
  protected abstract drive(): void;

  /** Settles when it is known what became of the message. */
  get result(): Promise<Receipt> {
    return this.#result.promise;
  }

  /** Whether {@linkcode result} is settled. */
  protected get settled(): boolean {
    return this.#settled;
  }

  /** Whether the content is being written. */
  protected get pumping(): boolean {
    return this.#pump !== undefined;
  }

  get awaitsReply(): boolean {
    return this.transaction.awaitsReply;
  }

  get finished(): boolean {
    return this.#pump === undefined && this.transaction.finished;
  }

  get awaited(): Wait {
    if (this.#pump !== undefined && !this.transaction.awaitsReply) {
      return this.#pump.readingSource ? "source" : "block";
    }
    const { awaited } = this.transaction;
    return awaited === "content" ? "end" : awaited;
  }

  begin(): void {
    const { session, transaction } = this;
    const { held, needsReset: resetDue } = session;
    session.held = transaction;
    this.#began = performance.now();
    if (resetDue) {
      transaction.reset(typeof held === "string" ? undefined : held);
      this.write("RSET\r\n");
    }
    this.drive();
  }

  receive(reply: Reply): void {
    const { transaction } = this;
    const { awaited } = transaction;
    const wasReset = transaction.resetRefusal === undefined;
    transaction.receive(reply);
    if ((awaited === "rcpt" || awaited === "data") && transaction.awaited !== awaited) {
      this.#envelopeTaken = performance.now();
    }
    if (transaction.bdatKnown) proveChunking(this.session);
    if (transaction.isBdatUnknown(this.#knowsBdat)) this.#onBdatUnknown();
    if (wasReset && transaction.resetRefusal !== undefined) {
      // It may hang up: then it has done nothing of what followed, see explain(). What followed whole has replies of its own.
      this.session.pipeline.failWhenAnswered(resetRefused(transaction.resetRefusal));
    }
  }

  get #knowsBdat(): boolean {
    return this.session.quirks.chunking === "proven";
  }

  /** The server reads the content as if it were commands: nothing helps but to hang up. */
  #onBdatUnknown(): void {
    const { reply } = this.transaction.refusal!;
    markBroken(this.session, "CHUNKING", `the server answers BDAT with ${reply.toString()}`);
    const message = `The server announces CHUNKING and does not know BDAT: ${reply.toString()}`;
    const init = { phase: "content", reply, temporary: true } as const;
    this.reject("protocol-error", message, { ...init, outcome: "not-sent", usable: false });
    this.session.pipeline.fail(new SmtpError("protocol-error", message, init));
  }

  proceed(): void {
    this.drive();
    if (!this.transaction.awaitsReply) this.#onAnswer?.();
  }

  /** Some servers do not wait for the end of a content that they will not take. */
  receiveEarly(reply: Reply): boolean {
    if (!this.transaction.refuseEarly(reply)) return false;
    this.settle(false);
    return true;
  }

  /**
   * A server that refuses RSET and hangs up without another word has done nothing of what followed. Exim says "554 Too many
   * nonmail commands" to the eleventh RSET after a transaction that came to nothing.
   */
  explain(error: SmtpError): SmtpError {
    const { resetRefusal } = this.transaction;
    return resetRefusal !== undefined && isLost(error) ? serviceClosing(resetRefusal, "reset", error) : error;
  }

  /** Writes commands, with their line ends. The transaction learns of them first: a trace may abort it from here. */
  protected write(commands: string): void {
    const { link, trace } = this.session;
    link.output.text(commands);
    if (trace === undefined) return;
    for (const line of commands.split("\r\n")) if (line !== "") trace({ type: "command", line });
  }

  /**
   * The end of the content was written. The transaction learns of it before the trace does: whoever aborts from there is
   * too late.
   *
   * @param length The length of the content on the wire.
   * @param command The command that ends it, under BDAT.
   */
  protected contentComplete(length: number, command?: string): void {
    const { link, trace } = this.session;
    this.transaction.end(link.position);
    this.countContent(length);
    if (command !== undefined) trace?.({ type: "command", line: command });
    trace?.({ type: "content", bytes: length });
  }

  /** Counts what the content takes on the wire. */
  protected countContent(length: number): void {
    this.#contentLength += length;
  }

  /** Writes a content that is large or comes in pieces, beside the work of the pipeline. */
  protected async pumpContent(content: Content, transfer: "data" | "bdat"): Promise<void> {
    const { link, pipeline } = this.session;
    const start = link.position;
    const pump = this.#pump = new Pump(link, content, {
      turn: () => pipeline.touch(),
      progress: (sent) => this.onProgress(sent),
      known: () =>
        !this.#knowsBdat ? "nothing" : this.transaction.accepted.length > 0 ? "transaction" : "bdat",
      chunk: (command) => this.#onChunk(command),
      answered: () => this.#answered(),
      end: (command) => this.contentComplete(link.position - start, command),
    });
    let failure: SmtpError | undefined;
    try {
      await pump.run(transfer);
    } catch (error) {
      // What the socket throws the pipeline learns by itself, and fails this when the server's last words have come.
      if (link.writeError !== undefined && !(error instanceof SmtpError)) return;
      failure = toSmtpError(error, "content");
    }
    if (this.#pump !== pump) return;
    this.#pump = undefined;
    if (pipeline.failure !== undefined) return; // a trace has aborted this at the reply that let the content go
    pipeline.run(() => {
      // If it is settled, the server was quicker: it has refused the message while the source was failing.
      if (failure !== undefined && !this.#settled) return this.giveUp(failure);
      this.drive();
      pipeline.touch();
    });
  }

  /** A part of the content has left: so many bytes of the message until now. */
  protected onProgress(_sent: number): void {}

  /** Without PIPELINING a chunk waits for the reply to the one before. */
  #onChunk(command: string): Promise<void> | undefined {
    const { session, transaction } = this;
    transaction.chunk();
    session.trace?.({ type: "command", line: command });
    session.pipeline.touch();
    // Nor over LMTP: how many replies BDAT LAST has after a chunk that was refused is left open by RFC 2033.
    if (session.pipelining && session.settings.protocol === "smtp") return undefined;
    return this.#answered();
  }

  #answered(): Promise<void> | undefined {
    if (!this.transaction.awaitsReply) return undefined;
    return new Promise((resolve) => this.#onAnswer = resolve);
  }

  /** The server refuses the message before it has come to its end: the rest of it need not leave. */
  protected stopEarly(): void {
    const { cut } = this.transaction.abandon();
    this.settle(!cut);
    this.#stopPump(cut);
  }

  /** Nothing more of the content leaves. Under DATA that costs the connection, under BDAT the end of the chunk. */
  #stopPump(cut: boolean): void {
    // The only way to keep a server from taking the beginning of a content for the whole of it.
    if (cut) return this.session.pipeline.failWhenAnswered(cutShort());
    if (this.#pump?.stop() ?? true) {
      this.#pump = undefined;
      this.session.pipeline.release(this);
    }
    this.#onAnswer?.();
  }

  /** The content cannot be read, or the caller has given up. */
  protected giveUp({ code, message, cause }: SmtpError): void {
    if (this.#settled) return;
    if (this.transaction.taken) return this.settle();
    const { outcome, cut } = this.transaction.abandon();
    if (outcome === "refused") return this.settle();
    this.reject(code, message, { outcome, usable: !cut, cause });
    if (outcome === "not-sent") this.#stopPump(cut);
  }

  fail(error: SmtpError): void {
    try {
      this.#fail(error);
    } catch (cause) {
      // A mistake of ours must not keep the caller waiting.
      this.#result.reject(new SmtpError(error.code, error.message, { ...error, outcome: "unknown", cause }));
    }
  }

  #fail(error: SmtpError): void {
    this.#pump?.stop();
    this.#pump = undefined;
    this.#onAnswer?.();
    if (this.#settled) return;
    const outcome = this.transaction.outcomeIfLost(this.session.link.handedOver, error.code);
    if (outcome === "refused" || this.transaction.taken) return this.settle(false);
    const begun = this.position !== NOT_BEGUN;
    this.reject(error.code, error.message, {
      outcome,
      phase: begun ? this.transaction.awaited : error.phase,
      reply: error.reply,
      temporary: begun ? error.temporary : leavesHope(error),
      cause: error.cause,
    });
  }

  /** The server has decided. */
  protected settle(usable = true): void {
    if (this.#settled) return;
    const { rejected } = this;
    const { refusal, accepted, endReply, resetRefusal } = this.transaction;
    if (refusal?.command === "mail" && resetRefusal !== undefined) {
      // The transaction before was still open: that is no word about this message, unless its content went with that one.
      return this.rejectWith(resetRefused(resetRefusal, endReply?.positive ? "unknown" : "not-sent"));
    }
    if (refusal !== undefined) return this.rejectWith(messageRefused(refusal, rejected, usable));
    this.onSettled(undefined);
    this.#settled = true;
    this.#result.resolve(new Receipt(accepted, rejected, endReply!, this.#transfer()));
  }

  #transfer(): Transfer {
    const { link, agreed: { info } } = this.session;
    return {
      bytesSent: this.#contentLength,
      envelopeTime: this.#envelopeTaken - this.#began,
      contentTime: performance.now() - this.#envelopeTaken,
      tls: link.secure ? { protocol: info.tls?.protocol, cipher: info.tls?.cipher } : undefined,
    };
  }

  /** The recipients that were refused. */
  protected get rejected(): readonly RejectedRecipient[] {
    return this.transaction.rejected;
  }

  /** Fails the message for another reason than that the server has refused it. */
  protected reject(
    code: SmtpErrorCode,
    message: string,
    init: {
      outcome: Outcome;
      phase?: Phase;
      reply?: Reply | undefined;
      temporary?: boolean;
      usable?: boolean;
      cause?: unknown;
    },
  ): void {
    if (this.#settled) return;
    const { awaited, delivered } = this.transaction;
    const phase = init.phase ?? awaited;
    const { rejected } = this;
    this.rejectWith(new SmtpError(code, message, { ...init, phase, rejected, accepted: delivered }));
  }

  /** Fails the message. */
  protected rejectWith(error: SmtpError): void {
    this.onSettled(error);
    this.#settled = true;
    this.#result.reject(error);
  }

  /** The result is known: an error, or none. */
  protected abstract onSettled(error: SmtpError | undefined): void;
}
