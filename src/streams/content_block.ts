/**
 * The two hot loops of the content codecs, over one block of content in scratch memory. Internal: not exported from
 * `mod.ts`.
 *
 * Everything here is synchronous, so the scratch memory can be shared by every encoder and decoder: a caller loads a
 * block and takes the result out before it returns to the event loop. All gains below are GB/s on Deno 2.9, 64 KiB
 * chunks; `bench/data_encoder_bench.ts` measures the whole.
 *
 * - **Constant memory.** The loops touch only `BLOCK` and `OUTPUT`, constants of this module that are not exported (an
 *   exported one is looked up again at each use). The engine compiles their addresses and lengths into the loop. Copying
 *   a block in costs 0.03 ns a byte, and LF text goes from 2.0 to 2.9. It also makes the loops independent of the
 *   chunk's alignment and kind of buffer, and saves a `DataView` for each chunk (130 ns).
 * - **Masked indices.** `i & BLOCK_MASK` is provably inside, so the engine omits the bounds check of every access: 2.7 to
 *   3.0.
 * - **Four bytes a step, four steps a round.** See {@linkcode hasControl}.
 * - **Copy first, look later.** The encoder stores 16 bytes before it knows whether one of them is a line end and then
 *   moves on only as far as they were right: base64 with LF goes from 0.9 (`set()` of a span for each line) to 2.0.
 * - **A sentinel.** The byte after the block is NUL, which stops the loops as a line end does. So they have no end to test
 *   for, and no tail: a 1 KiB message takes 410 instead of 480 ns.
 *
 * @module
 */

const CR = 0x0D;
const LF = 0x0A;
const DOT = 0x2E;
/** CR LF as a little-endian word. */
const CRLF = 0x0A0D;
/** What {@linkcode hasControl} takes from each byte. */
const LIMITS = 0x0E0E0E0E;
/** The top bit of each byte, as a signed word. */
const TOP_BITS = 0x80808080 | 0;

/** The most content that fits into the block: as much as sockets and files deliver in one chunk. */
export const MAX_BLOCK_LENGTH = 65_536;

// The masks leave room for the index one past the end (the sentinel) and for the worst case of the output, twice the
// block and one; the 16 bytes after it let a round begin at the last index. Only the pages in use take up memory.
const BLOCK_MASK = 2 * 65_536 - 1;
const OUTPUT_MASK = 4 * 65_536 - 1;
const BLOCK = new Uint8Array(BLOCK_MASK + 1 + 16);
const OUTPUT = new Uint8Array(OUTPUT_MASK + 1 + 16);
const BLOCK_VIEW = new DataView(BLOCK.buffer);
const OUTPUT_VIEW = new DataView(OUTPUT.buffer);

/** No byte has this value: the `escape` of an encoder that does not stuff dots. */
export const NO_ESCAPE = -1;

/** The position in a line: what the bytes so far decide about the next one. */
export type LineState =
  /** After CRLF, or before the first byte: here a dot is special. */
  | "line-start"
  | "in-line"
  /** After a CR: a LF now completes the line end, anything else makes the CR a bare one. */
  | "after-cr";

/** Copies at most {@linkcode MAX_BLOCK_LENGTH} bytes into the block. */
export function loadBlock(bytes: Uint8Array): void {
  BLOCK.set(bytes);
  BLOCK[bytes.length] = 0; // the sentinel
}

/** The state after the first `length` bytes of the block, if no line end in them is bare. */
export function stateAfter(length: number): LineState {
  const last = BLOCK[length - 1];
  return last === LF ? "line-start" : last === CR ? "after-cr" : "in-line";
}

/**
 * Finds the first byte at or after `from` that is not plain content.
 *
 * @returns The index of a bare CR, a bare LF, or an `escape` after CRLF; `length` if there is none. A CR that is the last
 * byte counts as plain: only the next block tells whether it is bare.
 */
export function scanBlock(from: number, length: number, escape: number): number {
  let i = from;
  while (true) {
    const p = i & BLOCK_MASK;
    const a = BLOCK_VIEW.getInt32(p, true);
    const b = BLOCK_VIEW.getInt32(p + 4, true);
    const c = BLOCK_VIEW.getInt32(p + 8, true);
    const d = BLOCK_VIEW.getInt32(p + 12, true);
    if (!mayHaveControl(a, b, c, d) || !hasControl(a, b, c, d)) {
      i += 16;
      continue;
    }
    i += firstControl(a, b, c, d);
    const byte = BLOCK[i];
    if (byte === CR) {
      if (BLOCK[i + 1] !== LF) return i + 1 === length ? length : i;
      i += 2;
      if (BLOCK[i] === escape) return i;
    } else if (byte === LF) {
      return i;
    } else if (i === length) {
      return length;
    } else {
      i++;
    }
  }
}

