/**
 * The sender and the recipients of a message, and the parameters that go with them, as commands.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";
import { formatMailbox, isAsciiMailbox, parseMailbox, toAsciiDomain } from "../core/address.ts";
import type { Mailbox } from "../core/address.ts";
import { renderCommand } from "../core/command.ts";
import type { Extensions } from "../core/extensions.ts";
import { mustExist } from "../core/option_names.ts";
import type { OptionNames } from "../core/option_names.ts";
import {
  checkMailNames,
  checkRcptNames,
  MAIL_NAMES,
  mailParameters,
  RCPT_NAMES,
  rcptParameters,
} from "../core/parameters.ts";
import type { MailParameters, Parameter, RcptParameters } from "../core/parameters.ts";
import { SmtpError } from "../errors.ts";
import type { InvalidRecipient } from "../errors.ts";
import { needsEightBitMime, notSevenBit } from "./content_check.ts";
import type { ByteKinds } from "./content_check.ts";
import { messageOf } from "./failure.ts";
import { ENVELOPE_HINTS, RECIPIENT_HINTS } from "./foreign_options.ts";

/** A recipient of whom more is to be said than the address. */
export interface Recipient extends RcptParameters {
  /** A bare addr-spec, `local-part@domain`. */
  address: string;
}

/**
 * The envelope: the server uses it, whatever the header of the message says.
 *
 * Addresses are bare addr-specs, `local-part@domain`, never header text such as `Name <a@b>`. Asking for an extension that
 * the server lacks is an error before anything is sent.
 */
export interface Envelope extends MailParameters {
  /** The reverse-path: where bounces go. `null` or `""` for none, as bounces themselves have it (RFC 5321, section 4.5.5). */
  from: string | null;
  /** The forward-paths: who gets the message. At least one. */
  to: string | Recipient | readonly (string | Recipient)[];
}

const ENVELOPE_NAMES: OptionNames<Envelope> = { from: true, to: true, ...MAIL_NAMES };

const RECIPIENT_NAMES: OptionNames<Recipient> = { address: true, ...RCPT_NAMES };

/** What an envelope is rendered for. */
export interface EnvelopeTarget {
  /** What the server offers. */
  readonly extensions: Extensions;
  /** Whether the connection is protected by TLS, with the server's certificate checked. */
  readonly protected: boolean;
}

/** What the parameters of MAIL say about a message. */
export interface MessageFacts {
  /** Its size in bytes as it was given, if that is known. */
  readonly size: number | undefined;
  /** What kinds of bytes it has, if that is known. */
  readonly kinds: ByteKinds | undefined;
}

/** The commands that say an envelope. */
export interface RenderedEnvelope {
  readonly mail: string;
  readonly rcpts: readonly string[];
  readonly recipients: readonly string[];
  /** The recipients that the server is not asked about. */
  readonly invalid: readonly InvalidRecipient[];
}

/**
 * Checks an envelope and renders it for a server.
 *
 * @param envelope The envelope.
 * @param message The message that it is for.
 * @param target The server.
 * @param policy Whether one recipient that is not valid stops the message for all. Default: `"some"`.
 * @returns The commands.
 * @throws {SmtpError} `"invalid-envelope"`, `"extension-missing"` or `"message-too-large"`, before anything is sent.
 * @throws {TypeError} If it has an option that does not exist.
 */
export function renderEnvelope(
  given: Envelope,
  message: MessageFacts,
  target: EnvelopeTarget,
  policy: "some" | "all" = "some",
): RenderedEnvelope {
  const envelope = checkEnvelopeNames(given);
  const isList = Array.isArray(envelope.to);
  const to = (isList ? envelope.to : [envelope.to]) as readonly (string | Recipient)[];
  if (to.length === 0) {
    throw new SmtpError("invalid-envelope", "Cannot send: the envelope has no recipient", {
      phase: "rcpt",
      usable: true,
    });
  }
  const from = parseReversePath(envelope.from);
  const { valid, paths, isForeign, invalid } = sort(to, isList, policy, target.extensions);
  const smtpUtf8 = envelope.smtpUtf8 === true || isForeign || needsSmtpUtf8([from]);
  if (smtpUtf8) mustOfferSmtpUtf8([from, ...paths], target.extensions);
  const wanted = Object.assign(envelope, { smtpUtf8 });
  return {
    mail: renderMailCommand(from, wanted, message, target),
    rcpts: valid.map((recipient, index) => renderRcptCommand(paths[index]!, recipient, wanted, target)),
    recipients: valid.map(addressOf),
    invalid,
  };
}

