/**
 * Backpressure for `node:tls` where the runtime gives it none.
 *
 * @module
 */
import { Duplex } from "node:stream";
import type { Connection } from "./connection.ts";

/**
 * How much ciphertext may pass at once. A record is at most 16 KiB (RFC 8446, section 5.1), so that what comes out of
 * this and the start of a record before it is less than the 64 KiB at which a `tls.TLSSocket` stops reading.
 */
const PIECE_LENGTH = 32_768;

/**
 * Makes a duplex stream of a connection, for `node:tls` to run over, which lets ciphertext through only while somebody
 * waits for plaintext.
 *
 * Without it, `node:tls` on Deno (2.9.6) reads and decrypts without bound what nobody reads: 600 MB in 2.5 s, on
 * loopback, from a peer that keeps sending; and where it does stop reading, it loses the end of the stream if that came
 * together with data.
 */
export class Gate {
  /** What TLS runs over. */
  readonly duplex: Duplex;
  readonly #connection: Connection;
  /** What broke the connection below; `node:tls` does not always tell. */
  error: Error | undefined;
  #open = true;
  #wanted = false;
  #rest: Uint8Array | undefined;

  /** @param connection What lies below. The gate has it to itself from now on. It is open. */
  constructor(connection: Connection) {
    this.#connection = connection;
    this.duplex = new Duplex({
      read: () => {
        this.#wanted = true;
        this.#pass();
      },
      write: (chunk: Uint8Array, _encoding, callback) => {
        settle(() => connection.write(chunk), () => callback(), (error) => callback(this.error ??= error));
      },
      final: (callback) => settle(() => connection.closeWrite(), () => callback(), callback),
      destroy: (error, callback) => {
        settle(() => connection.close(error ?? undefined), () => callback(error), callback);
      },
    });
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
      () => this.#connection.read(),
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
