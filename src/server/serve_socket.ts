/**
 * Serves a connection that is open already.
 *
 * @module
 */
import type { Socket } from "../sockets/socket.ts";
import { ServerConnection } from "./connection.ts";
import type { ServerHandlers } from "./handlers.ts";
import { assertNames, readOptions, type ServeSocketOptions } from "./options.ts";

/**
 * Serves one client over any socket: one in memory, a tunnel, a WebSocket, or a connection that another program has
 * accepted. STARTTLS is offered if the socket has `secureTransport: "starttls"`.
 *
 * @param socket The connection. It is closed at the end.
 * @param options How to serve. `signal` ends the session with 421, after an open transaction, at most
 * `timeouts.shutdown` later.
 * @param handlers The decisions. Without any, every message is accepted and thrown away.
 * @returns Resolves when the session is over. Whatever the client does, it does not reject.
 * @throws {TypeError | RangeError} If an option is not valid.
 *
 * @example A session in memory
 * ```ts
 * import { serveSocket } from "@streams/smtp/server";
 * import { memorySocketPair } from "@streams/smtp/sockets";
 *
 * const [client, server] = memorySocketPair();
 * const served = serveSocket(server, { serverName: "mx.test" });
 *
 * const reader = client.readable.getReader();
 * const { value } = await reader.read();
 * console.log(new TextDecoder().decode(value)); // "220 mx.test ESMTP\r\n"
 *
 * const writer = client.writable.getWriter();
 * await writer.write(new TextEncoder().encode("QUIT\r\n"));
 * await reader.read();
 * await client.close();
 * await served;
 * ```
 */
export function serveSocket(
  socket: Socket,
  options: ServeSocketOptions = {},
  handlers: ServerHandlers = {},
): Promise<void> {
  const settings = readOptions(assertNames(options, handlers, "serveSocket"), handlers);
  const connection = new ServerConnection(socket, settings, handlers);
  return runUntilAborted(connection, settings.signal, settings.timeouts.shutdown);
}

async function runUntilAborted(
  connection: ServerConnection,
  signal: AbortSignal | undefined,
  limit: number,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const abort = () => {
    if (limit !== Infinity) timer = setTimeout(() => connection.cut(), limit);
    connection.shutdown();
  };
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    await connection.run();
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
