/**
 * Opens connections on Deno, with `Deno.connect`.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import { normalizeError } from "../errors.ts";
import { formatAddress, type SocketSettings } from "../settings.ts";
import { DenoConnection } from "./connection.ts";
import { connectTcp } from "./tcp.ts";

/**
 * Opens a connection on Deno.
 *
 * @param settings Where to and how. There is no `localAddress`, which `Deno.connect` ignores.
 * @param signal Gives up.
 * @returns The connection, after the TLS handshake with `secureTransport: "on"`.
 */
export async function openDeno(settings: SocketSettings, signal: AbortSignal): Promise<Connection> {
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
): Promise<DenoConnection> {
  if ("path" in address) {
    const conn = await connectUnix(address.path, signal);
    return new DenoConnection(conn, { remoteAddress: address.path });
  }
  const conn = await connectTcp(address, signal);
  conn.setNoDelay(true); // commands are small and each one waits for its reply
  conn.setKeepAlive(keepAlive);
  return new DenoConnection(conn, {
    remoteAddress: formatNetAddress(conn.remoteAddr),
    localAddress: formatNetAddress(conn.localAddr),
  });
}

/** Deno takes no signal here; it waits only where the server's backlog is full. */
async function connectUnix(path: string, signal: AbortSignal): Promise<Deno.UnixConn> {
  signal.throwIfAborted();
  const connecting = Deno.connect({ transport: "unix", path });
  return await abortable(connecting, signal, { discard: (conn) => conn.close() });
}

function formatNetAddress({ hostname, port }: Deno.NetAddr): string {
  return formatAddress(hostname, port);
}
