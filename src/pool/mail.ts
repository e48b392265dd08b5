/**
 * One call of `send()`: what is to be sent, and what has come of it so far.
 *
 * @module
 */
import { parseMailbox, toAsciiDomain } from "../core/address.ts";
import { SmtpError } from "../errors.ts";
import type { RejectedRecipient } from "../errors.ts";
import type { Message } from "../client/content.ts";
import { addressOf } from "../client/envelope.ts";
import type { Envelope, Recipient } from "../client/envelope.ts";
import { messageOf } from "../client/failure.ts";
import type { SendOptions } from "../client/options.ts";
import { Receipt } from "../client/receipt.ts";
import { refusedOf } from "../client/split.ts";
import { HeldStream, hold } from "./held_stream.ts";
import type { QueuePriority } from "./options.ts";
import { PoolError, PoolReceipt } from "./results.ts";
import type { Try } from "./results.ts";

/** That a mail is tried again, and for whom. */
export interface Again {
  /** The recipients that are tried again. */
  readonly left: readonly (string | Recipient)[];
  /** Those of the others whom the server has refused. */
  readonly rejected: readonly RejectedRecipient[];
  /** Whether the server has refused some of them for now; else the connection has failed. */
  readonly refused: boolean;
  /** How long to wait, in milliseconds. */
  readonly wait: number;
}

/** What earlier tries have decided. */
interface Decided {
  readonly accepted: string[];
  readonly rejected: RejectedRecipient[];
  /** One for each try that the server has taken the mail in, for somebody. */
  readonly receipts: Receipt[];
}

const NO_DOMAINS: string[] = [];

/** A mail on its way through a pool. */
export class Mail {
  /** Its place in the order of the calls. */
  readonly order: number;
  /** How urgent it is. */
  readonly priority: QueuePriority;
  /** How the client sends it. */
  readonly options: SendOptions;
  /** Every try so far. */
  readonly tries: Try[] = [];
  /** How many of them count: those that failed by what may be the mail's own fault. */
  failures = 0;
  /** How often recipients were refused for now. */
  refusals = 0;
  /** The domains whose rate it still needs before it may go. */
  domains: string[] = NO_DOMAINS;
  #envelope: Envelope;
  #message: Message | undefined;
  /** How many bytes it had when it was given, if they are in memory. */
  readonly #length: number | undefined;
  /** What earlier tries have decided. */
  #earlier: Decided | undefined;
  readonly #result: PromiseWithResolvers<PoolReceipt> = Promise.withResolvers();
  #settled = false;
  /** Gives it up while it waits, and only then. */
  readonly #withdrawal: AbortSignal | undefined;
  #onAbort: ((event: Event) => void) | undefined;

