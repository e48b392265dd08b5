/**
 * A session seen from outside: typed events, secrets already masked, on a console or in a log.
 *
 * @module
 */
import { describe, escapeUnsafe } from "./core/errors.ts";
import type { Reply } from "./core/reply.ts";

/** A step in the life of a session. */
export type SessionState =
  /** The connection is being opened. */
  | "connecting"
  /** The connection is open. */
  | "connected"
  /** The connection is protected by TLS. */
  | "secured"
  /** The server has accepted the credentials. */
  | "authenticated"
  /** The session is over. */
  | "closed";

/** Something that happened in a session. Secrets are masked before an event is made. */
export type TraceEvent =
  | {
    /** The session has changed its state. */
    readonly type: "state";
    /** The new state. */
    readonly state: SessionState;
    /** More about it: an address, a mechanism, a reason. */
    readonly detail: string;
    /** Whether an error has ended the session. */
    readonly failed?: true;
  }
  | {
    /** A command was sent. */
    readonly type: "command";
    /** The command line without its line end, secrets masked. */
    readonly line: string;
  }
  | {
    /** A reply was received. */
    readonly type: "reply";
    /** The reply. */
    readonly reply: Reply;
  }
  | {
    /** The server announces an extension and fails at it. Later connections to it do without for a while. */
    readonly type: "broken-extension";
    /** The extension's keyword. */
    readonly extension: string;
    /** What happened, now or on an earlier connection. */
    readonly detail: string;
  }
  | {
    /** The content of a message was sent. */
    readonly type: "content";
    /** Its size on the wire, in bytes. */
    readonly bytes: number;
  };

/** Takes the events of a session. Called synchronously; if it throws, the session ends, and what is in flight fails with the error. */
export type Trace = (event: TraceEvent) => void;

/**
 * Writes an event as lines of a transcript: `C: ` for what the client says, `S: ` for the server, `*  ` for what
 * happens to the session. The words of the peer may be anything: control characters, U+2028, U+2029, bidirectional controls
 * and lone surrogates are escaped (`\x1b`, `\u202e`), so that none reaches a terminal or forges a line of a log.
 *
 * @param event The event.
 * @returns One or more lines, joined by `\n`.
 */
export function formatTrace(event: TraceEvent): string {
  switch (event.type) {
    case "command":
      return `C: ${escapeUnsafe(event.line)}`;
    case "reply":
      return event.reply.toString().split("\n").map((line) => `S: ${escapeUnsafe(line)}`).join("\n");
    case "content":
      return `C: (content, ${event.bytes} bytes)`;
    case "broken-extension":
      return `*  without ${event.extension}: ${escapeUnsafe(event.detail)}`;
    case "state":
      return event.detail === "" ? `*  ${event.state}` : `*  ${event.state}: ${escapeUnsafe(event.detail)}`;
  }
}

/**
 * Makes a trace that writes each event to a console.
 *
 * @example A session on the console
 * ```ts
 * import { consoleTrace, SmtpClient } from "@streams/smtp";
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" });
 * const { hostname, port } = await server.listening;
 * await using client = await SmtpClient.connect({ hostname, port, trace: consoleTrace() });
 * ```
 *
 * @param log Takes a line. Default: `console.log`.
 * @returns A trace for the options of a client.
 */
export function consoleTrace(log: (line: string) => void = (line) => console.log(line)): Trace {
  return (event) => {
    for (const line of formatTrace(event).split("\n")) log(line);
  };
}

/**
 * The methods that a logger needs: `console` has them, and so do the loggers of pino and bunyan. A console is given a text, other
 * loggers an object with the event, and then the text.
 */
export interface Logger {
  /** Takes commands, replies and contents. */
  debug(...words: unknown[]): void;
  /** Takes the states of the session. */
  info(...words: unknown[]): void;
  /** Takes extensions that the server fails at. */
  warn(...words: unknown[]): void;
  /** Takes errors that end a session. */
  error(...words: unknown[]): void;
}

/** Numbers the sessions of this program. */
let sessions = 0;

/**
 * Makes a trace that writes to a logger: commands, replies and contents as `debug`, states as `info`, extensions that a server
 * fails at as `warn`, an error that ends a session as `error`. Secrets are masked, as in every trace.
 *
 * @param logger The logger.
 * @returns A trace, for one session.
 * @throws {TypeError} If it lacks a method.
 */
export function loggerTrace(logger: Logger): Trace {
  assertLogger(logger);
  const session = ++sessions;
  // A console writes all its arguments side by side.
  const plain = "dir" in logger;
  return (event) => {
    const level = levelOf(event);
    for (const text of formatTrace(event).split("\n")) {
      if (plain) logger[level](`smtp ${session} ${text}`);
      else logger[level]({ component: "smtp", session, ...fieldsOf(event) }, text);
    }
  };
}

/**
 * Checks a logger.
 *
 * @param logger The logger.
 * @throws {TypeError} If it lacks a method.
 */
export function assertLogger(logger: Logger): void {
  for (const level of ["debug", "info", "warn", "error"] as const) {
    if (typeof logger?.[level] === "function") continue;
    const what = `logger must have the method ${level}: use console, or leave it out`;
    throw new TypeError(`Cannot connect: ${what}; the current value is ${describe(logger)}`);
  }
}

function levelOf(event: TraceEvent): keyof Logger {
  switch (event.type) {
    case "broken-extension":
      return "warn";
    case "state":
      return event.failed ? "error" : "info";
    default:
      return "debug";
  }
}

/** Fields that a program may want to search for. */
function fieldsOf(event: TraceEvent): Record<string, unknown> {
  if (event.type !== "reply") {
    // JSON escapes only some of what a terminal acts on.
    const safe = (value: unknown) => typeof value === "string" ? escapeUnsafe(value) : value;
    return Object.fromEntries(Object.entries(event).map(([name, value]) => [name, safe(value)]));
  }
  const { code, enhancedCode } = event.reply;
  return { type: "reply", code, enhancedCode };
}

/**
 * Joins traces. One that throws does not disturb the others.
 *
 * @param traces The traces; `undefined` for none.
 * @param onError Gets what one of them throws, see {@linkcode callback}.
 * @returns One trace for all, if there is any.
 */
export function joinTraces(
  traces: readonly (Trace | undefined)[],
  onError: (error: unknown) => void,
): Trace | undefined {
  const wanted = traces.filter((trace) => trace !== undefined);
  if (wanted.length === 0) return undefined;
  return (event) => {
    for (const trace of wanted) callback(trace, event, onError);
  };
}

/**
 * Calls a function of the user's in the middle of our own work. What it throws does not disturb that, and never ends the
 * process: it is the reason for which a promise of the user's is rejected.
 *
 * @param call The function.
 * @param argument Its argument.
 * @param onError Gets what it throws, when the work that is under way is done.
 */
export function callback<T>(
  call: (argument: T) => void,
  argument: T,
  onError: (error: unknown) => void,
): void {
  try {
    call(argument);
  } catch (error) {
    queueMicrotask(() => onError(error));
  }
}
