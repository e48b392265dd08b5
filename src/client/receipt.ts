/**
 * The result of a message that the server has taken.
 *
 * @module
 */
import { findQueueId } from "./queue_id.ts";
import type { Reply } from "../core/reply.ts";
import type { RejectedRecipient } from "../errors.ts";

/** How a message was sent: what a log or a statistic wants to know. */
export interface Transfer {
  /**
   * The octets that the content took on the wire: with CRLF at the end of each line, with the dots and the end of DATA, with
   * the commands between chunks of BDAT.
   */
  readonly bytesSent: number;
  /** Milliseconds from the first command of the transaction to the last reply to RCPT or DATA. */
  readonly envelopeTime: number;
  /** Milliseconds from there to the reply to the content. With PIPELINING the content may have left before that. */
  readonly contentTime: number;
  /** What TLS has agreed on, each as far as the runtime tells; `undefined` without TLS. */
  readonly tls: { readonly protocol: string | undefined; readonly cipher: string | undefined } | undefined;
}

const UNKNOWN: Transfer = { bytesSent: 0, envelopeTime: 0, contentTime: 0, tls: undefined };

/** The server has taken the message, for at least one recipient. */
export class Receipt implements Transfer {
  /** Who will get the message, as the envelope named them. */
  readonly accepted: readonly string[];
  /** Who will not, and why: the server's `reply`, or the `error` of an address that it was not asked about. */
  readonly rejected: readonly RejectedRecipient[];
  /** The last reply: the one to the content. */
  readonly reply: Reply;
  /**
   * The octets that the content took on the wire: with CRLF at the end of each line, with the dots and the end of DATA, with
   * the commands between chunks of BDAT. Of all transactions, if there were several.
   */
  readonly bytesSent: number;
  /**
   * Milliseconds from the first command of the transaction to the last reply to RCPT or DATA. With single commands the
   * caller's own time is in it. Of several transactions the sum, though they may have overlapped.
   */
  readonly envelopeTime: number;
  /**
   * Milliseconds from there to the reply to the content. With PIPELINING the content may have left before that. Of several
   * transactions the sum.
   */
  readonly contentTime: number;
  /** What TLS has agreed on, each as far as the runtime tells; `undefined` without TLS. */
  readonly tls: { readonly protocol: string | undefined; readonly cipher: string | undefined } | undefined;
  readonly #parts: readonly Receipt[] | undefined;

  /**
   * Makes a receipt.
   *
   * @param accepted Who will get the message.
   * @param rejected Who will not.
   * @param reply The reply to the content.
   * @param transfer How it was sent. Default: zeros, and no TLS.
   * @param parts The receipts that it is made of. Default: itself.
   */
  constructor(
    accepted: readonly string[],
    rejected: readonly RejectedRecipient[],
    reply: Reply,
    transfer: Transfer = UNKNOWN,
    parts?: readonly Receipt[],
  ) {
    this.accepted = accepted;
    this.rejected = rejected;
    this.reply = reply;
    this.bytesSent = transfer.bytesSent;
    this.envelopeTime = transfer.envelopeTime;
    this.contentTime = transfer.contentTime;
    this.tls = transfer.tls;
    this.#parts = parts;
  }

  /**
   * Makes one receipt of those of several transactions.
   *
   * @param accepted Who will get the message.
   * @param rejected Who will not.
   * @param parts The receipts, at least one.
   * @returns The receipt.
   */
  static merged(
    accepted: readonly string[],
    rejected: readonly RejectedRecipient[],
    parts: readonly Receipt[],
  ): Receipt {
    const { reply, tls } = parts.at(-1)!;
    const sum = (name: "bytesSent" | "envelopeTime" | "contentTime") =>
      parts.reduce((total, part) => total + part[name], 0);
    const transfer = {
      bytesSent: sum("bytesSent"),
      envelopeTime: sum("envelopeTime"),
      contentTime: sum("contentTime"),
      tls,
    };
    return new Receipt(accepted, rejected, reply, transfer, parts.length === 1 ? undefined : parts);
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
