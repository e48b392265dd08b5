/**
 * When a socket in the clear may go over to TLS.
 *
 * @module
 */
import type { Socket } from "./socket.ts";

/** The state of a socket, as far as TLS depends on it. */
export interface SocketState {
  /** Whether `startTls()` was called before. */
  handedOver: boolean;
  /** Whether it is closed. */
  closed: boolean;
  /** Whether a read is under way. */
  reading: boolean;
  /** Whether there are bytes that were read from the connection, but not yet from the stream. */
  unread: boolean;
  /** Whether this side or the peer's has ended. */
  ended: boolean;
}

/**
 * Refuses to go over to TLS if bytes would be lost, or would count as protected although they came in the clear.
 *
 * @param socket The socket in the clear.
 * @param state Its state.
 * @throws {TypeError} If it cannot be done.
 */
export function assertCanStartTls(socket: Socket, state: SocketState): void {
  const refuse = (why: string): never => {
    throw new TypeError(`Cannot start TLS: ${why}`);
  };
  if (socket.secureTransport === "on") refuse("the connection is TLS already");
  if (socket.secureTransport === "off") refuse(`the socket was opened with secureTransport "off"`);
  if (state.handedOver) refuse("it was started before");
  if (state.closed) refuse("the socket is closed");
  if (socket.readable.locked) refuse("the readable is locked");
  if (socket.writable.locked) refuse("the writable is locked");
  // A reader that was released during a read leaves the read to the runtime: Deno.startTls() would then fail, and leave a
  // connection that can be neither used nor closed.
  if (state.reading) refuse("a read is under way");
  // A read that ended in the meantime leaves bytes that came in the clear: they must not count as protected.
  if (state.unread) refuse("there are bytes not read yet");
  if (state.ended) refuse("a direction has ended");
}