/**
 * Copies an envelope that is not rendered at once, with the lists and objects in it: the caller may use them again.
 *
 * @param envelope The envelope.
 * @returns The copy.
 */
export function keepEnvelope(envelope: Envelope): Envelope {
  try {
    // An object of a class may have its values elsewhere.
    return Object.getPrototypeOf(envelope) === Object.prototype ? structuredClone(envelope) : envelope;
  } catch {
    return envelope; // it has something in it that no envelope has: an error when it is rendered
  }
}

/**
 * Refuses options of an envelope that do not exist.
 *
 * @param envelope The envelope.
 * @returns Its own, see {@linkcode mustExist}.
 * @throws {TypeError} If there are others.
 */
export function checkEnvelopeNames(envelope: Envelope): Envelope {
  const own = mustExist("send", envelope, ENVELOPE_NAMES, { within: "envelope", hints: ENVELOPE_HINTS });
  checkMailNames(own);
  return own;
}

/**
 * The recipients that this server can be asked about, with their mailboxes, whether one needs SMTPUTF8, and the others.
 */
function sort(
  to: readonly (string | Recipient)[],
  isList: boolean,
  policy: "some" | "all",
  extensions: Extensions,
): { valid: (string | Recipient)[]; paths: Mailbox[]; isForeign: boolean; invalid: InvalidRecipient[] } {
  const valid: (string | Recipient)[] = [];
  const paths: Mailbox[] = [];
  const invalid: InvalidRecipient[] = [];
  let isForeign = false;
  for (let i = 0; i < to.length; i++) {
    const recipient = to[i]!;
    try {
      const path = parseRecipient(recipient, isList ? i : "to");
      if (!isAsciiMailbox(path)) {
        mustOfferSmtpUtf8([path], extensions);
        isForeign = true;
      }
      valid.push(recipient);
      paths.push(path);
    } catch (error) {
      const address = addressOf(recipient);
      // What is no text at all is a mistake in the program, and no recipient.
      if (!(error instanceof SmtpError) || typeof address !== "string") throw error;
      invalid.push({ recipient: address, error });
    }
  }
  const [first] = invalid;
  if (first === undefined || (policy === "some" && valid.length > 0)) {
    return { valid, paths, isForeign, invalid };
  }
  const { code, message, cause } = first.error;
  throw new SmtpError(code, message, { ...first.error, cause, rejected: invalid });
}

/** A recipient's address, as it was given. */
export function addressOf(recipient: string | Recipient): string {
  return typeof recipient === "object" && recipient !== null ? recipient.address : recipient;
}

/**
 * Refuses options of `mail()` that do not exist.
 *
 * @param parameters The options.
 * @returns Their own, see {@linkcode mustExist}.
 * @throws {TypeError} If there are others.
 */
export function checkMailParameters(parameters: MailParameters): MailParameters {
  const own = mustExist("say MAIL", parameters, MAIL_NAMES, { hints: ENVELOPE_HINTS });
  checkMailNames(own);
  return own;
}

/**
 * Reads a reverse-path.
 *
 * @param from An address; `null` or `""` for none.
 * @returns The mailbox, its domain in ASCII; `null` for none.
 * @throws {SmtpError} `"invalid-envelope"`.
 */
export function parseReversePath(from: string | null): Mailbox | null {
  return from === null || from === "" ? null : parse(from, "mail", "from");
}

/**
 * Reads a recipient's address.
 *
 * @param recipient The recipient.
 * @param where The name of the argument or field, or its index in `to`.
 * @returns The mailbox, its domain in ASCII.
 * @throws {SmtpError} `"invalid-envelope"`.
 * @throws {TypeError} If it has an option that does not exist.
 */
export function parseRecipient(recipient: string | Recipient, where: string | number): Mailbox {
  if (typeof recipient === "object" && recipient !== null) {
    mustExist("send", recipient, RECIPIENT_NAMES, { within: "recipient", hints: RECIPIENT_HINTS });
    checkRcptNames(recipient);
  }
  return parse(addressOf(recipient), "rcpt", where);
}

