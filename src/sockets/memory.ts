/**
 * Two sockets that are each other's peer, without a network: for tests, and for a client and a server in one process.
 *
 * @module
 */
import { abortable } from "./abortable.ts";
import type { Connection } from "./connection.ts";
import { ConnectionSocket } from "./connection_socket.ts";
import { mustBe } from "../core/errors.ts";
import { mustExist, type OptionNames } from "../core/option_names.ts";
import { settleTls, type TlsSettings } from "./settings.ts";
import { type SecureTransport, type Socket, SocketError, type SocketInfo } from "./socket.ts";

/** How a pair of sockets in memory behaves. */
export interface MemorySocketOptions {
  /**
   * How many bytes may wait in each direction before a write has to wait for the peer to read. Default: 65,536, about as
   * many as a kernel takes.
   */
  highWaterMark?: number;
  /** `"starttls"` allows {@linkcode Socket.startTls} on both sockets. Default: `"off"`. */
  secureTransport?: Exclude<SecureTransport, "on">;
  /** See {@linkcode SocketOptions.allowHalfOpen}. Default: `false`. */
  allowHalfOpen?: boolean;
}

const NAMES: OptionNames<MemorySocketOptions> = {
  highWaterMark: true,
  secureTransport: true,
  allowHalfOpen: true,
};

/**
 * Makes two sockets that are each other's peer, both open at once. Bytes written to one are read from the other, with
 * backpressure; each side can end its own direction. `close()` ends a socket in good order: the peer can still read
 * everything that was written before. `close(reason)` cuts the connection: the peer's next read or write fails with
 * `"connection-reset"`.
 *
 * `startTls()` does not encrypt, because nobody else can see the bytes: it waits until the peer starts TLS as well, and fails
 * with `"tls-failed"` if there are bytes in the clear where the handshake would be, which would make a real one fail.
 * `alpn` is the first of the socket's protocols that the peer offers, too. The other TLS options have no effect.
 *
 * @param options How the pair behaves.
 * @returns The two sockets.
 * @throws {TypeError} If an option does not exist.
 * @throws {RangeError} If the high-water mark is not a whole number above 0.
 *
 * @example
 * ```ts
 * import { memorySocketPair } from "@streams/smtp/sockets";
 *
 * const [client, server] = memorySocketPair();
 * await client.writable.getWriter().write(new TextEncoder().encode("EHLO client.test\r\n"));
 * const { value } = await server.readable.getReader().read();
 * ```
 */
export function memorySocketPair(options: MemorySocketOptions = {}): [Socket, Socket] {
  const given = mustExist("make sockets", options, NAMES);
  const { highWaterMark = 65_536, secureTransport = "off", allowHalfOpen = false } = given;
  if (!Number.isInteger(highWaterMark) || highWaterMark < 1) {
    throw new RangeError(mustBe("make sockets", "highWaterMark", "a whole number above 0", highWaterMark));
  }
  const [a, b] = createConnections(highWaterMark);
  const init = {
    secureTransport,
    allowHalfOpen,
    target: "memory",
    startTls: (tls = {}) => settleTls(tls, "memory"),
  };
  return [new ConnectionSocket(a, init), new ConnectionSocket(b, init)];
}

function createConnections(
  highWaterMark: number,
  alpn: string | null = null,
): [MemoryConnection, MemoryConnection] {
  const forth = new Pipe(highWaterMark);
  const back = new Pipe(highWaterMark);
  const upgrade = new Upgrade(forth, back, highWaterMark);
  const info = Object.freeze({ remoteAddress: "memory", localAddress: "memory", alpn });
  return [
    new MemoryConnection(info, back, forth, upgrade),
    new MemoryConnection(info, forth, back, upgrade),
  ];
}

/** The end of a direction. A failure is a value here, so that everything written before it can be read first. */
type End = { error: SocketError | undefined };

/** One direction: bytes that wait for a reader, or a reader that waits for bytes. */
class Pipe {
  readonly #limit: number;
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  /** Index of the first unread chunk; shift() would move all the others each time. */
  #head = 0;
  #length = 0;
  #end: End | undefined;
  #readerGone = false;
  #reader: PromiseWithResolvers<Uint8Array<ArrayBuffer> | null> | undefined;
  #writer: PromiseWithResolvers<void> | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** How many bytes of the write that is under way, or has failed, were not taken. */
  unsent = 0;

