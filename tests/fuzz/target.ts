/** What a fuzz target is, and how what it finds is made small. @module */
import type { Random } from "./random.ts";
import type { Strays } from "./strays.ts";

/** A part of the library that is fuzzed. */
export interface Target {
  /** Its name, for `--target`. */
  readonly name: string;
  /**
   * Plays one case. Everything follows from the random numbers, so that the seed plays it again.
   *
   * @param random Where the case comes from.
   * @param notes Takes what a person may want to see.
   * @throws What it finds.
   */
  play(random: Random, notes: Notes): void | Promise<void>;
}

/** What is written down about a case. */
export class Notes {
  /** What was said and done, in order. */
  readonly lines: string[] = [];
  /** How often what happened: a target that never gets far finds nothing. */
  readonly counts: Record<string, number> = {};
  /** Sees errors that nobody catches. */
  readonly strays: Strays;

  /** @param strays Sees errors that nobody catches. */
  constructor(strays: Strays) {
    this.strays = strays;
  }

  /** Writes a line. */
  log(line: string): void {
    this.lines.push(line);
  }

  /** Counts. */
  count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }
}

/** Something that must not have happened. */
export class Find extends Error {
  override name = "Find";
}

/** Fails unless it is so. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Find(what);
}

/** Fails unless both are the same, as JSON. */
export function mustEqual(actual: unknown, expected: unknown, what: string): void {
  const [is, shouldBe] = [actual, expected].map((value) => JSON.stringify(value, readable));
  must(is === shouldBe, `${what}: ${is}, not ${shouldBe}`);
}

function readable(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? textOf(value) : value === undefined ? "(undefined)" : value;
}

/** How often a smaller text is tried. */
const MAX_TRIES = 2_000;

/**
 * Checks a property of a text; of one that does not hold it, the smallest is shown that was found by leaving parts out.
 *
 * @param text The text.
 * @param property Throws where it does not hold.
 */
export function hold(text: string, property: (text: string) => void): void {
  let failure = failureOf(text, property);
  if (failure === undefined) return;
  let small = text;
  let tries = 0;
  for (let size = small.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < small.length && tries < MAX_TRIES; tries++) {
      const smaller = small.slice(0, at) + small.slice(at + size);
      const same = failureOf(smaller, property);
      if (same === undefined) at += size;
      else [small, failure] = [smaller, same];
    }
  }
  const shown = small.length > 1_000 ? `${small.length} characters` : JSON.stringify(small);
  throw new Find(`${failure.message} (of ${shown})`, { cause: failure });
}

function failureOf(text: string, property: (text: string) => void): Error | undefined {
  try {
    property(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Whether a terminal or a log shows a text as it is: nothing in it controls them, or turns text around. */
export function isFitToShow(text: string): boolean {
  return text.isWellFormed() && !/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u.test(text);
}

/** Bytes, one character each, as bytes. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The bytes of a text in UTF-8, one character each. */
export function utf8(text: string): string {
  return textOf(new TextEncoder().encode(text));
}

/** Bytes as text, one character each. */
export function textOf(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4_096) {
    text += String.fromCharCode(...bytes.subarray(i, i + 4_096));
  }
  return text;
}

/** Cuts a text into pieces, of one character, of a few, of many, or not at all. */
export function cut(text: string, random: Random): string[] {
  const most = random.pick([1, 3, 20, 1_000, Infinity]);
  if (most === Infinity) return [text];
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = at + 1 + random.below(most);
    pieces.push(text.slice(at, end));
    if (random.chance(0.02)) pieces.push(""); // an empty chunk
    at = end;
  }
  return pieces;
}
