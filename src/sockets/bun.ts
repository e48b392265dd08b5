/**
 * Sockets on Bun, by its own means.
 *
 * @module
 */
import { BunConnection, type BunHandlers, type BunSocket } from "./bun_connection.ts";
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { normalizeError } from "./normalize_error.ts";
import { settle, type SocketSettings } from "./settings.ts";
import type { Socket, SocketAddress, SocketOptions } from "./socket.ts";

/** The part of Bun that is used here. */
interface BunRuntime {
  connect(
    options: ({ hostname: string; port: number } | { unix: string }) & {
      allowHalfOpen: boolean;
      socket: BunHandlers;
    },
  ): Promise<BunSocket>;
}

/**
 * Opens a socket on Bun with `Bun.connect` and `upgradeTLS`.
 *
 * @param address Where to.
 * @param options How. `localAddress` is refused: Bun has no way to set it.
 * @returns The socket, not yet open.
 * @throws {TypeError} If an option is not what it has to be or cannot be honoured.
 * @throws {RangeError} If the port is none.
 */
export function connectBun(address: SocketAddress, options?: SocketOptions): Socket {
  const settings = settle(address, options);
  if (settings.localAddress !== undefined) {
    throw new TypeError(`"localAddress" cannot be honoured by Bun.connect(), which ignores it`);
  }
  return new ConnectionSocket((signal) => openBun(settings, signal), settings);
}

/**
 * Opens a connection on Bun.
 *
 * @param settings Where to and how. There is no `localAddress`.
 * @param signal Gives up.
 * @returns The connection, TLS included with `secureTransport: "on"`.
 */
export async function openBun(settings: SocketSettings, signal: AbortSignal): Promise<Connection> {
  const connection = await openPlain(settings, signal);
  if (settings.secureTransport !== "on") return connection;
  try {
    return await connection.startTls(settings.tls!, signal);
  } catch (error) {
    throw normalizeError(error, { handshake: true, target: settings.target });
  }
}

/** `Bun.connect` cannot be given up: the caller does not wait for it, and what opens too late is closed. */
async function openPlain(
  { address, keepAlive }: SocketSettings,
  signal: AbortSignal,
): Promise<BunConnection> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<BunConnection>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  // The handlers are there from the start, so that what the server says at once is kept.
  const connection = new BunConnection("path" in address ? { remoteAddress: address.path } : undefined);
  const place = "path" in address ? { unix: address.path } : address;
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  Bun.connect({ ...place, allowHalfOpen: true, socket: connection.handlers }).then((socket) => {
    if (signal.aborted) return socket.terminate();
    if (!("path" in address)) {
      socket.setNoDelay(true); // commands are small and each one waits for its reply
      socket.setKeepAlive(keepAlive);
    }
    resolve(connection);
  }, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
