/**
 * The result of a message that the server has taken.
 *
 * @module
 */
import { findQueueId } from "./queue_id.ts";
import type { Reply } from "../core/reply.ts";
import type { RejectedRecipient } from "../errors.ts";

/** The server has taken the message, for at least one recipient. */
export class Receipt {
  /** Who will get the message, as the envelope named them. */
  readonly accepted: readonly string[];
  /** Who will not, and why. */
  readonly rejected: readonly RejectedRecipient[];
  /** The last reply: the one to the content. */
  readonly reply: Reply;
  readonly #parts: readonly Receipt[] | undefined;

  /**
   * Makes a receipt.
   *
   * @param accepted Who will get the message.
   * @param rejected Who will not.
   * @param reply The reply to the content.
   * @param parts The receipts that it is made of. Default: itself.
   */
  constructor(
    accepted: readonly string[],
    rejected: readonly RejectedRecipient[],
    reply: Reply,
    parts?: readonly Receipt[],
  ) {
    this.accepted = accepted;
    this.rejected = rejected;
    this.reply = reply;
    this.#parts = parts;
  }

  /**
   * One receipt for each transaction if the server takes fewer recipients at a time than there were; else only this one.
   */
  get parts(): readonly Receipt[] {
    return this.#parts ?? [this];
  }

  /** The server's name for the message, if the reply has one in a known form. */
  get queueId(): string | undefined {
    return findQueueId(this.reply.text);
  }
}
