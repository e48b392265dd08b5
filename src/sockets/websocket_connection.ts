/**
 * A connection over a `WebSocket`, which knows no backpressure by itself.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { normalizeError } from "./normalize_error.ts";
import { SocketError, type SocketInfo } from "./socket.ts";
import { CLOSE_CODES, closedError, endOf, textError, waitForClose } from "./websocket_close.ts";
import type { WebSocketSettings } from "./websocket_settings.ts";

/** The `readyState` of a WebSocket that stands. The class need not be there: the WebSocket may come from a library. */
const OPEN = 1;

/** The longest message that is sent: what a bridge reads before it can hand it on. */
export const MESSAGE_LENGTH = 65_536;

/** How long to wait before `bufferedAmount` is looked at again, in milliseconds: at first, and at most. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 64;

/** A connection over a WebSocket that is open or opens. */
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
  /** What comes behind the last chunk: the peer's end (`null`), or an error. */
  #end: SocketError | null | undefined;
  #reader: PromiseWithResolvers<Uint8Array<ArrayBuffer> | null> | undefined;
  /** Fails the write that waits. */
  #interrupt: ((error: SocketError) => void) | undefined;
  /** What the runtime has said besides the close code. */
  #error: unknown;

  /**
   * @param webSocket The WebSocket.
   * @param settings How it is used.
   * @param info What is known about it.
   */
  constructor(webSocket: WebSocket, settings: WebSocketSettings, info: SocketInfo) {
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
   * Waits until the WebSocket stands.
   *
   * @param signal Gives up.
   * @returns The connection itself.
   */
  async open(signal: AbortSignal): Promise<this> {
    const giveUp = () => {
      this.#opened.reject(signal.reason);
      void this.close(signal.reason);
    };
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp);
    try {
      await this.#opened.promise;
      return this;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> | Uint8Array<ArrayBuffer> | null {
    if (this.#head < this.#chunks.length) {
      const chunk = this.#chunks[this.#head]!;
      this.#chunks[this.#head++] = EMPTY;
      this.#unread -= chunk.length;
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
    // Else it would only be counted, and dropped.
    if (this.#webSocket.readyState !== OPEN) throw this.#end ?? closedError();
    this.#webSocket.send(bytes as Uint8Array<ArrayBuffer>);
    if (this.#webSocket.bufferedAmount > this.#highWaterMark) return this.#drain();
  }

  /** Down to half of it: else each message would wait for a timer, and timers in browsers take 4 ms. */
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
      const error = new SocketError("network", "The peer sent something behind its end");
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
      this.#unread += bytes.length;
      if (this.#unread <= this.#maxUnread) return;
      const message = `The peer sent more than ${this.#maxUnread} bytes that were not read` +
        ", and a WebSocket cannot be told to wait";
      this.#refuse(CLOSE_CODES.tooMuch, new SocketError("network", message));
    }
  }

  /** What was read before it counts no more: the peer breaks the agreement. */
  #refuse(code: number, error: SocketError): void {
    this.#chunks = [];
    this.#finish(error);
    this.#webSocket.close(code);
  }

  #onError(event: Event): void {
    this.#error = errorOf(event);
    // Node 22 has no "close" behind it where the WebSocket never stood.
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

  /** The first end counts, but for an error behind the peer's end. */
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

/** Node and Deno say why in an `ErrorEvent`; browsers do not, so that a page cannot look around in a network. */
function errorOf(event: Event): unknown {
  const { error, message } = event as { error?: unknown; message?: string };
  return error ?? (message === undefined || message === "" ? undefined : new Error(message));
}

/** Why a WebSocket did not open, as far as it is known. */
export function openingFailed(error: unknown, target: string | undefined): SocketError {
  const known = normalizeError(error, { target });
  if (known.code !== "network") return known;
  const at = target === undefined ? "" : ` (${target})`;
  return new SocketError(
    "network",
    `The WebSocket could not be opened${at}: nobody listens there, TLS failed, or the server refused it`,
    { cause: error },
  );
}
