/**
 * The content of a transaction as a stream to write to: what `SmtpClient.data()` returns.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import { toBytes } from "./content.ts";
import type { MessageSource } from "./content.ts";
import { leadToCaller, messageOf } from "./failure.ts";
import type { Receipt } from "./receipt.ts";

/** A message that is pushed. It is read one piece at a time: a push ends when the reader comes for the next piece. */
export class PushedSource implements MessageSource {
  readonly bytes = undefined;
  readonly owned = false;
  readonly size = undefined;
  readonly kinds = undefined;
  /** Who waits for a piece. */
  #reader: PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined;
  /** The piece that waits for a reader, or the end. */
  #next: IteratorResult<Uint8Array> | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** Who waits until the piece is done with. */
  #writer: PromiseWithResolvers<void> | undefined;

  /** Pushes a piece. Resolves when it was written and the next is asked for; rejects once nothing more is wanted. */
  push(piece: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    this.#writer = Promise.withResolvers();
    this.#give({ value: piece, done: false });
    return this.#writer.promise;
  }

  /** There are no more pieces. */
  end(): void {
    this.#give({ value: undefined, done: true });
  }

  /** Nothing more is wanted: whoever reads or pushes learns why. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#reader?.reject(error);
    this.#writer?.reject(error);
  }

  /** The reader gives up. */
  cancel(error: unknown): void {
    this.fail(error);
  }

  /** Reads it. */
  async *read(): AsyncGenerator<Uint8Array, undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#writer?.resolve();
      this.#writer = undefined;
      const next = this.#next ?? await this.#wait();
      this.#next = undefined;
      if (next.done) return;
      yield next.value;
    }
  }

  #wait(): Promise<IteratorResult<Uint8Array>> {
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  #give(next: IteratorResult<Uint8Array>): void {
    if (this.#reader === undefined) this.#next = next;
    else this.#reader.resolve(next);
    this.#reader = undefined;
  }
}

/**
 * A stream that takes the content of a message: header, empty line, body. Line ends become CRLF, dots are stuffed, text is
 * sent as UTF-8; writes wait for the server. Closing it ends the message and waits for the server's reply: `close()`
 * rejects with an `SmtpError` if the server refuses the message. Aborting it cuts the connection, the only way to keep a
 * server from taking a part of a message for the whole.
 */
export class MessageWriter extends WritableStream<Uint8Array | string> {
  /** What the server said, once it has taken the message; rejects if it has not. Marked as handled. */
  readonly receipt: Promise<Receipt>;

  /**
   * `SmtpClient.data()` makes it.
   *
   * @param content Where the pieces go.
   * @param receipt The result of the transaction.
   * @param giveUp Ends the transaction. It rejects the receipt.
   */
  constructor(content: PushedSource, receipt: Promise<Receipt>, giveUp: (error: SmtpError) => void) {
    super({
      start(controller) {
        // `abort()` below waits for the write that is under way, which a server that does not read holds up.
        controller.signal.addEventListener("abort", () => {
          const { reason } = controller.signal;
          giveUp(new SmtpError("aborted", "The message was aborted", { phase: "content", cause: reason }));
        });
      },
      async write(chunk) {
        let bytes: Uint8Array;
        try {
          bytes = toBytes(chunk);
        } catch (cause) {
          giveUp(new SmtpError("invalid-message", messageOf(cause), { phase: "content", cause }));
          await receipt;
          return;
        }
        await content.push(bytes);
      },
      async close() {
        content.end();
        await receipt;
      },
      async abort() {
        await receipt.catch(() => {}); // it has the reason
      },
    });
    this.receipt = receipt;
  }

  /**
   * Ends the message, and waits for the server's reply.
   *
   * @returns Resolves once the server has taken the message.
   * @throws {SmtpError} If it has not.
   */
  override close(): Promise<void> {
    return led(super.close());
  }

  /** Makes a writer, which locks the stream. Its `close()` is as {@linkcode MessageWriter.close}. */
  override getWriter(): WritableStreamDefaultWriter<Uint8Array | string> {
    const writer = super.getWriter();
    const close = writer.close.bind(writer);
    writer.close = () => led(close());
    return writer;
  }
}

/** The streams of the runtime do not tell the engine who waits. */
async function led(result: Promise<void>): Promise<void> {
  try {
    await result;
  } catch (error) {
    throw leadToCaller(error);
  }
}
