/**
 * What comes after a try: what is decided about each recipient, and who is tried again.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { RejectedRecipient } from "../errors.ts";
import { addressOf } from "../client/envelope.ts";
import type { Recipient } from "../client/envelope.ts";
import type { Receipt } from "../client/receipt.ts";
import { refusedOf } from "../client/split.ts";
import { backOff } from "./hosts.ts";
import type { Again, Mail } from "./mail.ts";
import type { PoolSettings } from "./options.ts";

/** The longest wait before recipients are tried again that were refused for now, in milliseconds. */
const MAX_REFUSED_DELAY = 3_600_000;

/** When to try again. */
type Policy = Pick<PoolSettings, "retry" | "retryUnknown">;

/** What becomes of a recipient: `"refused"` is asked about again later, `"failed"` on another connection. */
type Fate = "decided" | "refused" | "failed";

/**
 * Judges a try.
 *
 * @param mail The mail. If the try counts against it, it is counted already.
 * @param result What came of the try.
 * @param policy When to try again.
 * @returns For whom it is tried again; `undefined` if that is all.
 */
export function judge(mail: Mail, result: Receipt | SmtpError, policy: Policy): Again | undefined {
  if (!mail.repeatable) return undefined;
  const { recipients, failures, refusals, options } = mail;
  const { retry } = policy;
  const isError = result instanceof SmtpError;
  if (!isError && result.rejected.length === 0) return undefined;
  const others = isError ? fateOf(result, policy) : "decided";
  const fates = fatesOf(recipients, result, others, policy);
  const left = recipients.filter((_, index) => fates[index] !== "decided");
  const done = recipients.filter((_, index) => fates[index] === "decided").map(addressOf);
  if (left.length === 0) return undefined;
  // With "all", the message is for everybody or nobody. And what is not known stays so.
  const isWhole = options.recipients === "all" ||
    (isError && result.outcome !== "refused" && others === "decided");
  if (isWhole && done.length > 0) return undefined;
  const refused = fates.includes("refused");
  if (refused ? refusals + 1 >= retry.attempts : failures >= retry.attempts) return undefined;
  return {
    left,
    rejected: rejectedOf(done, result),
    refused,
    wait: refused
      ? backOff(retry.refusedDelay, refusals + 1, MAX_REFUSED_DELAY)
      // The first time it is likely that only this connection was at fault.
      : failures < 2
      ? 0
      : backOff(retry.delay, failures - 1, retry.maxDelay),
  };
}

function fatesOf(
  recipients: readonly (string | Recipient)[],
  { accepted, rejected }: Receipt | SmtpError,
  others: Fate,
  policy: Policy,
): Fate[] {
  const taken = Map.groupBy(accepted, (recipient) => recipient);
  const refused = Map.groupBy(rejected, ({ recipient }) => recipient);
  return recipients.map((recipient) => {
    const address = addressOf(recipient);
    if (taken.get(address)?.pop() !== undefined) return "decided";
    const rejection = refused.get(address)?.shift();
    // Whoever was refused before the connection was lost has an answer, though the mail has none.
    return rejection === undefined ? others : isForNow(rejection.reply, policy) ? "refused" : "decided";
  });
}

/** What becomes of those whom the server has said nothing about by name. */
function fateOf({ outcome, temporary, reply }: SmtpError, policy: Policy): Fate {
  if (outcome === "unknown") return policy.retryUnknown ? "failed" : "decided";
  if (outcome === "refused") return isForNow(reply, policy) ? "refused" : "decided";
  return temporary ? "failed" : "decided";
}

function isForNow(reply: Reply | undefined, { retry: { refused } }: Policy): boolean {
  if (reply === undefined || !reply.temporary) return false;
  return typeof refused === "function" ? refused(reply) : refused;
}

/** Who of them was refused. The others were taken. */
function rejectedOf(done: readonly string[], result: Receipt | SmtpError): readonly RejectedRecipient[] {
  const taken = Map.groupBy(result.accepted, (recipient) => recipient);
  const refused = done.filter((recipient) => taken.get(recipient)?.pop() === undefined);
  if (result instanceof SmtpError && result.outcome === "refused") return refusedOf(refused, result);
  return result.rejected.filter(({ recipient }) => refused.includes(recipient));
}
