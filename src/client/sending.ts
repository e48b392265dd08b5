/**
 * One call of `send()`: what it takes to make deliveries of it, and one result of theirs.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import type { SendOptions } from "./client.ts";
import { ContentCheck, rulesFor } from "./content_check.ts";
import type { ContentRules } from "./content_check.ts";
import { Delivery } from "./delivery.ts";
import { renderEnvelope } from "./envelope.ts";
import type { Asked, Envelope, RenderedEnvelope } from "./envelope.ts";
import { toContent } from "./message.ts";
import type { Content, Message } from "./message.ts";
import type { Parts } from "./parts.ts";
import type { Receipt } from "./receipt.ts";
import type { Session } from "./session.ts";

/** A message on its way, in as many transactions as it takes. */
export class Sending {
  readonly #session: Session;
  readonly #rules: ContentRules | undefined;
  readonly #transfer: "data" | "bdat";

  /** How. */
  readonly options: SendOptions;
  /** Who it is from and who it is for. */
  readonly envelope: RenderedEnvelope;
  /** What. */
  content: Content;
  /** How much of it has left in a first transaction. */
  sent = 0;

  /**
   * Everything that can be wrong with the arguments is found here, before a byte is sent.
   *
   * @throws {SmtpError | TypeError} If so.
   */
  constructor(
    session: Session,
    envelope: Envelope,
    message: Message,
    options: SendOptions,
    asked: Asked | undefined,
  ) {
    session.mustBeReady();
    const { signal, lineLength = "error" } = options;
    if (lineLength !== "error" && lineLength !== "allow") {
      throw new TypeError(`Cannot send: lineLength must be "error" or "allow", it is ${String(lineLength)}`);
    }
    mustNotBeAborted(signal);
    this.#session = session;
    this.options = options;
    let content = readMessage(message);
    try {
      if (options.encode !== undefined) {
        ({ envelope, content } = asked!.encodeFor(session, envelope, content, options));
      }
      this.envelope = renderEnvelope(envelope, content, session.envelopeContext, asked);
      this.#rules = rulesFor(envelope.body, lineLength, session.extensions);
      if (this.#rules !== undefined) {
        const check = new ContentCheck(this.#rules);
        if (content.bytes === undefined) content.check = check;
        else check.push(content.bytes, content.kinds);
      }
      content.binary = this.#rules === undefined;
      this.#transfer = content.binary ? session.binaryTransfer : session.transfer;
    } catch (error) {
      content.cancel(error);
      throw error;
    }
    this.content = content;
  }

  /**
   * Sends it.
   *
   * @returns The result of all transactions. One that is enough is in the pipeline when this returns.
   */
  async run(): Promise<Receipt> {
    const { recipients } = this.envelope;
    const { rcptMax = Infinity, rcptDomainMax = Infinity } = this.#session.extensions.limits;
    if (recipients.length > Math.min(rcptMax, rcptDomainMax)) return await (await this.#parts()).all();
    const { onProgress } = this.options;
    const receipt = await this.deliver(
      this.envelope,
      this.content,
      onProgress && ((progress) => onProgress({ ...progress, sent: this.sent = progress.sent })),
    );
    // Perhaps there were too many recipients: the server is asked again for those that are left.
    const mayGoOn = this.content.again !== undefined &&
      receipt.rejected.some(({ reply }) => reply.code === 452);
    return mayGoOn ? await (await this.#parts()).goOn(receipt) : receipt;
  }

  async #parts(): Promise<Parts> {
    const { Parts } = await import("./parts.ts");
    return new Parts(this, this.#session.extensions.limits);
  }

  /** The content once more, under the same rules. */
  again(): Content {
    const content = this.content.again!();
    content.binary = this.content.binary;
    if (content.bytes === undefined && this.#rules !== undefined) {
      content.check = new ContentCheck(this.#rules);
    }
    return content;
  }

  /**
   * Puts one transaction into the pipeline.
   *
   * @param envelope Who it is for.
   * @param content The message.
   * @param onProgress Who is told.
   * @returns What comes of it.
   */
  deliver(
    envelope: RenderedEnvelope,
    content: Content,
    onProgress: SendOptions["onProgress"],
  ): Promise<Receipt> {
    const session = this.#session;
    const { signal, recipients: recipientsPolicy = "some" } = this.options;
    try {
      mustNotBeAborted(signal);
      session.admit();
    } catch (error) {
      content.cancel(error);
      return Promise.reject(error);
    }
    const { pipelining, settings: { protocol } } = session;
    const plan = { ...envelope, pipelining, transfer: this.#transfer, recipientsPolicy, protocol };
    const delivery = new Delivery(session, plan, content, { signal, onProgress });
    session.pipeline.enqueue(delivery);
    return delivery.result;
  }
}

/** A signal is heard from the beginning of a transaction to its end; this is for all that is before and between. */
export function mustNotBeAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new SmtpError("aborted", "The send was aborted before it began", {
    phase: "mail",
    cause: signal.reason,
    usable: true,
  });
}

function readMessage(message: Message): Content {
  try {
    return toContent(message);
  } catch (cause) {
    throw new SmtpError("invalid-message", cause instanceof Error ? cause.message : String(cause), {
      phase: "content",
      usable: true,
      cause,
    });
  }
}
