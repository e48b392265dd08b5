/**
 * The sweep: a conversation of each way, cut in each manner at each byte in each direction, in memory and over TCP.
 * @module
 */
import { type Fault, FAULT_KINDS, type FaultKind, showFault } from "../support/faults.ts";
import { Random } from "../fuzz/random.ts";
import { addFigures, type Figures, noFigures } from "./books.ts";
import { type Way, WAYS } from "./conversation.ts";
import { playInMemory } from "./in_memory.ts";
import { Lane, makeCertificates } from "./over_tcp.ts";

/** What to sweep. */
export interface SweepOptions {
  /** Default: all. */
  readonly ways?: readonly Way[];
  /** Default: all. */
  readonly kinds?: readonly FaultKind[];
  /** The share of the places that is tried, from above 0 to 1. Default: 1, all. */
  readonly share?: number;
  /** Which share. Default: 1. */
  readonly seed?: number;
}

/** What was found. */
export interface Swept {
  readonly figures: Figures;
  /** What must not have happened, each with its fault. */
  readonly violations: readonly string[];
}

/**
 * How the wire is: as it comes, with a kernel that keeps few bytes, so that writes are under way for long, or with replies that
 * come byte by byte.
 */
const WIRES = [{}, { capacity: 40 }, { pieces: 1 }] as const;

/**
 * Sweeps.
 *
 * @param options What.
 */
export async function sweepInMemory(options: SweepOptions = {}): Promise<Swept> {
  const { ways = WAYS, kinds = FAULT_KINDS, share = 1, seed = 1 } = options;
  const random = new Random(seed);
  const figures = noFigures();
  const violations: string[] = [];
  for (const way of ways) {
    for (const wire of WIRES) {
      const whole = await playInMemory(way, wire);
      if (whole.figures.received < 3 || whole.violations.length > 0) {
        violations.push(`${way} fails without a fault: ${whole.violations.join("; ")}`);
      }
      for (const direction of ["up", "down"] as const) {
        for (const kind of kinds) {
          for (let at = 0; at <= whole[direction]; at++) {
            if (!random.chance(share)) continue;
            const fault = { kind, direction, at };
            const played = await playInMemory(way, { ...wire, fault });
            addFigures(figures, played.figures);
            for (const violation of played.violations) {
              violations.push(`${way}, ${showFault(fault)}, ${JSON.stringify(wire)}: ${violation}`);
            }
          }
        }
      }
    }
  }
  return { figures, violations };
}

/** The time limit for a connection on which nobody will say a word any more, in milliseconds. */
const SHORT_LIMIT = 150;

/** The faults that nobody is told of. */
const SILENT: ReadonlySet<FaultKind> = new Set(["stall", "drop"]);

/**
 * Sweeps over TCP and the TLS of the runtime: places are those of the ciphertext, whose length varies by a few bytes.
 *
 * @param options What, and how many connections side by side.
 */
export async function sweepOverTcp(options: SweepOptions & { lanes?: number } = {}): Promise<Swept> {
  const { ways = WAYS, kinds = FAULT_KINDS, share = 1, seed = 1, lanes = 4 } = options;
  const random = new Random(seed);
  const certificates = await makeCertificates();
  const figures = noFigures();
  const violations: string[] = [];
  for (const way of ways) {
    const faults: Fault[] = [];
    {
      await using lane = await Lane.open(way, certificates);
      const whole = await lane.play();
      if (whole.figures.received < 3 || whole.violations.length > 0) {
        violations.push(`${way} fails without a fault: ${whole.violations.join("; ")}`);
      }
      for (const direction of ["up", "down"] as const) {
        for (const kind of kinds) {
          for (let at = 0; at <= whole[direction]; at++) {
            if (random.chance(share)) faults.push({ kind, direction, at });
          }
        }
      }
    }
    const queue = faults.entries(); // shared: each lane takes the next
    await Promise.all(Array.from({ length: lanes }, async () => {
      await using lane = await Lane.open(way, certificates);
      for (const [index, fault] of queue) {
        const watched = index % 2 === 1;
        const limit = SILENT.has(fault.kind) ? { limit: SHORT_LIMIT } : {};
        const played = await lane.play({ fault, watched, ...limit });
        addFigures(figures, played.figures);
        for (const violation of played.violations) {
          violations.push(`${way} over TCP${watched ? ", watched" : ""}, ${showFault(fault)}: ${violation}`);
        }
      }
    }));
  }
  return { figures, violations };
}
