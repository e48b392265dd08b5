/**
 * Splits a message into headers and bodies, with `@zone-eu/mailsplit`.
 *
 * @module
 */
import type { ContentReader } from "./content_source.ts";
import { ConversionError } from "./errors.ts";
import { loadLibrary, pipeThrough, toNodeReadable } from "./node_streams.ts";

/** The fields of a header in mailsplit's form: each character stands for one byte. */
export interface SplitHeaders {
  /** Each field: its name in lower case, and the whole field with its folding. */
  getList(): { key: string; line: string }[];
  addFormatted(key: string, line: string, index: number): void;
  /** Whether the list was changed and `build()` has to write it anew. */
  changed: boolean;
  build(lineEnd?: string): Uint8Array;
}

/** The header of a message or of a part. */
export interface SplitNode {
  readonly type: "node";
  readonly root: boolean;
  readonly parentNode: SplitNode | false | undefined;
  /** The media type in lower case, `"text/plain"` where the header names none. */
  readonly contentType: string | false;
  /** The subtype of a multipart, `false` for other types. */
  readonly multipart: string | false;
  /** The transfer encoding in lower case, `""` where the header names none. */
  readonly encoding: string | false;
  readonly headers: SplitHeaders;
}

/** Bytes of a part's body, or bytes between parts. */
export interface SplitBytes {
  readonly type: "body" | "data";
  readonly node: SplitNode;
  readonly value?: Uint8Array;
}

/** A piece of a message. All pieces together make up the message, byte for byte. */
export type SplitPiece = SplitNode | SplitBytes;

/** The part of the library that is used here. */
interface Library {
  default: { Splitter: new (options: { ignoreEmbedded: boolean }) => unknown };
}

/** Reads a message piece by piece, and can look at the next piece without taking it. */
export class MessageSplitter {
  readonly #iterator: AsyncIterator<SplitPiece>;
  #peeked: SplitPiece | undefined;
  #ended = false;

  private constructor(iterator: AsyncIterator<SplitPiece>) {
    this.#iterator = iterator;
  }

  /**
   * Begins to split a message.
   *
   * @param message The message.
   * @returns The splitter.
   */
  static async open(message: ContentReader): Promise<MessageSplitter> {
    const { default: { Splitter } } = await loadLibrary<Library>(
      "@zone-eu/mailsplit",
      () => import("@zone-eu/mailsplit"),
    );
    // The library treats a nested message as a body: seven_bit.ts splits it, attached or not.
    const splitter = new Splitter({ ignoreEmbedded: true });
    const pieces = await pipeThrough<SplitPiece>(await toNodeReadable(() => message), splitter);
    return new MessageSplitter(pieces[Symbol.asyncIterator]());
  }

  /**
   * Looks at the next piece.
   *
   * @returns The piece; `undefined` at the end.
   * @throws {ConversionError} `"structure"` if the message exceeds the library's limits: 1 MiB of header, 1,000 parts.
   */
  async peek(): Promise<SplitPiece | undefined> {
    while (this.#peeked === undefined && !this.#ended) {
      try {
        const { value, done } = await this.#iterator.next();
        if (done) this.#ended = true;
        else if (value.type === "node" || (value.value?.length ?? 0) > 0) this.#peeked = value;
      } catch (cause) {
        if ((cause as { code?: string }).code !== "EMAXLEN") throw cause;
        throw new ConversionError("structure", `Cannot convert the message: ${(cause as Error).message}`, {
          cause,
        });
      }
    }
    return this.#peeked;
  }

  /** Takes the piece that `peek()` returned. */
  take(): void {
    this.#peeked = undefined;
  }

  /**
   * Reads the rest of a part's body.
   *
   * @returns The body in pieces.
   */
  async *body(): AsyncGenerator<Uint8Array, undefined> {
    for (let piece = await this.peek(); piece?.type === "body"; piece = await this.peek()) {
      this.take();
      yield piece.value!;
    }
  }

  /** Stops splitting and cancels the message. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
