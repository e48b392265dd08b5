/**
 * How a socket in the clear hands its connection over to one with TLS.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import type { TlsSettings } from "./settings.ts";
import type { Socket } from "./socket.ts";

/** Where a socket stands. */
export interface Standing {
  /** Whether `startTls()` was called before. */
  handedOver: boolean;
  /** Whether it is closed. */
  closed: boolean;
  /** Whether a read is under way. */
  reading: boolean;
  /** Whether there are bytes that were read from the connection, but by nobody from the stream. */
  unread: boolean;
  /** Whether one's own side or the peer's has ended. */
  ended: boolean;
}

/**
 * Refuses to go over to TLS where something would be lost, or would count as protected and was not.
 *
 * @param socket The socket in the clear.
 * @param standing Where it stands.
 * @throws {TypeError} If it cannot be done.
 */
export function assertCanStartTls(socket: Socket, standing: Standing): void {
  const refuse = (why: string): never => {
    throw new TypeError(`Cannot start TLS: ${why}`);
  };
  if (socket.secureTransport === "on") refuse("the connection is TLS already");
  if (socket.secureTransport === "off") refuse(`the socket was opened with secureTransport "off"`);
  if (standing.handedOver) refuse("it was started before");
  if (standing.closed) refuse("the socket is closed");
  if (socket.readable.locked) refuse("the readable is locked");
  if (socket.writable.locked) refuse("the writable is locked");
  // A reader that was released in the middle of a read leaves the read to the runtime: Deno.startTls() would
  // then fail and leave a connection that can be neither used nor closed.
  if (standing.reading) refuse("a read is under way");
  // … and one that ended in the meantime leaves bytes that came in the clear: they must not count as protected.
  if (standing.unread) refuse("there are bytes not read yet");
  if (standing.ended) refuse("a direction has ended");
}

/** What the socket in the clear has to do with it. */
export interface HandOver {
  /** Its connection, there or on its way. */
  opening: Promise<Connection>;
  /** Gives the opening up. */
  giveUp: AbortController;
  /** Ends its streams, with the writes that are still queued. */
  end(): Promise<void>;
}

/**
 * Waits for the connection and for the writes, and does the handshake.
 *
 * @param from The socket in the clear.
 * @param settings How TLS is spoken.
 * @param signal Gives up: the connection is then closed.
 * @returns The connection over TLS.
 */
export async function handOver(
  { opening, giveUp, end }: HandOver,
  settings: TlsSettings,
  signal: AbortSignal,
): Promise<Connection> {
  let plain: Connection | undefined;
  const onAbort = () => {
    giveUp.abort(signal.reason);
    plain?.close();
  };
  signal.addEventListener("abort", onAbort);
  try {
    plain = await opening;
    signal.throwIfAborted();
    await end();
    signal.throwIfAborted();
    signal.removeEventListener("abort", onAbort); // from here on it is the adapter's
    return await plain.startTls(settings, signal);
  } catch (error) {
    plain?.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
