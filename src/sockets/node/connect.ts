/**
 * Opens connections with `node:net` and `node:tls`: on Node, on a Bun whose own sockets are not safe to use, and on Bun and
 * Deno with a `localAddress`.
 *
 * @module
 */
import type net from "node:net";
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import { normalizeError } from "../errors.ts";
import { race } from "../happy_eyeballs.ts";
import { assertPermitted, builtin } from "../runtime.ts";
import { formatAddress, isIpAddress, type SocketSettings } from "../settings.ts";
import { NodeConnection } from "./connection.ts";
import { lookup, ofFamily } from "./lookup.ts";
import { startNodeTls } from "./tls.ts";

/**
 * Opens a connection with `node:net` and `node:tls`.
 *
 * @param settings Where to and how.
 * @param signal Gives up.
 * @returns The connection, after the TLS handshake with `secureTransport: "on"`.
 */
export async function openNode(settings: SocketSettings, signal: AbortSignal): Promise<Connection> {
  const { address, secureTransport, tls, target } = settings;
  const raw = await openRaw(settings, signal);
  const info = "path" in address ? { remoteAddress: address.path } : undefined;
  const connection = new NodeConnection(raw, startNodeTls, info);
  if (secureTransport !== "on") return connection;
  try {
    return await connection.startTls(tls!, signal);
  } catch (error) {
    throw normalizeError(error, { handshake: "first", target });
  }
}

async function openRaw(settings: SocketSettings, signal: AbortSignal): Promise<net.Socket> {
  const { address, localAddress, keepAlive } = settings;
  if ("path" in address) return await connectRaw({ path: address.path }, signal);
  const { hostname, port } = address;
  if (localAddress !== undefined) await assertPermitted(formatAddress(localAddress, 0));
  const attempt = (host: string, signal: AbortSignal) =>
    connectRaw({
      host,
      port,
      keepAlive,
      noDelay: true, // commands are small and each one waits for its reply
      ...(localAddress !== undefined && { localAddress }),
    }, signal);
  if (isIpAddress(hostname)) return await attempt(hostname, signal);
  const found = await lookup(hostname, signal);
  if (found[0] === hostname) return await attempt(hostname, signal);
  const addresses = ofFamily(found, settings);
  return await race(addresses, { attempt, discard: (raw) => raw.destroy(), signal });
}

async function connectRaw(options: net.NetConnectOpts, signal: AbortSignal): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  signal.throwIfAborted();
  const raw = builtin("node:net").connect({
    ...options,
    allowHalfOpen: true, // when a half-open connection ends is decided in one place for all adapters
    ...{ highWaterMark: 0 }, // nothing is read ahead
  });
  raw.on("connect", resolve);
  raw.on("error", reject);
  try {
    await abortable(promise, signal);
    return raw;
  } catch (error) {
    raw.on("error", () => {});
    raw.destroy();
    throw error;
  } finally {
    raw.off("connect", resolve);
    raw.off("error", reject);
  }
}
