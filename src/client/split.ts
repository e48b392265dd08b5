/**
 * The driver for a message with more recipients than a server takes at a time: several transactions, one result (RFC 9422;
 * RFC 5321, section 4.5.3.1.10).
 *
 * @module
 */
import type { ExtensionLimits } from "../core/extensions.ts";
import { SmtpError } from "../errors.ts";
import type { InvalidRecipient, RejectedRecipient } from "../errors.ts";
import { abortable } from "../sockets/abortable.ts";
import type { Content } from "./content.ts";
import type { SendOptions } from "./options.ts";
import { sayQuit } from "./quit.ts";
import { Receipt } from "./receipt.ts";
import { deliver } from "./send.ts";
import type { ReadyMessage } from "./send.ts";
import type { Session } from "./session.ts";

/** A stream that can be read only once is kept in memory to be sent more than once: no more of it than this. */
const MAX_GATHERED = 64 * 1024 * 1024;

/**
 * Shares recipients out among transactions (RFC 9422).
 *
 * @param recipients The addresses.
 * @param limits How many the server takes at a time.
 * @returns The indexes of the recipients of each transaction; `undefined` if one is enough.
 */
export function shareOut(recipients: readonly string[], limits: ExtensionLimits): number[][] | undefined {
  const { rcptMax = Infinity, rcptDomainMax = Infinity } = limits;
  if (recipients.length <= rcptMax && recipients.length <= rcptDomainMax) return undefined;
  const parts: number[][] = [];
  let part: number[] = [];
  let domains = new Set<string>();
  for (const [index, recipient] of recipients.entries()) {
    const domain = recipient.slice(recipient.lastIndexOf("@") + 1).toLowerCase();
    const full = part.length >= rcptMax || (domains.size >= rcptDomainMax && !domains.has(domain));
    if (full) {
      parts.push(part);
      part = [];
      domains = new Set();
    }
    part.push(index);
    domains.add(domain);
  }
  if (parts.length === 0) return undefined;
  return [...parts, part];
}

/**
 * Finds the recipients that a server has refused only because there were too many: it has to be asked again for them, in
 * another transaction (RFC 5321, section 4.5.3.1.10).
 *
 * @param rejected The recipients that were refused.
 * @returns Those that were too many.
 */
export function tooMany(rejected: readonly RejectedRecipient[]): RejectedRecipient[] {
  return rejected.filter(({ reply }) =>
    reply?.code === 452 &&
    (reply.enhancedCode === "4.5.3" || reply.text.toLowerCase().includes("too many recipients"))
  );
}

/**
 * Reads a message that can be read only once, so that it can be sent more than once.
 *
 * @param content The message.
 * @param signal Gives up.
 * @returns It, in memory.
 * @throws {SmtpError} `"source-failed"`, `"aborted"`, or `"invalid-message"` if it is larger than 64 MiB.
 */
export async function gather(content: Content, signal: AbortSignal | undefined): Promise<Content> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    const source = content.read();
    for (;;) {
      const { value, done } = await abortable(source.next(), signal);
      if (done) return content.gathered(new Uint8Array(await new Blob(pieces).arrayBuffer()));
      pieces.push(value as Uint8Array<ArrayBuffer>);
      size += value.length;
      if (size > MAX_GATHERED) {
        throw failed(
          "invalid-message",
          `Cannot send: the server takes fewer recipients at a time than there are, and a stream of more than ${MAX_GATHERED} bytes ` +
            "cannot be kept to be sent again; give a Blob or a function that opens the stream",
        );
      }
    }
  } catch (cause) {
    const error = cause instanceof SmtpError
      ? cause
      : failed("aborted", "The send was aborted before it began", cause);
    content.cancel(error);
    throw error;
  }
}

function failed(
  code: "aborted" | "invalid-envelope" | "invalid-message",
  message: string,
  cause?: unknown,
): SmtpError {
  return new SmtpError(code, message, { phase: "content", usable: true, cause });
}

/** The result of one transaction. */
export interface TransactionResult {
  /** Its recipients. */
  readonly recipients: readonly string[];
  /** What the server said, or why it did not. */
  readonly result: Receipt | SmtpError;
}

/**
 * Merges the results of several transactions.
 *
 * @param results The results.
 * @returns A receipt, if the server took the message for somebody and refused all others.
 * @throws {SmtpError} If it took the message for nobody, or it is not known for whom.
 */
export function merge(results: readonly TransactionResult[]): Receipt {
  const accepted: string[] = [];
  const rejected: RejectedRecipient[] = [];
  const receipts: Receipt[] = [];
  let refusal: SmtpError | undefined;
  let failure: SmtpError | undefined;
  for (const { recipients, result } of results) {
    accepted.push(...result.accepted);
    if (result instanceof Receipt) {
      rejected.push(...result.rejected);
      receipts.push(result);
    } else if (result.outcome === "refused") {
      refusal ??= result;
      rejected.push(...refusedOf(recipients, result));
    } else {
      rejected.push(...result.rejected);
      if (failure?.outcome !== "unknown") failure = result;
    }
  }
  const error = failure ?? (receipts.length === 0 ? refusal : undefined);
  if (error === undefined) return Receipt.merged(accepted, rejected, receipts);
  throw new SmtpError(error.code, error.message, { ...error, cause: error.cause, accepted, rejected });
}

