/**
 * Holds one conversation over a wire in memory, on a clock of its own: a limit of minutes takes no time, and every byte of a
 * conversation can be cut within seconds.
 * @module
 */
// What a session loads when it is needed is here before the first one begins: loading takes turns that nobody can count.
import "../../src/client/authenticate.ts";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { serveSocket } from "../../src/server/serve_socket.ts";
import { Clock } from "../fuzz/clock.ts";
import { FaultWire, type FaultWireOptions } from "../support/fault_wire.ts";
import { Books, type Figures } from "./books.ts";
import {
  clientOptions,
  converse,
  handlersOf,
  isForOwnServer,
  isWhole,
  mailsOf,
  serveModel,
  serverOptions,
  type Way,
} from "./conversation.ts";

/** How to hold it. */
export interface PlayOptions extends FaultWireOptions {
  /** Aborts the whole session, or the messages. */
  readonly abort?: { readonly what: "session" | "messages"; readonly signal: AbortSignal } | undefined;
  /** Called when it has begun. */
  readonly onBegun?: () => void;
  /** Called when the client has done all that it does. */
  readonly onHeld?: () => void;
}

/** What was found. */
export interface Played {
  readonly figures: Figures;
  /** What must not have happened. */
  readonly violations: readonly string[];
  /** How many bytes have passed in each direction. */
  readonly up: number;
  readonly down: number;
  /** How many milliseconds the client has waited for timers, on the clock of its own. */
  readonly waited: number;
}

/** Turns in which nothing passes, after which only a timer can make it go on. */
const STILL = 3;

/** More turns than any conversation takes. */
const MAX_TURNS = 5_000;

/**
 * Holds a conversation.
 *
 * @param way How messages go.
 * @param options What goes wrong.
 * @returns What was found.
 */
export async function playInMemory(way: Way, options: PlayOptions = {}): Promise<Played> {
  forgetBroken();
  const clock = new Clock();
  const wire = new FaultWire(options);
  const books = new Books();
  const mails = mailsOf("a", way, books);
  const { abort } = options;
  let waited = 0;
  clock.install();
  try {
    const served = isForOwnServer(way)
      ? serveSocket(wire.server, serverOptions(way), handlersOf(() => books))
      : serveModel(way, wire.server, books);
    const client = {
      ...clientOptions(way),
      socket: wire.client,
      ...(abort?.what === "session" && { signal: abort.signal }),
    };
    const began = performance.now();
    const talk = converse(
      way,
      client,
      mails,
      books,
      abort?.what === "messages" ? { signal: abort.signal } : {},
    );
    const held = talk.then(() => {
      waited = performance.now() - began;
      options.onHeld?.();
    });
    options.onBegun?.();
    const both = [served, held, settled(wire.client.closed), settled(wire.server.closed)];
    if (!await settle(clock, wire, Promise.all(both))) books.violations.push("It does not end");
    if (clock.timers > 0) books.violations.push(`${clock.timers} timers are left`);
  } finally {
    clock.uninstall();
  }
  const figures = books.figures((mail) => isWhole(mail, wire.up.text));
  return { figures, violations: books.violations, up: wire.up.passed, down: wire.down.passed, waited };
}

function settled(promise: Promise<unknown>): Promise<void> {
  return promise.then(() => {}, () => {});
}

/**
 * Lets time pass until a promise is settled: timers fire as soon as nothing else moves.
 *
 * @param clock The time.
 * @param wire What moves.
 * @param promise What to wait for.
 * @returns Whether it is.
 */
export async function settle(clock: Clock, wire: FaultWire, promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => done = true);
  let still = 0;
  let passed = 0;
  for (let turn = 0; turn < MAX_TURNS && !done; turn++) {
    await clock.pass();
    still = wire.passed > passed ? 0 : still + 1;
    passed = wire.passed;
    if (still < STILL || done) continue;
    still = 0;
    clock.advance();
  }
  return done;
}
