/**
 * Who a message is from and who it is for, as the server is told, and what is asked for with it.
 *
 * @module
 */
import { formatMailbox, isAsciiMailbox, parseMailbox, toAsciiDomain } from "../core/address.ts";
import type { Mailbox } from "../core/address.ts";
import { renderCommand } from "../core/command.ts";
import type { Extensions } from "../core/extensions.ts";
import type { DsnRequest, MailParameters, RcptParameters } from "../core/parameters.ts";
import { SmtpError } from "../errors.ts";
import { needsEightBitMime } from "./content_check.ts";
import type { Content } from "./message.ts";

/** A recipient of whom more is to be said than the address. */
export interface Recipient extends RcptParameters {
  /** A bare addr-spec, `local-part@domain`. */
  address: string;
}

/**
 * The envelope: what the server goes by, whatever the header of the message says.
 *
 * Addresses are bare addr-specs, `local-part@domain`, never header text such as `Name <a@b>`. What is asked for and not
 * offered by the server is an error before anything is sent.
 */
export interface Envelope extends MailParameters {
  /** The reverse-path: where bounces go. `null` or `""` for none, as bounces themselves have it (RFC 5321, section 4.5.5). */
  from: string | null;
  /** The forward-paths: who gets the message. At least one. */
  to: string | Recipient | readonly (string | Recipient)[];
}

/** What renders the parameters that are asked for. Most envelopes ask for none: it is loaded when one does. */
export type Asked = typeof import("./asked.ts");

/** What every message has, and the client sees to by itself. */
const PLAIN: ReadonlySet<string> = new Set(["from", "to", "smtpUtf8"]);

/** Whether an envelope asks for more than the delivery of a message. */
export function asksForMore(envelope: Envelope): boolean {
  for (const key in envelope) if (!PLAIN.has(key)) return true;
  const { to } = envelope;
  if (typeof to === "string") return false;
  return !Array.isArray(to) || to.some((recipient) => typeof recipient !== "string");
}

/** What an envelope is for: a content, a server, and the connection to it. */
export interface EnvelopeContext {
  readonly extensions: Extensions;
  /** Whether the connection is protected by TLS, with the server's certificate checked. */
  readonly protected: boolean;
}

/** The commands that say an envelope. */
export interface RenderedEnvelope {
  readonly mail: string;
  readonly rcpts: readonly string[];
  readonly recipients: readonly string[];
}

/**
 * Checks an envelope and renders it for a server.
 *
 * @param envelope The envelope.
 * @param content The message that it is for.
 * @param context The server.
 * @param asked What renders the parameters that are asked for; needed where {@linkcode asksForMore}.
 * @returns The commands.
 * @throws {SmtpError} `"invalid-envelope"`, `"extension-missing"` or `"message-too-large"`, before anything is sent.
 */
export function renderEnvelope(
  envelope: Envelope,
  content: Pick<Content, "size" | "kinds">,
  context: EnvelopeContext,
  asked?: Asked,
): RenderedEnvelope {
  const { to: given } = envelope;
  const to: readonly (string | Recipient)[] = Array.isArray(given) ? given : [given];
  if (to.length === 0) {
    throw new SmtpError("invalid-envelope", "Cannot send: the envelope has no recipient", {
      phase: "rcpt",
      usable: true,
    });
  }
  const from = parseReversePath(envelope.from);
  const paths = to.map((recipient) => parseRecipient(recipient));
  const foreign = from !== null && !isAsciiMailbox(from)
    ? from
    : paths.find((mailbox) => !isAsciiMailbox(mailbox));
  const smtpUtf8 = foreign !== undefined || envelope.smtpUtf8 === true;
  if (smtpUtf8 && !context.extensions.smtpUtf8) throw needsSmtpUtf8(foreign);
  return {
    mail: renderMailFor(from, envelope, content, context, smtpUtf8, asked),
    rcpts: to.map((recipient, index) =>
      renderRcptFor(paths[index]!, recipient, envelope.dsn, context.extensions, smtpUtf8, asked)
    ),
    recipients: to.map((recipient) => typeof recipient === "string" ? recipient : recipient.address),
  };
}

/**
 * Reads a reverse-path.
 *
 * @param from An address; `null` or `""` for none.
 * @returns The mailbox, its domain in ASCII; `null` for none.
 * @throws {SmtpError} `"invalid-envelope"`.
 */
export function parseReversePath(from: string | null): Mailbox | null {
  return from === null || from === "" ? null : parse(from, "mail");
}

