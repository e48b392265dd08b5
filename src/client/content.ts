/**
 * What a message may be, and how its bytes are read.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";
import { SmtpError } from "../errors.ts";
import { ContentCheck, findKinds } from "./content_check.ts";
import type { ByteKinds, ContentRules } from "./content_check.ts";
import { messageOf } from "./failure.ts";

/** A message that comes in pieces. Text is sent as UTF-8. */
export type MessageStream = ReadableStream<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

/**
 * A whole message: header, empty line, body (RFC 5322). Line ends may be CRLF, LF or CR; lines that begin with a dot need
 * no care. One that does not begin with a header field is refused, see `missingHeader` in the options of `send()`.
 *
 * A stream given to `send()` belongs to it: when the call ends, however it ends, the stream has been read or cancelled. It
 * cannot be sent again: give a function that opens the stream for that. A
 * function that opens a stream is called as often as the message has to be sent: more than once if it goes to more
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

/** Where the bytes of a message come from. */
export interface MessageSource {
  /** The whole of it, if it is in memory. */
  readonly bytes: Uint8Array | undefined;
  /** Its size in bytes as it was given, if that is known. */
  readonly size: number | undefined;
  /** What kinds of bytes it has, if that is known. */
  readonly kinds: ByteKinds | undefined;
  /** Reads it, once, in pieces. `next()` rejects with an `SmtpError` if it cannot be read. */
  read(): AsyncIterator<Uint8Array>;
  /** The same message once more, if it can be read more than once. */
  again?(): MessageSource;
  /** Gives it up and releases what is behind it. */
  cancel(reason: unknown): void;
}

/** A message under the rules of a server: nothing that it does not take comes out of it. */
export class Content {
  readonly #source: MessageSource;
  readonly #rules: ContentRules | undefined;

  /**
   * @param source The message.
   * @param rules What is allowed in it; `undefined` for bytes of any kind, sent as they are (BINARYMIME).
   * @throws {SmtpError} If a message in memory has something in it that is not allowed.
   */
  constructor(source: MessageSource, rules: ContentRules | undefined) {
    this.#source = source;
    this.#rules = rules;
    const { bytes, kinds } = source;
    if (bytes !== undefined && rules !== undefined) new ContentCheck(rules).push(bytes, kinds);
  }

  /** The whole of it, if it is in memory. */
  get bytes(): Uint8Array | undefined {
    return this.#source.bytes;
  }

  /** Its size in bytes before encoding, if it is known. */
  get size(): number | undefined {
    return this.#source.size;
  }

  /** Whether its bytes are sent as they are, line ends included (BINARYMIME). */
  get binary(): boolean {
    return this.#rules === undefined;
  }

  /** Whether it can be sent more than once. */
  get repeatable(): boolean {
    return this.#source.again !== undefined;
  }

