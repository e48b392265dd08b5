/**
 * Sockets on Bun, by its own means.
 *
 * @module
 */
import { BunConnection, type BunHandlers, type BunSocket } from "./bun_connection.ts";
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { race } from "./happy_eyeballs.ts";
import { type Lookup, lookupBun } from "./lookup.ts";
import { normalizeError } from "./normalize_error.ts";
import { isIpAddress, settle, type SocketSettings } from "./settings.ts";
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
 * @param lookup Finds the addresses of a host. Default: the system does.
 * @returns The connection, TLS included with `secureTransport: "on"`.
 */
export async function openBun(
  settings: SocketSettings,
  signal: AbortSignal,
  lookup: Lookup = lookupBun,
): Promise<Connection> {
  const connection = await openPlain(settings, signal, lookup);
  if (settings.secureTransport !== "on") return connection;
  try {
    return await connection.startTls(settings.tls!, signal);
  } catch (error) {
    throw normalizeError(error, { handshake: true, target: settings.target });
  }
}

async function openPlain(
  { address, keepAlive }: SocketSettings,
  signal: AbortSignal,
  lookup: Lookup,
): Promise<BunConnection> {
  signal.throwIfAborted();
  if ("path" in address) {
    const connection = new BunConnection({ remoteAddress: address.path });
    await connect({ unix: address.path }, connection, signal);
    return connection;
  }
  const { hostname, port } = address;
  const attempt = async (hostname: string, signal: AbortSignal) => {
    const connection = new BunConnection();
    const socket = await connect({ hostname, port }, connection, signal);
    socket.setNoDelay(true); // commands are small and each one waits for its reply
    socket.setKeepAlive(keepAlive);
    return connection;
  };
  if (isIpAddress(hostname)) return await attempt(hostname, signal);
  const addresses = await lookup(hostname, signal);
  return await race(addresses, { attempt, discard: (connection) => void connection.close(), signal });
}

/**
 * `Bun.connect` cannot be given up: the caller does not wait for it, and what opens too late is closed. The handlers are
 * there from the start, so that what the server says at once is kept.
 */
async function connect(
  place: { hostname: string; port: number } | { unix: string },
  { handlers }: BunConnection,
  signal: AbortSignal,
): Promise<BunSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<BunSocket>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  Bun.connect({ ...place, allowHalfOpen: true, socket: handlers }).then((socket) => {
    if (signal.aborted) socket.terminate();
    else resolve(socket);
  }, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
