/**
 * How a WebSocket ends: what this end says, and what the peer's words mean (RFC 6455, section 7.4).
 *
 * @module
 */
import { SocketError, type SocketErrorCode } from "./socket.ts";

/** What may be said by this end. A page may use 1000 and 3000 to 4999 only. */
export const CLOSE_CODES = Object.freeze({
  /** Closed in good order. */
  normal: 1000,
  /** Given up. */
  givenUp: 4000,
  /** The peer sent text. 1003 is not for pages. */
  text: 4003,
  /** The peer sent more than may wait here. 1009 is not for pages. */
  tooMuch: 4009,
});

/** For how long the peer's answer to a close is waited for, in milliseconds: as long as Chromium does. */
const CLOSE_TIMEOUT = 2_000;

/** The registered codes that have a word of ours; every other is `"connection-reset"`. */
const MEANINGS: Readonly<Record<number, SocketErrorCode>> = {
  1008: "not-permitted",
  1015: "tls-failed",
  3003: "not-permitted",
  3008: "timed-out",
};

/**
 * What a read gets when the peer has closed the WebSocket.
 *
 * @param code The close code. 1005: the peer gave none. 1006: there was no closing handshake.
 * @param reason What the peer said.
 * @param cause The runtime's own error.
 * @returns `null` for an end in good order.
 */
export function endOf(code: number, reason: string, cause?: unknown): SocketError | null {
  if (code === 1000 || code === 1005) return null;
  if (code === 1006) return new SocketError("connection-reset", "The WebSocket was cut", { cause });
  const words = reason === "" ? "" : `: ${reason}`;
  const message = `The peer closed the WebSocket with code ${code}${words}`;
  return new SocketError(MEANINGS[code] ?? "connection-reset", message, { cause });
}

/** The peer sent text. */
export function textError(): SocketError {
  return new SocketError(
    "network",
    "The peer sent text through the WebSocket: only binary messages carry bytes",
  );
}

/** A write when the WebSocket is closing, for whatever reason. */
export function closedError(): SocketError {
  return new SocketError("connection-reset", "The peer closed the WebSocket");
}

/** Waits for the closing handshake, but not for a peer that is no longer there. */
export async function waitForClose(closed: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_TIMEOUT));
  try {
    await Promise.race([closed, timeout]);
  } catch {
    // closed without a handshake: closed
  } finally {
    clearTimeout(timer);
  }
}
