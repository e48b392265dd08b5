/**
 * Who a message is from and who it is for, as the server is told.
 *
 * @module
 */
import { formatMailbox, isAsciiMailbox, parseMailbox, toAsciiDomain } from "../core/address.ts";
import type { Mailbox } from "../core/address.ts";
import { renderMail, renderRcpt } from "../core/command.ts";
import type { EsmtpParameters } from "../core/command.ts";
import type { Extensions } from "../core/extensions.ts";
import { SmtpError } from "../errors.ts";
import type { Content } from "./message.ts";

/**
 * The envelope: what the server goes by, whatever the header of the message says.
 *
 * Addresses are bare addr-specs, `local-part@domain`, never header text such as `Name <a@b>`.
 */
export interface Envelope {
  /** The reverse-path: where bounces go. `null` or `""` for none, as bounces themselves have it (RFC 5321, section 4.5.5). */
  from: string | null;
  /** The forward-paths: who gets the message. At least one. */
  to: string | readonly string[];
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
 * @param extensions What the server offers.
 * @returns The commands.
 * @throws {SmtpError} `"invalid-envelope"`, `"extension-missing"` or `"message-too-large"`, before anything is sent.
 */
export function renderEnvelope(
  envelope: Envelope,
  content: Content,
  extensions: Extensions,
): RenderedEnvelope {
  const recipients = typeof envelope.to === "string" ? [envelope.to] : [...envelope.to];
  if (recipients.length === 0) {
    throw new SmtpError("invalid-envelope", "Cannot send: the envelope has no recipient", {
      phase: "rcpt",
      usable: true,
    });
  }
  const from = envelope.from === null || envelope.from === "" ? null : parse(envelope.from, "mail");
  const to = recipients.map((recipient) => parse(recipient, "rcpt"));
  const foreign = from !== null && !isAsciiMailbox(from)
    ? from
    : to.find((mailbox) => !isAsciiMailbox(mailbox));
  if (foreign !== undefined && !extensions.smtpUtf8) throw needsSmtpUtf8(foreign);
  const options = { smtpUtf8: foreign !== undefined };
  const parameters = mailParameters(content, extensions, foreign !== undefined);
  return {
    mail: renderMail(from, parameters, options),
    rcpts: to.map((mailbox) => renderRcpt(mailbox, undefined, options)),
    recipients,
  };
}

/** A domain goes as its A-label, with SMTPUTF8 too: the message then gets to servers behind this one that lack it. */
function parse(address: string, phase: "mail" | "rcpt"): Mailbox {
  try {
    return toAsciiDomain(parseMailbox(address));
  } catch (cause) {
    throw new SmtpError("invalid-envelope", cause instanceof Error ? cause.message : String(cause), {
      phase,
      recipient: phase === "rcpt" ? address : undefined,
      usable: true,
      cause,
    });
  }
}

/** A local part has no other form (RFC 6531, section 3.2). */
function needsSmtpUtf8(mailbox: Mailbox): SmtpError {
  const address = formatMailbox(mailbox);
  return new SmtpError(
    "extension-missing",
    `Cannot send: the local part of "${address}" is not ASCII and the server does not offer SMTPUTF8`,
    { phase: "rcpt", recipient: address, usable: true },
  );
}

function mailParameters(content: Content, extensions: Extensions, smtpUtf8: boolean): EsmtpParameters {
  const parameters: Record<string, string | true> = {};
  if (extensions.has("SIZE") && content.size !== undefined) {
    const limit = extensions.size;
    if (limit !== undefined && content.size > limit) {
      throw new SmtpError(
        "message-too-large",
        `Cannot send: the message has ${content.size} bytes, the server takes ${limit}`,
        { phase: "mail", usable: true },
      );
    }
    parameters.SIZE = String(content.size);
  }
  if (content.eightBit && extensions.eightBitMime) parameters.BODY = "8BITMIME";
  if (smtpUtf8) parameters.SMTPUTF8 = true;
  return parameters;
}
