/**
 * One message on its way: a {@linkcode Transaction} with its content, its time limit and its promise.
 *
 * @module
 */
import { ProtocolError } from "../core/protocol_error.ts";
import type { Reply } from "../core/reply.ts";
import { Transaction } from "../core/transaction.ts";
import type { TransactionPlan } from "../core/transaction.ts";
import { SmtpError } from "../errors.ts";
import type { Outcome, Phase, SmtpErrorCode } from "../errors.ts";
import { DataEncoder } from "../streams/data_encoder.ts";
import { callback } from "../trace.ts";
import type { Trace } from "../trace.ts";
import type { BrokenExtension } from "./findings.ts";
import type { Link } from "./link.ts";
import type { Content } from "./message.ts";
import { cutShort, toSmtpError } from "./failure.ts";
import type { Awaited } from "./failure.ts";
import { NOT_BEGUN } from "./pipeline.ts";
import type { Exchange, Pipeline } from "./pipeline.ts";
import { Pump } from "./pump.ts";
import { Receipt } from "./receipt.ts";
import { refusalOf } from "./refusal.ts";

/** How far a message has got. */
export interface Progress {
  /** How many bytes of the message were handed over to the socket, before encoding. */
  readonly sent: number;
  /** How many there are, where that is known. */
  readonly total: number | undefined;
}

/** A message up to this size is encoded straight into the output, in one go with what else leaves then. */
const SMALL = 64 * 1024;

/** What a delivery works with. */
export interface DeliveryContext {
  readonly link: Link;
  readonly pipeline: Pipeline;
  readonly trace: Trace | undefined;
  /** The transaction that went out last. */
  lastTransaction: Transaction | undefined;
  /** Whether a transaction was begun with single commands. */
  transactionOpen: boolean;
  /** Whether the server may hold a transaction open, so that the next has to begin with RSET. */
  readonly needsReset: boolean;
  /** Whether the server has answered a group of commands on this connection. */
  pipeliningProven: boolean;
  /** What the server said where it refused RSET. */
  resetRefusal: Reply | undefined;
  /** Whether the next envelope may leave behind a content under DATA, before the reply to the content. */
  pipelinesBehindContent: boolean;
  /** Whether the connection is new, so that it is not for idleness that a server would close it. */
  readonly fresh: boolean;
  /** The server fails at an extension that it announces. */
  found(extension: BrokenExtension, detail: string): void;
}

/** Carries one message through the pipeline. */
export class Delivery implements Exchange {
  readonly #context: DeliveryContext;
  readonly #plan: TransactionPlan;
  #transaction: Transaction;
  readonly #content: Content;
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #promise: PromiseWithResolvers<Receipt> = Promise.withResolvers();
  #settled = false;
  #resetDue = false;
  /** Whether the envelope left before the server had its say about the content ahead of it, under DATA. */
  #behindContent = false;
  /** Whether losing the connection now would say that the server cannot stand a group of commands. */
  #pipeliningTested = false;
  /** At work while the content is being written. */
  #pump: Pump | undefined;
  #onAnswer: (() => void) | undefined;
  /** Where in the output the content ends. */
  #end = Infinity;

  readonly exclusive = false;
  position = NOT_BEGUN;

  /**
   * @param context The session.
   * @param plan What to do.
   * @param content The message.
   * @param options Who wants to know, and who may stop it.
   */
  constructor(
    context: DeliveryContext,
    plan: TransactionPlan,
    content: Content,
    options: { signal?: AbortSignal | undefined; onProgress?: ((progress: Progress) => void) | undefined },
  ) {
    this.#context = context;
    this.#plan = plan;
    this.#transaction = new Transaction(plan);
    this.#content = content;
    this.#signal = options.signal;
    this.#onProgress = options.onProgress;
    this.#signal?.addEventListener("abort", this.#onAbort);
  }

  /** Settles when it is known what became of the message. */
  get result(): Promise<Receipt> {
    return this.#promise.promise;
  }

  get awaitsReply(): boolean {
    return this.#resetDue || this.#transaction.awaitsReply;
  }

  /** While a content is written the server may refuse it early, or hang up. */
  get watches(): boolean {
    return this.#pump !== undefined;
  }

