/**
 * What an adapter makes, and all it makes: one open connection. The streams, the states and the errors of a
 * {@linkcode Socket} are made from it in one place for every runtime, `connection_socket.ts`.
 *
 * @module
 */
import type { TlsSettings } from "./settings.ts";
import type { SecureTransport, SocketInfo } from "./socket.ts";

/**
 * One open connection. The caller has never more than one `read()` and one `write()` under way, and does nothing
 * with it after `startTls()` or `close()`. Errors are the runtime's own.
 */
export interface Connection {
  /** Where the connection leads. */
  readonly info: SocketInfo;
  /** How it is protected, where that shows only when it is open. Default: as the socket was told. */
  readonly secureTransport?: SecureTransport;
  /**
   * Reads what is there, or waits for something.
   *
   * @returns Bytes that belong to the caller from now on, never none; `null` when the peer has ended its side.
   */
  read(): Promise<Uint8Array<ArrayBuffer> | null> | Uint8Array<ArrayBuffer> | null;
  /** Writes all of the bytes. When it is done, the caller may overwrite them. */
  write(bytes: Uint8Array): Promise<void> | void;
  /** Ends one's own side; the peer reads an end. */
  closeWrite(): Promise<void> | void;
  /**
   * Closes both directions, at once; what is under way settles. Never throws.
   *
   * @param reason Why, where the connection was not closed in good order.
   */
  close(reason?: unknown): Promise<void> | void;
  /**
   * Goes over to TLS, the handshake included. If it fails or is aborted, the connection is closed.
   *
   * @param signal Gives the handshake up.
   * @returns The connection to use from now on.
   */
  startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection>;
}
