/**
 * The other end of a socket under test: a server by `node:net` and `node:tls`, which every runtime has, that does
 * nothing by itself. It shares no code with `src/`.
 * @module
 */
import { rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { Gate } from "../../src/sockets/node/gate.ts";
import type { KeyPair } from "./certificates.ts";
import { runtime } from "./unwatched.ts";

/** Where a {@linkcode Listener} listens. */
export type ListenAddress = { hostname: string; port: number } | { path: string };

/** The server's side of TLS. */
export interface PeerTls extends KeyPair {
  /** The authorities whose client certificates are asked for and needed, PEM. */
  clientCa?: string;
  /** The protocols to choose from through ALPN. */
  alpnProtocols?: string[];
}

/** Accepts connections, which wait until a test asks for them. */
export class Listener implements AsyncDisposable {
  /** What to connect to. */
  readonly address: ListenAddress;
  readonly #server: net.Server;
  readonly #peers: Peer[] = [];
  readonly #accepted: Peer[] = [];
  readonly #waiting: ((peer: Peer) => void)[] = [];

  private constructor(server: net.Server, address: ListenAddress) {
    this.#server = server;
    this.address = address;
    server.on("connection", (raw) => {
      const peer = new Peer(raw);
      this.#peers.push(peer);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#accepted.push(peer);
      else waiting(peer);
    });
  }

  /** Listens on a port of the system's choice. */
  static async tcp(hostname = "127.0.0.1"): Promise<Listener> {
    const server = createServer();
    await listen(server, { host: hostname, port: 0 });
    return new Listener(server, { hostname, port: (server.address() as net.AddressInfo).port });
  }

  /** Listens on a unix socket. */
  static async unix(): Promise<Listener> {
    const server = createServer();
    const path = join(tmpdir(), `smtp-${crypto.randomUUID()}.sock`);
    await listen(server, { path });
    return new Listener(server, { path });
  }

  /** The next connection. */
  accept(): Promise<Peer> {
    const peer = this.#accepted.shift();
    if (peer !== undefined) return Promise.resolve(peer);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Stops listening and destroys every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const peer of this.#peers) peer.destroy();
    await Promise.all(this.#peers.map((peer) => peer.closed));
    await closed;
    if ("path" in this.address) await rm(this.address.path, { force: true });
  }
}

/** One accepted connection. */
export class Peer {
  /** Node's socket. */
  readonly raw: net.Socket;
  /** Resolves when the socket is closed, for whatever reason. */
  readonly closed: Promise<void>;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #left: Uint8Array | undefined;
  #secure: tls.TLSSocket | undefined;

  readonly #base: net.Socket;
  readonly #gate: Gate | undefined;

  /**
   * @param raw The socket.
   * @param base What lies below its TLS.
   * @param gate What lies between the two.
   */
  constructor(raw: net.Socket, base: net.Socket = raw, gate?: Gate) {
    this.raw = raw;
    this.#base = base;
    this.#gate = gate;
    gate?.shut();
    this.closed = new Promise((resolve) => raw.once("close", () => resolve()));
    raw.on("readable", this.#onChange);
    raw.on("end", this.#onEnd);
    raw.on("error", (error) => {
      this.#error = error;
      this.#onChange();
    });
    raw.on("close", this.#onChange);
  }

  /** Reads what has come; `null` at the end. */
  async read(): Promise<Uint8Array | null> {
    if (this.#left !== undefined) {
      const left = this.#left;
      this.#left = undefined;
      return left;
    }
    while (true) {
      const bytes: Uint8Array | null = this.raw.read();
      if (bytes !== null) return bytes;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended || this.raw.destroyed) return null;
      const changed = new Promise<void>((resolve) => this.#wake = resolve);
      this.#gate?.open();
      await changed;
      this.#gate?.shut();
    }
  }

  /** Reads this many bytes, or fewer at the end, as text. */
  async readText(length: number): Promise<string> {
    let text = "";
    while (text.length < length) {
      const bytes = await this.read();
      if (bytes === null) break;
      const missing = length - text.length;
      if (bytes.length > missing) this.#left = bytes.subarray(missing);
      text += new TextDecoder().decode(bytes.subarray(0, missing));
    }
    return text;
  }

  /** Reads and drops everything up to the end; an error is an end. */
  async drain(): Promise<void> {
    try {
      while (await this.read() !== null);
    } catch {
      // a cut is an end as well
    }
  }

  /** Sends; resolves when the system has taken it. */
  write(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      this.raw.write(data, (error) => error ? reject(error) : resolve())
    );
  }

  /** Ends its own side. */
  end(): Promise<void> {
    return new Promise((resolve) => this.raw.end(() => resolve()));
  }

  /** Cuts the connection with an RST. */
  reset(): void {
    this.#base.resetAndDestroy();
  }

  /** Closes both sides. */
  destroy(): void {
    this.#secure?.destroy();
    this.raw.destroy();
  }

  /** Does the server's side of the handshake. Rejects if it fails. */
  async startTls({ cert, key, clientCa, alpnProtocols }: PeerTls): Promise<Peer> {
    // Without a gate a TLS socket on Deno reads all that it gets, and a writer at the other end would never wait.
    const gate = runtime === "deno" ? new Gate(this.#connection()) : undefined;
    if (gate === undefined) {
      if (this.#left !== undefined) this.raw.unshift(this.#left); // the ClientHello came right after what was read
      this.raw.off("readable", this.#onChange).off("end", this.#onEnd).off("close", this.#onChange);
    }
    const secure = new tls.TLSSocket(gate === undefined ? this.raw : gate.duplex as net.Socket, {
      isServer: true,
      ...{ allowHalfOpen: true }, // Bun does not inherit it from the socket
      secureContext: tls.createSecureContext({ cert, key, ...(clientCa !== undefined && { ca: clientCa }) }),
      requestCert: clientCa !== undefined,
      rejectUnauthorized: clientCa !== undefined,
      ...(alpnProtocols !== undefined && { ALPNProtocols: alpnProtocols }),
    });
    this.#secure = secure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const failed = (error?: Error) => reject(error ?? new Error("The client went away in the handshake"));
    secure.on("secure", () => resolve());
    secure.on("error", failed);
    secure.on("_tlsError", failed);
    secure.on("end", () => failed());
    secure.on("close", () => failed());
    await promise;
    return new Peer(secure, this.raw, gate);
  }

  #connection(): ConstructorParameters<typeof Gate>[0] {
    return {
      info: {},
      read: () => this.read() as Promise<Uint8Array<ArrayBuffer> | null>,
      write: (bytes) => this.write(bytes),
      closeWrite: () => this.end(),
      close: () => this.destroy(),
      startTls: () => Promise.reject(new Error("Not here")),
    };
  }

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#onChange();
  };

  readonly #onChange = (): void => {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  };
}

function createServer(): net.Server {
  return net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true, highWaterMark: 0 });
}

function listen(server: net.Server, options: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => resolve());
  });
}
