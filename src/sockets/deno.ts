/**
 * Sockets on Deno, by its own means.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { normalizeError } from "./normalize_error.ts";
import { connectDenoTcp } from "./deno_tcp.ts";
import { type Lookup, lookupNode } from "./lookup.ts";
import { formatAddress, settle, type SocketSettings, type TlsSettings } from "./settings.ts";
import type { Socket, SocketAddress, SocketInfo, SocketOptions } from "./socket.ts";

/** What one read can bring. More does not make it faster: it is what a kernel hands over at once. */
const BUFFER_LENGTH = 65_536;

/**
 * Opens a socket on Deno with `Deno.connect` and `Deno.startTls`. What they cannot do, a client certificate,
 * `verify: false`, showing the server's certificate and TLS over a unix socket, is left to `node:tls` over the same connection.
 *
 * @param address Where to.
 * @param options How. `localAddress` is refused: Deno has no way to set it.
 * @returns The socket, not yet open.
 * @throws {TypeError} If an option is not what it has to be or cannot be honoured.
 * @throws {RangeError} If the port is none.
 */
export function connectDeno(address: SocketAddress, options?: SocketOptions): Socket {
  const settings = settle(address, options);
  if (settings.localAddress !== undefined) {
    throw new TypeError(`"localAddress" cannot be honoured by Deno.connect(), which ignores it`);
  }
  return new ConnectionSocket((signal) => openDeno(settings, signal), settings);
}

/**
 * Opens a connection on Deno.
 *
 * @param settings Where to and how. There is no `localAddress`.
 * @param signal Gives up.
 * @param lookup Finds the addresses of a host, if it comes to that. Default: the system does.
 * @returns The connection, TLS included with `secureTransport: "on"`.
 */
export async function openDeno(
  settings: SocketSettings,
  signal: AbortSignal,
  lookup: Lookup = lookupNode,
): Promise<Connection> {
  const { address, keepAlive, secureTransport, tls } = settings;
  if ("path" in address) {
    const conn = await connectUnix(address.path, signal);
    return secure(new DenoConnection(conn, { remoteAddress: address.path }));
  }
  const conn = await connectDenoTcp(address, signal, lookup);
  conn.setNoDelay(true); // commands are small and each one waits for its reply
  conn.setKeepAlive(keepAlive);
  return secure(
    new DenoConnection(conn, {
      remoteAddress: formatNetAddress(conn.remoteAddr),
      localAddress: formatNetAddress(conn.localAddr),
    }),
  );

  async function secure(connection: DenoConnection): Promise<Connection> {
    if (secureTransport !== "on") return connection;
    try {
      return await connection.startTls(tls!, signal);
    } catch (error) {
      throw normalizeError(error, { handshake: true, target: settings.target });
    }
  }
}

class DenoConnection implements Connection {
  readonly info: SocketInfo;
  readonly #conn: Deno.Conn;
  #buffer = new Uint8Array(BUFFER_LENGTH);

  constructor(conn: Deno.Conn, info: SocketInfo) {
    this.#conn = conn;
    this.info = info;
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    let count: number | null;
    try {
      count = await this.#conn.read(this.#buffer);
    } catch (error) {
      // The peer ended without TLS's close_notify. SMTP says itself where its texts end, so that an attacker who cuts
      // the connection gains nothing, and many servers do this after 221.
      if (error instanceof Deno.errors.UnexpectedEof) return null;
      throw error;
    }
    if (count === null) return null;
    // A small reply is copied, so that the buffer serves again and nobody keeps 64 KiB for 20 bytes.
    if (count <= BUFFER_LENGTH / 2) return this.#buffer.slice(0, count);
    const full = this.#buffer.subarray(0, count);
    this.#buffer = new Uint8Array(BUFFER_LENGTH);
    return full;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let written = await this.#conn.write(bytes);
    while (written < bytes.length) written += await this.#conn.write(bytes.subarray(written));
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    this.#conn[Symbol.dispose](); // a second close() would throw
  }

  async startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    const { serverName, caCerts, alpnProtocols, verify, cert, peerCertificate } = settings;
    const isForNode = !verify || cert !== undefined || peerCertificate;
    if (!isTcp(this.#conn) || isForNode || serverName === undefined) {
      const { startTlsWithNode } = await import("./node.ts");
      return startTlsWithNode(this, settings, signal);
    }
    const conn = await Deno.startTls(this.#conn, {
      hostname: serverName,
      caCerts: [...caCerts],
      alpnProtocols: [...alpnProtocols],
    });
    // Deno (2.9.6) closes the TCP connection of a handshake that is given up only when the peer has said something or
    // hung up: there is no way to get at it any more. The caller does not wait for that.
    const abort = () => conn[Symbol.dispose]();
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      // Otherwise a bad certificate shows only with the first read.
      const { alpnProtocol } = await conn.handshake();
      signal.throwIfAborted();
      return new DenoConnection(conn, { ...this.info, alpn: alpnProtocol });
    } catch (error) {
      conn[Symbol.dispose]();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

/** Deno takes no signal here; only a server with a full backlog makes one wait. */
async function connectUnix(path: string, signal: AbortSignal): Promise<Deno.UnixConn> {
  signal.throwIfAborted();
  const connecting = Deno.connect({ transport: "unix", path });
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([connecting, aborted]);
  } catch (error) {
    connecting.then((conn) => conn.close(), () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function isTcp(conn: Deno.Conn): conn is Deno.TcpConn {
  return conn.localAddr.transport === "tcp";
}

function formatNetAddress({ hostname, port }: Deno.NetAddr): string {
  return formatAddress(hostname, port);
}
