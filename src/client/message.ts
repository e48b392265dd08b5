/**
 * What a message may be, and how its bytes are had.
 *
 * @module
 */
import { findKinds } from "./content_check.ts";
import type { ByteKinds, ContentCheck } from "./content_check.ts";

/** A source of content that comes in pieces. Text is sent as UTF-8. */
export type MessageStream = ReadableStream<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

/**
 * A whole message: header, empty line, body (RFC 5322). Line ends may be CRLF, LF or CR; lines that begin with a dot need
 * no care.
 *
 * A stream given to `send()` belongs to it: when the call ends, however it ends, the stream has been read or cancelled. A
 * function that opens a stream is called as often as the message has to be sent: more than once where it goes to more
 * recipients than the server takes at a time.
 */
export type Message =
  | string
  | Uint8Array
  | ArrayBuffer
  | Blob
  | Response
  | MessageStream
  | (() => MessageStream | Promise<MessageStream>);

/** A message that is ready to be read. */
export interface Content {
  /** The whole of it, where it is in memory. */
  readonly bytes: Uint8Array | undefined;
  /** Its size in bytes before encoding, where it is known. */
  readonly size: number | undefined;
  /** What kinds of bytes it has, where that is known. */
  readonly kinds: ByteKinds | undefined;
  /** Reads it, once, in pieces. */
  read(): AsyncIterator<Uint8Array>;
  /** The same message once more, where it can be read more than once. */
  again?(): Content;
  /** Whether its bytes are sent as they are, line ends included (BINARYMIME). */
  binary?: boolean | undefined;
  /** Looks at each piece as it is read, where that was not done before. */
  check?: ContentCheck | undefined;
  /** Gives it up: whatever stands behind it is let go. */
  cancel(reason: unknown): void;
}

/** Pieces of a message in memory: large enough that what a piece costs does not count, small enough for progress. */
const PIECE = 256 * 1024;

const encoder = new TextEncoder();

/**
 * Makes a message ready to be read. A stream is locked from here on.
 *
 * @param message The message.
 * @returns Its content.
 * @throws {TypeError} If it is not a message, or a stream that somebody else reads or has read.
 */
export function toContent(message: Message): Content {
  if (typeof message === "string") return inMemory(encoder.encode(message));
  if (message instanceof Uint8Array) return inMemory(message);
  if (message instanceof ArrayBuffer) return inMemory(new Uint8Array(message));
  if (message instanceof Blob) {
    return { ...streamed(message.stream(), message.size), again: () => toContent(message) };
  }
  if (message instanceof Response) {
    if (message.bodyUsed) throw new TypeError("Cannot send the response: its body is already used");
    return message.body === null ? inMemory(new Uint8Array()) : streamed(message.body);
  }
  if (message instanceof ReadableStream) return streamed(message);
  if (isAsyncIterable(message)) return iterated(message);
  if (typeof message === "function") {
    return { ...iterated(opened(message)), again: () => toContent(message) };
  }
  throw new TypeError(
    "Cannot send the message: it must be a string, bytes, a Blob, a Response, a ReadableStream, an AsyncIterable or a " +
      `function that opens one, the current value is ${message === null ? "null" : typeof message}`,
  );
}

/** Gives up a message that was never made ready. What is not a message, or is locked by somebody else, is left alone. */
export function discardMessage(message: Message, reason: unknown): void {
  try {
    toContent(message).cancel(reason);
  } catch {
    // Nothing of ours to let go.
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array | string> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/** What the function opens, opened when the first piece is asked for. */
async function* opened(open: () => unknown): AsyncGenerator<Uint8Array | string, undefined> {
  const stream = await open();
  if (stream instanceof ReadableStream) yield* readAll(stream);
  else if (isAsyncIterable(stream)) yield* stream;
  else throw new TypeError("The function must open a ReadableStream or an AsyncIterable");
}

/** Not every browser iterates over streams. */
async function* readAll(
  stream: ReadableStream<Uint8Array | string>,
): AsyncGenerator<Uint8Array | string, undefined> {
  const reader = stream.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    await reader.cancel();
  }
}

function inMemory(bytes: Uint8Array): Content {
  const content: Content = {
    bytes,
    size: bytes.length,
    kinds: findKinds(bytes),
    read: () => pieces(bytes),
    again: () => content,
    cancel: () => {},
  };
  return content;
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, undefined> {
  for (let offset = 0; offset < bytes.length; offset += PIECE) yield bytes.subarray(offset, offset + PIECE);
}

function streamed(stream: ReadableStream<Uint8Array | string>, size?: number): Content {
  const reader = stream.getReader(); // throws a TypeError where the stream is locked
  reader.closed.catch(() => {}); // a stream that fails is reported by the read that meets it
  return {
    bytes: undefined,
    size,
    kinds: undefined,
    read: () => ({
      async next(): Promise<IteratorResult<Uint8Array>> {
        const { value, done } = await reader.read();
        return done ? { value: undefined, done } : { value: toBytes(value), done: false };
      },
    }),
    cancel: (reason) => {
      reader.cancel(reason).catch(() => {});
    },
  };
}

function iterated(iterable: AsyncIterable<Uint8Array | string>): Content {
  let iterator: AsyncIterator<Uint8Array | string> | undefined;
  return {
    bytes: undefined,
    size: undefined,
    kinds: undefined,
    read() {
      const source = iterator = iterable[Symbol.asyncIterator]();
      return {
        async next(): Promise<IteratorResult<Uint8Array>> {
          const { value, done } = await source.next();
          return done ? { value: undefined, done } : { value: toBytes(value), done: false };
        },
      };
    },
    cancel() {
      // Whatever the iterator makes of it, it is the message's failure that counts.
      try {
        iterator ??= iterable[Symbol.asyncIterator]();
        Promise.resolve(iterator.return?.()).catch(() => {});
      } catch {
        // It has no more to let go than it has let go.
      }
    },
  };
}

function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === "string") return encoder.encode(chunk);
  throw new TypeError(
    `Cannot send a piece of the message: it must be bytes or a string, it is ${typeof chunk}`,
  );
}