  read(): Promise<Uint8Array<ArrayBuffer> | null> | Uint8Array<ArrayBuffer> | null {
    if (this.#length > 0) {
      const chunk = this.#chunks[this.#head]!;
      this.#chunks[this.#head++] = EMPTY;
      this.#length -= chunk.length;
      if (this.#length === 0) {
        this.#chunks.length = 0;
        this.#head = 0;
      }
      this.#wakeWriter();
      return chunk;
    }
    if (this.#end !== undefined) {
      if (this.#end.error !== undefined) throw this.#end.error;
      return null;
    }
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  write(bytes: Uint8Array): Promise<void> | void {
    this.unsent = bytes.length;
    this.#assertWritable();
    // Always a copy: after the write the writer may use its memory again. `new`, because slice() of a Buffer is a view.
    if (this.#reader !== undefined) {
      const { resolve } = this.#reader;
      this.#reader = undefined;
      this.unsent = 0;
      resolve(new Uint8Array(bytes));
      return;
    }
    if (bytes.length > this.#limit - this.#length) return this.#writeInParts(bytes);
    this.unsent = 0;
    this.#push(new Uint8Array(bytes));
  }

  async #writeInParts(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length;) {
      const room = this.#limit - this.#length;
      if (room === 0) {
        this.#writer = Promise.withResolvers();
        await this.#writer.promise;
        this.#assertWritable();
        continue;
      }
      const part = new Uint8Array(bytes.subarray(start, start + room));
      start += part.length;
      this.unsent -= part.length;
      if (this.#reader !== undefined) {
        const { resolve } = this.#reader;
        this.#reader = undefined;
        resolve(part);
      } else {
        this.#push(part);
      }
    }
  }

  /** Ends it: the reader gets the bytes that are there, then the end or the error. */
  end(error?: SocketError): void {
    if (this.#end?.error !== undefined) return;
    this.#end = { error };
    if (this.#reader === undefined) return;
    const { resolve, reject } = this.#reader;
    this.#reader = undefined;
    if (error === undefined) resolve(null);
    else reject(error);
  }

  /** Nobody reads any more. */
  abandon(): void {
    this.#readerGone = true;
    this.#chunks = [];
    this.#length = 0;
    this.#wakeWriter();
    this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  #push(chunk: Uint8Array<ArrayBuffer>): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  #wakeWriter(): void {
    this.#writer?.resolve();
    this.#writer = undefined;
  }

  #assertWritable(): void {
    if (this.#readerGone || this.#end !== undefined) throw reset();
  }
}

const EMPTY = new Uint8Array(0);

function reset(): SocketError {
  return new SocketError("connection-reset", "The peer cut the connection");
}

class MemoryConnection implements Connection {
  readonly info: SocketInfo;
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;
  readonly #upgrade: Upgrade;

  constructor(info: SocketInfo, incoming: Pipe, outgoing: Pipe, upgrade: Upgrade) {
    this.info = info;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#upgrade = upgrade;
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> | Uint8Array<ArrayBuffer> | null {
    return this.#incoming.read();
  }

  get unsent(): number {
    return this.#outgoing.unsent;
  }

  write(bytes: Uint8Array): Promise<void> | void {
    this.#upgrade.spoil("The peer wrote in the clear instead of starting TLS");
    return this.#outgoing.write(bytes);
  }

  closeWrite(): void {
    this.#upgrade.spoil("The peer closed the connection instead of starting TLS");
    this.#outgoing.end();
  }

  close(reason?: unknown): void {
    this.#upgrade.spoil("The peer closed the connection instead of starting TLS");
    this.#outgoing.end(reason === undefined ? undefined : reset());
    this.#incoming.abandon();
  }

  startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    return this.#upgrade.join(this, settings, signal);
  }
}

/** The pretended handshake: the first side waits for the other. */
class Upgrade {
  readonly #pipes: readonly [Pipe, Pipe];
  readonly #highWaterMark: number;
  #waiting: PromiseWithResolvers<Connection> & { settings: TlsSettings } | undefined;

  constructor(forth: Pipe, back: Pipe, highWaterMark: number) {
    this.#pipes = [forth, back];
    this.#highWaterMark = highWaterMark;
  }

  async join(connection: MemoryConnection, settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    const first = this.#waiting;
    if (first === undefined) {
      if (this.#pipes.some(({ ended }) => ended)) {
        const error = new SocketError("tls-failed", "TLS failed: the peer has closed the connection");
        connection.close(error);
        throw error;
      }
      const waiting = this.#waiting = { ...Promise.withResolvers<Connection>(), settings };
      try {
        return await abortable(waiting.promise, signal);
      } catch (error) {
        this.#waiting = undefined;
        connection.close(error);
        throw error;
      }
    }
    this.#waiting = undefined;
    if (this.#pipes.some(({ length }) => length > 0)) {
      const error = new SocketError("tls-failed", "TLS failed: there are bytes in the clear");
      first.reject(error);
      connection.close(error);
      throw error;
    }
    const alpn = settings.alpnProtocols.find((name) => first.settings.alpnProtocols.includes(name)) ?? null;
    const [a, b] = createConnections(this.#highWaterMark, alpn);
    first.resolve(a);
    return b;
  }

  spoil(why: string): void {
    this.#waiting?.reject(new SocketError("tls-failed", `TLS failed: ${why}`));
  }
}
