/**
 * A message that can be read only once, while it waits to be sent.
 *
 * @module
 */
import { keep, toSource } from "../client/content.ts";
import type { Message, MessageSource } from "../client/content.ts";

/**
 * Takes a message into the pool's care. Small ones in memory are copied, as the client does; else nothing of it is read or
 * opened. A stream is locked.
 *
 * @param message The message.
 * @returns What to give the client.
 * @throws {TypeError} If it is not a message, or a stream that somebody else reads or has read.
 */
export function hold(message: Message): Message {
  const isRepeatable = typeof message === "string" || typeof message === "function" ||
    message instanceof Uint8Array || message instanceof ArrayBuffer || message instanceof Blob;
  if (isRepeatable) return keep(message);
  const source = toSource(message);
  return source.bytes ?? new HeldStream(source);
}

/**
 * A stream that may be given to one client after the other, as long as nothing was read from it: a client that gives it up
 * cancels what it was given, and that is not the stream itself.
 */
export class HeldStream implements AsyncIterable<Uint8Array> {
  readonly #source: MessageSource;
  #begun = false;

  /** @param source The stream. */
  constructor(source: MessageSource) {
    this.#source = source;
  }

  /** Whether something was read from it, so that it cannot be sent again. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Reads it. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const pieces = this.#source.read();
    return {
      next: () => {
        this.#begun = true;
        return pieces.next();
      },
    };
  }

  /** Gives it up and releases what is behind it. */
  cancel(reason: unknown): void {
    this.#source.cancel(reason);
  }
}
