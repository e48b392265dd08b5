/**
 * A message for more recipients than a server takes at a time: several transactions, one result.
 *
 * @module
 */
import type { ExtensionLimits } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { RejectedRecipient } from "../errors.ts";
import type { SendOptions } from "./client.ts";
import { toContent } from "./message.ts";
import type { Content } from "./message.ts";
import { Receipt } from "./receipt.ts";
import type { Sending } from "./sending.ts";

/** A stream that can be read once only is kept in memory to be sent more than once: no more of it than this. */
const MAX_GATHERED = 64 * 1024 * 1024;

/**
 * Shares recipients out among transactions (RFC 9422).
 *
 * @param recipients The addresses.
 * @param limits What the server takes.
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
 * Finds the recipients that a server has refused only because there were too many: it is to be asked again for them, in
 * another transaction (RFC 5321, section 4.5.3.1.10).
 *
 * @param rejected Who was refused.
 * @returns Those.
 */
export function tooMany(rejected: readonly RejectedRecipient[]): RejectedRecipient[] {
  return rejected.filter(({ reply }) =>
    reply.code === 452 &&
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
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const onAbort = () =>
    aborted.reject(failed("aborted", "The send was aborted before it began", signal!.reason));
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted) onAbort();
  try {
    const source = content.read();
    for (;;) {
      const { value, done } = await Promise.race([source.next(), aborted.promise]);
      if (done) return { ...toContent(await new Blob(pieces).arrayBuffer()), binary: content.binary };
      content.check?.push(value);
      pieces.push(value.slice());
      size += value.length;
      if (size > MAX_GATHERED) {
        throw failed(
          "invalid-message",
          `Cannot send: the server takes fewer recipients at a time than there are, and a stream of more than ${MAX_GATHERED} bytes ` +
            "cannot be kept to be sent again; give a Blob or a function that opens the stream",
        );
      }
    }
  } catch (error) {
    const failure = error instanceof SmtpError
      ? error
      : failed("source-failed", `Cannot read the message: ${messageOf(error)}`, error);
    content.cancel(failure);
    throw failure;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function failed(
  code: "aborted" | "invalid-envelope" | "invalid-message" | "source-failed",
  message: string,
  cause?: unknown,
): SmtpError {
  return new SmtpError(code, message, { phase: "content", usable: true, cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What came of one transaction. */
export interface Part {
  /** Whom it was for. */
  readonly recipients: readonly string[];
  /** What the server said, or why it did not. */
  readonly result: Receipt | SmtpError;
}

/**
 * Makes one result of several.
 *
 * @param parts What came of each transaction.
 * @returns A receipt, where the server took the message for somebody and has said no to all others.
 * @throws {SmtpError} Where it took it for nobody, or where it is not known for whom.
 */
export function merge(parts: readonly Part[]): Receipt {
  const accepted: string[] = [];
  const rejected: RejectedRecipient[] = [];
  const receipts: Receipt[] = [];
  let refusal: SmtpError | undefined;
  let failure: SmtpError | undefined;
  for (const { recipients, result } of parts) {
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
  if (error === undefined) return new Receipt(accepted, rejected, receipts.at(-1)!.reply, receipts);
  throw new SmtpError(error.code, error.message, { ...error, cause: error.cause, accepted, rejected });
}

/** Who was refused: each with the server's word about him, or about all. */
function refusedOf(recipients: readonly string[], { rejected, reply }: SmtpError): RejectedRecipient[] {
  const words = new Map<string, Reply>(rejected.map((one) => [one.recipient, one.reply]));
  return recipients.map((recipient) => ({ recipient, reply: words.get(recipient) ?? reply! }));
}

/** Carries one message through several transactions. */
export class Parts {
  readonly #sending: Sending;
  readonly #limits: ExtensionLimits;
  /** How many transactions were begun, and how much has left in all of them. */
  #transactions = 0;
  #sent = 0;

  /**
   * @param sending The message.
   * @param limits What the server takes.
   */
  constructor(sending: Sending, limits: ExtensionLimits) {
    this.#sending = sending;
    this.#limits = limits;
  }

  /** Sends it to everybody. */
  async all(): Promise<Receipt> {
    const { envelope: { recipients }, options, content } = this.#sending;
    const groups = shareOut(recipients, this.#limits) ?? [[...recipients.keys()]]; // of one domain
    if (groups.length > 1 && options.recipients === "all") {
      const error = failed(
        "invalid-envelope",
        `Cannot send: the server takes fewer recipients at a time than ${recipients.length}, and recipients is "all"`,
      );
      content.cancel(error);
      throw error;
    }
    return await this.#run(groups, []);
  }

  /**
   * Goes on with those whom a first transaction has left.
   *
   * @param receipt What came of it.
   */
  async goOn(receipt: Receipt): Promise<Receipt> {
    const { recipients } = this.#sending.envelope;
    const left = this.#leftBy([...recipients.keys()], receipt);
    if (left.length === 0) return receipt;
    this.#transactions = 1;
    this.#sent = this.#sending.sent;
    return await this.#run(left, [withoutLeft(recipients, receipt)]);
  }

  async #run(groups: readonly number[][], parts: Part[]): Promise<Receipt> {
    const sending = this.#sending;
    if (sending.content.again === undefined && groups.length > 1) {
      sending.content = await gather(sending.content, sending.options.signal);
    }
    while (groups.length > 0) {
      const report = this.#progressOf(groups.length);
      const next: number[][] = [];
      const results = await Promise.all(groups.map((group, index) => this.#runPart(group, report?.(index))));
      for (const [index, part] of results.entries()) {
        const { result, recipients } = part;
        if (result instanceof SmtpError) {
          parts.push(part);
          continue;
        }
        const left = sending.content.again === undefined ? [] : this.#leftBy(groups[index]!, result);
        next.push(...left);
        parts.push(left.length === 0 ? part : withoutLeft(recipients, result));
      }
      groups = next;
    }
    return merge(parts);
  }

  async #runPart(group: readonly number[], onProgress: SendOptions["onProgress"]): Promise<Part> {
    const { mail, rcpts, recipients: everybody } = this.#sending.envelope;
    const recipients = group.map((index) => everybody[index]!);
    const envelope = { mail, rcpts: group.map((index) => rcpts[index]!), recipients };
    try {
      const { content } = this.#sending;
      const once = content.again === undefined ? content : this.#sending.again();
      const result = await this.#sending.deliver(envelope, once, onProgress);
      return { recipients, result };
    } catch (error) {
      if (!(error instanceof SmtpError)) throw error;
      return { recipients, result: error };
    }
  }

  /** Those whom the server has refused only because there were too many, in groups of as many as it took. */
  #leftBy(group: readonly number[], receipt: Receipt): number[][] {
    const left = tooMany(receipt.rejected);
    if (left.length === 0 || receipt.accepted.length === 0) return [];
    const indexes = new Map<string, number[]>();
    for (const index of group) {
      const recipient = this.#sending.envelope.recipients[index]!;
      indexes.set(recipient, [...(indexes.get(recipient) ?? []), index]);
    }
    const rest = left.map(({ recipient }) => indexes.get(recipient)!.pop()!);
    const size = receipt.accepted.length;
    return Array.from(
      { length: Math.ceil(rest.length / size) },
      (_, i) => rest.slice(i * size, (i + 1) * size),
    );
  }

  /** Progress over all transactions. */
  #progressOf(parts: number): ((part: number) => NonNullable<SendOptions["onProgress"]>) | undefined {
    const { onProgress } = this.#sending.options;
    if (onProgress === undefined) return undefined;
    const sent: number[] = new Array(parts).fill(0);
    const transactions = this.#transactions += parts;
    return (part) => (progress) => {
      this.#sent += progress.sent - sent[part]!;
      sent[part] = progress.sent;
      onProgress({
        sent: this.#sent,
        total: progress.total === undefined ? undefined : progress.total * transactions,
      });
    };
  }
}

/** What came of a transaction, but for those who come into another one. */
function withoutLeft(recipients: readonly string[], receipt: Receipt): Part {
  const left = new Set(receipt.accepted.length === 0 ? [] : tooMany(receipt.rejected));
  if (left.size === 0) return { recipients, result: receipt };
  const rejected = receipt.rejected.filter((one) => !left.has(one));
  return { recipients, result: new Receipt(receipt.accepted, rejected, receipt.reply) };
}
