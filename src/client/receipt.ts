/**
 * What the server said when it took a message.
 *
 * @module
 */
import { findQueueId } from "../core/queue_id.ts";
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

  /**
   * Makes a receipt.
   *
   * @param accepted Who will get the message.
   * @param rejected Who will not.
   * @param reply The reply to the content.
   */
  constructor(accepted: readonly string[], rejected: readonly RejectedRecipient[], reply: Reply) {
    this.accepted = accepted;
    this.rejected = rejected;
    this.reply = reply;
  }

  /** The server's own name for the message, where the reply has one in a form that is known. */
  get queueId(): string | undefined {
    return findQueueId(this.reply.text);
  }
}
