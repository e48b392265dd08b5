/**
 * Makes `node:tls` read on demand, on runtimes where it does not.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { Connection } from "../connection.ts";
import { builtin } from "../runtime.ts";

/**
 * How much ciphertext may pass at once. A record is at most 16 KiB (RFC 8446, section 5.1), so that what comes out of
 * this and the start of a record before it is less than the 64 KiB at which a `tls.TLSSocket` stops reading.
 */
const PIECE_LENGTH = 32_768;

/**
 * Makes a duplex stream of a connection, for `node:tls` to run over. It lets ciphertext through only while somebody waits
 * for plaintext.
 *
 * Without it, `node:tls` on Deno (2.9.6) reads and decrypts without limit, even if nobody reads: 600 MB in 2.5 s, on
 * loopback, from a peer that keeps sending. And when it does stop reading, it loses the end of the stream if that came
 * together with data.
 */
export class Gate {
  /** What TLS runs over. */
  readonly duplex: Duplex;
  /** The connection below TLS. */
  readonly connection: Connection;
  /** What broke the connection below; `node:tls` does not always report it. */
  error: Error | undefined;
  #open = true;
  #wake: () => void = () => {};
  #wanted = false;
  #rest: Uint8Array | undefined;

  /** @param connection The connection below TLS. It is open, and nobody else uses it from now on. */
  constructor(connection: Connection) {
    this.connection = connection;
    const { Duplex } = builtin("node:stream");
    this.duplex = new Duplex({
      read: () => {
        this.#wanted = true;
        this.#pass();
      },
      write: (chunk: Uint8Array, _encoding, callback) => {
        const done = (error?: Error) => {
          if (error !== undefined) this.error ??= error;
          callback(this.error);
          this.#wake();
        };
        settle(() => connection.write(chunk), () => done(), done);
      },
      final: (callback) => settle(() => connection.closeWrite(), () => callback(), callback),
      destroy: (error, callback) => {
        this.#wake();
        settle(() => connection.close(error ?? undefined), () => callback(error), callback);
      },
    });
  }

  /**
   * Waits until the connection below has taken all of the ciphertext: `node:tls` on Bun (1.4.5) says that a write is done
   * as soon as it is encrypted.
   */
  async drain(): Promise<void> {
    while (this.duplex.writableLength > 0 && this.error === undefined && !this.duplex.destroyed) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Lets ciphertext through until it is shut. */
  open(): void {
    this.#open = true;
    this.#pass();
  }

  /** Holds ciphertext back; what is on its way arrives. */
  shut(): void {
    this.#open = false;
  }

  #pass(): void {
    if (!this.#open || !this.#wanted) return;
    this.#wanted = false;
    if (this.#rest !== undefined) return this.#push(this.#rest);
    settle(
      () => this.connection.read(),
      (bytes) => this.#push(bytes),
      (error) => this.duplex.destroy(this.error ??= error),
    );
  }

  #push(bytes: Uint8Array | null): void {
    const isLong = bytes !== null && bytes.length > PIECE_LENGTH;
    this.#rest = isLong ? bytes.subarray(PIECE_LENGTH) : undefined;
    this.duplex.push(isLong ? bytes.subarray(0, PIECE_LENGTH) : bytes);
  }
}

async function settle<T>(
  run: () => Promise<T> | T,
  done: (value: T) => void,
  failed: (error: Error) => void,
): Promise<void> {
  let value: T;
  try {
    value = await run();
  } catch (error) {
    return failed(error as Error);
  }
  done(value);
}
