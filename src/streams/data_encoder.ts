/**
 * Encodes content as a client sends it after `DATA`: CRLF line ends, stuffed dots, the end of data.
 *
 * @module
 */
import {
  copyOutput,
  encodeBlock,
  findChange,
  type LineState,
  loadBlock,
  MAX_BLOCK_LENGTH,
  NO_ESCAPE,
  stateAfter,
} from "./content_block.ts";

const LF = 0x0A;
const CR = 0x0D;
const DOT = 0x2E;

/** Options of {@linkcode DataEncoder} and {@linkcode DataEncoderStream}. */
export interface DataEncoderOptions {
  /**
   * Whether dots are stuffed and the content ends with a line of a single dot (RFC 5321, section 4.5.2), as `DATA` needs
   * it. With `false`, as for `BDAT` (RFC 3030), only the line ends are made CRLF. Default: `true`.
   */
  readonly transparency?: boolean;
}

/**
 * Encodes a message for `DATA`, chunk by chunk.
 *
 * Bare CR and bare LF both become CRLF, and dots are stuffed after that: with a bare one, a message could smuggle in an end
 * of data that another server sees (SMTP smuggling; RFC 5321, section 2.3.8). Nothing is held back: all of a chunk is in the
 * output of the same call.
 *
 * @example Encode a message
 * ```ts
 * import { DataEncoder } from "@streams/smtp/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const encoder = new DataEncoder();
 * const content = encoder.encode(new TextEncoder().encode("Subject: Hi\n\n.hidden\n"));
 * assertEquals(new TextDecoder().decode(content), "Subject: Hi\r\n\r\n..hidden\r\n");
 * assertEquals(new TextDecoder().decode(encoder.end()), ".\r\n");
 * ```
 */
export class DataEncoder {
  readonly #escape: number;
  #state: LineState = "line-start";
  /** How much of the last block needed no change. The output of the block follows it. */
  #unchanged = 0;

  /**
   * Makes an encoder, ready for the first byte of a message.
   *
   * @param options Whether dots are stuffed.
   */
  constructor(options: DataEncoderOptions = {}) {
    const { transparency = true } = options;
    this.#escape = transparency ? DOT : NO_ESCAPE;
  }

  /**
   * The most bytes that {@linkcode DataEncoder.encodeInto} may write, whatever came before.
   *
   * @param sourceLength the length of the source, in bytes.
   * @returns Twice that, if all are line ends or dots, and one to complete a line end.
   */
  static maxLength(sourceLength: number): number {
    return 2 * sourceLength + 1;
  }

  /**
   * Encodes the next chunk of the message.
   *
   * @param chunk Any part of the message; it may be split anywhere.
   * @returns `chunk` itself if nothing has to be changed, else new memory of exactly the length needed.
   * @throws {TypeError} If `chunk` is not a `Uint8Array`.
   */
  encode(chunk: Uint8Array): Uint8Array {
    assertBytes(chunk);
    const state = this.#state;
    const length = this.#measure(chunk);
    // Every change adds a byte.
    if (length === chunk.length) return chunk;
    const result = new Uint8Array(length);
    if (chunk.length <= MAX_BLOCK_LENGTH) {
      this.#copyTo(result, 0, chunk, length);
    } else {
      // The second time over: 1.4 GB/s for LF text, and no more memory than the result takes.
      this.#state = state;
      this.#write(chunk, result, 0);
    }
    return result;
  }

  /**
   * Encodes the next chunk of the message into the caller's memory, to save the allocation.
   *
   * @param source Any part of the message; it may be split anywhere.
   * @param target The memory for the output.
   * @param offset The index in `target` of the first byte to write.
   * @returns The number of bytes written.
   * @throws {TypeError} If `source` or `target` is not a `Uint8Array`.
   * @throws {RangeError} If `target` has less than {@linkcode DataEncoder.maxLength} bytes from `offset` on.
   */
  encodeInto(source: Uint8Array, target: Uint8Array, offset: number): number {
    assertBytes(source);
    assertBytes(target);
    const room = DataEncoder.maxLength(source.length);
    if (!Number.isInteger(offset) || offset < 0 || target.length - offset < room) {
      throw new RangeError(
        `Cannot encode ${source.length} bytes: ${room} bytes must be free in the target of length ${target.length} from offset ${offset} on`,
      );
    }
    return this.#write(source, target, offset);
  }

  /**
   * Completes the last line and ends the content. The encoder is then ready for the next message.
   *
   * @returns The missing part of the last line end and, with transparency, the line `.`; may be empty without.
   */
  end(): Uint8Array {
    const end = new Uint8Array(DataEncoder.maxEndLength);
    return end.subarray(0, this.endInto(end, 0));
  }

