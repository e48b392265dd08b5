/**
 * The one thing that an adapter makes: an open connection. `connection_socket.ts` turns it into a {@linkcode Socket}, with
 * its streams, states and errors, in one place for every runtime.
 *
 * @module
 */
import type { TlsSettings } from "./settings.ts";
import type { SecureTransport, SocketInfo } from "./socket.ts";

/**
 * One open connection. The caller never has more than one `read()` and one `write()` under way, and does not use it after
 * `startTls()` or `close()`. Errors are the runtime's own.
 */
export interface Connection {
  /** The addresses, and what TLS has agreed on. */
  readonly info: SocketInfo;
  /** How it is protected, if that is known only when it is open. Default: as the socket's options say. */
  readonly secureTransport?: SecureTransport;
  /**
   * Reads the bytes that are there, or waits for some.
   *
   * @returns At least one byte, which belongs to the caller from now on; `null` when the peer has ended its side.
   */
  read(): Promise<Uint8Array<ArrayBuffer> | null> | Uint8Array<ArrayBuffer> | null;
  /** Writes all of the bytes. When it is done, the caller may overwrite them. */
  write(bytes: Uint8Array): Promise<void> | void;
  /**
   * How many bytes of the write that is under way, or has failed, have certainly not left the process. They never do once the
   * connection was closed. Default: 0, for a runtime that does not tell.
   */
  readonly unsent?: number;
  /** Ends this side; the peer reads an end. */
  closeWrite(): Promise<void> | void;
  /**
   * Closes both directions at once; reads and writes under way settle. Never throws.
   *
   * @param reason Why, if the connection is not closed in good order.
   */
  close(reason?: unknown): Promise<void> | void;
  /**
   * Refuses settings that a later {@linkcode startTls} could not honour. Default: there are none.
   *
   * @throws {TypeError} If it could not.
   */
  checkTls?(settings: TlsSettings): void;
  /**
   * Goes over to TLS, and waits for the handshake. If that fails or is aborted, the connection is closed.
   *
   * @param settings How to do TLS.
   * @param signal Gives up the handshake.
   * @returns The connection to use from now on.
   */
  startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection>;
  /** Lets the connection keep the process running, as it does when it is new. Default: nothing to do. */
  ref?(): void;
  /** Lets the process end although the connection is open, even with a read under way. Default: not possible. */
  unref?(): void;
}