  get finished(): boolean {
    return this.#pump === undefined && !this.#resetDue && this.#transaction.finished;
  }

  get awaited(): Awaited {
    if (this.#resetDue) return "reset";
    if (this.#pump !== undefined && !this.#transaction.awaitsReply) {
      return this.#pump.readingSource ? "source" : "block";
    }
    const awaited = this.#transaction.awaited;
    return awaited === "content" ? "end" : awaited;
  }

  begin(): void {
    const { needsReset, fresh, lastTransaction, link, trace } = this.#context;
    this.#behindContent = this.#plan.transfer === "data" && lastTransaction?.finished === false;
    this.#context.lastTransaction = this.#transaction;
    this.#pipeliningTested = fresh;
    if (needsReset) {
      this.#resetDue = true;
      this.#context.transactionOpen = false;
      link.output.text("RSET\r\n");
      trace?.({ type: "command", line: "RSET" });
      if (!this.#transaction.pipelining) return;
    }
    this.#drive();
  }

  receive(reply: Reply): void {
    if (this.#resetDue) {
      this.#resetDue = false;
      if (reply.positive) {
        if (!this.#transaction.pipelining) this.#drive();
      } else if (reply.code !== 421) {
        this.#context.resetRefusal = reply;
        if (!this.#transaction.pipelining) throw refusedReset(reply);
      }
      return;
    }
    // The server refuses RSET, but does not hang up.
    if (this.#context.resetRefusal !== undefined) throw refusedReset(this.#context.resetRefusal);
    this.#transaction.receive(reply);
    this.#context.pipeliningProven = true;
    if (this.#transaction.bdatUnknown) return this.#onBdatUnknown(reply);
    this.#drive();
    if (!this.#transaction.awaitsReply) this.#onAnswer?.();
  }

  /** Does what there is to do until a reply or the content is awaited. */
  #drive(): void {
    const { link, pipeline, trace } = this.#context;
    while (this.#pump === undefined) {
      switch (this.#transaction.step()) {
        case "commands": {
          const { commands } = this.#transaction;
          link.output.text(commands);
          if (trace !== undefined) traceCommands(trace, commands);
          break;
        }
        case "content":
          this.#handOver();
          break;
        case "nothing":
          link.output.text(".\r\n");
          this.#contentComplete(3);
          break;
        case "wait":
          if (this.#transaction.finishedWriting && this.#letsOthersFollow) pipeline.release(this);
          return;
        case "done":
          if (this.#refusedBehindContent) {
            this.#again();
            break;
          }
          this.#settle();
          pipeline.release(this);
          return;
      }
    }
    if (this.#transaction.hopeless) this.#stopEarly();
  }

  /**
   * Whether the next may begin before the replies to this content came. Over LMTP a server may answer BDAT LAST once instead
   * of once for each recipient: nothing may stand behind it whose reply could be taken for one that is missing.
   */
  get #letsOthersFollow(): boolean {
    const { transfer, protocol } = this.#plan;
    return transfer === "bdat" ? protocol === "smtp" : this.#context.pipelinesBehindContent;
  }

  /**
   * Whether the server has refused the envelope only because it did not wait for the reply to the content ahead, as RFC
   * 2920, section 3.1, allows. Against smuggled commands Haraka 3.3 answers 503 to each that it finds there, and 500 to
   * what is left of one that it has thrown away half.
   */
  get #refusedBehindContent(): boolean {
    const { refusal } = this.#transaction;
    if (this.#settled || !this.#behindContent || refusal?.command !== "mail") return false;
    return refusal.reply.code === 503 || refusal.reply.code === 500;
  }

  /** Nothing of the content has left, so the envelope may be said again. */
  #again(): void {
    const { reply } = this.#transaction.refusal!;
    this.#behindContent = false;
    this.#context.pipelinesBehindContent = false;
    this.#context.found("PIPELINING behind DATA", `the server answers MAIL there with ${reply.toString()}`);
    this.#context.lastTransaction = this.#transaction = new Transaction(this.#plan);
  }

  /** The server refuses the message before it has come to its end: what is left of it need not leave. */
  #stopEarly(): void {
    const cut = this.#transaction.abandon() === "cut";
    this.#settle(!cut);
    this.#stopPump(cut);
  }

  /** Nothing more of the content leaves. Under DATA that costs the connection, under BDAT the end of the chunk. */
  #stopPump(cut: boolean): void {
    if (cut) return this.#cut();
    if (this.#pump?.stop() ?? true) {
      this.#pump = undefined;
      this.#context.pipeline.release(this);
    }
    this.#onAnswer?.();
  }

  #handOver(): void {
    const { bytes } = this.#content;
    if (bytes === undefined || bytes.length > SMALL || this.#onProgress !== undefined) {
      void this.#pumpContent();
      return;
    }
    const { link } = this.#context;
    if (this.#transaction.transfer === "bdat") {
      const encoder = this.#content.binary ? undefined : new DataEncoder({ transparency: false });
      const size = link.output.lastChunk(encoder, bytes);
      this.#contentComplete(size, `BDAT ${size} LAST`);
    } else {
      const start = link.position;
      link.output.content(new DataEncoder(), bytes);
      this.#contentComplete(link.position - start);
    }
  }

  /** Told before the trace is: whoever aborts from there is to hear that it is too late. */
  #contentComplete(length: number, command?: string): void {
    const { link, trace } = this.#context;
    this.#end = link.position;
    this.#transaction.contentSent();
    if (command !== undefined) trace?.({ type: "command", line: command });
    trace?.({ type: "content", bytes: length });
  }

  /** A content that is large or comes in pieces leaves beside the work of the pipeline. */
  async #pumpContent(): Promise<void> {
    const { link, pipeline } = this.#context;
    const start = link.position;
    const pump = this.#pump = new Pump(link, this.#content, {
      turn: () => pipeline.progress(),
      progress: (sent) => this.#progress(sent),
      chunk: (command) => this.#onChunk(command),
      end: (command) => this.#contentComplete(link.position - start, command),
    });
    try {
      await pump.run(this.#transaction.transfer);
    } catch (error) {
      // What the socket throws the pipeline learns by itself, and tells us when the server's last words have come.
      const isSocket = link.writeError !== undefined && !(error instanceof SmtpError);
      if (isSocket || this.#pump !== pump) return;
      if (!this.#settled) {
        this.#pump = undefined;
        this.#giveUp(toSmtpError(error, "content"));
        return;
      }
      // The server was quicker: it has refused the message while the source was failing.
    }
    if (this.#pump !== pump) return;
    this.#pump = undefined;
    this.#drive();
    pipeline.progress();
  }

  #progress(sent: number): void {
    if (this.#settled) return;
    if (this.#onProgress !== undefined) callback(this.#onProgress, { sent, total: this.#content.size });
  }

  /** Without PIPELINING a chunk waits for the reply to the one before. */
  #onChunk(command: string): Promise<void> | undefined {
    this.#transaction.chunkSent();
    this.#context.trace?.({ type: "command", line: command });
    this.#context.pipeline.progress();
    if (this.#transaction.pipelinesChunks) return undefined;
    return new Promise((resolve) => this.#onAnswer = resolve);
  }

  /** The content goes on to the server as if it were commands: nothing helps but to hang up. */
  #onBdatUnknown(reply: Reply): void {
    this.#context.found("CHUNKING", `the server answers BDAT with ${reply.toString()}`);
    const message = `The server announces CHUNKING and does not know BDAT: ${reply.toString()}`;
    this.#reject("protocol-error", message, {
      outcome: "not-sent",
      phase: "content",
      reply,
      temporary: true,
      usable: false,
    });
    this.#context.pipeline.fail(
      new SmtpError("protocol-error", message, { phase: "content", reply, temporary: true }),
    );
  }

