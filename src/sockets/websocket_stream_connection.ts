/**
 * A connection over a `WebSocketStream`, which has backpressure both ways.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { SocketError, type SocketInfo } from "./socket.ts";
import { CLOSE_CODES, closedError, endOf, textError, waitForClose } from "./websocket_close.ts";
import type { WebSocketSettings } from "./websocket_settings.ts";
import { MESSAGE_LENGTH, openingFailed } from "./websocket_connection.ts";

/** A message. */
type Incoming = ArrayBuffer | Uint8Array<ArrayBuffer> | string;

/** The part of a `WebSocketStream` that is used here. Chromium has it; it is no standard yet. */
interface WebSocketStream {
  readonly opened: Promise<
    { readable: ReadableStream<Incoming>; writable: WritableStream<Uint8Array> }
  >;
  /** Rejects with a `WebSocketError` where there was no closing handshake. */
  readonly closed: Promise<{ closeCode?: number; reason?: string }>;
  close(info: { closeCode: number }): void;
}

/** How one is made. */
export type WebSocketStreamConstructor = new (
  url: string,
  options: { protocols?: string[]; signal: AbortSignal },
) => WebSocketStream;

/**
 * Opens a connection.
 *
 * @param WebSocketStream The runtime's class.
 * @param url Where the bridge is.
 * @param protocols The subprotocols to offer.
 * @param settings How the connection is used.
 * @param signal Gives up.
 * @returns The connection.
 */
export async function openWebSocketStream(
  WebSocketStream: WebSocketStreamConstructor,
  url: URL,
  protocols: readonly string[],
  settings: WebSocketSettings,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const stream = new WebSocketStream(url.href, {
    signal,
    ...(protocols.length > 0 && { protocols: [...protocols] }),
  });
  stream.closed.catch(() => {});
  try {
    const { readable, writable } = await stream.opened;
    return new WebSocketStreamConnection(stream, readable, writable, settings, url.host);
  } catch (error) {
    signal.throwIfAborted();
    throw openingFailed(error, url.host);
  }
}

class WebSocketStreamConnection implements Connection {
  readonly info: SocketInfo;
  readonly #stream: WebSocketStream;
  readonly #reader: ReadableStreamDefaultReader<Incoming>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #halfClose: boolean;
  /** What is under way, to fail it when the connection is closed: a write that waits would stay pending. */
  readonly #pending = new Set<(reason: SocketError) => void>();
  #ended = false;

  constructor(
    stream: WebSocketStream,
    readable: ReadableStream<Incoming>,
    writable: WritableStream<Uint8Array>,
    settings: WebSocketSettings,
    host: string,
  ) {
    this.info = Object.freeze({ remoteAddress: host });
    this.#stream = stream;
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
    this.#halfClose = settings.halfClose;
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    while (!this.#ended) {
      const part = await this.#settle(this.#reader.read().catch(() => END));
      if (part.value === undefined) {
        const end = await this.#settle(this.#end());
        if (end !== null) throw end;
        break;
      }
      if (typeof part.value === "string") {
        this.#stream.close({ closeCode: CLOSE_CODES.text });
        throw textError();
      }
      // Chromium: a Uint8Array; before version 121 an ArrayBuffer.
      const bytes = part.value instanceof Uint8Array ? part.value : new Uint8Array(part.value);
      if (bytes.length > 0) return bytes;
      this.#ended = this.#halfClose;
    }
    return null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let start = 0; start < bytes.length; start += MESSAGE_LENGTH) {
        await this.#settle(this.#writer.write(bytes.subarray(start, start + MESSAGE_LENGTH)));
      }
    } catch (error) {
      throw await this.#normalize(error);
    }
  }

  async closeWrite(): Promise<void> {
    try {
      if (this.#halfClose) await this.#settle(this.#writer.write(new Uint8Array(0)));
      else this.#stream.close({ closeCode: CLOSE_CODES.normal });
    } catch (error) {
      throw await this.#normalize(error);
    }
  }

  close(reason?: unknown): Promise<void> {
    for (const reject of this.#pending) reject(new SocketError("closed", "The socket was closed"));
    this.#stream.close({ closeCode: reason === undefined ? CLOSE_CODES.normal : CLOSE_CODES.givenUp });
    return waitForClose(this.#stream.closed);
  }

  startTls(): Promise<Connection> {
    return Promise.reject(new TypeError("A WebSocket has no TLS of its own"));
  }

  async #settle<T>(work: Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    this.#pending.add(reject);
    try {
      return await Promise.race([work, promise]);
    } finally {
      this.#pending.delete(reject);
    }
  }

  /** How the peer has closed it. */
  async #end(): Promise<SocketError | null> {
    try {
      const { closeCode = 1005, reason = "" } = await this.#stream.closed;
      return endOf(closeCode, reason);
    } catch (error) {
      const { closeCode, reason } = error as { closeCode?: number | null; reason?: string };
      return endOf(closeCode ?? 1006, reason ?? "", error);
    }
  }

  async #normalize(error: unknown): Promise<unknown> {
    if (error instanceof SocketError) return error;
    return await this.#settle(this.#end()) ?? closedError();
  }
}

const END = { done: true, value: undefined } as const;
