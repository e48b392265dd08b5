/**
 * A message, cut into headers and bodies by `@zone-eu/mailsplit`.
 *
 * @module
 */
import type { Reading } from "./content.ts";
import { ConversionError } from "./conversion_error.ts";
import { loadLibrary, loadNodeStreams } from "./load.ts";

/** Fields of a header, as mailsplit has them: a character for a byte. */
export interface SplitHeaders {
  /** Each field: its name in small letters, and the whole of it, folded as it was. */
  getList(): { key: string; line: string }[];
  addFormatted(key: string, line: string, index: number): void;
  /** Whether the list was changed, and has to be written anew. */
  changed: boolean;
  build(lineEnd?: string): Uint8Array;
}

/** The header of a message or of a part. */
export interface SplitNode {
  readonly type: "node";
  readonly root: boolean;
  readonly parentNode: SplitNode | false | undefined;
  /** The media type in small letters, `"text/plain"` where there is none. */
  readonly contentType: string | false;
  /** The subtype of a multipart. */
  readonly multipart: string | false;
  /** The transfer encoding in small letters, `""` where there is none. */
  readonly encoding: string | false;
  readonly headers: SplitHeaders;
}

/** Bytes: of the body of a part, or of what stands between parts. */
export interface SplitBytes {
  readonly type: "body" | "data";
  readonly node: SplitNode;
  readonly value?: Uint8Array;
}

/** A piece of a message. All pieces together are the message, byte for byte. */
export type SplitPiece = SplitNode | SplitBytes;

/** As much of the library as is used. */
interface Library {
  default: { Splitter: new (options: { ignoreEmbedded: boolean }) => unknown };
}

/** The pieces of a message, one by one, with a look at the next. */
export class SplitMessage {
  readonly #iterator: AsyncIterator<SplitPiece>;
  #peeked: SplitPiece | undefined;
  #ended = false;

  private constructor(iterator: AsyncIterator<SplitPiece>) {
    this.#iterator = iterator;
  }

  /**
   * Begins to split a message.
   *
   * @param reading The message.
   * @returns Its pieces.
   */
  static async open(reading: Reading): Promise<SplitMessage> {
    const { pipe, toNodeReadable } = await loadNodeStreams();
    const { default: { Splitter } } = await loadLibrary<Library>(
      "@zone-eu/mailsplit",
      () => import("@zone-eu/mailsplit"),
    );
    // A message inside is a body for it: we split it ourselves, attached or not.
    const splitter = new Splitter({ ignoreEmbedded: true });
    const source = toNodeReadable(() => reading);
    return new SplitMessage(pipe<SplitPiece>(source, splitter)[Symbol.asyncIterator]());
  }

  /**
   * Looks at the next piece.
   *
   * @returns The piece; `undefined` at the end.
   * @throws {ConversionError} `"structure"` if the message is beyond the limits of the library: 1 MiB of header, 1,000 parts.
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

  /** Takes the piece that was looked at. */
  take(): void {
    this.#peeked = undefined;
  }

  /**
   * Reads the body of a part, up to where something else begins.
   *
   * @returns The pieces.
   */
  async *body(): AsyncGenerator<Uint8Array, undefined> {
    for (let piece = await this.peek(); piece?.type === "body"; piece = await this.peek()) {
      this.take();
      yield piece.value!;
    }
  }

  /** Lets go of the message. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
