/**
 * The seam for what makes ASCII of a message. It knows MIME, and so is not in the client: `./compose` has it.
 *
 * @module
 */
import type { SendOptions } from "./client.ts";
import type { Envelope } from "./envelope.ts";
import { toContent } from "./message.ts";
import type { Content, MessageStream } from "./message.ts";
import type { Session } from "./session.ts";

/** Makes of a message one that has ASCII only, and leaves one alone that has. */
export type ContentEncoder = (message: ReadableStream<Uint8Array>) => MessageStream;

let automatic: ContentEncoder | undefined;

/**
 * Says what `encode: "auto"` does. `./compose` calls it when it is imported.
 *
 * @param encoder Makes ASCII of a message.
 */
export function provideEncoder(encoder: ContentEncoder): void {
  automatic = encoder;
}

/**
 * Makes ASCII of a message, where the server does not take it as it is and the caller wants it so.
 *
 * @param session The server.
 * @param envelope The envelope.
 * @param content The message.
 * @param options What the caller wants.
 * @returns Both, as they are to be sent.
 * @throws {TypeError} If `encode` is none of what it may be, or stands for nothing.
 */
export function encodeFor(
  { extensions }: Session,
  envelope: Envelope,
  content: Content,
  { encode }: SendOptions,
): { envelope: Envelope; content: Content } {
  const encoder = encoderOf(encode);
  const { body, size: _size, ...rest } = envelope;
  const isTaken = body === "binarymime"
    ? extensions.binaryMime && extensions.chunking
    : extensions.eightBitMime || content.kinds?.eightBit === false;
  if (encoder === undefined || isTaken) return { envelope, content };
  return { envelope: rest, content: toContent(encoder(toReadable(content))) };
}

function encoderOf(encode: "never" | "auto" | ContentEncoder | undefined): ContentEncoder | undefined {
  if (encode === undefined || encode === "never") return undefined;
  if (typeof encode === "function") return encode;
  if (encode !== "auto") {
    throw new TypeError(`Cannot send: encode must be "never", "auto" or a function, it is ${String(encode)}`);
  }
  if (automatic !== undefined) return automatic;
  throw new TypeError('Cannot send: encode is "auto", which needs import "@streams/smtp/compose"');
}

/** A message as a stream. Cancelling the stream gives the message up. */
function toReadable(content: Content): ReadableStream<Uint8Array> {
  let source: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      source ??= content.read();
      const { value, done } = await source.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => content.cancel(reason),
  }, { highWaterMark: 0 });
}
