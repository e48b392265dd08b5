/**
 * A connection over one of Bun's sockets.
 *
 * @module
 */
import { abortable } from "../abortable.ts";
import type { Connection } from "../connection.ts";
import { normalizeError } from "../errors.ts";
import { formatAddress, isIpAddress, type TlsSettings } from "../settings.ts";
import type { SocketInfo } from "../socket.ts";
import { checkCertificate, describeTls, type TlsSource } from "../tls.ts";
import { upgradeOptions } from "./tls.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The part of Bun's socket that is used here. */
export interface BunSocket extends TlsSource {
  /** Whether the chain of the peer's certificate is trusted. */
  readonly authorized: boolean;
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Takes what it can at once and returns how much that was; negative: closed. */
  write(bytes: Uint8Array, offset?: number, length?: number): number;
  /** Ends our side; over TLS with a close_notify. */
  shutdown(): void;
  /** Closes both sides in good order: over TLS, it waits for the peer. */
  close(): void;
  /** Closes both sides at once, with an RST: what was sent just before may be lost. */
  terminate(): void;
  pause(): void;
  resume(): void;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean): void;
  ref(): void;
  unref(): void;
  upgradeTLS(options: {
    tls: Readonly<Record<string, unknown>>;
    socket: BunHandlers;
  }): [raw: BunSocket, secure: BunSocket];
}

/** The callbacks of a socket. */
export interface BunHandlers {
  readonly binaryType: "uint8array";
  open(socket: BunSocket): void;
  data(socket: BunSocket, bytes: Bytes): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: unknown): void;
  error(socket: BunSocket, error: unknown): void;
  handshake(socket: BunSocket, success: boolean, error: Error | null): void;
  connectError(socket: BunSocket, error: unknown): void;
}

/** A {@linkcode Connection} over a socket that `Bun.connect` or `upgradeTLS` makes with its {@linkcode handlers}. */
export class BunConnection implements Connection {
  /** The callbacks that Bun needs to make the socket. */
  readonly handlers: BunHandlers;
  #info: SocketInfo | undefined;
  readonly #verify: boolean;
  #socket: BunSocket | undefined;
  /** Bytes that came when nobody was reading. */
  readonly #early: Bytes[] = [];
  /** What Bun has not taken yet. */
  unsent = 0;
  #paused = false;
  #ended = false;
  #closed = false;
  /** `startTls()` was called: Bun still calls these handlers, with ciphertext, which they ignore. */
  #handedOver = false;
  #error: unknown;
  #reader: PromiseWithResolvers<Bytes | null> | undefined;
  #writer: PromiseWithResolvers<void> | undefined;
  readonly #handshake = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();

  /**
   * @param info What is known about it. Default: what the socket says itself.
   * @param verify Whether the handshake fails if the certificate is not valid.
   */
  constructor(info?: SocketInfo, verify = true) {
    this.#info = info;
    this.#verify = verify;
    this.#handshake.promise.catch(() => {});
    this.handlers = {
      binaryType: "uint8array",
      open: (socket) => this.#attach(socket),
      data: (_, bytes) => this.#onData(bytes),
      drain: () => this.#wake(),
      end: () => this.#onEnd(),
      close: (_, error) => this.#onClose(error),
      error: (_, error) => this.#fail(error),
      handshake: (_, success, error) => this.#onHandshake(success, error),
      connectError: (_, error) => this.#fail(error),
    };
  }

  get info(): SocketInfo {
    return this.#info ??= describe(this.#socket!);
  }

