/**
 * Tells the owner of a server about errors. A client decides when that happens and what some of them say: so nothing here
 * ends the process, and nothing acts on a terminal or forges a line of a log.
 *
 * @module
 */
import { escapeUnsafe } from "../core/errors.ts";
import type { ServerSession } from "./handlers.ts";

/** The option `onError`. */
export type OnError = (error: unknown, session: ServerSession | undefined) => void;

/** How many errors of a chain of causes are written. */
const MAX_CAUSES = 8;

/**
 * Calls `onError`. What it throws, or the promise that it returns rejects with, is written to the console: thrown on, it
 * would end the process, and with it all sessions, whenever a client makes a handshake fail.
 *
 * @param onError The option.
 * @param error The error.
 * @param session The session that it happened in.
 */
export function report(onError: OnError, error: unknown, session: ServerSession | undefined): void {
  try {
    const result: unknown = onError(error, session);
    // An async function, which its type permits.
    Promise.resolve(result).catch(logError);
  } catch (failure) {
    logError(failure);
  }
}

/**
 * Writes an error to the console.
 *
 * @param error The error, or whatever else was thrown.
 */
export function logError(error: unknown): void {
  try {
    console.error(formatError(error));
  } catch {
    // A console of the caller's own that throws: there is nobody left to tell.
  }
}

/**
 * Writes an error as text: name, message, code, stack and causes. Only the frames of the stack begin lines; a message, which
 * may quote the client, is one line, and what a terminal would act on is escaped everywhere.
 *
 * @param error The error, or whatever else was thrown, and however it was tampered with.
 * @returns The text.
 */
export function formatError(error: unknown): string {
  const parts: string[] = [];
  try {
    for (let i = 0; i < MAX_CAUSES && error !== undefined; i++) {
      if (!(error instanceof Error)) {
        parts.push(escapeUnsafe(toText(error)));
        break;
      }
      const { name, message, code, stack, cause } = error as Error & { code?: unknown };
      const shownCode = typeof code === "string" ? ` (${code})` : "";
      parts.push(escapeUnsafe(`${name}: ${message}${shownCode}`) + framesOf(stack, message));
      error = cause;
    }
  } catch {
    parts.push("an error that cannot be read"); // it has a getter that throws, or is a proxy
  }
  return parts.join("\n  caused by ");
}

/**
 * The lines of the stack that are frames: the last ones without a break, behind the message if it is still the one that the
 * stack was made with. What stands before may quote the client, and look like a frame.
 */
function framesOf(stack: unknown, message: unknown): string {
  if (typeof stack !== "string" || typeof message !== "string") return "";
  const at = stack.indexOf(message);
  const lines = stack.slice(at < 0 ? 0 : at + message.length).trimEnd().split("\n").slice(1);
  const frames = lines.slice(lines.findLastIndex((line) => !line.startsWith("    at ")) + 1);
  return frames.map((line) => `\n${escapeUnsafe(line)}`).join("");
}

function toText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value) ?? "an object";
  } catch {
    return "an object";
  }
}
