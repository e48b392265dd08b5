/**
 * Opens connections on Bun, with `Bun.connect`.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import { normalizeError } from "../errors.ts";
import { interleave, race } from "../happy_eyeballs.ts";
import { isIpAddress, type SocketSettings } from "../settings.ts";
import { BunConnection, type BunHandlers, type BunSocket } from "./connection.ts";

/** The part of Bun that is used here. */
interface BunRuntime {
  connect(
    options: ({ hostname: string; port: number } | { unix: string }) & {
      allowHalfOpen: boolean;
      socket: BunHandlers;
    },
  ): Promise<BunSocket>;
  dns: { lookup(hostname: string, options: { backend: "libc" }): Promise<{ address: string }[]> };
}

/**
 * Opens a connection on Bun.
 *
 * @param settings Where to and how. There is no `localAddress`, which `Bun.connect` ignores.
 * @param signal Gives up.
 * @returns The connection, after the TLS handshake with `secureTransport: "on"`.
 */
export async function openBun(settings: SocketSettings, signal: AbortSignal): Promise<Connection> {
  const connection = await openPlain(settings, signal);
  if (settings.secureTransport !== "on") return connection;
  try {
    return await connection.startTls(settings.tls!, signal);
  } catch (error) {
    throw normalizeError(error, { handshake: "first", target: settings.target });
  }
}

async function openPlain(
  { address, keepAlive }: SocketSettings,
  signal: AbortSignal,
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

/** Looks up the addresses of a host, by the system's own resolver. */
async function lookup(hostname: string, signal: AbortSignal): Promise<string[]> {
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  const found = await abortable(Bun.dns.lookup(hostname, { backend: "libc" }), signal);
  return interleave(found.map(({ address }) => address));
}

/**
 * `Bun.connect` cannot be given up: the caller does not wait for it, and a socket that opens too late is closed. The
 * handlers are there from the start, so that what the server says at once is kept.
 */
async function connect(
  place: { hostname: string; port: number } | { unix: string },
  { handlers }: BunConnection,
  signal: AbortSignal,
): Promise<BunSocket> {
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  const connecting = Bun.connect({ ...place, allowHalfOpen: true, socket: handlers });
  return await abortable(connecting, signal, { discard: (socket) => socket.terminate() });
}
