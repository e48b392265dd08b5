/**
 * The seam for what turns a message into ASCII. That takes knowledge of MIME, so it is not in the client: `./compose` has it.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";
import type { Extensions } from "../core/extensions.ts";
import { toSource } from "./content.ts";
import type { MessageSource, MessageStream } from "./content.ts";
import type { Envelope } from "./envelope.ts";

/** Turns a message into one that has ASCII only, and leaves a message alone that has nothing else. */
export type ContentEncoder = (message: ReadableStream<Uint8Array>) => MessageStream;

let automatic: ContentEncoder | undefined;

/**
 * Sets what `encode: "auto"` does. `./compose` calls it when it is imported.
 *
 * @param encoder Turns a message into ASCII; `undefined` for nothing.
 * @returns What was set before.
 */
export function provideEncoder(encoder: ContentEncoder | undefined): ContentEncoder | undefined {
  const before = automatic;
  automatic = encoder;
  return before;
}

/**
 * Turns a message into ASCII, if the server does not take it as it is and the caller wants it so.
 *
 * @param encode What the caller wants.
 * @param envelope The envelope.
 * @param source The message.
 * @param extensions What the server offers.
 * @returns Envelope and message, as they are to be sent.
 * @throws {TypeError} If `encode` is not valid, or `"auto"` and `./compose` was not imported.
 */
export function encodeFor(
  encode: "never" | "auto" | ContentEncoder,
  envelope: Envelope,
  source: MessageSource,
  extensions: Extensions,
): { envelope: Envelope; source: MessageSource } {
  const encoder = encoderOf(encode);
  const { body, size: _size, ...rest } = envelope;
  const isTaken = body === "binarymime"
    ? extensions.binaryMime && extensions.chunking
    : extensions.eightBitMime || source.kinds?.eightBit === false;
  if (encoder === undefined || isTaken) return { envelope, source };
  const encoded = toSource(encoder(toReadable(source)));
  // An encoder that was never started does not pass the end on.
  const cancel = (reason: unknown) => {
    encoded.cancel(reason);
    source.cancel(reason);
  };
  return { envelope: rest, source: { ...encoded, cancel } };
}

function encoderOf(encode: "never" | "auto" | ContentEncoder): ContentEncoder | undefined {
  if (encode === "never") return undefined;
  if (typeof encode === "function") return encode;
  if (encode !== "auto") {
    throw new TypeError(mustBe("send", "encode", '"never", "auto" or a function', encode));
  }
  if (automatic !== undefined) return automatic;
  throw new TypeError('Cannot send: encode is "auto", which needs import "@streams/smtp/compose"');
}

/** A message as a stream. Cancelling the stream gives the message up. */
function toReadable(message: MessageSource): ReadableStream<Uint8Array> {
  let source: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      source ??= message.read();
      const { value, done } = await source.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => message.cancel(reason),
  }, { highWaterMark: 0 });
}
