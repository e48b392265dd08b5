/**
 * How a socket fails.
 * @module
 */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { type Socket, SocketError, type SocketErrorCode } from "../../../src/sockets/socket.ts";

/** The promise rejects with a `SocketError` of this code. */
export async function assertFails(promise: Promise<unknown>, code: SocketErrorCode): Promise<SocketError> {
  const error = await assertRejects(() => promise);
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, code, error.message);
  return error;
}

/** The socket fails with this code before it is open. */
export async function assertNeverOpens(socket: Socket, code: SocketErrorCode): Promise<SocketError> {
  const error = await assertFails(socket.opened, code);
  await assertFails(socket.closed, code);
  await assertFails(socket.readable.getReader().read(), code);
  await assertFails(socket.writable.getWriter().closed, code);
  return error;
}

/** The socket fails with this code in a handshake that `opened` does not wait for: nothing can be read or written. */
export async function assertNeverSecure(socket: Socket, code: SocketErrorCode): Promise<SocketError> {
  const error = await assertFails(socket.readable.getReader().read(), code);
  await assertFails(socket.closed, code);
  await assertFails(socket.writable.getWriter().closed, code);
  return error;
}

/** Text as bytes. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Bytes as text; nothing is no text. */
export function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}
