/**
 * What becomes of a mail that a pool sends: the client's receipt or error, with every try that led to it.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { Outcome, RejectedRecipient, SmtpErrorCode, SmtpErrorInit } from "../errors.ts";
import { Receipt } from "../client/receipt.ts";

/**
 * One try to send a mail. Not named an attempt: those of an {@linkcode SmtpError} are the mechanisms of a login, and a try that
 * failed at its login has them in its `error`.
 */
export interface Try {
  /** When it began. */
  readonly at: Date;
  /** The server, as in `"smtp.example.com:587"`. */
  readonly host: string;
  /** What became of the mail: `"accepted"` if the server took it for somebody. */
  readonly outcome: "accepted" | Outcome;
  /** The server's reply that decided, if there was one. */
  readonly reply: Reply | undefined;
  /** For whom the server took the mail. */
  readonly accepted: readonly string[];
  /** Whom the server refused. */
  readonly rejected: readonly RejectedRecipient[];
  /** What went wrong, if nobody gets the mail by this try, or it is not known. */
  readonly error: SmtpError | undefined;
}

/**
 * Makes the record of a try.
 *
 * @param at When it began.
 * @param host The server.
 * @param result What came of it.
 * @returns The record.
 */
export function recordTry(at: Date, host: string, result: Receipt | SmtpError): Try {
  const { accepted, rejected, reply } = result;
  const [outcome, error] = result instanceof SmtpError ? [result.outcome, result] : ["accepted" as const];
  return { at, host, outcome, reply, accepted, rejected, error };
}

/** The server has taken the message, for at least one recipient, at the first try or a later one. */
export class PoolReceipt extends Receipt {
  /** Every try, in order; the last one is the one that succeeded. */
  readonly tries: readonly Try[];

  /**
   * Makes a receipt.
   *
   * @param receipt What the client says. If recipients were tried again, what it says of all of them.
   * @param tries Every try.
   */
  constructor(receipt: Receipt, tries: readonly Try[]) {
    const { parts } = receipt;
    super(receipt.accepted, receipt.rejected, receipt.reply, receipt, parts.length > 1 ? parts : undefined);
    this.tries = tries;
  }
}

/** What a {@linkcode PoolError} knows. */
export interface PoolErrorInit extends SmtpErrorInit {
  /** Every try. */
  tries?: readonly Try[] | undefined;
  /** When the pool will try the server again. */
  retryAt?: Date | undefined;
}

/** A mail that a pool could not send: what the client says of the last try, and all the others. */
export class PoolError extends SmtpError {
  /** `"PoolError"`. */
  override name = "PoolError";
  /** Every try, in order; none if the mail was never tried. */
  readonly tries: readonly Try[];
  /** When the pool will try again to reach a server, if it has given up on all of them for now. */
  readonly retryAt: Date | undefined;

  /**
   * Makes an error.
   *
   * @param code What went wrong.
   * @param message What to tell a person.
   * @param init What else is known.
   */
  constructor(code: SmtpErrorCode, message: string, init: PoolErrorInit) {
    super(code, message, init);
    this.tries = init.tries ?? [];
    this.retryAt = init.retryAt;
  }

  /**
   * Makes one of what the client says.
   *
   * @param error The client's error.
   * @param changes What to say otherwise.
   * @returns The error.
   */
  static of(
    error: SmtpError,
    { message = error.message, ...changes }: Partial<PoolErrorInit> & { message?: string },
  ): PoolError {
    return new PoolError(error.code, message, { ...error, cause: error.cause, ...changes });
  }
}