/** The recipients that were refused: each with the server's reply to it, or to all. */
export function refusedOf(
  recipients: readonly string[],
  { rejected, reply }: SmtpError,
): RejectedRecipient[] {
  const known = new Map(rejected.map((one) => [one.recipient, one]));
  return recipients.map((recipient) => known.get(recipient) ?? { recipient, reply: reply! });
}

/**
 * Sends a message in as many transactions as it takes.
 *
 * @param session The session.
 * @param message The message.
 * @returns The result of all transactions. If one is enough, it is in the pipeline when this returns.
 */
export function sendSplit(session: Session, message: ReadyMessage): Promise<Receipt> {
  return new SplitSend(session, message).send();
}

/** Whether a message may need another transaction than those that are in the pipeline when {@linkcode sendSplit} returns. */
export function mayGrow({ envelope: { recipients }, options }: ReadyMessage): boolean {
  return recipients.length > 1 && options.recipients !== "all";
}

/**
 * Sends the only message of a session: QUIT leaves in one group with it. What needs another transaction after that gets another
 * session.
 *
 * @param session The session. It has ended when this settles.
 * @param message The message.
 * @param reopen Opens another session; `undefined` if there can be none: QUIT then waits for the end of the message.
 * @returns The result of all transactions.
 */
export async function sendLast(
  session: Session,
  message: ReadyMessage,
  reopen: (() => Promise<Session>) | undefined,
): Promise<Receipt> {
  const send = new SplitSend(session, message, reopen);
  try {
    return await send.send();
  } finally {
    await send.leave();
  }
}

/** One message in several transactions. */
class SplitSend {
  #session: Session;
  readonly #message: ReadyMessage;
  /** Opens another session, if QUIT leaves after the transactions of each round. */
  readonly #reopen: (() => Promise<Session>) | undefined;
  readonly #quits: Promise<void>[] = [];
  #content: Content;
  /** How many transactions were begun, and how many bytes have left in all of them. */
  #transactions = 0;
  #sent = 0;

  constructor(session: Session, message: ReadyMessage, reopen?: () => Promise<Session>) {
    this.#session = session;
    this.#message = message;
    this.#reopen = reopen;
    this.#content = message.content;
  }

