/**
 * Listens with `node:net`, on every runtime, and makes sockets of the connections.
 *
 * @module
 */
import type net from "node:net";
import { nodeSocket } from "../sockets/node/socket.ts";
import { assertPermitted, builtin } from "../sockets/runtime.ts";
import { normalizeError } from "../sockets/errors.ts";
import { formatAddress, isIpAddress } from "../sockets/settings.ts";
import { type Socket, SocketError, type SocketErrorCode } from "../sockets/socket.ts";
import type { ClientPlaces } from "./client_places.ts";
import type { ServerAddress } from "./options.ts";
import { TOO_MANY_CONNECTIONS, toWire } from "./replies.ts";
import type { SecureServer } from "./tls.ts";

/** Where to listen, and what to do with connections. */
interface ListenerInit {
  /** An IP address or a host name. */
  readonly hostname: string;
  /** The port; 0 for any free one. */
  readonly port: number;
  /** The path of a unix socket instead. */
  readonly path: string | undefined;
  /** When TLS begins. */
  readonly security: "tls" | "starttls" | "none";
  /** Makes TLS sockets; undefined with `security: "none"`. */
  readonly secure: SecureServer | undefined;
  /** The places for connections. */
  readonly places: ClientPlaces;
  /** Takes a connection; with `security: "tls"` its handshake is still to come. Gives its place back in the end. */
  readonly accept: (socket: Socket, giveBack: () => void) => void;
  /** Called when the listening itself fails. */
  readonly onError: (error: unknown) => void;
}

/** A port or unix socket that is listened on. */
export interface Listener {
  /** Resolves when it listens; rejects if it cannot. */
  readonly listening: Promise<ServerAddress>;
  /**
   * Stops listening; connections go on. Resolves when the port is free, or has never been taken. A unix socket's file is
   * removed if it is still the one that was made.
   */
  close(): Promise<void>;
}

/**
 * Begins to listen.
 *
 * @param init Where to listen, and what to do with connections.
 * @returns The listener.
 */
export function listen(init: ListenerInit): Listener {
  // Read on demand only; and a client that ends its side after its last command still gets its replies.
  const settings = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, highWaterMark: 0 };
  const server = builtin("node:net").createServer(settings, (raw) => onConnection(raw, init));
  const listening = Promise.withResolvers<ServerAddress>();
  let address: ServerAddress | undefined;
  const fail = async (error: unknown) => listening.reject(await describeFailure(error, init));
  server.on("error", (error) => {
    if (address === undefined) void fail(error);
    else init.onError(normalizeError(error));
  });
  const { path, hostname, port } = init;
  let file: string | undefined;
  server.on("listening", () => {
    if (path !== undefined) file = identify(path);
    listening.resolve(address = describeAddress(server, path));
  });
  const permitted = path === undefined ? assertPermitted(formatAddress(hostname, port)) : Promise.resolve();
  permitted
    .then(() => server.listen(path === undefined ? { host: hostname, port } : { path }))
    .catch(fail); // what listen() throws, too: Deno without permission for the path
  return {
    listening: listening.promise,
    async close() {
      // On Deno, a server that is closed before it is bound emits neither event.
      const bound = await listening.promise.then(() => true, () => false);
      if (!bound) return;
      if (file !== undefined && ![file, undefined].includes(identify(path!))) return abandon(server);
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Device and inode of a socket's file; `undefined` if it has none, as on Windows, where a path is the name of a pipe. */
function identify(path: string): string | undefined {
  try {
    const { dev, ino } = builtin("node:fs").lstatSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}

/**
 * Gives up a server whose path is another's by now: of the process that has taken over, for example. Closed, it would unlink
 * the path, on Node, Bun and Deno (https://github.com/libuv/libuv/issues/1332). Its own file is gone already, so that nobody
 * can reach it; the descriptor stays until the process ends.
 */
function abandon(server: net.Server): void {
  server.removeAllListeners("connection");
  server.on("connection", (raw) => raw.destroy());
  server.unref();
}

function onConnection(raw: net.Socket, { security, secure, places, accept }: ListenerInit): void {
  const giveBack = places.take(raw.remoteAddress);
  if (giveBack === undefined) return refuse(raw, security === "tls");
  accept(
    secure === undefined ? nodeSocket(raw, { allowHalfOpen: true }) : nodeSocket(raw, {
      secureTransport: security === "tls" ? "on" : "starttls",
      ...secure,
      allowHalfOpen: true,
    }),
    giveBack,
  );
}

/** Refuses one connection too many; in silence under TLS, where a reply would cost a handshake. */
function refuse(raw: net.Socket, silently: boolean): void {
  raw.on("error", () => {});
  if (silently) raw.destroy();
  else raw.end(toWire(TOO_MANY_CONNECTIONS), () => raw.destroy());
}

/** Why nobody can listen there, in the same words on every runtime. */
async function describeFailure(cause: unknown, { hostname, port, path }: ListenerInit): Promise<SocketError> {
  const where = path ?? formatAddress(hostname, port);
  const code = await classify(cause, path === undefined ? hostname : undefined);
  const why: Partial<Record<SocketErrorCode, string>> = {
    "address-in-use": path === undefined
      ? "another program listens there already"
      : "another program listens there already, or has left its socket behind",
    "not-permitted": path === undefined || !("code" in (cause as object))
      ? "it is not permitted"
      : "the folder does not exist, or must not be written to",
    "host-not-found": "the host name has no address",
    "unreachable": "this machine does not have the address",
  };
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  return new SocketError(code, `Cannot listen on ${where}: ${why[code] ?? "the system refuses"}${detail}`, {
    cause,
  });
}

async function classify(error: unknown, hostname: string | undefined): Promise<SocketErrorCode> {
  const { code } = error as { code?: unknown };
  if (code === "EADDRINUSE") return "address-in-use";
  if (hostname === undefined) return code === "ENOENT" ? "not-permitted" : normalizeError(error).code;
  // Deno (2.9.6) has this code for an address of another machine.
  if (code === "EINVAL") return "unreachable";
  const known = normalizeError(error).code;
  // Bun (1.4.5) does not say that a name has no address.
  if (known !== "network" || isIpAddress(hostname) || await hasAddress(hostname)) return known;
  return "host-not-found";
}

function hasAddress(hostname: string): Promise<boolean> {
  return builtin("node:dns").promises.lookup(hostname).then(() => true, () => false);
}

function describeAddress(server: net.Server, path: string | undefined): ServerAddress {
  const address = server.address();
  if (address === null || typeof address === "string") return Object.freeze({ hostname: "", port: 0, path });
  return Object.freeze({ hostname: address.address, port: address.port, path: undefined });
}