/** A domain goes as its A-label, with SMTPUTF8 too: the message then gets to later servers that lack it. */
function parse(address: unknown, phase: "mail" | "rcpt", where: string | number): Mailbox {
  try {
    if (typeof address !== "string") {
      const rule = `an address such as "jane@example.org"${
        phase === "mail" ? ", or null for no bounces" : ""
      }`;
      throw new TypeError(mustBe("send", typeof where === "number" ? `to[${where}]` : where, rule, address));
    }
    return toAsciiDomain(parseMailbox(address));
  } catch (cause) {
    throw invalid(cause, phase, phase === "rcpt" && typeof address === "string" ? address : undefined);
  }
}

/**
 * Renders MAIL.
 *
 * @param from Where bounces go.
 * @param wanted What is asked for. `smtpUtf8`: whether SMTPUTF8 is needed; the server is known to offer it then.
 * @param message The message that it is for.
 * @param target The server.
 * @returns The command with its line end.
 * @throws {SmtpError} If something is not valid, or not offered.
 */
export function renderMailCommand(
  from: Mailbox | null,
  wanted: MailParameters,
  message: MessageFacts,
  target: EnvelopeTarget,
): string {
  const { extensions } = target;
  const { smtpUtf8 = false } = wanted;
  const parameters: Record<string, string | true> = {};
  try {
    const size = sizeOf(wanted, message);
    if (size !== undefined && extensions.has("SIZE")) parameters.SIZE = String(withinSize(size, extensions));
    const body = bodyOf(wanted.body, message, extensions);
    if (body !== undefined) parameters.BODY = body;
    if (smtpUtf8) parameters.SMTPUTF8 = true;
    if (wanted.requireTls && !target.protected) {
      // RFC 8689, section 4.2.1.
      throw new SmtpError(
        "extension-missing",
        "Cannot send: requireTls needs a session under TLS in which the server's certificate was checked",
        { phase: "mail", usable: true },
      );
    }
    addOffered(mailParameters(wanted), extensions, parameters);
    mustBeWithinLimits(wanted, extensions);
    return renderCommand({ verb: "MAIL", reversePath: from, parameters }, { smtpUtf8 });
  } catch (cause) {
    throw invalid(cause, "mail");
  }
}

/**
 * Renders RCPT.
 *
 * @param path The recipient's mailbox.
 * @param recipient The recipient, with what is asked for.
 * @param wanted What is asked for with the message.
 * @param target The server.
 * @returns The command with its line end.
 * @throws {SmtpError} If something is not valid, or not offered.
 */
export function renderRcptCommand(
  path: Mailbox,
  recipient: string | Recipient,
  { dsn, smtpUtf8 = false }: MailParameters,
  { extensions }: EnvelopeTarget,
): string {
  const isPlain = typeof recipient === "string";
  const address = isPlain ? recipient : recipient.address;
  try {
    if (isPlain && dsn?.notify === undefined) {
      return renderCommand({ verb: "RCPT", forwardPath: path }, { smtpUtf8 });
    }
    const parameters: Record<string, string | true> = {};
    addOffered(rcptParameters(isPlain ? {} : recipient, dsn, smtpUtf8), extensions, parameters);
    return renderCommand({ verb: "RCPT", forwardPath: path, parameters }, { smtpUtf8 });
  } catch (cause) {
    throw invalid(cause, "rcpt", address);
  }
}

/** Adds what the server offers. What it does not offer is left out, if that was allowed, or an error. */
function addOffered(
  wanted: readonly Parameter[],
  extensions: Extensions,
  parameters: Record<string, string | true>,
): void {
  for (const { extension, keyword, value, ifOffered } of wanted) {
    if (extension !== "") {
      if (ifOffered && !extensions.has(extension)) continue;
      mustOffer(extension, `${keyword} is asked for`, extensions);
    }
    if (keyword in parameters) throw new TypeError(`Cannot send the parameter ${keyword}: it is given twice`);
    parameters[keyword] = value;
  }
}

/** What a server says that it does not do, it need not be asked. */
function mustBeWithinLimits({ deliverBy, holdFor, holdUntil }: MailParameters, extensions: Extensions): void {
  const least = deliverBy === undefined ? 0 : extensions.deliverBy ?? 0;
  if (deliverBy?.mode === "return" && deliverBy.seconds < least) {
    throw new RangeError(
      mustBe("send", "deliverBy.seconds", `at least ${least} for this server`, deliverBy.seconds),
    );
  }
  if (holdFor === undefined && holdUntil === undefined) return;
  const { maxInterval, maxDateTime } = extensions.futureRelease ?? {};
  if (holdFor !== undefined && holdFor > (maxInterval ?? Infinity)) {
    throw new RangeError(
      mustBe("send", "holdFor", `at most ${maxInterval} for this server`, holdFor),
    );
  }
  if (holdUntil !== undefined && holdUntil.getTime() > Date.parse(maxDateTime ?? "")) {
    throw new RangeError(
      mustBe("send", "holdUntil", `at most ${maxDateTime} for this server`, holdUntil.toISOString()),
    );
  }
}

