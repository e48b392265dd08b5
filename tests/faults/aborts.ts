/**
 * Aborts: the signal fires at each await of connect and send. In memory after each turn of the queue of promises, and at each
 * byte; over TCP after each piece that passes.
 * @module
 */
import { setImmediate as nextTurn } from "node:timers";
import { Random } from "../fuzz/random.ts";
import { addFigures, noFigures } from "./books.ts";
import { type Way, WAYS } from "./conversation.ts";
import { type Played, playInMemory, type PlayOptions } from "./in_memory.ts";
import { Lane, makeCertificates } from "./over_tcp.ts";
import type { Swept } from "./sweep.ts";

/** What to abort. */
export interface AbortOptions {
  /** Default: all. */
  readonly ways?: readonly Way[];
  /** The share of the places that is tried, from above 0 to 1. Default: 1, all. */
  readonly share?: number;
  /** Which share. Default: 1. */
  readonly seed?: number;
}

const WHAT = ["session", "messages"] as const;

/** Nobody waits longer than this for anything after an abort: what the server says last, or its reply to QUIT. */
const MAX_WAIT = 1_000;

/** More turns than any conversation takes. */
const MAX_TURNS = 20_000;

/** More pieces than any conversation has. */
const MAX_EVENTS = 200;

/** Aborts in memory. */
export async function abortInMemory(options: AbortOptions = {}): Promise<Swept> {
  const { ways = WAYS, share = 1, seed = 1 } = options;
  const random = new Random(seed);
  const figures = noFigures();
  const violations: string[] = [];
  const note = (where: string, { figures: more, violations: own, waited }: Played) => {
    addFigures(figures, more);
    for (const violation of own) violations.push(`${where}: ${violation}`);
    if (waited > MAX_WAIT) violations.push(`${where}: has waited ${waited} ms`);
  };
  for (const way of ways) {
    for (const what of WHAT) {
      for (let turn = 0; turn < MAX_TURNS; turn++) {
        if (!random.chance(share)) continue;
        const { signal, ...play } = afterTurns(turn, what);
        note(`${way}, ${what} aborted after turn ${turn}`, await playInMemory(way, play));
        if (!signal.aborted) break;
      }
      // A kernel that takes few bytes, so that writes are under way.
      const wire = { capacity: 7 };
      const whole = await playInMemory(way, wire);
      for (const direction of ["up", "down"] as const) {
        for (let at = 1; at <= whole[direction]; at++) {
          if (!random.chance(share)) continue;
          const controller = new AbortController();
          const played = await playInMemory(way, {
            ...wire,
            abort: { what, signal: controller.signal },
            onPassed: (of, total) => of === direction && total >= at && controller.abort(),
          });
          note(`${way}, ${what} aborted after ${at} bytes ${direction}`, played);
        }
      }
    }
  }
  return { figures, violations };
}

/** Aborts after so many turns of the queue of promises. */
function afterTurns(turns: number, what: (typeof WHAT)[number]): PlayOptions & { signal: AbortSignal } {
  const controller = new AbortController();
  const { signal } = controller;
  let isOver = false;
  const run = async () => {
    for (let turn = 0; turn < turns && !isOver; turn++) await undefined;
    if (!isOver) controller.abort();
  };
  return {
    signal,
    abort: { what, signal },
    onBegun: () => void run(),
    onHeld: () => void (isOver = true),
  };
}

/** How many turns of the event loop after an event. */
const LATER = [0, 1, 2, 4, 8] as const;

/** Aborts over TCP: some turns after the beginning, and after each piece that has passed in either direction. */
export async function abortOverTcp(options: AbortOptions = {}): Promise<Swept> {
  const { ways = WAYS, share = 1, seed = 1 } = options;
  const random = new Random(seed);
  const certificates = await makeCertificates();
  const figures = noFigures();
  const violations: string[] = [];
  for (const way of ways) {
    await using lane = await Lane.open(way, certificates);
    for (const what of WHAT) {
      for (let event = 0, isOver = false; !isOver; event++) {
        for (const turns of LATER) {
          if (!random.chance(share)) continue;
          const controller = new AbortController();
          let events = 0;
          const onEvent = () => {
            if (events++ === event) void abortLater(controller, turns);
          };
          onEvent();
          const abort = { what, signal: controller.signal };
          const played = await lane.play({ abort, onPassed: onEvent, watched: random.chance(0.5) });
          addFigures(figures, played.figures);
          for (const violation of played.violations) {
            violations.push(
              `${way} over TCP, ${what} aborted ${turns} turns after event ${event}: ${violation}`,
            );
          }
          isOver = events <= event;
        }
        if (event > MAX_EVENTS) break;
      }
    }
  }
  return { figures, violations };
}

async function abortLater(controller: AbortController, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => void nextTurn(resolve));
  controller.abort();
}
