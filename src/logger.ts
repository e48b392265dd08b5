/**
 * A session in a log, by whatever logger the program has.
 *
 * @module
 */
import { formatTrace } from "./trace.ts";
import type { Trace, TraceEvent } from "./trace.ts";

/**
 * What a logger has to have: `console`, and the loggers of pino and bunyan, do. Those that are no console are given an object
 * with the event and the text behind it; a console is given the text.
 */
export interface Logger {
  /** Takes commands, replies and contents. */
  debug(...words: unknown[]): void;
  /** Takes the states of the session. */
  info(...words: unknown[]): void;
  /** Takes what the server fails at. */
  warn(...words: unknown[]): void;
  /** Takes what ends a session before its time. */
  error(...words: unknown[]): void;
}

/** Numbers the sessions of this program. */
let sessions = 0;

/**
 * Makes a trace that writes to a logger: commands, replies and contents as `debug`, states as `info`, what a server
 * fails at as `warn`, a session that ends before its time as `error`. Secrets are masked, as in every trace.
 *
 * @param logger The logger.
 * @returns A trace, for one session.
 * @throws {TypeError} If it is no logger.
 */
export function loggerTrace(logger: Logger): Trace {
  for (const level of ["debug", "info", "warn", "error"] as const) {
    if (typeof logger?.[level] === "function") continue;
    throw new TypeError(`Cannot connect: logger must have the method ${level}`);
  }
  const session = ++sessions;
  // A console writes all that it is given side by side.
  const plain = "dir" in logger;
  return (event) => {
    const level = levelOf(event);
    for (const text of formatTrace(event).split("\n")) {
      if (plain) logger[level](`smtp ${session} ${text}`);
      else logger[level]({ component: "smtp", session, ...fieldsOf(event) }, text);
    }
  };
}

function levelOf(event: TraceEvent): keyof Logger {
  switch (event.type) {
    case "finding":
      return "warn";
    case "state":
      return event.failed ? "error" : "info";
    default:
      return "debug";
  }
}

/** What a program may want to search for. */
function fieldsOf(event: TraceEvent): Record<string, unknown> {
  if (event.type !== "reply") return { ...event };
  const { code, enhancedCode } = event.reply;
  return { type: "reply", code, enhancedCode };
}