  /** The source failed, or the caller has had enough. */
  #giveUp({ code, message, cause }: SmtpError): void {
    if (this.#settled) return;
    switch (this.#transaction.abandon()) {
      case "clean":
        this.#reject(code, message, { outcome: "not-sent", usable: true, cause });
        this.#stopPump(false);
        break;
      case "cut":
        this.#reject(code, message, { outcome: "not-sent", usable: false, cause });
        this.#stopPump(true);
        break;
      case "late":
        if (this.#transaction.refusal !== undefined) return this.#settle();
        this.#reject(code, message, { outcome: "unknown", usable: true, cause });
        break;
    }
  }

  /** The only way to keep a server from taking the beginning of a content for the whole of it. */
  #cut(): void {
    this.#context.pipeline.fail(cutShort());
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal!.reason;
    const error = new SmtpError("aborted", "The send was aborted", { phase: "content", cause: reason });
    if (this.#context.pipeline.withdraw(this)) {
      this.#transaction.abandon();
      this.#reject(error.code, error.message, { outcome: "not-sent", usable: true, cause: reason });
    } else {
      this.#giveUp(error);
    }
  };

  fail(cause: SmtpError): void {
    const error = this.#afterResetRefusal(cause);
    this.#pump?.stop();
    this.#pump = undefined;
    this.#onAnswer?.();
    if (this.#settled) return;
    if (
      this.#pipeliningTested && !this.#context.pipeliningProven && this.#transaction.groupUnanswered &&
      LOST.has(error.code)
    ) this.#context.found("PIPELINING", `the first group of commands was not answered: ${error.message}`);
    if (this.#transaction.refusal !== undefined) return this.#settle(false);
    // Behind a 421 in the place of an earlier reply the server has done nothing.
    const mayBeThere = this.#transaction.complete && this.#end <= this.#context.link.handedOver &&
      error.code !== "service-unavailable";
    const begun = this.position !== NOT_BEGUN;
    this.#reject(error.code, error.message, {
      outcome: mayBeThere ? "unknown" : "not-sent",
      phase: begun ? this.#transaction.awaited : error.phase,
      reply: error.reply,
      temporary: error.temporary,
      cause: error.cause,
    });
  }