/**
 * Finds where encoding the block changes it first.
 *
 * @returns The index that {@linkcode encodeBlock} has to begin at; `length` if the block can stay as it is.
 */
export function findChange(length: number, state: LineState, escape: number): number {
  let from = 0;
  if (state === "after-cr") {
    if (BLOCK[0] !== LF) return 0;
    from = 1;
  }
  if (state !== "in-line" && BLOCK[from] === escape) return from;
  return scanBlock(from, length, escape);
}

/**
 * Encodes the block from `from` on into the output from `to` on: every CR, LF and CRLF becomes CRLF, and a dot is put
 * before an `escape` that is then the first byte of a line. A CR that is the last byte is written alone.
 *
 * @returns The index after the last byte written.
 */
export function encodeBlock(
  from: number,
  to: number,
  length: number,
  state: LineState,
  escape: number,
): number {
  let i = from;
  let o = to;
  // No LF comes here: findChange() passes over the one that completes a line end.
  if (state === "after-cr") OUTPUT[o++] = LF;
  if (state !== "in-line" && BLOCK[i] === escape) OUTPUT[o++] = DOT;
  while (true) {
    const p = i & BLOCK_MASK;
    const q = o & OUTPUT_MASK;
    const a = BLOCK_VIEW.getInt32(p, true);
    const b = BLOCK_VIEW.getInt32(p + 4, true);
    const c = BLOCK_VIEW.getInt32(p + 8, true);
    const d = BLOCK_VIEW.getInt32(p + 12, true);
    OUTPUT_VIEW.setInt32(q, a, true);
    OUTPUT_VIEW.setInt32(q + 4, b, true);
    OUTPUT_VIEW.setInt32(q + 8, c, true);
    OUTPUT_VIEW.setInt32(q + 12, d, true);
    if (!mayHaveControl(a, b, c, d) || !hasControl(a, b, c, d)) {
      i += 16;
      o += 16;
      continue;
    }
    const plain = firstControl(a, b, c, d);
    i += plain;
    o += plain;
    const byte = BLOCK[i++];
    if (byte === LF || byte === CR) {
      if (byte === CR && i === length) return o + 1; // the CR is already there
      if (byte === CR && BLOCK[i] === LF) i++;
      OUTPUT_VIEW.setInt16(o, CRLF, true);
      o += 2;
      if (BLOCK[i] === escape) OUTPUT[o++] = DOT;
    } else if (i > length) {
      return o;
    } else {
      o++;
    }
  }
}

/** Copies what {@linkcode encodeBlock} wrote between `from` and `to` into `target`. */
export function copyOutput(from: number, to: number, target: Uint8Array, offset: number): void {
  target.set(OUTPUT.subarray(from, to), offset);
}

/**
 * Whether one of 16 bytes may be below 0x0E: half the work of {@linkcode hasControl}, right for ASCII, and sometimes
 * wrong for bytes above 0x8D. CRLF text: 3.8 to 4.3.
 */
function mayHaveControl(a: number, b: number, c: number, d: number): boolean {
  return (((a - LIMITS) | (b - LIMITS) | (c - LIMITS) | (d - LIMITS)) & TOP_BITS) !== 0;
}

/**
 * Whether one of 16 bytes is below 0x0E. CR and LF are, and in text hardly anything else is. Taking 0x0E from each byte
 * of a word sets the top bit of those that are below it and of those above 0x8D, which had it set before.
 */
function hasControl(a: number, b: number, c: number, d: number): boolean {
  return ((belowSpace(a) | belowSpace(b) | belowSpace(c) | belowSpace(d)) & TOP_BITS) !== 0;
}

function belowSpace(word: number): number {
  return (word - LIMITS) & ~word;
}

/**
 * The index of the first of 16 bytes that is below 0x0E, where there is one. Without a branch, as the length of a line
 * cannot be predicted: prose 1.4 to 1.8, where looking at one word after the other cost a mispredicted branch a line.
 */
function firstControl(a: number, b: number, c: number, d: number): number {
  const ab = gatherMarks(belowSpace(a), belowSpace(b));
  const cd = gatherMarks(belowSpace(c), belowSpace(d));
  return Math.clz32((ab & 0xFF000000) | (cd >>> 8));
}

/**
 * Moves the top bits of eight bytes into the top byte, the first byte's topmost; the rest is noise. Each factor of two
 * in the multiplier puts one bit of each word into its place, and no two products meet, so that nothing carries. The
 * first mark of a word is always right; a borrow from it can only set later ones.
 */
function gatherMarks(first: number, second: number): number {
  return Math.imul(((first & TOP_BITS) >>> 3) | ((second & TOP_BITS) >>> 7), 0x08040201);
}
