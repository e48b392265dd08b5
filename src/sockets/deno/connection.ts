/**
 * A connection over a `Deno.Conn`.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import { isServersOwn } from "../pem.ts";
import type { TlsSettings } from "../settings.ts";
import type { SocketInfo } from "../socket.ts";
import { ownCertificates } from "../tls.ts";

/** The most that one read can bring. A larger buffer is no faster: the kernel hands over no more than this at once. */
const BUFFER_LENGTH = 65_536;

/** A {@linkcode Connection} over a `Deno.Conn`. */
export class DenoConnection implements Connection {
  readonly info: SocketInfo;
  readonly #conn: Deno.Conn;
  /** What an error has left over of a write. While one is under way nobody knows. */
  unsent = 0;
  #buffer = new Uint8Array(BUFFER_LENGTH);

  /**
   * @param conn The open connection. Nobody else uses it.
   * @param info What is known about it.
   */
  constructor(conn: Deno.Conn, info: SocketInfo) {
    this.#conn = conn;
    this.info = info;
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    let count: number | null;
    try {
      count = await this.#conn.read(this.#buffer);
    } catch (error) {
      // The peer ended without TLS's close_notify, as many servers do after 221. SMTP itself marks where its texts end, so
      // that an attacker who cuts the connection gains nothing.
      if (error instanceof Deno.errors.UnexpectedEof) return null;
      throw error;
    }
    if (count === null) return null;
    // A small reply is copied, so that the buffer can be used again and nobody keeps 64 KiB for 20 bytes.
    if (count <= BUFFER_LENGTH / 2) return this.#buffer.slice(0, count);
    const full = this.#buffer.subarray(0, count);
    this.#buffer = new Uint8Array(BUFFER_LENGTH);
    return full;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    try {
      do written += await this.#conn.write(bytes.subarray(written)); while (written < bytes.length);
    } catch (error) {
      this.unsent = bytes.length - written;
      throw error;
    }
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  ref(): void {
    this.#conn.ref();
  }

  unref(): void {
    this.#conn.unref();
  }

  close(): void {
    this.#conn[Symbol.dispose](); // a second close() would throw
  }

  /**
   * Goes over to TLS with `Deno.startTls`. What that cannot do is left to `node:tls` over the same connection: a client
   * certificate, `verify: false`, `fingerprints`, showing the server's certificate, a server's own certificate in `caCerts`,
   * whether it calls itself an authority's (`CaUsedAsEndEntity`) or not (see {@linkcode ownCertificates}), and TLS over a unix socket.
   */
  async startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    const { serverName, caCerts, alpnProtocols, verify, cert, peerCertificate } = settings;
    const isForNode = !verify || cert !== undefined || peerCertificate;
    if (
      !isTcp(this.#conn) || isForNode || serverName === undefined ||
      caCerts.some((pem) => isServersOwn(pem, serverName)) || ownCertificates(caCerts).length > 0
    ) {
      // Node's adapter, which Deno seldom needs.
      const { startTlsWithNode } = await import("../node/connection.ts");
      return startTlsWithNode(this, settings, signal);
    }
    const conn = await Deno.startTls(this.#conn, {
      hostname: serverName,
      caCerts: [...caCerts],
      alpnProtocols: [...alpnProtocols],
    });
    try {
      signal.throwIfAborted();
      // Otherwise a bad certificate shows only with the first read.
      const { alpnProtocol } = await abortable(conn.handshake(), signal);
      return new DenoConnection(conn, { ...this.info, alpn: alpnProtocol, tls: { verifiedBy: "name" } });
    } catch (error) {
      // When a handshake is given up, Deno (2.9.6) closes the TCP connection only after the peer has said something or hung
      // up: there is no way to reach it any more. The caller does not wait for that.
      conn[Symbol.dispose]();
      throw error;
    }
  }
}

function isTcp(conn: Deno.Conn): conn is Deno.TcpConn {
  return conn.localAddr.transport === "tcp";
}
