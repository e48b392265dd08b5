/**
 * Bytes that wait to leave together.
 *
 * @module
 */
import { DataEncoder } from "../streams/data_encoder.ts";

/** Enough for a window of small mails; it grows if one group of commands needs more. */
const INITIAL_CAPACITY = 16 * 1024;

/** The largest buffer that is used again. */
const MAX_KEPT = 1024 * 1024;

/** `BDAT`, a size of up to 16 digits, `LAST` and the line end. */
const MAX_COMMAND = 32;

const encoder = new TextEncoder();

function bdatLast(size: number): string {
  return `BDAT ${size} LAST\r\n`;
}

/** Collects what belongs into one write: the fewer writes, the fewer wake-ups on both sides. */
export class OutputBuffer {
  #bytes = new Uint8Array(INITIAL_CAPACITY);
  #spare = new Uint8Array(INITIAL_CAPACITY);
  #length = 0;

  /** How many bytes wait. */
  get length(): number {
    return this.#length;
  }

  /** Appends text as UTF-8. */
  text(text: string): void {
    this.#reserve(text.length * 3);
    this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
  }

  /** Appends bytes as they are. */
  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Appends a whole content, encoded on the way, with the mark of its end. */
  content(data: DataEncoder, content: Uint8Array): void {
    this.#reserve(DataEncoder.maxLength(content.length) + DataEncoder.maxEndLength);
    this.#length += data.encodeInto(content, this.#bytes, this.#length);
    this.#length += data.endInto(this.#bytes, this.#length);
  }

  /**
   * Appends a whole content as one last BDAT chunk, as it is or encoded on the way.
   *
   * @returns The chunk's size: the bytes after its command.
   */
  lastChunk(data: DataEncoder | undefined, content: Uint8Array): number {
    if (data === undefined) {
      this.text(bdatLast(content.length));
      this.bytes(content);
      return content.length;
    }
    this.#reserve(MAX_COMMAND + DataEncoder.maxLength(content.length) + DataEncoder.maxEndLength);
    // Most contents need no change: then the command has the length that is expected, and the content its place.
    const expected = bdatLast(content.length).length;
    const start = this.#length + expected;
    let end = start + data.encodeInto(content, this.#bytes, start);
    end += data.endInto(this.#bytes, end);
    const size = end - start;
    const command = bdatLast(size);
    if (command.length !== expected) this.#bytes.copyWithin(this.#length + command.length, start, end);
    encoder.encodeInto(command, this.#bytes.subarray(this.#length));
    this.#length += command.length + size;
    return size;
  }

  /** Hands out what waits, in memory of its own: a writable stream may keep it as long as it likes. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /** Hands out what waits without copying it. It has to be done with when this is called again. */
  lend(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length);
    const spare = this.#spare;
    // The memory of one burst is not kept.
    this.#spare = this.#bytes.length > MAX_KEPT ? new Uint8Array(INITIAL_CAPACITY) : this.#bytes;
    this.#bytes = spare;
    this.#length = 0;
    return bytes;
  }

  /** Forgets what waits. */
  clear(): void {
    this.#length = 0;
  }

  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
