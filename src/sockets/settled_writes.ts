/**
 * Which sockets are done with the bytes of a write once it has ended. Asked by who must not load any socket for it.
 *
 * @module
 */
import type { Socket } from "./socket.ts";

const sockets = new WeakSet<Socket>();

/** Says of a socket that the memory of a write which has ended may be used again. */
export function markSettledWrites(socket: Socket): void {
  sockets.add(socket);
}

/** Whether the memory of a write that has ended may be used again: ours promise it, a stream of the caller's may keep it. */
export function hasSettledWrites(socket: Socket): boolean {
  return sockets.has(socket);
}