/**
 * The size to announce: what is known, the caller's word if that is more. It counts what is on the wire, with CRLF at the
 * end of each line, but without the dots of DATA (RFC 1870, section 5).
 */
function sizeOf({ size, body }: MailParameters, message: MessageFacts): number | undefined {
  const growth = body === "binarymime" ? 0 : message.kinds?.growth ?? 0;
  const onWire = message.size === undefined ? undefined : message.size + growth;
  if (size === undefined) return onWire;
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RangeError(
      mustBe("send", "size", "a whole number of bytes", size),
    );
  }
  if (message.size !== undefined && size < message.size) {
    throw new RangeError(
      mustBe("send", "size", `at least the ${message.size} bytes of the message`, size),
    );
  }
  return Math.max(size, onWire ?? 0);
}

/** No message that is known to be too large for the server is begun. */
function withinSize(size: number, { size: limit = Infinity }: Extensions): number {
  if (size <= limit) return size;
  throw new SmtpError(
    "message-too-large",
    `Cannot send: the message has ${size} octets on the wire, the server takes ${limit}`,
    { phase: "mail", usable: true },
  );
}

/** The value of BODY; `undefined` if none is needed. A stream may have bytes above 127: they are found on the way. */
function bodyOf(
  body: MailParameters["body"],
  { kinds }: MessageFacts,
  extensions: Extensions,
): string | undefined {
  switch (body) {
    case undefined:
      if (extensions.eightBitMime) return kinds?.eightBit === false ? undefined : "8BITMIME";
      if (kinds?.eightBit) throw needsEightBitMime();
      return undefined;
    case "binarymime":
      mustOffer("BINARYMIME", 'body is "binarymime"', extensions);
      mustOffer("CHUNKING", 'body is "binarymime"', extensions);
      return "BINARYMIME";
    case "8bitmime":
      mustOffer("8BITMIME", 'body is "8bitmime"', extensions);
      return "8BITMIME";
    case "7bit":
      if (kinds?.eightBit) throw notSevenBit();
      return extensions.eightBitMime ? "7BIT" : undefined;
    default:
      throw new TypeError(
        mustBe("send", "body", '"7bit", "8bitmime" or "binarymime"', body),
      );
  }
}

function mustOffer(extension: string, why: string, extensions: Extensions): void {
  if (extensions.has(extension)) return;
  throw new SmtpError(
    "extension-missing",
    `Cannot send: ${why} and the server does not offer ${extension}`,
    { phase: "mail", usable: true },
  );
}

/** Whether an address has a local part beyond ASCII, which has no other form (RFC 6531, section 3.2). */
export function needsSmtpUtf8(mailboxes: readonly (Mailbox | null)[]): boolean {
  return mailboxes.some((mailbox) => mailbox !== null && !isAsciiMailbox(mailbox));
}

/** Throws if SMTPUTF8 is needed, for one of the addresses or because it was asked for, and not offered. */
export function mustOfferSmtpUtf8(
  mailboxes: readonly (Mailbox | null)[],
  extensions: Extensions,
): void {
  if (extensions.smtpUtf8) return;
  const foreign = mailboxes.find((mailbox) => mailbox !== null && !isAsciiMailbox(mailbox));
  const address = foreign ? formatMailbox(foreign) : undefined;
  const why = address === undefined ? "smtpUtf8 is set" : `the local part of "${address}" is not ASCII`;
  throw new SmtpError("extension-missing", `Cannot send: ${why} and the server does not offer SMTPUTF8`, {
    phase: "rcpt",
    recipient: address,
    usable: true,
  });
}

/** What the caller gave is not right; nothing was sent. */
function invalid(cause: unknown, phase: "mail" | "rcpt", recipient?: string): SmtpError {
  if (cause instanceof SmtpError) return cause;
  return new SmtpError("invalid-envelope", messageOf(cause), {
    phase,
    recipient,
    usable: true,
    cause,
  });
}
