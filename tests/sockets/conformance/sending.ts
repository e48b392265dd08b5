/**
 * Large amounts of data: more than fits between two sockets.
 * @module
 */
import { assert, assertEquals } from "@std/assert";

/** More than any kernel buffers, which is some 10 MiB: it cannot be written before the peer reads. */
export const LARGE = 32 * 1024 * 1024;

/** Sends `LARGE` bytes, piece by piece. */
export class Sending {
  readonly done: Promise<void>;
  #sent = 0;

  constructor(write: (chunk: Uint8Array) => Promise<void>) {
    this.done = this.#send(write);
  }

  async #send(write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
    for (const chunk = new Uint8Array(65_536); this.#sent < LARGE; this.#sent += chunk.length) {
      await write(chunk);
    }
  }

  /** Waits until nothing more is sent, measured not by the clock but by round trips in the meantime. */
  async stall(roundTrip: () => Promise<void>): Promise<void> {
    for (let idle = 0, before = -1; idle < 100; idle++) {
      if (this.#sent !== before) idle = 0;
      before = this.#sent;
      await roundTrip();
    }
    assert(this.#sent < LARGE, "Everything was sent, and nobody has read it");
  }
}

// An odd length, so that no boundary of the sender's is one of the receiver's.
const PATTERN = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 7919) >>> 3);
// 8 MiB: more than a hundred turns of every buffer on the way.
const PATTERN_COUNT = Math.ceil(8 * 1024 * 1024 / PATTERN.length);

/** Sends `PATTERN_COUNT` times the pattern. */
export async function sendPattern(write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  for (let i = 0; i < PATTERN_COUNT; i++) await write(PATTERN);
}

/** The same, into a stream that then ends. */
export async function sendPatternTo(writable: WritableStream<Uint8Array>): Promise<void> {
  const writer = writable.getWriter();
  await sendPattern((chunk) => writer.write(chunk));
  await writer.close();
}

/** The same, from a stream. */
export async function checkPatternFrom(readable: ReadableStream<Uint8Array>): Promise<void> {
  const reader = readable.getReader();
  await checkPattern(async () => (await reader.read()).value ?? null);
}

/** Checks that nothing but the pattern comes, all of it. */
export async function checkPattern(read: () => Promise<Uint8Array | null>): Promise<void> {
  let offset = 0;
  for (let part = await read(); part !== null; part = await read()) {
    for (let i = 0; i < part.length; i++) {
      if (part[i] !== PATTERN[(offset + i) % PATTERN.length]) throw new Error(`Byte ${offset + i} is wrong`);
    }
    offset += part.length;
  }
  assertEquals(offset, PATTERN_COUNT * PATTERN.length);
}
