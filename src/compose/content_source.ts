/**
 * Reads the contents that callers pass in: text, bytes, blobs, streams, and functions that open a stream.
 *
 * @module
 */
import { keep } from "../client/content.ts";
import { describe } from "../core/errors.ts";
import type { ContentStream, MailContent } from "./mail.ts";

/** A content that is being read. */
export interface ContentReader {
  /** Returns the next piece, `undefined` at the end. */
  read(): Promise<Uint8Array | string | undefined>;
  /** Stops reading and cancels the stream underneath. */
  cancel(reason: unknown): Promise<void>;
}

/** A content that was checked and is not being read yet. */
export interface ContentSource {
  /** The whole content, where it is text or bytes in memory. */
  readonly stored: string | Uint8Array | undefined;
  /** Begins to read the content. */
  open(): ContentReader;
  /** Cancels a stream that nobody has begun to read. */
  cancel(reason: unknown): Promise<void>;
}

const doNothing = (): Promise<void> => Promise.resolve();

/**
 * Checks a content. Opens nothing.
 *
 * @param subject What fails and which option it is, for errors: `"Cannot compose the mail: attachments[0].content"`.
 * @param given The content.
 * @returns The content, ready to be opened.
 * @throws {TypeError} If it is not a content.
 */
export function contentSource(subject: string, given: MailContent): ContentSource {
  const kept = keep(given);
  if (typeof kept === "string" || kept instanceof Uint8Array) return fromMemory(kept);
  if (given instanceof Blob) {
    return { stored: undefined, open: () => readStream(subject, given.stream()), cancel: doNothing };
  }
  if (typeof given === "function") {
    return { stored: undefined, open: () => readOpened(subject, given), cancel: doNothing };
  }
  if (given instanceof ReadableStream || isAsyncIterable(given)) return fromStream(subject, given);
  throw new TypeError(
    `${subject} must be a string, bytes, a Blob, a ReadableStream, an AsyncIterable or a function that opens one, ` +
      `the current value is ${describe(given)}`,
  );
}

function fromMemory(content: string | Uint8Array): ContentSource {
  return {
    stored: content,
    open() {
      let pieces: (string | Uint8Array)[] = [content];
      return {
        read: () => Promise.resolve(pieces.pop()),
        cancel: () => Promise.resolve(void (pieces = [])),
      };
    },
    cancel: doNothing,
  };
}

/** A stream can be read once. */
function fromStream(subject: string, stream: ContentStream): ContentSource {
  let taken = false;
  return {
    stored: undefined,
    open() {
      if (taken) {
        throw new TypeError(
          `${subject} is a stream that was read already: to send a mail twice, give a function that opens the stream`,
        );
      }
      taken = true;
      return readStream(subject, stream);
    },
    async cancel(reason) {
      if (taken) return;
      taken = true;
      await readStream(subject, stream).cancel(reason);
    },
  };
}

function readStream(subject: string, stream: ContentStream): ContentReader {
  if (stream instanceof ReadableStream) {
    const reader = stream.getReader();
    return {
      async read() {
        const { value, done } = await reader.read();
        return done ? undefined : checkPiece(subject, value);
      },
      cancel: (reason) => reader.cancel(reason),
    };
  }
  const iterator = stream[Symbol.asyncIterator]();
  return {
    async read() {
      const { value, done } = await iterator.next();
      return done ? undefined : checkPiece(subject, value);
    },
    async cancel() {
      await iterator.return?.();
    },
  };
}

function readOpened(subject: string, open: () => unknown): ContentReader {
  let reader: Promise<ContentReader> | undefined;
  const openOnce = async (): Promise<ContentReader> => {
    const stream = await open();
    if (stream instanceof ReadableStream || isAsyncIterable(stream)) return readStream(subject, stream);
    throw new TypeError(
      `${subject} must open a ReadableStream or an AsyncIterable, it returned ${describe(stream)}`,
    );
  };
  return {
    read: async () => await (await (reader ??= openOnce())).read(),
    cancel: async (reason) => await (await reader)?.cancel(reason),
  };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array | string> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function checkPiece(subject: string, piece: unknown): Uint8Array | string {
  if (piece instanceof Uint8Array || typeof piece === "string") return piece;
  throw new TypeError(`${subject} must consist of pieces of bytes or text, one is ${describe(piece)}`);
}
