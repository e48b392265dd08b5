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
 *
 * Bytes of up to 64 KiB are copied at once: their memory may be used for something else as soon as `send()` has returned its
 * promise. More must stay as they are until that has settled, and so must a chunk of a stream until the next one is asked for.
 * Where they do not, what leaves is still checked, and every line that could end the message is escaped; `send()` rejects with
 * `"invalid-message"` if what it finds is not allowed, or the memory was resized or transferred.
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
  /** Whether its memory is ours: otherwise the caller may change it at any time. */
  readonly owned: boolean;
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

/**
 * A message under the rules of a server: nothing that it does not take comes out of it, whatever becomes meanwhile of the
 * memory that the caller gave.
 */
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

  /** The whole of it, checked, if it is in memory that nobody else can change. */
  get bytes(): Uint8Array | undefined {
    return this.#source.owned ? this.#source.bytes : undefined;
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
   * Reads it, once, in pieces of at most 256 KiB.
   *
   * What the caller can still change is copied, and only then checked: bytes that change between the check and the wire
   * could end the content, and what follows would be commands.
   *
   * @param reuse Whether the memory of a piece may be used for the next one.
   * @returns The pieces. `next()` rejects with an `SmtpError` if the message cannot be read or has something in it that is not
   * allowed.
   */
  read(reuse = false): AsyncIterator<Uint8Array> {
    const source = this.#source.read();
    if (this.bytes !== undefined) return source;
    const rules = this.#rules;
    const { bytes, kinds } = this.#source;
    // One that was whole in memory was checked before, and its envelope says what was seen then.
    const check = rules &&
      new ContentCheck(kinds?.eightBit === false ? { ...rules, eightBit: "excluded" } : rules);
    let memory = new Uint8Array();
    let chunk = memory;
    let length = 0;
    let at = 0;
    return {
      next: async (): Promise<IteratorResult<Uint8Array>> => {
        while (at === length) {
          const next = await source.next();
          if (next.done) return next;
          chunk = next.value as Uint8Array<ArrayBuffer>;
          length = chunk.length;
          at = 0;
        }
        if (chunk.length !== length) throw changed(); // resized, or transferred to somebody else
        const size = Math.min(PIECE, length - at);
        if (!reuse || memory.length < size) memory = new Uint8Array(size);
        const piece = memory.subarray(0, size);
        piece.set(chunk.subarray(at, at + size));
        at += size;
        try {
          check?.push(piece);
        } catch (error) {
          throw bytes === undefined ? error : changed(error);
        }
        return { value: piece, done: false };
      },
    };
  }

  /** Gives it up and releases what is behind it. */
  cancel(reason: unknown): void {
    this.#source.cancel(reason);
  }
}

/**
 * The largest piece that is encoded and written in one go. Larger ones are cut, so that progress is seen and an abort is
 * heard; smaller ones would cost more turns: at 256 KiB what a turn costs is below 1 %.
 */
const PIECE = 256 * 1024;

/**
 * The largest message that is copied when it is given to us. Copying 64 KiB takes less time than looking at it does, which
 * is done in any case; more would double the memory of everything that waits.
 */
const MAX_COPIED = 64 * 1024;

/** The caller has changed memory that it had promised to leave alone. */
function changed(cause?: unknown): SmtpError {
  return new SmtpError(
    "invalid-message",
    "Cannot send: the message was changed while it was being sent; only up to 64 KiB are copied before",
    { phase: "content", usable: true, cause },
  );
}

/**
 * Copies a message in bytes, unless it is so large that this costs too much.
 *
 * @param message The message.
 * @returns A copy, or the same message.
 */
export function keep<T>(message: T): T | Uint8Array {
  const bytes = message instanceof ArrayBuffer ? new Uint8Array(message) : message;
  // Not slice(): that of a Buffer copies nothing.
  return bytes instanceof Uint8Array && bytes.length <= MAX_COPIED ? new Uint8Array(bytes) : bytes;
}

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
  const bytes = keep(message);
  if (bytes instanceof Uint8Array) return inMemory(bytes, bytes.length <= MAX_COPIED);
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

function inMemory(bytes: Uint8Array, owned = true): MessageSource {
  const { length } = bytes;
  const source: MessageSource = {
    bytes,
    owned,
    size: length,
    kinds: findKinds(bytes),
    read: () => pieces(bytes, length),
    again: () => source,
    cancel: () => {},
  };
  return source;
}

async function* pieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array, undefined> {
  for (let offset = 0; offset < length; offset += PIECE) {
    if (bytes.length !== length) throw changed();
    yield bytes.subarray(offset, offset + PIECE);
  }
}

function streamed(stream: ReadableStream<Uint8Array | string>, size?: number): MessageSource {
  if (stream.locked) throw readBefore("stream");
  const reader = stream.getReader();
  reader.closed.catch(() => {}); // a stream that fails is reported by the read that meets it
  return {
    bytes: undefined,
    owned: false,
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
    owned: false,
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
