/**
 * Decodes content as a server receives it after `DATA`: finds the end of data and removes stuffed dots.
 *
 * @module
 */
import { ProtocolError } from "../core/errors.ts";
import { loadBlock, MAX_BLOCK_LENGTH, scanBlock, stateAfter } from "./content_block.ts";

const CR = 0x0D;
const LF = 0x0A;
const DOT = 0x2E;

/** The position in a line: what the bytes so far decide about the next one. */
type DecoderState =
  /** After CRLF, or before the first byte: only here does a dot begin the end of data, or is it a stuffed one. */
  | "line-start"
  | "in-line"
  /** After a CR: a LF now completes the line end, anything else makes the CR a bare one. */
  | "after-cr"
  /** After a dot that began a line: it is not content either way. */
  | "after-dot"
  /** After CRLF.CR: this CR is content if no LF follows. */
  | "after-dot-cr"
  /** After CRLF.CRLF. */
  | "ended";

/**
 * Decodes the content after `DATA`, chunk by chunk: the inverse of {@linkcode DataEncoder}.
 *
 * Strict: only CRLF.CRLF ends the data, and only a dot after CRLF is a stuffed one (RFC 5321, section 4.1.1.4). Bare CR
 * and bare LF are not changed. It keeps no content between calls.
 *
 * @example Decode what a client sent
 * ```ts
 * import { DataDecoder } from "@streams/smtp/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const decoder = new DataDecoder();
 * const received = new TextEncoder().encode("Subject: Hi\r\n\r\n..hidden\r\n.\r\nQUIT\r\n");
 * const content = decoder.decode(received);
 * assertEquals(new TextDecoder().decode(content), "Subject: Hi\r\n\r\n.hidden\r\n");
 * assertEquals(decoder.ended, true);
 * assertEquals(new TextDecoder().decode(decoder.rest), "QUIT\r\n");
 * ```
 */
export class DataDecoder {
  #state: DecoderState = "line-start";
  #bareLineEnds = false;
  #rest: Uint8Array = new Uint8Array(0);

  /** Whether the end of data was found. */
  get ended(): boolean {
    return this.#state === "ended";
  }

  /** The bytes after the end of data in the last chunk, a view of it: the commands that the client pipelined. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /**
   * Whether the content holds a CR without LF or a LF without CR. Such a message may end early on another
   * server (SMTP smuggling); RFC 5321, section 2.3.8, forbids them.
   */
  get bareLineEnds(): boolean {
    return this.#bareLineEnds;
  }

  /**
   * Decodes the next chunk. After the end of data nothing is content: the whole chunk is then the
   * {@linkcode DataDecoder.rest}.
   *
   * @param chunk The bytes received; they may be split anywhere.
   * @returns The content in it, empty if there is none: a view of `chunk`, unless a dot had to be removed from its middle.
   * @throws {TypeError} If `chunk` is not a `Uint8Array`.
   */
  decode(chunk: Uint8Array): Uint8Array {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(`Cannot decode content: expected a Uint8Array, got ${typeof chunk}`);
    }
    const content = new Content(chunk);
    let end = 0;
    while (end < chunk.length && this.#state !== "ended") {
      const block = chunk.length <= MAX_BLOCK_LENGTH ? chunk : chunk.subarray(end, end + MAX_BLOCK_LENGTH);
      end += this.#decodeBlock(block, end, content);
    }
    this.#rest = chunk.subarray(end);
    return content.finish(this.#state === "ended" || this.#state === "after-dot-cr" ? content.start : end);
  }

  /** Prepares the decoder for the next message. */
  reset(): void {
    this.#state = "line-start";
    this.#bareLineEnds = false;
    this.#rest = new Uint8Array(0);
  }