  /**
   * A server that refuses RSET and hangs up without another word has done nothing of what came behind it. Exim says "554
   * Too many nonmail commands" to the eleventh RSET behind a transaction that came to nothing.
   */
  #afterResetRefusal(error: SmtpError): SmtpError {
    const reply = this.#context.resetRefusal;
    if (reply === undefined || (error.code !== "connection-lost" && error.code !== "connection-reset")) {
      return error;
    }
    return new SmtpError("service-unavailable", `The server closes the session: ${reply.text}`, {
      phase: "reset",
      reply,
      temporary: true,
      cause: error,
    });
  }

  /** The server has decided. */
  #settle(usable = true): void {
    if (this.#settled) return;
    const { refusal, rejected, accepted, finalReply } = this.#transaction;
    if (refusal !== undefined) return this.#rejectWith(refusalOf(this.#transaction, usable));
    this.#close();
    this.#promise.resolve(new Receipt(accepted, rejected, finalReply!));
  }

  #reject(
    code: SmtpErrorCode,
    message: string,
    init: {
      outcome: Outcome;
      phase?: Phase;
      reply?: Reply | undefined;
      recipient?: string | undefined;
      temporary?: boolean;
      usable?: boolean;
      cause?: unknown;
    },
  ): void {
    if (this.#settled) return;
    const error = new SmtpError(code, message, {
      ...init,
      phase: init.phase ?? this.#transaction.awaited,
      rejected: this.#transaction.rejected,
      accepted: this.#transaction.delivered,
    });
    this.#rejectWith(error);
  }

  #rejectWith(error: SmtpError): void {
    this.#close();
    this.#content.cancel(error);
    this.#promise.reject(error);
  }

  #close(): void {
    this.#settled = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/**
 * RSET cannot be refused (RFC 5321, section 4.1.1.5). Where it is, the recipients of the transaction before may still be
 * there, and would get this message.
 */
function refusedReset(reply: Reply): ProtocolError {
  return new ProtocolError(`Unexpected reply to RSET: ${reply.code}`);
}

/** How a server or a firewall takes leave that cannot stand several commands at once. */
const LOST: ReadonlySet<string> = new Set(["connection-lost", "connection-reset", "timeout"]);

function traceCommands(trace: Trace, commands: string): void {
  for (const line of commands.split("\r\n")) {
    if (line !== "") trace({ type: "command", line });
  }
}