  /** The same message once more if it is {@linkcode repeatable}, else this one. */
  again(): Content {
    const { bytes, again } = this.#source;
    return bytes !== undefined || again === undefined ? this : new Content(again(), this.#rules);
  }

  /** The same message, read into memory. */
  gathered(bytes: Uint8Array): Content {
    return new Content(inMemory(bytes), this.#rules);
  }

  /**
   * Reads it, once, in pieces.
   *
   * @returns The pieces. `next()` rejects with an `SmtpError` if the message cannot be read or has something in it that is not
   * allowed.
   */
  read(): AsyncIterator<Uint8Array> {
    const source = this.#source.read();
    if (this.#rules === undefined || this.bytes !== undefined) return source;
    const check = new ContentCheck(this.#rules);
    return {
      async next(): Promise<IteratorResult<Uint8Array>> {
        const piece = await source.next();
        if (!piece.done) check.push(piece.value);
        return piece;
      },
    };
  }

  /** Gives it up and releases what is behind it. */
  cancel(reason: unknown): void {
    this.#source.cancel(reason);
  }
}

/** The size of the pieces of a message in memory: so large that the cost of a piece is negligible, so small that progress shows. */
const PIECE = 256 * 1024;

const encoder = new TextEncoder();

/**
 * Opens a message for reading. A stream is locked from here on.
 *
 * @param message The message.
 * @returns Its source.
 * @throws {TypeError} If it is not a message, or a stream that somebody else reads or has read.
 */
export function toSource(message: Message): MessageSource {
  if (typeof message === "string") return inMemory(encoder.encode(message));
  if (message instanceof Uint8Array) return inMemory(message);
  if (message instanceof ArrayBuffer) return inMemory(new Uint8Array(message));
  if (message instanceof Blob) {
    return { ...streamed(message.stream(), message.size), again: () => toSource(message) };
  }
  if (message instanceof Response) {
    if (message.bodyUsed) throw readBefore("response's body");
    return message.body === null ? inMemory(new Uint8Array()) : streamed(message.body);
  }
  if (message instanceof ReadableStream) return streamed(message);
  if (isAsyncIterable(message)) return iterated(message);
  if (typeof message === "function") {
    return { ...iterated(opened(message)), again: () => toSource(message) };
  }
  throw new TypeError(mustBe("send the message", "it", ruleFor(message), message));
}

/** What a mail has before it is composed, here or in other libraries. */
const OF_A_MAIL = ["subject", "text", "html", "content", "raw", "attachments", "headers"];

/** What a message must be; more of it for somebody who has a mail and not yet its text. */
function ruleFor(given: unknown): string {
  const keys = new Set(typeof given === "object" && given !== null ? Object.keys(given) : []);
  if (keys.has("envelope") && keys.has("message")) {
    return "the `message` of what compose() returns, as in send(mail.envelope, mail.message)";
  }
  const rule =
    "a string, bytes, a Blob, a Response, a ReadableStream, an AsyncIterable or a function that opens one";
  if (!OF_A_MAIL.some((key) => keys.has(key))) return rule;
  return `${rule}; compose() of @streams/smtp/compose makes one of a subject and a text`;
}

function readBefore(what: string): TypeError {
  return new TypeError(
    `Cannot send the message: the ${what} is being read or was sent before, and it can be read only once; ` +
      "to send it again, give a function that opens it, `() => open()`",
  );
}

/** Gives up a message that was never opened. What is not a message, or is locked by somebody else, is left alone. */
export function discardMessage(message: Message, reason: unknown): void {
  try {
    toSource(message).cancel(reason);
  } catch {
    // Nothing of ours to release.
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array | string> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/** What the function opens, opened when the first piece is asked for. */
async function* opened(open: () => unknown): AsyncGenerator<Uint8Array | string, undefined> {
  const stream = await open();
  if (stream instanceof ReadableStream) {
    if (stream.locked) {
      throw new TypeError("The function must open another stream each time, this one is in use");
    }
    yield* readAll(stream);
  } else if (isAsyncIterable(stream)) yield* stream;
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

function inMemory(bytes: Uint8Array): MessageSource {
  const source: MessageSource = {
    bytes,
    size: bytes.length,
    kinds: findKinds(bytes),
    read: () => pieces(bytes),
    again: () => source,
    cancel: () => {},
  };
  return source;
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, undefined> {
  for (let offset = 0; offset < bytes.length; offset += PIECE) yield bytes.subarray(offset, offset + PIECE);
}

function streamed(stream: ReadableStream<Uint8Array | string>, size?: number): MessageSource {
  if (stream.locked) throw readBefore("stream");
  const reader = stream.getReader();
  reader.closed.catch(() => {}); // a stream that fails is reported by the read that meets it
  return {
    bytes: undefined,
    size,
    kinds: undefined,
    read: () => piecesOf(() => reader.read()),
    cancel: (reason) => {
      reader.cancel(reason).catch(() => {});
    },
  };
}

function iterated(iterable: AsyncIterable<Uint8Array | string>): MessageSource {
  let iterator: AsyncIterator<Uint8Array | string> | undefined;
  return {
    bytes: undefined,
    size: undefined,
    kinds: undefined,
    read: () =>
      piecesOf(() => {
        iterator ??= iterable[Symbol.asyncIterator]();
        return iterator.next();
      }),
    cancel() {
      // Whatever the iterator throws now, it is the message's failure that counts.
      try {
        iterator ??= iterable[Symbol.asyncIterator]();
        Promise.resolve(iterator.return?.()).catch(() => {});
      } catch {
        // It has nothing more to release.
      }
    },
  };
}

/** What {@linkcode piecesOf} and the check of the header say about a message. */
const PASSED_ON: ReadonlySet<string> = new Set(["source-failed", "invalid-message"]);

/** Reads pieces as bytes. What the caller's source throws becomes an `SmtpError`. */
function piecesOf(
  next: () => Promise<IteratorResult<unknown> | ReadableStreamReadResult<unknown>>,
): AsyncIterator<Uint8Array> {
  return {
    async next(): Promise<IteratorResult<Uint8Array>> {
      try {
        const { value, done } = await next();
        return done ? { value: undefined, done } : { value: toBytes(value), done: false };
      } catch (cause) {
        // A message that was encoded on the way is read twice.
        if (cause instanceof SmtpError && PASSED_ON.has(cause.code)) throw cause;
        const message = `Cannot read the message: ${messageOf(cause)}`;
        throw new SmtpError("source-failed", message, { phase: "content", usable: true, cause });
      }
    },
  };
}

/**
 * Turns a piece of a message into bytes.
 *
 * @param piece Bytes, or text to send as UTF-8.
 * @returns The bytes.
 * @throws {TypeError} If it is neither.
 */
export function toBytes(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  if (typeof piece === "string") return encoder.encode(piece);
  throw new TypeError(mustBe("send a piece of the message", "it", "bytes or a string", piece));
}
