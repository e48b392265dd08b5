/**
 * The content of one message after the other, and its faults.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { DataDecoder } from "../streams/data_decoder.ts";
import type { SessionSettings } from "./options.ts";
import { BARE_LINE_ENDS, TOO_LARGE } from "./replies.ts";

/** A piece of content, decoded. */
export interface ContentEvent {
  readonly kind: "content";
  /** The bytes; none with a `fault`. */
  readonly bytes: Uint8Array;
  /** Whether the message ends here. */
  readonly last: boolean;
  /** Why the message is refused, whatever the handler decides. */
  readonly fault: Reply | undefined;
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

/**
 * How much content is read and thrown away after a message was found to be too large, besides its permitted size
 * again, before the connection is ended instead: the client should see its 552 (RFC 1870, section 6.3), but not at any
 * price.
 */
const MAX_DISCARDED = 1024 * 1024;

/** Reads content from chunks, up to its end. */
export class ContentReader {
  readonly #decoder: DataDecoder = new DataDecoder();
  readonly #maxMessageSize: number;
  readonly #rejectBareLineEnds: boolean;
  #chunk: Uint8Array = NO_BYTES;
  #size = 0;
  #fault: Reply | undefined;

  /** @param settings The limit, and whether a CR or LF may stand alone. */
  constructor({ maxMessageSize, bareLineEnds }: SessionSettings) {
    this.#maxMessageSize = maxMessageSize;
    this.#rejectBareLineEnds = bareLineEnds === "reject";
  }

  /** Why the message is refused, whatever the handler decides. */
  get fault(): Reply | undefined {
    return this.#fault;
  }

  /** Whether so much has followed a fault that reading on is useless. */
  get hopeless(): boolean {
    return this.#size > 2 * this.#maxMessageSize + MAX_DISCARDED;
  }

  /** The bytes that follow the end of the content. */
  get rest(): Uint8Array {
    return this.#decoder.rest;
  }

  /** Begins a message. */
  start(): void {
    this.#decoder.reset();
    this.#size = 0;
    this.#fault = undefined;
  }

  /** Takes bytes; the previous ones must have been read. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
  }

  /**
   * Reads.
   *
   * @returns The content in the last chunk; `undefined` if it has been read.
   */
  next(): ContentEvent | undefined {
    const chunk = this.#chunk;
    if (chunk.length === 0) return undefined;
    this.#chunk = NO_BYTES;
    const decoder = this.#decoder;
    const bytes = decoder.decode(chunk);
    // Without the stuffed dots, with the line ends (RFC 1870, section 5).
    this.#size += bytes.length;
    if (this.#size > this.#maxMessageSize) this.#fault ??= TOO_LARGE;
    if (this.#rejectBareLineEnds && decoder.bareLineEnds) this.#fault ??= BARE_LINE_ENDS;
    const fault = this.#fault;
    return { kind: "content", bytes: fault === undefined ? bytes : NO_BYTES, last: decoder.ended, fault };
  }
}
