/**
 * A connection over a `WebSocket`, which has no backpressure of its own.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import { SocketError, type SocketInfo } from "../socket.ts";
import { CLOSE_CODES, closedError, endOf, openingFailed, textError, waitForClose } from "./close.ts";

/** The `readyState` of an open WebSocket. The global class need not exist: the WebSocket may come from a library. */
const OPEN = 1;

/** The longest message that is sent. A bridge has to read a whole message before it can forward it. */
export const MESSAGE_LENGTH = 65_536;

/** How long to wait before the next look at `bufferedAmount`, in milliseconds: at first, and at most. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 64;

/** What a message counts for at least: one of a single byte takes as much memory. */
const MIN_MESSAGE = 256;

function sizeOf({ length }: Uint8Array): number {
  return Math.max(length, MIN_MESSAGE);
}

/** How the connection uses its WebSocket, checked: see {@linkcode WebSocketSocketOptions}. */
export interface WebSocketConnectionSettings {
  /** Whether an empty message ends a side. */
  readonly halfClose: boolean;
  /** How many bytes may wait to be sent. */
  readonly highWaterMark: number;
  /** How many bytes may wait to be read. */
  readonly maxUnread: number;
}

/** A connection over a WebSocket that is open or about to open. */
export class WebSocketConnection implements Connection {
  readonly info: SocketInfo;
  readonly #webSocket: WebSocket;
  readonly #halfClose: boolean;
  readonly #highWaterMark: number;
  readonly #maxUnread: number;
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  /** Index of the first chunk that was not read; shift() would move all the others each time. */
  #head = 0;
  /** At most `maxUnread`, plus the message that was too much. */
  #unread = 0;
  /** What comes after the last chunk: the peer's end (`null`), or an error. */
  #end: SocketError | null | undefined;
  #reader: PromiseWithResolvers<Uint8Array<ArrayBuffer> | null> | undefined;
  /** Fails the write that waits. */
  #interrupt: ((error: SocketError) => void) | undefined;
  /** The runtime's own error, which may say more than the close code. */
  #error: unknown;

