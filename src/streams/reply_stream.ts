/**
 * Reads a server's replies, as a stream and as an async iterator.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { ReplyDecoder, type ReplyDecoderOptions } from "../core/reply_decoder.ts";

/**
 * Turns a server's bytes into replies, with {@linkcode ReplyDecoder}. Fails with a `ProtocolError` if they are not a reply, are
 * too long, or end within one. A chunk that holds many replies gives them all at once; {@linkcode readReplies} gives them one
 * at a time.
 *
 * @example Read replies through a stream
 * ```ts
 * import { ReplyDecoderStream } from "@streams/smtp/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const received = new Blob(["250 OK\r\n354 Go ahead\r\n"]).stream();
 * const codes = [];
 * for await (const reply of received.pipeThrough(new ReplyDecoderStream())) codes.push(reply.code);
 * assertEquals(codes, [250, 354]);
 * ```
 */
export class ReplyDecoderStream extends TransformStream<Uint8Array, Reply> {
  /**
   * Makes a stream for one connection.
   *
   * @param options The limits.
   * @throws {RangeError} If a limit is not a whole number from 1 up.
   */
  constructor(options?: ReplyDecoderOptions) {
    const decoder = new ReplyDecoder(options);
    super({
      transform(chunk, controller): void {
        decoder.push(chunk);
        let reply: Reply | undefined;
        while ((reply = decoder.next()) !== undefined) controller.enqueue(reply);
      },
      flush(): void {
        decoder.end();
      },
    });
  }
}

/** Options of {@linkcode readReplies}. */
export interface ReadRepliesOptions extends ReplyDecoderOptions {
  /** Ends the iteration: the `next()` that waits, or else the following one, rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Whether the readable stays open when the iteration ends before it does. Default: `false`. */
  preventCancel?: boolean | undefined;
}

/**
 * Reads a server's replies one at a time.
 *
 * It reads on demand: a read is in flight only while a `next()` waits that no received reply can answer, and then only
 * one. `next()` may be called again before the last one has settled; replies come in order. The readable is locked at
 * once and released as soon as the iteration ends: at the end of the stream, with an error, on abort, or by `return()`,
 * which also settles every `next()` that waits. Unless `preventCancel` is set, all but the first cancel the readable.
 *
 * @param readable The server's bytes.
 * @param options The limits, a signal, and whether to leave the readable open.
 * @returns The replies. If the bytes are not a reply, are too long, or end within a reply, `next()` rejects with a
 * `ProtocolError`; if the readable fails, with its error.
 * @throws {TypeError} If the readable is locked.
 * @throws {RangeError} If a limit is not a whole number from 1 up.
 *
 * @example Read replies
 * ```ts
 * import { readReplies } from "@streams/smtp/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const received = new Blob(["220 mx.example.com ESMTP\r\n", "250-mx.example.com\r\n250 PIPELINING\r\n"]).stream();
 * const replies = readReplies(received);
 * assertEquals((await replies.next()).value?.text, "mx.example.com ESMTP");
 * for await (const reply of replies) assertEquals(reply.lines, ["mx.example.com", "PIPELINING"]);
 * ```
 */
export function readReplies(
  readable: ReadableStream<Uint8Array>,
  options: ReadRepliesOptions = {},
): ReplyIterator {
  return new ReplyIterator(readable, options);
}

/** A `next()` that waits for its reply. */
interface Waiter {
  resolve(result: IteratorResult<Reply, undefined>): void;
  reject(error: unknown): void;
}

/** The replies that {@linkcode readReplies} reads. */
// Not an async generator: its `return()` would wait for a `next()` that a silent server never answers.
export class ReplyIterator implements AsyncIterableIterator<Reply> {
  readonly #decoder: ReplyDecoder;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  readonly #preventCancel: boolean;
  readonly #onAbort = (): void => void this.#stop({ error: this.#signal?.reason });
  readonly #waiters: Waiter[] = [];
  #reading = false;
  #ended = false;
  /** An error that no `next()` has reported yet. */
  #failure: { readonly error: unknown } | undefined;

  /**
   * `readReplies()` makes it.
   *
   * @param readable What the server sends.
   * @param options The limits, a signal, and whether to leave the readable open.
   */
  constructor(readable: ReadableStream<Uint8Array>, options: ReadRepliesOptions) {
    this.#decoder = new ReplyDecoder(options);
    this.#reader = readable.getReader();
    this.#signal = options.signal;
    this.#preventCancel = options.preventCancel ?? false;
    if (this.#signal?.aborted) this.#onAbort();
    else this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /**
   * How many bytes were received that are not part of a reply that was returned. Before TLS starts it must be 0: what else
   * came may be somebody else's words (RFC 3207, "NO STARTTLS").
   */
  get bufferedLength(): number {
    return this.#decoder.bufferedLength;
  }

  /** The iterator itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Waits for the next reply. */
  next(): Promise<IteratorResult<Reply, undefined>> {
    // Fast path: the reply has been received already.
    if (!this.#ended && !this.#reading) {
      const reply = this.#nextReceived();
      if (reply !== undefined) return Promise.resolve({ done: false, value: reply });
    }
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (!this.#reading) void this.#read();
    });
  }

  /** Ends the iteration. */
  async return(): Promise<IteratorResult<Reply, undefined>> {
    this.#failure = undefined;
    await this.#stop();
    return { done: true, value: undefined };
  }

  /** The next of the replies received, unless the iteration ends with an error here. */
  #nextReceived(): Reply | undefined {
    try {
      return this.#decoder.next();
    } catch (error) {
      void this.#stop({ error });
      return undefined;
    }
  }

  /** Reads until no `next()` waits any more. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#waiters.length > 0) {
        const { done, value } = await this.#reader.read();
        if (done) {
          this.#decoder.end();
          return await this.#stop();
        }
        this.#decoder.push(value);
        let reply: Reply | undefined;
        while (this.#waiters.length > 0 && (reply = this.#decoder.next()) !== undefined) {
          this.#waiters.shift()!.resolve({ done: false, value: reply });
        }
      }
    } catch (error) {
      // The read in flight when the iteration ends meets the end of the stream, or a lost lock. #stop() then does nothing.
      void this.#stop({ error });
    } finally {
      this.#reading = false;
    }
  }

  /** Ends the iteration. The first `next()` that waits, or else the following one, gets the failure, the others `done`. */
  async #stop(failure?: { readonly error: unknown }): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const cancelled = this.#preventCancel ? undefined : this.#reader.cancel(failure?.error);
    this.#reader.releaseLock();
    const [first, ...others] = this.#waiters.splice(0);
    if (failure === undefined) first?.resolve({ done: true, value: undefined });
    else if (first !== undefined) first.reject(failure.error);
    else this.#failure = failure;
    for (const waiter of others) waiter.resolve({ done: true, value: undefined });
    try {
      await cancelled;
    } catch (error) {
      // It goes to the caller of `return()`, as with the iterator of a ReadableStream; the others have their error.
      if (failure === undefined) throw error;
    }
  }
}
