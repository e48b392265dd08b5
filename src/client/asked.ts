/**
 * What a message may be asked to have done with it: parameters, checked against what the server offers.
 *
 * @module
 */
import type { EsmtpParameters } from "../core/command.ts";
import type { Extensions } from "../core/extensions.ts";
import { mailParameters, rcptParameters } from "../core/parameters.ts";
import type { DsnRequest, MailParameters, Parameter } from "../core/parameters.ts";
import { SmtpError } from "../errors.ts";
import { notSevenBit } from "./content_check.ts";
import type { EnvelopeContext, Recipient } from "./envelope.ts";
import type { Content } from "./message.ts";

export { encodeFor } from "./encode.ts";

/**
 * Adds the parameters of MAIL.
 *
 * @param wanted What is asked for.
 * @param context The server.
 * @param parameters Where to.
 * @throws {SmtpError} `"extension-missing"`.
 * @throws {TypeError | RangeError} If something is not valid.
 */
export function addMail(
  wanted: MailParameters,
  { extensions, protected: isProtected }: EnvelopeContext,
  parameters: Record<string, string | true>,
): void {
  if (wanted.requireTls && !isProtected) {
    // RFC 8689, section 4.2.1.
    throw new SmtpError(
      "extension-missing",
      "Cannot send: requireTls needs a session under TLS in which the server's certificate was checked",
      { phase: "mail", usable: true },
    );
  }
  offer(mailParameters(wanted), extensions, parameters);
  withinLimits(wanted, extensions);
}

/**
 * Gives the parameters of RCPT.
 *
 * @param recipient The recipient, with what is asked for.
 * @param dsn What is asked for with the message.
 * @param extensions What the server offers.
 * @param smtpUtf8 Whether the transaction has SMTPUTF8.
 * @returns The parameters.
 * @throws {SmtpError} `"extension-missing"`.
 * @throws {TypeError | RangeError} If something is not valid.
 */
export function rcptParametersFor(
  recipient: string | Recipient,
  dsn: DsnRequest | undefined,
  extensions: Extensions,
  smtpUtf8: boolean,
): EsmtpParameters | undefined {
  if (typeof recipient === "string") {
    if (dsn?.notify === undefined) return undefined;
    recipient = { address: recipient };
  }
  const parameters: Record<string, string | true> = {};
  offer(rcptParameters(recipient, dsn, smtpUtf8), extensions, parameters);
  return parameters;
}

/** Takes what the server offers. What it does not offer is left out, where that was allowed, or an error. */
function offer(
  wanted: readonly Parameter[],
  extensions: Extensions,
  parameters: Record<string, string | true>,
): void {
  for (const { extension, keyword, value, ifOffered } of wanted) {
    if (extension !== "") {
      if (ifOffered && !extensions.has(extension)) continue;
      needs(extension, `${keyword} is asked for`, extensions);
    }
    if (keyword in parameters) throw new TypeError(`Cannot send the parameter ${keyword}: it is given twice`);
    parameters[keyword] = value;
  }
}

/** What a server says that it does not do, it need not be asked. */
function withinLimits({ deliverBy, holdFor, holdUntil }: MailParameters, extensions: Extensions): void {
  const least = extensions.deliverBy ?? 0;
  if (deliverBy?.mode === "return" && deliverBy.seconds < least) {
    throw new RangeError(
      `The server takes deliverBy.seconds from ${least}, the current value is ${deliverBy.seconds}`,
    );
  }
  const { maxInterval, maxDateTime } = extensions.futureRelease ?? {};
  if (holdFor !== undefined && holdFor > (maxInterval ?? Infinity)) {
    throw new RangeError(
      `The server holds messages for up to ${maxInterval} seconds, the current value is ${holdFor}`,
    );
  }
  if (holdUntil !== undefined && holdUntil.getTime() > Date.parse(maxDateTime ?? "")) {
    throw new RangeError(
      `The server holds messages until ${maxDateTime}, the current value is ${holdUntil.toISOString()}`,
    );
  }
}

/**
 * Checks the size that the caller says a message has.
 *
 * @param size What the caller says.
 * @param content The message.
 * @returns The size.
 * @throws {RangeError} If it cannot be.
 */
export function sizeOf(size: number, content: Pick<Content, "size">): number {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RangeError(`size is a whole number of bytes, it is ${size}`);
  }
  if (content.size !== undefined && size < content.size) {
    throw new RangeError(`size is ${size} and the message has ${content.size} bytes`);
  }
  return size;
}

/**
 * Gives the value of BODY for what the caller says that a content is.
 *
 * @param body What the caller says.
 * @param content The message.
 * @param extensions What the server offers.
 * @returns The value; `undefined` where none is needed.
 * @throws {SmtpError} `"extension-missing"`, or `"invalid-message"` if it is not what the caller says.
 * @throws {TypeError} If there is no such kind.
 */
export function bodyOf(
  body: NonNullable<MailParameters["body"]>,
  { kinds }: Pick<Content, "kinds">,
  extensions: Extensions,
): string | undefined {
  switch (body) {
    case "binarymime":
      needs("BINARYMIME", 'body is "binarymime"', extensions);
      needs("CHUNKING", 'body is "binarymime"', extensions);
      return "BINARYMIME";
    case "8bitmime":
      needs("8BITMIME", 'body is "8bitmime"', extensions);
      return "8BITMIME";
    case "7bit":
      if (kinds?.eightBit) throw notSevenBit();
      return extensions.eightBitMime ? "7BIT" : undefined;
    default:
      throw new TypeError(`body is "7bit", "8bitmime" or "binarymime", it is "${String(body)}"`);
  }
}

function needs(extension: string, why: string, extensions: Extensions): void {
  if (extensions.has(extension)) return;
  throw new SmtpError(
    "extension-missing",
    `Cannot send: ${why} and the server does not offer ${extension}`,
    { phase: "mail", usable: true },
  );
}
