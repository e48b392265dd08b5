/**
 * A session seen from outside: typed events, secrets already masked.
 *
 * @module
 */
import type { Reply } from "./core/reply.ts";

/** What a secret looks like in a trace. */
export const MASK = "********";

/** A step in the life of a session. */
export type SessionState =
  /** The connection is being opened. */
  | "connecting"
  /** The connection stands. */
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
    /** The session went over to another state. */
    readonly type: "state";
    /** The new state. */
    readonly state: SessionState;
    /** What else there is to say: an address, a mechanism, a reason. */
    readonly detail: string;
    /** Whether it is an end before its time: an error is what has ended the session. */
    readonly failed?: true;
  }
  | {
    /** A command left. */
    readonly type: "command";
    /** The command line without its line end, secrets masked. */
    readonly line: string;
  }
  | {
    /** A reply came. */
    readonly type: "reply";
    /** The reply. */
    readonly reply: Reply;
  }
  | {
    /** The server announces an extension and fails at it. Later connections to it do without for a while. */
    readonly type: "finding";
    /** The extension's keyword. */
    readonly extension: string;
    /** What happened, now or on an earlier connection. */
    readonly detail: string;
  }
  | {
    /** The content of a message has left. */
    readonly type: "content";
    /** Its size on the wire, in bytes. */
    readonly bytes: number;
  };

/** Takes the events of a session. Called synchronously; what it throws is reported as an uncaught error. */
export type Trace = (event: TraceEvent) => void;

/**
 * Writes an event as lines of a transcript: `C: ` for what the client says, `S: ` for the server, `*  ` for what
 * happens to the session.
 *
 * @param event The event.
 * @returns One or more lines, joined by `\n`.
 */
export function formatTrace(event: TraceEvent): string {
  switch (event.type) {
    case "command":
      return `C: ${printable(event.line)}`;
    case "reply":
      return event.reply.toString().split("\n").map((line) => `S: ${printable(line)}`).join("\n");
    case "content":
      return `C: (content, ${event.bytes} bytes)`;
    case "finding":
      return `*  without ${event.extension}: ${event.detail}`;
    case "state":
      return event.detail === "" ? `*  ${event.state}` : `*  ${event.state}: ${printable(event.detail)}`;
  }
}

/** A reply's text is the peer's: escape sequences in it must not reach a terminal. */
function printable(text: string): string {
  let safe = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    safe += control ? `\\x${code.toString(16).padStart(2, "0")}` : character;
  }
  return safe;
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
 * Calls a function of the user's in the middle of our own work. As with event listeners, what it throws is reported as
 * an uncaught error and does not disturb the caller.
 *
 * @param call The function.
 * @param argument What it is given.
 */
export function callback<T>(call: (argument: T) => void, argument: T): void {
  try {
    call(argument);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
