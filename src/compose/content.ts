/**
 * Where the contents of parts come from.
 *
 * @module
 */
import { nameOf, wrong } from "./checks.ts";
import type { ContentStream, MailContent } from "./mail.ts";

/** A content that is being read. */
export interface Reading {
  /** Gives the next piece, `undefined` at the end. */
  read(): Promise<Uint8Array | string | undefined>;
  /** Lets go of what stands behind it. */
  cancel(reason: unknown): Promise<void>;
}

/** A content, checked. */
export interface Content {
  /** What is at hand: it is not read in pieces. */
  readonly stored: string | Uint8Array | undefined;
  /** Starts to read what is not. */
  open(): Reading;
  /** Lets go of a stream that nobody has begun to read. */
  cancel(reason: unknown): Promise<void>;
}

const none = (): Promise<void> => Promise.resolve();

/**
 * Checks a content.
 *
 * @param what What it is, for errors.
 * @param given The content.
 * @returns How it is had. Nothing is opened yet.
 * @throws {TypeError} If it is none.
 */
export function readContent(what: string, given: MailContent): Content {
  if (typeof given === "string" || given instanceof Uint8Array) return stored(given);
  if (given instanceof ArrayBuffer) return stored(new Uint8Array(given));
  if (given instanceof Blob) {
    return { stored: undefined, open: () => fromStream(what, given.stream()), cancel: none };
  }
  if (typeof given === "function") {
    return {
      stored: undefined,
      open: () => fromFunction(what, given),
      cancel: none,
    };
  }
  if (given instanceof ReadableStream || isAsyncIterable(given)) return once(what, given);
  throw wrong(
    what,
    `must be a string, bytes, a Blob, a ReadableStream, an AsyncIterable or a function that opens one, it is ${
      nameOf(given)
    }`,
  );
}

function stored(content: string | Uint8Array): Content {
  return {
    stored: content,
    open() {
      let pieces: (string | Uint8Array)[] = [content];
      return {
        read: () => Promise.resolve(pieces.pop()),
        cancel: () => Promise.resolve(void (pieces = [])),
      };
    },
    cancel: none,
  };
}

/** A stream can be read by the first who wants to. */
function once(what: string, stream: ContentStream): Content {
  let taken = false;
  return {
    stored: undefined,
    open() {
      if (taken) {
        throw wrong(
          what,
          "is a stream that was read already: give a function that opens it to send a mail twice",
        );
      }
      taken = true;
      return fromStream(what, stream);
    },
    async cancel(reason) {
      if (taken) return;
      taken = true;
      await fromStream(what, stream).cancel(reason);
    },
  };
}

function fromStream(what: string, stream: ContentStream): Reading {
  if (stream instanceof ReadableStream) {
    const reader = stream.getReader();
    return {
      async read() {
        const { value, done } = await reader.read();
        return done ? undefined : checkPiece(what, value);
      },
      cancel: (reason) => reader.cancel(reason),
    };
  }
  const iterator = stream[Symbol.asyncIterator]();
  return {
    async read() {
      const { value, done } = await iterator.next();
      return done ? undefined : checkPiece(what, value);
    },
    async cancel() {
      await iterator.return?.();
    },
  };
}

function fromFunction(what: string, open: () => unknown): Reading {
  let reading: Promise<Reading> | undefined;
  const opened = async (): Promise<Reading> => {
    const stream = await open();
    if (stream instanceof ReadableStream || isAsyncIterable(stream)) return fromStream(what, stream);
    throw wrong(what, `must open a ReadableStream or an AsyncIterable, it has given ${nameOf(stream)}`);
  };
  return {
    read: async () => await (await (reading ??= opened())).read(),
    cancel: async (reason) => await (await reading)?.cancel(reason),
  };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array | string> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function checkPiece(what: string, piece: unknown): Uint8Array | string {
  if (piece instanceof Uint8Array || typeof piece === "string") return piece;
  throw wrong(what, `must come in pieces of bytes or text, one is ${nameOf(piece)}`);
}