  /**
   * @param webSocket The WebSocket.
   * @param settings How it is used.
   * @param info What is known about it.
   */
  constructor(webSocket: WebSocket, settings: WebSocketConnectionSettings, info: SocketInfo) {
    this.info = Object.freeze(info);
    this.#webSocket = webSocket;
    this.#halfClose = settings.halfClose;
    this.#highWaterMark = settings.highWaterMark;
    this.#maxUnread = settings.maxUnread;
    this.#opened.promise.catch(() => {});
    webSocket.binaryType = "arraybuffer";
    if (webSocket.readyState === OPEN) this.#opened.resolve();
    else webSocket.addEventListener("open", () => this.#opened.resolve());
    webSocket.addEventListener("message", (event) => this.#onMessage(event.data));
    webSocket.addEventListener("error", (event) => this.#onError(event));
    webSocket.addEventListener("close", (event) => this.#onClose(event));
  }

  /**
   * Waits until the WebSocket is open.
   *
   * @param signal Gives up.
   * @returns The connection itself.
   */
  async open(signal: AbortSignal): Promise<this> {
    try {
      await abortable(this.#opened.promise, signal);
      return this;
    } catch (error) {
      if (signal.aborted) void this.close(signal.reason);
      throw error;
    }
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> | Uint8Array<ArrayBuffer> | null {
    if (this.#head < this.#chunks.length) {
      const chunk = this.#chunks[this.#head]!;
      this.#chunks[this.#head++] = EMPTY;
      this.#unread -= sizeOf(chunk);
      if (this.#unread === 0) {
        this.#chunks.length = 0;
        this.#head = 0;
      }
      return chunk;
    }
    if (this.#end instanceof SocketError) throw this.#end;
    if (this.#end === null) return null;
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  write(bytes: Uint8Array): Promise<void> | void {
    if (bytes.length > MESSAGE_LENGTH) return this.#writeInParts(bytes);
    return this.#send(bytes);
  }

  async #writeInParts(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += MESSAGE_LENGTH) {
      await this.#send(bytes.subarray(start, start + MESSAGE_LENGTH));
    }
  }

  /** `WebSocket.send()` copies: the bytes may be overwritten as soon as it returns. */
  #send(bytes: Uint8Array): Promise<void> | void {
    // Otherwise it would only be counted, and dropped.
    if (this.#webSocket.readyState !== OPEN) throw this.#end ?? closedError();
    this.#webSocket.send(bytes as Uint8Array<ArrayBuffer>);
    if (this.#webSocket.bufferedAmount > this.#highWaterMark) return this.#drain();
  }

  /** Waits until half of it is left. If each message waited for a timer, each would take 4 ms in browsers. */
  async #drain(): Promise<void> {
    const enough = this.#highWaterMark / 2;
    for (let pause = FIRST_PAUSE; this.#webSocket.bufferedAmount > enough; pause *= 2) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, Math.min(pause, LONGEST_PAUSE));
      this.#interrupt = reject;
      try {
        await promise;
      } finally {
        clearTimeout(timer);
        this.#interrupt = undefined;
      }
    }
  }

  closeWrite(): void {
    if (this.#webSocket.readyState !== OPEN) throw this.#end ?? closedError();
    if (this.#halfClose) this.#webSocket.send(EMPTY);
    else this.#webSocket.close(CLOSE_CODES.normal);
  }

  close(reason?: unknown): Promise<void> {
    this.#chunks = [];
    this.#finish(new SocketError("closed", "The socket was closed"));
    this.#webSocket.close(reason === undefined ? CLOSE_CODES.normal : CLOSE_CODES.givenUp);
    return waitForClose(this.#closed.promise);
  }

  startTls(): Promise<Connection> {
    return Promise.reject(new TypeError("A WebSocket has no TLS of its own"));
  }

  #onMessage(data: unknown): void {
    if (this.#end instanceof SocketError) return;
    if (!(data instanceof ArrayBuffer)) return this.#refuse(CLOSE_CODES.text, textError());
    if (this.#end === null) {
      const error = new SocketError("network", "The peer sent something after it had ended its side");
      return this.#refuse(CLOSE_CODES.givenUp, error);
    }
    const bytes = new Uint8Array(data);
    if (bytes.length === 0) {
      if (this.#halfClose) this.#finish(null);
    } else if (this.#reader !== undefined) {
      this.#reader.resolve(bytes);
      this.#reader = undefined;
    } else {
      this.#chunks.push(bytes);
      this.#unread += sizeOf(bytes);
      if (this.#unread <= this.#maxUnread) return;
      const message = `The peer sent more than ${this.#maxUnread} bytes that were not read` +
        ", and a WebSocket cannot be told to wait";
      this.#refuse(CLOSE_CODES.tooMuch, new SocketError("network", message));
    }
  }

  /** The peer breaks the rules: what it sent before, and was not read yet, is dropped. */
  #refuse(code: number, error: SocketError): void {
    this.#chunks = [];
    this.#finish(error);
    this.#webSocket.close(code);
  }

  #onError(event: Event): void {
    this.#error = errorOf(event);
    // On Node 22 no "close" follows if the WebSocket was never open.
    if (this.#webSocket.readyState !== OPEN) this.#failOpening();
  }

  #failOpening(): void {
    this.#opened.reject(openingFailed(this.#error, this.info.remoteAddress));
    this.#closed.resolve();
  }

  #onClose({ code, reason }: CloseEvent): void {
    this.#failOpening();
    if (this.#end === undefined) this.#finish(endOf(code, reason, this.#error));
    this.#interrupt?.(this.#end ?? closedError());
  }

  /** The first end counts, except that an error replaces the peer's end. */
  #finish(end: SocketError | null): void {
    this.#end ??= end;
    if (end !== null) this.#interrupt?.(end);
    const reader = this.#reader;
    this.#reader = undefined;
    if (end === null) reader?.resolve(null);
    else reader?.reject(end);
  }
}

const EMPTY = new Uint8Array(0);

/** Node and Deno give the reason in an `ErrorEvent`; browsers do not, so that a page cannot explore a network. */
function errorOf(event: Event): unknown {
  const { error, message } = event as { error?: unknown; message?: string };
  return error ?? (message === undefined || message === "" ? undefined : new Error(message));
}
