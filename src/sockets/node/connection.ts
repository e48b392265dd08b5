/**
 * A connection over a socket of `node:net` or `node:tls`.
 *
 * @module
 */
import type net from "node:net";
import type { Duplex } from "node:stream";
import type tls from "node:tls";
import type { Connection } from "../connection.ts";
import { formatAddress, type TlsSettings } from "../settings.ts";
import type { SocketInfo } from "../socket.ts";
import { checkCertificate, checkIssuer, describeTls, ownCertificates } from "../tls.ts";
import { Gate } from "./gate.ts";
import { startNodeTls } from "./tls.ts";

/** Does the handshake over a socket that is open, or over a duplex stream that stands for one. */
export type StartNodeTls = (
  raw: Duplex,
  settings: TlsSettings,
  signal: AbortSignal,
) => Promise<tls.TLSSocket>;

/** How much is written at once through a gate. */
const PIECE_LENGTH = 65_536;

type Bytes = Uint8Array<ArrayBuffer>;

/** A {@linkcode Connection} over an open `net.Socket` or `tls.TLSSocket`. */
export class NodeConnection implements Connection {
  readonly info: SocketInfo;
  readonly #raw: net.Socket;
  readonly #startTls: StartNodeTls;
  readonly #gate: Gate | undefined;
  /** What waits behind a piece of a write through a gate. How much of a piece has left nobody knows. */
  unsent = 0;
  #ended = false;
  #error: Error | undefined;
  #reader: PromiseWithResolvers<Bytes | null> | undefined;
  readonly #released = Promise.withResolvers<void>();

  /**
   * @param raw The socket, connected, with nobody else reading from it.
   * @param startTls What `startTls()` does with it.
   * @param info What is known about it. Default: what it says itself.
   * @param gate What a TLS socket runs over, if that is not a socket.
   */
  constructor(raw: net.Socket, startTls: StartNodeTls, info: SocketInfo = describe(raw), gate?: Gate) {
    this.info = info;
    this.#gate = gate;
    gate?.shut();
    this.#raw = raw;
    this.#startTls = startTls;
    raw.on("readable", this.#onReadable);
    raw.on("end", this.#onEnd);
    raw.on("error", this.#onError);
    raw.on("close", this.#onClose);
    if (raw.destroyed) this.#onClose();
  }

  read(): Promise<Bytes | null> | Bytes | null {
    const bytes = this.#take();
    if (bytes !== null) return bytes;
    if (this.#error !== undefined) throw this.#error;
    if (this.#ended) return null;
    const reader = this.#reader = Promise.withResolvers();
    this.#gate?.open(); // may deliver something at once
    return reader.promise;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#gate === undefined) return await this.#send(bytes);
    // Over a stream, node:tls on Deno takes a single write of any size, but no second one on top of it.
    for (let start = 0; start < bytes.length; start += PIECE_LENGTH) {
      const piece = bytes.subarray(start, start + PIECE_LENGTH);
      this.unsent = bytes.length - start - piece.length;
      await this.#send(piece);
      await this.#gate.drain();
      if (this.#gate.error !== undefined) throw this.#gate.error;
    }
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#raw.end((error?: Error | null) => error ? reject(this.#error ?? error) : resolve());
    });
  }

  // Over a stream, the process waits for the connection below and never for the TLS socket.
  ref(): void {
    if (this.#gate === undefined) this.#raw.ref();
    else this.#gate.connection.ref?.();
  }

  unref(): void {
    if (this.#gate === undefined) this.#raw.unref();
    else this.#gate.connection.unref?.();
  }

  close(): Promise<void> {
    this.#raw.destroy();
    return this.#released.promise;
  }

  async startTls(settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    // Directly over a socket, node:tls has no backpressure on Deno.
    if ("Deno" in globalThis) return await startTlsOver(this, this.#startTls, settings, signal);
    this.#letGo();
    return secured(await this.#startTls(this.#raw, settings, signal), settings, this.#startTls, this.info);
  }

  #send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#raw.write(
        bytes,
        (error) => error ? reject(this.#error ?? this.#gate?.error ?? error) : resolve(),
      );
    });
  }

  /** Takes everything that is in the socket's buffer. Asks the system for more only when there is nothing. */
  #take(): Bytes | null {
    const buffer: { buffer: ArrayBuffer; byteOffset: number; length: number } | null = this.#raw.read();
    // Not a Buffer, whose slice() is a view where a Uint8Array's is a copy.
    return buffer === null ? null : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  #letGo(): void {
    this.#raw.off("readable", this.#onReadable);
    this.#raw.off("end", this.#onEnd);
    this.#raw.off("close", this.#onClose);
    this.#raw.off("error", this.#onError);
    this.#raw.on("error", () => {}); // TLS reports it
  }

  readonly #onReadable = (): void => {
    const reader = this.#reader;
    if (reader === undefined) return;
    const bytes = this.#take();
    if (bytes === null) return; // the end: "end" follows
    this.#reader = undefined;
    this.#gate?.shut();
    reader.resolve(bytes);
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#reader?.resolve(null);
    this.#reader = undefined;
  };

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.#reader?.reject(error);
    this.#reader = undefined;
  };

  readonly #onClose = (): void => {
    if (this.#gate?.error !== undefined) this.#onError(this.#gate.error);
    this.#onEnd();
    this.#released.resolve();
  };
}

/**
 * Goes over to TLS as a client, with `node:tls`, on a connection of any kind: Deno's own, or a pair of streams.
 *
 * @param connection The connection in the clear.
 * @param settings How to do TLS.
 * @param signal Gives up.
 * @returns The connection to use from now on.
 */
export function startTlsWithNode(
  connection: Connection,
  settings: TlsSettings,
  signal: AbortSignal,
): Promise<Connection> {
  return startTlsOver(connection, startNodeTls, settings, signal);
}

async function startTlsOver(
  connection: Connection,
  startTls: StartNodeTls,
  settings: TlsSettings,
  signal: AbortSignal,
): Promise<Connection> {
  const gate = new Gate(connection);
  return secured(await startTls(gate.duplex, settings, signal), settings, startTls, connection.info, gate);
}

function secured(
  raw: tls.TLSSocket,
  settings: TlsSettings,
  startTls: StartNodeTls,
  { remoteAddress, localAddress }: SocketInfo,
  gate?: Gate,
): Connection {
  const agreed = describeTls(raw);
  try {
    const own = settings.verify ? ownCertificates(settings.caCerts) : [];
    if (own.length > 0) checkIssuer(own, agreed.tls.peerCertificate, raw);
    checkCertificate(settings, agreed.tls);
  } catch (error) {
    raw.on("error", () => {}); // nobody waits for what comes after this one
    raw.destroy();
    throw error;
  }
  const info = {
    ...(remoteAddress !== undefined && { remoteAddress }),
    ...(localAddress !== undefined && { localAddress }),
    ...agreed,
    tls: { ...agreed.tls, ...(settings.verifiedBy && { verifiedBy: settings.verifiedBy }) },
  };
  return new NodeConnection(raw, startTls, info, gate);
}

function describe(raw: net.Socket | tls.TLSSocket): SocketInfo {
  const { remoteAddress, remotePort, localAddress, localPort } = raw;
  return {
    ...(remoteAddress !== undefined && remotePort !== undefined &&
      { remoteAddress: formatAddress(remoteAddress, remotePort) }),
    ...(localAddress !== undefined && localPort !== undefined &&
      { localAddress: formatAddress(localAddress, localPort) }),
    ...("encrypted" in raw && raw.encrypted && describeTls(raw)),
  };
}
