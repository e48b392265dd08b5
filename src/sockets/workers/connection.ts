/**
 * A connection over a socket of `cloudflare:sockets`.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import type { TlsSettings } from "../settings.ts";
import { SocketError, type SocketInfo } from "../socket.ts";

/** The most that one read can bring. By default the platform hands over 4 KiB at a time. */
const BUFFER_LENGTH = 65_536;

/**
 * Rounds of the platform's event loop in which bytes that it already holds reach a read. One takes some 20 µs and, unlike a
 * timer, hardly ever looks at the network. Two are enough (workerd 2026-07-30).
 */
const ROUNDS = 8;

/** The part of the platform's socket that is used here. */
export interface WorkersSocket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<{ remoteAddress?: string; localAddress?: string }>;
  readonly closed: Promise<void>;
  close(): Promise<void>;
  startTls(): WorkersSocket;
}

/** A {@linkcode Connection} over the platform's socket. */
export class WorkersConnection implements Connection {
  readonly info: SocketInfo;
  readonly #socket: WorkersSocket;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Fails what is under way when the connection is closed: the platform may leave it pending. */
  readonly #closing = new AbortController();
  /** After `startTls()`, until a byte has passed: the platform's `opened` does not wait for the handshake. */
  #unproven: boolean;
  /** Whether the platform has closed the socket. */
  #gone = false;
  /** A read that was started before anybody asked for it. */
  #first: Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> | undefined;

  /**
   * @param socket The platform's socket.
   * @param info What is known about it.
   * @param unproven Whether its handshake may still fail.
   */
  constructor(socket: WorkersSocket, info: SocketInfo, unproven = false) {
    this.info = info;
    this.#unproven = unproven;
    this.#socket = socket;
    this.#reader = socket.readable.getReader({ mode: "byob" });
    this.#writer = socket.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    const gone = () => void (this.#gone = true);
    socket.closed.then(gone, gone);
  }

  /**
   * Refuses bytes that the peer sent in the clear after it agreed to TLS. If they came before the platform's `startTls()`,
   * they are the first that the new socket reads (workerd 2026-07-30), as if they were protected: that is how an attacker
   * puts replies into the mouth of a server (CVE-2011-0411). They are there already, while bytes over TLS still have to
   * come from the network.
   *
   * @throws {SocketError} If there are any.
   */
  async refuseInjected(): Promise<void> {
    let said = false;
    this.#first = this.#reader.read(new Uint8Array(BUFFER_LENGTH));
    this.#first.then(({ value }) => said = value !== undefined && value.length > 0, () => {});
    for (let i = 0; i < ROUNDS && !said; i++) await new Response("x").text();
    if (!said) return;
    const at = this.info.remoteAddress === undefined ? "" : ` (${this.info.remoteAddress})`;
    throw new SocketError(
      "tls-failed",
      `TLS failed${at}: the peer sent something in the clear after it agreed to TLS`,
    );
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    let value: Uint8Array<ArrayBuffer> | undefined;
    const read = this.#first ?? this.#reader.read(new Uint8Array(BUFFER_LENGTH));
    this.#first = undefined;
    try {
      ({ value } = await abortable(read, this.#closing.signal));
    } catch (error) {
      if (this.#unproven || !isLost(error)) throw this.#normalize(error);
      // Over TLS the platform does not tell an end without close_notify from a cut; in the clear it takes a cut for an end
      // anyway. SMTP itself marks where its texts end.
    }
    if (value === undefined || value.length === 0) {
      // To a read, a failed handshake looks like an end, but the platform has closed the socket by then.
      if (this.#unproven && this.#gone) throw tlsFailed(this.info.remoteAddress);
      return null;
    }
    this.#unproven = false;
    // A small reply is copied, so that nobody keeps 64 KiB for 20 bytes.
    return value.length <= BUFFER_LENGTH / 2 ? value.slice() : value;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await abortable(this.#writer.write(bytes), this.#closing.signal);
      this.#unproven = false; // it has waited for the handshake
    } catch (error) {
      throw this.#normalize(error);
    }
  }

  async closeWrite(): Promise<void> {
    try {
      await abortable(this.#writer.close(), this.#closing.signal);
    } catch (error) {
      throw this.#normalize(error);
    }
  }

  close(): void {
    this.#closing.abort(new SocketError("closed", "The socket was closed"));
    drop(this.#socket); // its `closed` may stay pending while something is unread: nobody waits for it
  }

  async startTls(_: TlsSettings, signal: AbortSignal): Promise<Connection> {
    // With a lock still held the platform's startTls() returns, but `opened` never settles.
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    let secure: WorkersSocket | undefined;
    try {
      signal.throwIfAborted();
      secure = this.#socket.startTls();
      const info: SocketInfo = { ...this.info, tls: { verifiedBy: "name" } };
      const connection = new WorkersConnection(secure, info, true);
      await connection.refuseInjected();
      await waitForOpen(secure, signal);
      return connection;
    } catch (error) {
      drop(secure ?? this.#socket);
      signal.throwIfAborted();
      if (error instanceof SocketError) throw error;
      throw tlsFailed(this.info.remoteAddress, error);
    }
  }

  #normalize(error: unknown): unknown {
    if (error instanceof SocketError) return error;
    if (this.#unproven) return tlsFailed(this.info.remoteAddress, error);
    if (!isLost(error)) return error;
    return new SocketError("connection-reset", "The peer cut the connection", { cause: error });
  }
}

function isLost(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Network connection lost");
}

/**
 * Waits for a socket to open. The platform leaves `opened` pending when the socket is closed.
 *
 * @param socket The platform's socket. It is closed if it does not open.
 * @param signal Gives up.
 * @returns What the platform knows about it.
 */
export async function waitForOpen(socket: WorkersSocket, signal: AbortSignal): Promise<SocketInfo> {
  socket.closed.catch(() => {});
  try {
    const { remoteAddress, localAddress } = await abortable(socket.opened, signal);
    return { ...(remoteAddress && { remoteAddress }), ...(localAddress && { localAddress }) };
  } catch (error) {
    drop(socket);
    throw error;
  }
}

function drop(socket: WorkersSocket): void {
  try {
    socket.close().catch(() => {});
  } catch {
    // it is closed
  }
}

/** For a failed handshake the platform says only `internal error; reference = …`, and the same for a bad certificate. */
function tlsFailed(target: string | undefined, error?: unknown): SocketError {
  const at = target === undefined ? "" : ` (${target})`;
  const why = "the certificate is not trusted, is for another name or has expired, or the handshake failed";
  return new SocketError("tls-failed", `TLS failed${at}: ${why}; Cloudflare Workers do not say which`, {
    cause: error,
  });
}
