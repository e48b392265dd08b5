/**
 * A connection over a `WebSocketStream`, which has backpressure both ways.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import { SocketError, type SocketInfo } from "../socket.ts";
import { CLOSE_CODES, closedError, endOf, openingFailed, textError, waitForClose } from "./close.ts";
import { MESSAGE_LENGTH } from "./connection.ts";

/** A message. */
type Incoming = ArrayBuffer | Uint8Array<ArrayBuffer> | string;

/** The part of a `WebSocketStream` that is used here. Chromium has it; it is not a standard yet. */
interface WebSocketStream {
  readonly opened: Promise<
    { readable: ReadableStream<Incoming>; writable: WritableStream<Uint8Array> }
  >;
  /** Rejects with a `WebSocketError` if there was no closing handshake. */
  readonly closed: Promise<{ closeCode?: number; reason?: string }>;
  close(info: { closeCode: number }): void;
}

/** The class, as the runtime has it. */
export type WebSocketStreamConstructor = new (
  url: string,
  options: { protocols?: string[]; signal: AbortSignal },
) => WebSocketStream;

/**
 * Opens a connection.
 *
 * @param WebSocketStream The runtime's class.
 * @param url The address of the bridge.
 * @param protocols The subprotocols to offer.
 * @param settings Whether an empty message ends a side.
 * @param signal Gives up.
 * @returns The connection.
 */
export async function openWebSocketStream(
  WebSocketStream: WebSocketStreamConstructor,
  url: URL,
  protocols: readonly string[],
  settings: { readonly halfClose: boolean },
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
    return new WebSocketStreamConnection(stream, readable, writable, settings.halfClose, url.host);
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
  /** Fails what is under way when the connection is closed: a write that waits would stay pending. */
  readonly #closing = new AbortController();
  #ended = false;

  constructor(
    stream: WebSocketStream,
    readable: ReadableStream<Incoming>,
    writable: WritableStream<Uint8Array>,
    halfClose: boolean,
    host: string,
  ) {
    this.info = Object.freeze({ remoteAddress: host });
    this.#stream = stream;
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
    this.#halfClose = halfClose;
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    while (!this.#ended) {
      const part = await abortable(this.#reader.read().catch(() => END), this.#closing.signal);
      if (part.value === undefined) {
        const end = await abortable(this.#end(), this.#closing.signal);
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
        const part = bytes.subarray(start, start + MESSAGE_LENGTH);
        await abortable(this.#writer.write(part), this.#closing.signal);
      }
    } catch (error) {
      throw await this.#normalize(error);
    }
  }

  async closeWrite(): Promise<void> {
    try {
      if (this.#halfClose) await abortable(this.#writer.write(new Uint8Array(0)), this.#closing.signal);
      else this.#stream.close({ closeCode: CLOSE_CODES.normal });
    } catch (error) {
      throw await this.#normalize(error);
    }
  }

  close(reason?: unknown): Promise<void> {
    this.#closing.abort(new SocketError("closed", "The socket was closed"));
    this.#stream.close({ closeCode: reason === undefined ? CLOSE_CODES.normal : CLOSE_CODES.givenUp });
    return waitForClose(this.#stream.closed);
  }

  startTls(): Promise<Connection> {
    return Promise.reject(new TypeError("A WebSocket has no TLS of its own"));
  }

  /** How the peer has closed it: `null` in good order. */
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
    return await abortable(this.#end(), this.#closing.signal) ?? closedError();
  }
}

const END = { done: true, value: undefined } as const;
