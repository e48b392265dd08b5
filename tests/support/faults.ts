/** What can go wrong on a connection, and where: the words of the wire in memory and of the relay over TCP. @module */

/**
 * - `fin`: both sides read an end; what they say afterwards is lost.
 * - `rst`: both sides are reset; what was on its way is lost.
 * - `half-close`: the receiver reads an end, and may still speak.
 * - `stall`: nothing passes any more, in neither direction, and nobody is told.
 * - `drop`: what follows in this direction is swallowed; the other direction goes on.
 * - `corrupt`: the byte at this place is another one when it arrives.
 */
export type FaultKind = "fin" | "rst" | "half-close" | "stall" | "drop" | "corrupt";

/** All of them. */
export const FAULT_KINDS: readonly FaultKind[] = ["fin", "rst", "half-close", "stall", "drop", "corrupt"];

/** `up`: from the client to the server. */
export type Direction = "up" | "down";

/** One fault. */
export interface Fault {
  readonly kind: FaultKind;
  readonly direction: Direction;
  /** How many bytes pass in that direction before it happens. */
  readonly at: number;
}

/** A fault in words, to play it again. */
export function showFault({ kind, direction, at }: Fault): string {
  return `${kind} after ${at} bytes ${direction}`;
}
