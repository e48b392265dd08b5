/**
 * How a WebSocket fails and ends: the close codes of both sides (RFC 6455, section 7.4), and their errors.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import { normalizeError } from "../errors.ts";
import { SocketError, type SocketErrorCode } from "../socket.ts";

/** The codes that this end closes with. A page may use only 1000 and 3000 to 4999. */
export const CLOSE_CODES = Object.freeze({
  /** Closed in good order. */
  normal: 1000,
  /** Given up. */
  givenUp: 4000,
  /** The peer sent text. A page may not use 1003. */
  text: 4003,
  /** The peer sent more than may wait here. A page may not use 1009. */
  tooMuch: 4009,
});

/** How long to wait for the peer's answer to a close, in milliseconds: as long as Chromium does. */
const CLOSE_TIMEOUT = 2_000;

/** The registered codes that have an error code here; every other is `"connection-reset"`. */
const MEANINGS: Readonly<Record<number, SocketErrorCode>> = {
  1008: "not-permitted",
  1015: "tls-failed",
  3003: "not-permitted",
  3008: "timed-out",
};

/**
 * The error of a read when the peer has closed the WebSocket.
 *
 * @param code The close code. 1005: the peer sent none. 1006: there was no closing handshake.
 * @param reason The peer's reason.
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

/** The error if the peer sends text. */
export function textError(): SocketError {
  return new SocketError(
    "network",
    "The peer sent text through the WebSocket: only binary messages carry bytes",
  );
}

/** The error of a write when the WebSocket is closing, for whatever reason. */
export function closedError(): SocketError {
  return new SocketError("connection-reset", "The peer closed the WebSocket");
}

/**
 * Why a WebSocket did not open, as far as the runtime tells.
 *
 * @param error The runtime's own error.
 * @param target The address of the bridge.
 */
export function openingFailed(error: unknown, target: string | undefined): SocketError {
  const known = normalizeError(error, { target });
  if (known.code !== "network") return known;
  const at = target === undefined ? "" : ` (${target})`;
  return new SocketError(
    "network",
    `The WebSocket could not be opened${at}: nobody listens there, TLS failed, or the server refused it`,
    { cause: error },
  );
}

/** Waits for the closing handshake, but not for a peer that is no longer there. */
export async function waitForClose(closed: Promise<unknown>): Promise<void> {
  // However it ends, with a handshake, without one or not in time: for the caller it is closed.
  await abortable(closed, undefined, { timeout: CLOSE_TIMEOUT }).catch(() => {});
}
