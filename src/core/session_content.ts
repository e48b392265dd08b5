/**
 * The content of one message after the other, and what is wrong with it.
 *
 * @module
 */
import type { Reply } from "./reply.ts";
import { sizeFault } from "./session_checks.ts";
import type { SessionEvent } from "./session_events.ts";
import type { ContentDecoder, ServerSessionOptions } from "./session_options.ts";
import { BARE_LINE_ENDS } from "./session_replies.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);

/**
 * How much content is read and thrown away after a message was found to be too large, besides its permitted size
 * again, before the connection is ended instead: the client should see its 552 (RFC 1870, section 6.3), but not at any
 * price.
 */
const MAX_DISCARDED = 1024 * 1024;

/** Reads content from chunks, up to its end. */
export class ContentReader {
  readonly #decoder: ContentDecoder;
  readonly #maxMessageSize: number;
  readonly #rejectBareLineEnds: boolean;
  #chunk: Uint8Array = NO_BYTES;
  #size = 0;
  #fault: Reply | undefined;

  /**
   * @param decoder Finds the end.
   * @param options The settings.
   */
  constructor(decoder: ContentDecoder, options: ServerSessionOptions) {
    this.#decoder = decoder;
    this.#maxMessageSize = options.maxMessageSize;
    this.#rejectBareLineEnds = options.bareLineEnds === "reject";
  }

  /** Why the message is refused, whatever anybody says. */
  get fault(): Reply | undefined {
    return this.#fault;
  }

  /** Whether so much has come behind a fault that there is no use in reading on. */
  get hopeless(): boolean {
    return this.#size > 2 * this.#maxMessageSize + MAX_DISCARDED;
  }

  /** What stands behind the end. */
  get rest(): Uint8Array {
    return this.#decoder.rest;
  }

  /** Begins a message. */
  start(): void {
    this.#decoder.reset();
    this.#size = 0;
    this.#fault = undefined;
  }

  /** Takes bytes; those before must have been read. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
  }

  /**
   * Reads.
   *
   * @returns The content in the last chunk; `undefined` if it has been read.
   */
  next(): Extract<SessionEvent, { kind: "content" }> | undefined {
    const chunk = this.#chunk;
    if (chunk.length === 0) return undefined;
    this.#chunk = NO_BYTES;
    const decoder = this.#decoder;
    const bytes = decoder.decode(chunk);
    this.#size += bytes.length;
    this.#fault ??= sizeFault(this.#size, this.#maxMessageSize);
    if (this.#rejectBareLineEnds && decoder.bareLineEnds) this.#fault ??= BARE_LINE_ENDS;
    const fault = this.#fault;
    return { kind: "content", bytes: fault === undefined ? bytes : NO_BYTES, last: decoder.ended, fault };
  }
}
