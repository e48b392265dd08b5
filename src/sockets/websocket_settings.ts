/**
 * The options of a WebSocket are read once, here, into complete values.
 *
 * @module
 */
import type { WebSocketSocketOptions } from "./websocket.ts";

/** {@linkcode WebSocketSocketOptions}, checked and complete. */
export interface WebSocketSettings {
  /** See {@linkcode WebSocketSocketOptions.secureTransport}. */
  readonly secureTransport: "off" | "on";
  /** See {@linkcode WebSocketSocketOptions.halfClose}. */
  readonly halfClose: boolean;
  /** See {@linkcode WebSocketSocketOptions.allowHalfOpen}. */
  readonly allowHalfOpen: boolean;
  /** See {@linkcode WebSocketSocketOptions.highWaterMark}. */
  readonly highWaterMark: number;
  /** See {@linkcode WebSocketSocketOptions.maxUnread}. */
  readonly maxUnread: number;
  /** See {@linkcode WebSocketSocketOptions.signal}. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Checks what a caller gave.
 *
 * @param options How the socket is to behave.
 * @returns The settings, frozen.
 * @throws {TypeError} If an option is not what it has to be, or contradicts another.
 * @throws {RangeError} If a number of bytes is none.
 */
export function settleWebSocket(options: WebSocketSocketOptions): WebSocketSettings {
  const { secureTransport = "off", halfClose = false, allowHalfOpen = false, signal } = options;
  if (secureTransport !== "off" && secureTransport !== "on") {
    throw new TypeError(
      `"secureTransport" of a WebSocket is "off" or "on": it is ${JSON.stringify(secureTransport)}`,
    );
  }
  if (allowHalfOpen && !halfClose) {
    throw new TypeError(`"allowHalfOpen" needs "halfClose": a WebSocket closes both ways at once`);
  }
  return Object.freeze({
    secureTransport,
    halfClose,
    allowHalfOpen,
    highWaterMark: settleLength("highWaterMark", options.highWaterMark, 1024 * 1024),
    maxUnread: settleLength("maxUnread", options.maxUnread, 4 * 1024 * 1024),
    signal,
  });
}

function settleLength(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`"${name}" is a whole number above 0: it is ${value}`);
}

/**
 * Checks where a bridge is. `new WebSocket()` takes relative and `http:` URLs too, but not everywhere.
 *
 * @param url What the caller gave.
 * @returns A URL with `ws:` or `wss:`.
 * @throws {SyntaxError} If it is none for a WebSocket.
 */
export function settleUrl(url: string | URL): URL {
  const { location } = globalThis as { location?: { href: string } };
  const place = URL.parse(String(url), location?.href);
  if (place?.protocol === "http:") place.protocol = "ws:";
  if (place?.protocol === "https:") place.protocol = "wss:";
  if ((place?.protocol === "ws:" || place?.protocol === "wss:") && place.hash === "") return place;
  throw new SyntaxError(`A WebSocket's URL begins with ws: or wss: and has no fragment: it is ${url}`);
}