  read(): Promise<Bytes | null> | Bytes | null {
    const early = this.#early.shift();
    if (early !== undefined) return early;
    if (this.#error !== undefined) throw this.#error;
    if (this.#ended) return null;
    const reader = this.#reader = Promise.withResolvers();
    this.#resume();
    return reader.promise;
  }

  write(bytes: Uint8Array): Promise<void> | void {
    const taken = this.#send(bytes, 0);
    if (taken < bytes.length) return this.#writeRest(bytes, taken);
  }

  closeWrite(): void {
    if (this.#error !== undefined) throw this.#error;
    this.#socket!.shutdown();
  }

  ref(): void {
    this.#socket!.ref();
  }

  unref(): void {
    this.#socket!.unref();
  }

  close(): Promise<void> {
    if (!this.#isClosed()) this.#socket?.close();
    if (!this.#isClosed()) this.#socket?.terminate(); // a peer that no longer reads would keep it open
    return this.#released.promise;
  }

  async startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    const { serverName, verify } = settings;
    const secure = new BunConnection(undefined, verify);
    try {
      signal.throwIfAborted();
      // They came in the clear and must not count as protected; TLS cannot begin after them.
      if (this.#early.length > 0) {
        throw new Error("The peer sent something in the clear after it agreed to TLS");
      }
      if (this.#error !== undefined) throw this.#error;
      // Where there is no name to send, Bun (1.4.5) checks the certificate for the address that it has connected to.
      if (verify && isIpAddress(serverName!) && serverName !== this.#socket!.remoteAddress) {
        const { startTlsWithNode } = await import("../node/connection.ts"); // Node's adapter, which Bun seldom needs
        return await startTlsWithNode(this, settings, signal);
      }
      const tls = upgradeOptions(settings);
      this.#resume();
      this.#handedOver = true;
      const [, socket] = this.#socket!.upgradeTLS({ tls, socket: secure.handlers });
      secure.#attach(socket);
      await abortable(secure.#handshake.promise, signal);
      // Neither `success` nor the lack of an error is trusted alone.
      if (verify && !socket.authorized) {
        throw Object.assign(new Error("The certificate is not trusted"), { code: "CERT_UNTRUSTED" });
      }
      const agreed = describeTls(socket);
      checkCertificate(settings, agreed.tls);
      secure.#info = { ...this.info, ...agreed, tls: { ...agreed.tls, verifiedBy: settings.verifiedBy! } };
      return secure;
    } catch (error) {
      secure.close();
      this.close();
      throw error;
    }
  }

  // A method, because close() makes Bun call #onClose(), which TypeScript cannot know.
  #isClosed(): boolean {
    return this.#closed;
  }

  #attach(socket: BunSocket): void {
    this.#socket = socket;
  }

  #send(bytes: Uint8Array, offset: number): number {
    this.unsent = bytes.length - offset;
    if (this.#error !== undefined) throw this.#error;
    const taken = this.#socket!.write(bytes, offset, this.unsent);
    if (taken < 0) throw this.#error ?? reset("The connection is closed");
    this.unsent -= taken;
    return taken;
  }

  async #writeRest(bytes: Uint8Array, offset: number): Promise<void> {
    while (offset < bytes.length) {
      this.#writer = Promise.withResolvers();
      await this.#writer.promise;
      offset += this.#send(bytes, offset);
    }
  }

  #wake(): void {
    this.#writer?.resolve();
    this.#writer = undefined;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket!.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket!.resume();
  }

  #onData(bytes: Bytes): void {
    if (this.#handedOver) return;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#early.push(bytes);
    else reader.resolve(bytes);
    this.#pause();
  }

  #onEnd(): void {
    if (this.#handedOver) return;
    this.#ended = true;
    this.#handshake.reject(reset("The peer ended the TLS handshake"));
    this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  #onClose(error: unknown): void {
    if (error !== undefined && error !== null && !this.#closed) this.#fail(error);
    this.#closed = true;
    this.#error ??= reset("The connection is closed");
    this.#onEnd();
    this.#writer?.reject(this.#error);
    this.#writer = undefined;
    this.#released.resolve();
  }

  #onHandshake(success: boolean, error: Error | null): void {
    // For a wrong name `success` is false, for an untrusted issuer it is true: only the error tells.
    const isAccepted = error && !this.#verify && normalizeError(error).code.startsWith("certificate-");
    if (error && !isAccepted) this.#handshake.reject(error);
    else if (!success && !isAccepted) this.#handshake.reject(new Error("The TLS handshake failed"));
    else this.#handshake.resolve();
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    this.#handshake.reject(error);
    this.#reader?.reject(error);
    this.#reader = undefined;
    this.#writer?.reject(error);
    this.#writer = undefined;
  }
}

function reset(message: string): Error {
  return Object.assign(new Error(message), { code: "ECONNRESET" });
}

function describe({ remoteAddress, remotePort, localAddress, localPort }: BunSocket): SocketInfo {
  return {
    ...(remoteAddress !== undefined && remotePort !== undefined &&
      { remoteAddress: formatAddress(remoteAddress, remotePort) }),
    ...(localAddress !== undefined && localPort !== undefined &&
      { localAddress: formatAddress(localAddress, localPort) }),
  };
}