  /** Decodes the block at `offset` of the chunk. Returns the number of bytes read, fewer than all at the end of data. */
  #decodeBlock(block: Uint8Array, offset: number, content: Content): number {
    const { length } = block;
    loadBlock(block);
    let i = 0;
    while (i < length) {
      switch (this.#state) {
        case "line-start":
          if (block[i] === DOT) {
            content.skip(offset + i);
            i++;
            this.#state = "after-dot";
          } else {
            this.#state = "in-line";
          }
          break;
        case "in-line":
          i = this.#decodeLines(block, i);
          break;
        case "after-cr":
          if (block[i] === LF) {
            i++;
            this.#state = "line-start";
          } else {
            this.#bareLineEnds = true;
            this.#state = "in-line";
          }
          break;
        case "after-dot":
          if (block[i] === CR) {
            i++;
            this.#state = "after-dot-cr";
          } else {
            this.#state = "in-line";
          }
          break;
        case "after-dot-cr":
          if (block[i] === LF) {
            this.#state = "ended";
            return i + 1;
          }
          // Not the end after all. The CR is content; if it came with the previous chunk, it is not in this one.
          this.#bareLineEnds = true;
          this.#state = "in-line";
          if (offset + i === 0) content.prependCr();
          break;
      }
    }
    return length;
  }

  /** Skips content from inside a line up to a dot that begins one, or to the end of the block. */
  #decodeLines(block: Uint8Array, from: number): number {
    const { length } = block;
    let bare = -1;
    let i = scanBlock(from, length, DOT);
    while (i < length && block[i] !== DOT) {
      this.#bareLineEnds = true;
      bare = i;
      i = scanBlock(i + 1, length, DOT);
    }
    if (i < length) this.#state = "line-start";
    // A bare LF does not begin a line: a dot after it must not end the data, not even in the next chunk (SMTP smuggling).
    else this.#state = bare === length - 1 ? "in-line" : stateAfter(length);
    return i;
  }
}

/** Collects the content of one chunk: a view while it is in one piece, then a copy. */
class Content {
  readonly #chunk: Uint8Array;
  /** The first piece, not yet copied. */
  #from = 0;
  #to = 0;
  #copy: Uint8Array | undefined;
  #copied = 0;
  /** The index at which the current piece begins. */
  start = 0;

  constructor(chunk: Uint8Array) {
    this.#chunk = chunk;
  }

  /** Ends the piece before the byte at `index` and omits that byte. */
  skip(index: number): void {
    this.#take(index);
    this.start = index + 1;
  }

  /** Begins the content with a CR that was held back from the previous chunk. */
  prependCr(): void {
    this.#copy = new Uint8Array(1 + this.#chunk.length);
    this.#copy[0] = CR;
    this.#copied = 1;
  }

  /** Ends the last piece before `end` and returns the content. */
  finish(end: number): Uint8Array {
    this.#take(end);
    if (this.#copy !== undefined) return this.#copy.subarray(0, this.#copied);
    if (this.#to - this.#from === this.#chunk.length) return this.#chunk;
    return this.#chunk.subarray(this.#from, this.#to);
  }

  #take(end: number): void {
    if (end <= this.start) return;
    if (this.#copy === undefined) {
      if (this.#to === 0) {
        this.#from = this.start;
        this.#to = end;
        return;
      }
      this.#copy = new Uint8Array(this.#chunk.length - this.#from);
      this.#append(this.#from, this.#to);
    }
    this.#append(this.start, end);
  }

  #append(from: number, to: number): void {
    this.#copy!.set(this.#chunk.subarray(from, to), this.#copied);
    this.#copied += to - from;
  }
}

/**
 * Decodes the content after `DATA` as it flows through, with {@linkcode DataDecoder}. The readable closes at the end of data.
 * If the source ends before the end of data, or sends bytes after it in the same chunk, the stream fails with a
 * `ProtocolError`: so this is for a source that sends nothing else. A server, whose clients pipeline, uses the
 * {@linkcode DataDecoder} itself.
 *
 * @example Decode a stream
 * ```ts
 * import { DataDecoderStream } from "@streams/smtp/streams";
 * import { toText } from "@std/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const received = new Blob(["Subject: Hi\r\n\r\n..hidden\r\n.\r\n"]).stream();
 * const message = await toText(received.pipeThrough(new DataDecoderStream()));
 * assertEquals(message, "Subject: Hi\r\n\r\n.hidden\r\n");
 * ```
 */
export class DataDecoderStream extends TransformStream<Uint8Array, Uint8Array> {
  /** Makes a stream for one message. */
  constructor() {
    const decoder = new DataDecoder();
    super({
      transform(chunk, controller): void {
        const content = decoder.decode(chunk);
        const { length } = decoder.rest;
        if (length > 0) {
          throw new ProtocolError(`Cannot decode the content: ${length} bytes follow the end of data`);
        }
        if (content.length > 0) controller.enqueue(content);
        if (decoder.ended) controller.terminate();
      },
      flush(): void {
        throw new ProtocolError("Cannot decode the content: the stream ended before the end of data");
      },
    });
  }
}