/**
 * Reads a recipient's address.
 *
 * @param recipient The recipient.
 * @returns The mailbox, its domain in ASCII.
 * @throws {SmtpError} `"invalid-envelope"`.
 */
export function parseRecipient(recipient: string | Recipient): Mailbox {
  return parse(typeof recipient === "string" ? recipient : recipient?.address, "rcpt");
}

/** A domain goes as its A-label, with SMTPUTF8 too: the message then gets to servers behind this one that lack it. */
function parse(address: string, phase: "mail" | "rcpt"): Mailbox {
  try {
    return toAsciiDomain(parseMailbox(address));
  } catch (cause) {
    throw invalid(cause, phase, phase === "rcpt" ? address : undefined);
  }
}

/**
 * Renders MAIL.
 *
 * @param from Where bounces go.
 * @param wanted What is asked for.
 * @param content The message that it is for.
 * @param context The server.
 * @param smtpUtf8 Whether SMTPUTF8 is needed; the server is known to offer it then.
 * @param asked What renders the parameters that are asked for.
 * @returns The command with its line end.
 * @throws {SmtpError} If something is not valid, or not offered.
 */
export function renderMailFor(
  from: Mailbox | null,
  wanted: MailParameters,
  content: Pick<Content, "size" | "kinds">,
  { extensions, protected: isProtected }: EnvelopeContext,
  smtpUtf8: boolean,
  asked: Asked | undefined,
): string {
  const parameters: Record<string, string | true> = {};
  try {
    const size = wanted.size === undefined ? content.size : asked!.sizeOf(wanted.size, content);
    if (size !== undefined && extensions.has("SIZE")) parameters.SIZE = String(withinSize(size, extensions));
    const body = wanted.body === undefined
      ? bodyOf(content, extensions)
      : asked!.bodyOf(wanted.body, content, extensions);
    if (body !== undefined) parameters.BODY = body;
    if (smtpUtf8) parameters.SMTPUTF8 = true;
    asked?.addMail(wanted, { extensions, protected: isProtected }, parameters);
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
 * @param dsn What is asked for with the message.
 * @param extensions What the server offers.
 * @param smtpUtf8 Whether the transaction has SMTPUTF8.
 * @param asked What renders the parameters that are asked for.
 * @returns The command with its line end.
 * @throws {SmtpError} If something is not valid, or not offered.
 */
export function renderRcptFor(
  path: Mailbox,
  recipient: string | Recipient,
  dsn: DsnRequest | undefined,
  extensions: Extensions,
  smtpUtf8: boolean,
  asked: Asked | undefined,
): string {
  const address = typeof recipient === "string" ? recipient : recipient.address;
  try {
    const parameters = asked?.rcptParametersFor(recipient, dsn, extensions, smtpUtf8);
    return renderCommand({ verb: "RCPT", forwardPath: path, parameters }, { smtpUtf8 });
  } catch (cause) {
    throw invalid(cause, "rcpt", address);
  }
}

/** No message that is known to be too large for the server is begun. */
function withinSize(size: number, { size: limit = Infinity }: Extensions): number {
  if (size <= limit) return size;
  throw new SmtpError(
    "message-too-large",
    `Cannot send: the message has ${size} bytes, the server takes ${limit}`,
    { phase: "mail", usable: true },
  );
}

/** What a content is whose kind the caller leaves to us. A stream may have bytes above 127: they are found on the way. */
function bodyOf({ kinds }: Pick<Content, "kinds">, { eightBitMime }: Extensions): string | undefined {
  if (eightBitMime) return kinds?.eightBit === false ? undefined : "8BITMIME";
  if (kinds?.eightBit) throw needsEightBitMime();
  return undefined;
}

/** A local part has no other form (RFC 6531, section 3.2). */
export function needsSmtpUtf8(mailbox: Mailbox | undefined): SmtpError {
  const address = mailbox && formatMailbox(mailbox);
  const why = address === undefined ? "smtpUtf8 is set" : `the local part of "${address}" is not ASCII`;
  return new SmtpError("extension-missing", `Cannot send: ${why} and the server does not offer SMTPUTF8`, {
    phase: "rcpt",
    recipient: address,
    usable: true,
  });
}

/** What the caller gave is not right; nothing was sent. */
function invalid(cause: unknown, phase: "mail" | "rcpt", recipient?: string): SmtpError {
  if (cause instanceof SmtpError) return cause;
  return new SmtpError("invalid-envelope", cause instanceof Error ? cause.message : String(cause), {
    phase,
    recipient,
    usable: true,
    cause,
  });
}
