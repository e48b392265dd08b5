/**
 * One call of `send()`: its arguments read and rendered, and its way into the pipeline, in one transaction or several.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import { AutomaticDelivery } from "./automatic_delivery.ts";
import { Content, discardMessage, toSource } from "./content.ts";
import type { Message, MessageSource } from "./content.ts";
import { rulesFor } from "./content_check.ts";
import { encodeFor } from "./content_encoder.ts";
import { checkEnvelopeNames, renderEnvelope } from "./envelope.ts";
import type { Envelope, RenderedEnvelope } from "./envelope.ts";
import { badSequence, leavesHope, messageOf } from "./failure.ts";
import { mustHaveHeader, withHeader } from "./header_check.ts";
import { checkSendOptions } from "./options.ts";
import type { SendOptions } from "./options.ts";
import type { Receipt } from "./receipt.ts";
import type { Session } from "./session.ts";

/** A message that is ready to be sent: checked, with its commands rendered. */
export interface ReadyMessage {
  /** The commands of its envelope. */
  readonly envelope: RenderedEnvelope;
  /** The message itself. */
  readonly content: Content;
  /** How the content travels. */
  readonly transfer: "data" | "bdat";
  /** How to send it. */
  readonly options: SendOptions;
}

/**
 * Reads the arguments of `send()`. Everything that can be wrong with them is found here, before a byte is sent.
 *
 * @param session The session.
 * @param envelope Who it is from and who it is for.
 * @param message The message.
 * @param options How.
 * @returns The message, ready to be sent. If this throws, the message was cancelled.
 * @throws {SmtpError | TypeError} If an argument is wrong, or the session cannot send.
 */
export function readMessage(
  session: Session,
  envelope: Envelope,
  message: Message,
  options: SendOptions,
): ReadyMessage {
  const { extensions } = session;
  let source: MessageSource | undefined;
  try {
    checkSendOptions(options);
    const { signal, lineLength = "error", missingHeader = "error", encode } = options;
    mustBeReady(session);
    mustNotBeAborted(signal);
    mustHaveMessage(envelope, message);
    const opened = source = open(message);
    if (missingHeader === "error") source = withHeader(source);
    if (encode !== undefined) ({ envelope, source } = encodeFor(encode, envelope, source, extensions));
    const rendered = renderEnvelope(envelope, source, session, options.recipients);
    const content = new Content(source, rulesFor(envelope.body, lineLength, extensions));
    if (missingHeader === "error" && opened.bytes !== undefined) mustHaveHeader(opened.bytes);
    return { envelope: rendered, content, transfer: transferOf(session, content), options: { ...options } };
  } catch (error) {
    if (source === undefined) discardMessage(message, error);
    else source.cancel(error);
    throw error;
  }
}

/**
 * Throws if there is no message. Whoever passes a whole mail as the only argument, of `compose()` or not yet composed, learns
 * what to do with it.
 *
 * @throws {SmtpError | TypeError} If it is missing.
 */
export function mustHaveMessage(envelope: Envelope, message: Message): void {
  if (message !== undefined) return;
  if ("message" in Object(envelope)) open(envelope as unknown as Message);
  checkEnvelopeNames(envelope);
  open(message);
}

/** Throws if no message can be sent: not any more, or not yet. */
export function mustBeReady(session: Session): void {
  mustBeUsable(session);
  if (session.agreed.hello === undefined) {
    throw badSequence("Cannot send: the server was not greeted, say ehlo() first");
  }
  if (session.settings.security === "starttls" && !session.link.secure) {
    throw badSequence('Cannot send: security is "starttls", say startTls() first');
  }
}

/** Throws if nothing can be sent any more. */
export function mustBeUsable({ pipeline: { failure }, quitting }: Session): void {
  if (failure === undefined && !quitting) return;
  const why = failure === undefined ? "it is saying QUIT" : failure.message;
  throw new SmtpError("client-closed", `Cannot send: the client is closed: ${why}`, {
    phase: "command",
    cause: failure,
    temporary: failure && leavesHope(failure),
  });
}

/** A signal is heard from the beginning of a transaction to its end; this is for the time before and between. */
function mustNotBeAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new SmtpError("aborted", "The send was aborted before it began", {
    phase: "mail",
    cause: signal.reason,
    usable: true,
  });
}

function open(message: Message): MessageSource {
  try {
    return toSource(message);
  } catch (cause) {
    throw new SmtpError("invalid-message", messageOf(cause), {
      phase: "content",
      usable: true,
      cause,
    });
  }
}

/** How a content travels. Binary content goes with BDAT or not at all (RFC 3030). */
function transferOf(session: Session, { binary }: Content): "data" | "bdat" {
  const { extensions: { chunking }, settings: { transfer, protocol }, quirks } = session;
  if (binary) {
    if (transfer === "data") throw transferMissing('body is "binarymime" and transfer is "data"');
    return "bdat";
  }
  if (transfer === "auto") {
    // Servers differ in how many replies a refused BDAT LAST has over LMTP; DATA leaves no doubt.
    if (protocol === "lmtp") return "data";
    return chunking && session.pipelining && !quirks.broken.has("CHUNKING") ? "bdat" : "data";
  }
  if (transfer === "data" || chunking) return transfer;
  throw transferMissing('transfer is "bdat" and the server does not offer CHUNKING');
}

function transferMissing(why: string): SmtpError {
  return new SmtpError("extension-missing", `Cannot send: ${why}`, { phase: "data", usable: true });
}

/** Counts a transaction. The server may have said how many it takes in a session (`MAILMAX`, RFC 9422). */
export function admit(session: Session): void {
  if (session.exhausted) {
    throw new SmtpError(
      "client-closed",
      `Cannot send: the server takes ${session.transactions} messages in a session`,
      { phase: "mail", temporary: true },
    );
  }
  session.transactions++;
}

/**
 * Puts one transaction into the pipeline.
 *
 * @param session The session.
 * @param message The message.
 * @returns The result.
 */
export function deliver(session: Session, message: ReadyMessage): Promise<Receipt> {
  const { envelope, content, transfer, options } = message;
  const { signal, onProgress, recipients: recipientsPolicy = "some" } = options;
  try {
    mustNotBeAborted(signal);
    admit(session);
  } catch (error) {
    content.cancel(error);
    return Promise.reject(error);
  }
  const delivery = new AutomaticDelivery(session, envelope, content, {
    transfer,
    recipientsPolicy,
    signal,
    onProgress,
  });
  session.pipeline.enqueue(delivery);
  return delivery.result;
}
