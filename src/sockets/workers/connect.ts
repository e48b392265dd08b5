/**
 * Opens connections on Cloudflare Workers, with `cloudflare:sockets`.
 *
 * The platform reports less than other runtimes:
 * - It does not say why a connection fails, nor, with `"on"`, that the certificate is bad: that is `"network"`.
 * - `opened` does not wait for the handshake of `startTls()`. If that fails, for whatever reason, the first read or write
 *   fails with `"tls-failed"`, and nothing was sent.
 * - To a read, a connection that is cut is the same as one that ends.
 * - `remoteAddress` is the host name that was asked for.
 * - A connection that is closed during the handshake of `"on"` stays open on the platform until the peer ends it or the
 *   request is over.
 * - The platform's streams drop waiting writes when their writer is released: they fail.
 *
 * The client must speak first after `startTls()`, as in SMTP: if a peer speaks before `opened` has resolved, its words may
 * be taken for words in the clear, which is `"tls-failed"`.
 *
 * @module
 */
import type { Connection } from "../connection.ts";
import type { SocketSettings } from "../settings.ts";
import { SocketError } from "../socket.ts";
import { waitForOpen, WorkersConnection, type WorkersSocket } from "./connection.ts";

/** The part of `cloudflare:sockets` that is used here. */
interface WorkersSockets {
  connect(
    address: { hostname: string; port: number },
    options: { secureTransport: "off" | "on" | "starttls"; allowHalfOpen: boolean },
  ): WorkersSocket;
}

/**
 * Opens a connection on Cloudflare Workers.
 *
 * @param settings Where to and how, without anything that the platform cannot do.
 * @param signal Gives up.
 * @returns The connection, after the TLS handshake with `secureTransport: "on"`.
 */
export async function openWorkers(settings: SocketSettings, signal: AbortSignal): Promise<Connection> {
  const { address, secureTransport } = settings;
  if ("path" in address) throw new TypeError("There are no unix sockets on Cloudflare Workers");
  const specifier = "cloudflare:sockets"; // hidden from type checkers and bundlers
  const { connect } = await import(specifier) as WorkersSockets;
  signal.throwIfAborted();
  // When a half-open connection ends is decided in one place for all adapters.
  const socket = connect(bracketed(address), { secureTransport, allowHalfOpen: true });
  try {
    const info = await waitForOpen(socket, signal);
    if (secureTransport !== "on") return new WorkersConnection(socket, info);
    return new WorkersConnection(socket, { ...info, tls: { verifiedBy: "name" } });
  } catch (error) {
    signal.throwIfAborted();
    throw openingFailed(error, settings);
  }
}

/** The platform takes an IPv6 address only with brackets. */
function bracketed(
  { hostname, port }: { hostname: string; port: number },
): { hostname: string; port: number } {
  return { hostname: hostname.includes(":") ? `[${hostname}]` : hostname, port };
}

/** A port that refuses, a name without an address and, with `"on"`, a bad certificate look the same on the platform. */
function openingFailed(error: unknown, { target, secureTransport }: SocketSettings): SocketError {
  const why = secureTransport === "on"
    ? "it was refused, the host name has no address, TLS or its certificate failed, or the server does not begin with TLS " +
      'and needs security: "starttls"'
    : "it was refused, or the host name has no address";
  return new SocketError(
    "network",
    `The connection failed (${target}): ${why}; Cloudflare Workers do not say which`,
    { cause: error },
  );
}