  /**
   * @param order Its place in the order of the calls.
   * @param priority How urgent it is.
   * @param envelope Who it is from and who it is for. Copied: the caller may change it for the next mail.
   * @param message The message. A stream belongs to the mail from here on.
   * @param options How the client sends it.
   * @param withdrawal Gives it up while it waits, and only then.
   * @throws {PoolError} `"invalid-message"` if it is none.
   */
  constructor(
    order: number,
    priority: QueuePriority,
    envelope: Envelope,
    message: Message,
    options: SendOptions,
    withdrawal?: AbortSignal,
  ) {
    this.order = order;
    this.priority = priority;
    this.options = options;
    this.#withdrawal = withdrawal;
    const { to } = envelope;
    this.#envelope = {
      ...envelope,
      to: Array.isArray(to) ? to.map(copyOf) : copyOf(to as string | Recipient),
    };
    try {
      this.#message = hold(message);
      this.#length = lengthOf(this.#message);
    } catch (cause) {
      const init = { phase: "content", usable: true, cause } as const;
      throw new PoolError("invalid-message", messageOf(cause), init);
    }
  }

  /** Who it is from, and those whom it is still for. */
  get envelope(): Envelope {
    return this.#envelope;
  }

  /** The message itself. */
  get message(): Message {
    if (lengthOf(this.#message) === this.#length) return this.#message!;
    throw new SmtpError("invalid-message", "Cannot send: the message was changed while it waited", {
      phase: "content",
      usable: true,
    });
  }

  /** Whether nothing more will happen to it. */
  get settled(): boolean {
    return this.#settled;
  }

  /** What has come of it. */
  get result(): Promise<PoolReceipt> {
    return this.#result.promise;
  }

  /** Whether it can be sent again: not if it is a stream that was read from. */
  get repeatable(): boolean {
    return !(this.#message instanceof HeldStream) || !this.#message.begun;
  }

  /** The recipients that it is still for. */
  get recipients(): readonly (string | Recipient)[] {
    const { to } = this.#envelope;
    return (Array.isArray(to) ? to : [to]) as readonly (string | Recipient)[];
  }

  /** The domains of those recipients, in lower case and in ASCII. */
  domainsOfRecipients(): string[] {
    const domains = new Set<string>();
    for (const recipient of this.recipients) {
      try {
        domains.add(toAsciiDomain(parseMailbox(addressOf(recipient))).domain.toLowerCase());
      } catch {
        // The client says what is wrong with it, and the server is not asked.
      }
    }
    return [...domains];
  }

  /**
   * It waits: hears the signals that give it up. While it is being sent, the client hears the caller's.
   *
   * @param onAbort Called with the reason.
   */
  watch(onAbort: (reason: unknown) => void): void {
    if (this.options.signal === undefined && this.#withdrawal === undefined) return;
    this.#onAbort = ({ target }) => onAbort((target as AbortSignal).reason);
    for (const signal of this.#signals) signal?.addEventListener("abort", this.#onAbort);
  }

  /** It waits no longer. */
  unwatch(): void {
    if (this.#onAbort === undefined) return;
    for (const signal of this.#signals) signal?.removeEventListener("abort", this.#onAbort!);
    this.#onAbort = undefined;
  }

  /** The signal that was aborted, if one was. */
  get aborted(): AbortSignal | undefined {
    const { options: { signal } } = this;
    if (signal?.aborted) return signal;
    return this.#withdrawal?.aborted ? this.#withdrawal : undefined;
  }

  get #signals(): readonly (AbortSignal | undefined)[] {
    return [this.options.signal, this.#withdrawal];
  }

  /**
   * It is tried again, for some.
   *
   * @param result What came of the last try.
   * @param again For whom.
   */
  narrow(result: Receipt | SmtpError, { left, rejected, refused }: Again): void {
    const earlier = this.#earlier ??= { accepted: [], rejected: [], receipts: [] };
    earlier.accepted.push(...result.accepted);
    earlier.rejected.push(...rejected);
    if (result instanceof Receipt) earlier.receipts.push(result);
    if (refused) this.refusals++;
    this.#envelope = { ...this.#envelope, to: left };
  }

  /**
   * The last try is over.
   *
   * @param result What came of it. An error that is not an `SmtpError` is a mistake in the arguments, and no try.
   */
  finish(result: Receipt | Error): void {
    const earlier = this.#earlier;
    if (!(result instanceof Receipt)) {
      const isRefused = result instanceof SmtpError && result.outcome === "refused";
      // Somebody has got it, and the others were refused: that is a receipt.
      if (!isRefused || earlier === undefined || earlier.receipts.length === 0) return this.fail(result);
      const rejected = refusedOf(this.recipients.map(addressOf), result);
      return this.#succeed(
        Receipt.merged(earlier.accepted, [...earlier.rejected, ...rejected], earlier.receipts),
      );
    }
    if (earlier === undefined) return this.#succeed(result);
    const accepted = [...earlier.accepted, ...result.accepted];
    const rejected = [...earlier.rejected, ...result.rejected];
    this.#succeed(Receipt.merged(accepted, rejected, [...earlier.receipts, result]));
  }

  /**
   * It fails, before its first try or after some.
   *
   * @param error Why.
   */
  fail(error: Error): void {
    if (!this.#end(error)) return;
    if (!(error instanceof SmtpError)) return this.#result.reject(error);
    const { accepted = [], rejected = [] } = this.#earlier ?? {};
    this.#result.reject(PoolError.of(error, {
      accepted: [...accepted, ...error.accepted],
      rejected: [...rejected, ...error.rejected],
      tries: this.tries,
      retryAt: error instanceof PoolError ? error.retryAt : undefined,
    }));
  }

  #succeed(receipt: Receipt): void {
    if (this.#end(undefined)) this.#result.resolve(new PoolReceipt(receipt, this.tries));
  }

  /** A queue may be long, and whoever keeps the result must not keep the message. */
  #end(error: unknown): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.unwatch();
    if (error !== undefined && this.#message instanceof HeldStream) this.#message.cancel(error);
    this.#message = undefined;
    return true;
  }
}

function copyOf(recipient: string | Recipient): string | Recipient {
  return typeof recipient === "object" && recipient !== null ? { ...recipient } : recipient;
}

function lengthOf(message: Message | undefined): number | undefined {
  return message instanceof Uint8Array ? message.length : undefined;
}