  /** Sends it. If one transaction is enough, it is in the pipeline when this returns. */
  send(): Promise<Receipt> {
    const groups = shareOut(this.#message.envelope.recipients, this.#session.extensions.limits);
    const sent = groups === undefined ? this.#toAll() : this.#toGroups(groups);
    const { invalid } = this.#message.envelope;
    return invalid.length === 0 ? sent : addInvalid(sent, invalid);
  }

  /** Says QUIT, unless that was done, and waits until the sessions have ended. */
  async leave(): Promise<void> {
    if (!this.#session.quitting) this.#quits.push(sayQuit(this.#session));
    await Promise.all(this.#quits);
  }

  /** The transactions that are in the pipeline are the last of their session, if there can be another. */
  #endRound(): void {
    if (this.#reopen !== undefined) this.#quits.push(sayQuit(this.#session));
  }

  /** Asks the server to take all recipients at once, and again for those that were too many. */
  async #toAll(): Promise<Receipt> {
    const { recipients } = this.#message.envelope;
    const delivered = deliver(this.#session, this.#reporting(this.#progressOf(1)?.(0)));
    this.#endRound();
    const receipt = await delivered;
    if (!this.#content.repeatable || !receipt.rejected.some(({ reply }) => reply?.code === 452)) {
      return receipt;
    }
    const left = this.#leftBy([...recipients.keys()], receipt);
    if (left.length === 0) return receipt;
    return await this.#run(left, [withoutLeft(recipients, receipt)]);
  }

  /** Shares the recipients out among transactions, as many in each as the server announces that it takes. */
  async #toGroups(groups: readonly number[][]): Promise<Receipt> {
    const { envelope: { recipients }, options } = this.#message;
    if (options.recipients === "all") {
      const error = failed(
        "invalid-envelope",
        `Cannot send: the server takes fewer recipients at a time than ${recipients.length}, and recipients is "all"`,
      );
      this.#content.cancel(error);
      throw error;
    }
    return await this.#run(groups, []);
  }

  async #run(groups: readonly number[][], results: TransactionResult[]): Promise<Receipt> {
    if (!this.#content.repeatable && groups.length > 1) {
      this.#content = await gather(this.#content, this.#message.options.signal);
    }
    while (groups.length > 0) {
      const failure = await this.#beginRound();
      if (failure !== undefined) {
        const recipients = groups.flat().map((index) => this.#message.envelope.recipients[index]!);
        results.push({ recipients, result: failure });
        break;
      }
      const report = this.#progressOf(groups.length);
      const next: number[][] = [];
      const delivered = Promise.all(groups.map((group, index) => this.#deliverTo(group, report?.(index))));
      this.#endRound();
      const round = await delivered;
      for (const [index, one] of round.entries()) {
        const { result, recipients } = one;
        if (result instanceof SmtpError) {
          results.push(one);
          continue;
        }
        const left = this.#content.repeatable ? this.#leftBy(groups[index]!, result) : [];
        next.push(...left);
        results.push(left.length === 0 ? one : withoutLeft(recipients, result));
      }
      groups = next;
    }
    return merge(results);
  }

  /** Opens another session if this one has ended with the transactions before. Returns why, if that fails. */
  async #beginRound(): Promise<SmtpError | undefined> {
    if (this.#reopen === undefined || !this.#session.quitting) return undefined;
    const before = this.#session;
    try {
      const { protected: isProtected, extensions } = this.#session = await this.#reopen();
      // What the message was made ready for has to hold here, too: with REQUIRETLS it must not leave in the clear.
      if (isProtected === before.protected && extensions.covers(before.extensions)) return undefined;
      return new SmtpError(
        "extension-missing",
        "Cannot send to those that were too many: the server offers less on another connection",
        { phase: "mail", temporary: true },
      );
    } catch (error) {
      if (error instanceof SmtpError) return error;
      throw error;
    }
  }

  async #deliverTo(
    group: readonly number[],
    onProgress: SendOptions["onProgress"],
  ): Promise<TransactionResult> {
    const { mail, rcpts, recipients: everybody } = this.#message.envelope;
    const recipients = group.map((index) => everybody[index]!);
    const envelope = { mail, rcpts: group.map((index) => rcpts[index]!), recipients, invalid: [] };
    try {
      const result = await deliver(this.#session, {
        ...this.#reporting(onProgress),
        envelope,
        content: this.#content.again(),
      });
      return { recipients, result };
    } catch (error) {
      if (!(error instanceof SmtpError)) throw error;
      return { recipients, result: error };
    }
  }

  /** The recipients that the server has refused only because there were too many, in groups of as many as it took. */
  #leftBy(group: readonly number[], receipt: Receipt): number[][] {
    const left = tooMany(receipt.rejected);
    if (left.length === 0 || receipt.accepted.length === 0) return [];
    const indexes = new Map<string, number[]>();
    for (const index of group) {
      const recipient = this.#message.envelope.recipients[index]!;
      indexes.set(recipient, [...(indexes.get(recipient) ?? []), index]);
    }
    const rest = left.map(({ recipient }) => indexes.get(recipient)!.pop()!);
    const size = receipt.accepted.length;
    return Array.from(
      { length: Math.ceil(rest.length / size) },
      (_, i) => rest.slice(i * size, (i + 1) * size),
    );
  }

  /** The message, with another receiver of its progress. */
  #reporting(onProgress: SendOptions["onProgress"]): ReadyMessage {
    if (onProgress === undefined) return this.#message;
    return { ...this.#message, options: { ...this.#message.options, onProgress } };
  }

  /** Progress over all transactions. */
  #progressOf(count: number): ((index: number) => NonNullable<SendOptions["onProgress"]>) | undefined {
    const { onProgress } = this.#message.options;
    if (onProgress === undefined) return undefined;
    const sent: number[] = new Array(count).fill(0);
    const transactions = this.#transactions += count;
    return (index) => (progress) => {
      this.#sent += progress.sent - sent[index]!;
      sent[index] = progress.sent;
      onProgress({
        sent: this.#sent,
        total: progress.total === undefined ? undefined : progress.total * transactions,
      });
    };
  }
}

/** The same result, with the recipients that the server was not asked about. */
async function addInvalid(sent: Promise<Receipt>, invalid: readonly InvalidRecipient[]): Promise<Receipt> {
  try {
    const receipt = await sent;
    return Receipt.merged(receipt.accepted, [...invalid, ...receipt.rejected], receipt.parts);
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error;
    const { code, message, cause } = error;
    throw new SmtpError(code, message, { ...error, cause, rejected: [...invalid, ...error.rejected] });
  }
}

/** The result of a transaction, without the recipients that go into another one. */
function withoutLeft(recipients: readonly string[], receipt: Receipt): TransactionResult {
  const left = new Set(receipt.accepted.length === 0 ? [] : tooMany(receipt.rejected));
  if (left.size === 0) return { recipients, result: receipt };
  const rejected = receipt.rejected.filter((one) => !left.has(one));
  return { recipients, result: new Receipt(receipt.accepted, rejected, receipt.reply, receipt) };
}