  /** The most bytes that {@linkcode DataEncoder.endInto} may write: a line end, and a line with a dot. */
  static readonly maxEndLength = 5;

  /**
   * {@linkcode DataEncoder.end} into the caller's memory, to save the allocation.
   *
   * @param target The memory for the output; bytes that do not fit are lost.
   * @param offset The index in `target` of the first byte to write.
   * @returns The number of bytes written.
   */
  endInto(target: Uint8Array, offset: number): number {
    let at = offset;
    if (this.#state === "in-line") target[at++] = CR;
    if (this.#state !== "line-start") target[at++] = LF;
    this.#state = "line-start";
    if (this.#escape !== NO_ESCAPE) {
      target[at++] = DOT;
      target[at++] = CR;
      target[at++] = LF;
    }
    return at - offset;
  }

  /** Encodes without keeping the output, unless there is only one block. Returns the length. */
  #measure(chunk: Uint8Array): number {
    if (chunk.length <= MAX_BLOCK_LENGTH) return this.#encodeBlock(chunk);
    let length = 0;
    for (const block of blocks(chunk)) length += this.#encodeBlock(block);
    return length;
  }

  #write(source: Uint8Array, target: Uint8Array, offset: number): number {
    if (source.length <= MAX_BLOCK_LENGTH) {
      const length = this.#encodeBlock(source);
      this.#copyTo(target, offset, source, length);
      return length;
    }
    let end = offset;
    for (const block of blocks(source)) {
      const length = this.#encodeBlock(block);
      this.#copyTo(target, end, block, length);
      end += length;
    }
    return end - offset;
  }

  /**
   * Encodes a block into the scratch memory, from where {@linkcode DataEncoder.#copyTo} must take it before anything else is
   * done. First it only looks: in CRLF text most blocks need no change at all, and looking is a third faster than
   * copying (4.2 instead of 3.1 GB/s).
   */
  #encodeBlock(block: Uint8Array): number {
    const { length } = block;
    this.#unchanged = 0;
    if (length === 0) return 0;
    loadBlock(block);
    const state = this.#state;
    this.#state = stateAfter(length);
    const unchanged = this.#unchanged = findChange(length, state, this.#escape);
    if (unchanged === length) return length;
    const stateThere = unchanged === 0 ? state : stateAfter(unchanged);
    return encodeBlock(unchanged, unchanged, length, stateThere, this.#escape);
  }

  #copyTo(target: Uint8Array, offset: number, block: Uint8Array, length: number): void {
    const unchanged = this.#unchanged;
    if (unchanged === block.length) return target.set(block, offset);
    if (unchanged > 0) target.set(block.subarray(0, unchanged), offset);
    copyOutput(unchanged, length, target, offset + unchanged);
  }
}

/**
 * Encodes a message for `DATA` as it flows through: {@linkcode DataEncoder} with the end of data after the last chunk.
 * Chunks longer than 64 KiB are split.
 *
 * @example Encode a stream
 * ```ts
 * import { DataEncoderStream } from "@streams/smtp/streams";
 * import { toText } from "@std/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const message = new Blob(["Subject: Hi\n\nHello"]).stream();
 * const content = await toText(message.pipeThrough(new DataEncoderStream()));
 * assertEquals(content, "Subject: Hi\r\n\r\nHello\r\n.\r\n");
 * ```
 */
export class DataEncoderStream extends TransformStream<Uint8Array, Uint8Array> {
  /**
   * Makes a stream for one message.
   *
   * @param options Whether dots are stuffed.
   */
  constructor(options?: DataEncoderOptions) {
    const encoder = new DataEncoder(options);
    super({
      transform(chunk, controller): void {
        assertBytes(chunk);
        for (const block of blocks(chunk)) controller.enqueue(encoder.encode(block));
      },
      flush(controller): void {
        const end = encoder.end();
        if (end.length > 0) controller.enqueue(end);
      },
    });
  }
}

/** Splits a chunk into pieces that fit into the block. */
function* blocks(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let start = 0; start < chunk.length; start += MAX_BLOCK_LENGTH) {
    yield chunk.subarray(start, start + MAX_BLOCK_LENGTH);
  }
}

/** Refuses strings above all: `set()` would read their characters as numbers, and the message would be NULs. */
function assertBytes(bytes: unknown): asserts bytes is Uint8Array {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`Cannot encode content: expected a Uint8Array, got ${describe(bytes)}`);
  }
}

function describe(value: unknown): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}
