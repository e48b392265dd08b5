/**
 * A connection in memory that fails where it is told to: what a network and the kernels at its two ends do, byte by byte, in no
 * time. TLS does not encrypt here, so that the places of faults are the same each time; its handshake is a few bytes each way.
 * @module
 */
import type { Connection } from "../../src/sockets/connection.ts";
import { ConnectionSocket } from "../../src/sockets/connection_socket.ts";
import { settleTls, type TlsSettings } from "../../src/sockets/settings.ts";
import { type Socket, SocketError, type SocketInfo } from "../../src/sockets/socket.ts";
import type { Direction, Fault } from "./faults.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How a wire behaves. */
export interface FaultWireOptions {
  /** What goes wrong. Default: nothing. */
  readonly fault?: Fault | undefined;
  /** How many bytes a kernel keeps for a receiver that does not read. Default: 65,536. */
  readonly capacity?: number;
  /** How many bytes a read gets at most. Default: all that are there. */
  readonly pieces?: number;
  /** Called when bytes have passed, with how many have passed in that direction. */
  readonly onPassed?: (direction: Direction, total: number) => void;
}

/** What each side says in the handshake. */
const HELLO = new TextEncoder().encode("(hello)");

const latin1 = new TextDecoder("latin1");

/** Two sockets and what is between them. */
export class FaultWire {
  /** The client's end. */
  readonly client: Socket;
  /** The server's end. */
  readonly server: Socket;
  /** From the client to the server. */
  readonly up: Lane;
  /** From the server to the client. */
  readonly down: Lane;

  /** @param options How it behaves. */
  constructor(options: FaultWireOptions = {}) {
    const lane = (direction: Direction) => new Lane(direction, options, (kind) => this.#strike(kind));
    this.up = lane("up");
    this.down = lane("down");
    this.client = socketOf(new WireEnd("client", this.down, this.up), false);
    this.server = socketOf(new WireEnd("server", this.up, this.down), true);
    if (options.fault?.at === 0) this[options.fault.direction].begin();
  }

  /** How many bytes have passed in both directions: whether anything moves. */
  get passed(): number {
    return this.up.passed + this.down.passed;
  }

  #strike(kind: Fault["kind"]): void {
    for (const lane of [this.up, this.down]) {
      if (kind === "fin") lane.end();
      else if (kind === "rst") lane.reset();
      else if (kind === "stall") lane.stall();
    }
  }
}

function socketOf(connection: Connection, allowHalfOpen: boolean): Socket {
  return new ConnectionSocket(connection, {
    secureTransport: "starttls",
    allowHalfOpen,
    target: "the wire",
    startTls: (tls = {}) => settleTls(tls, "localhost"),
  });
}

function wasReset(): SocketError {
  return new SocketError("connection-reset", "The peer cut the connection");
}

/**
 * One direction.
 *
 * - `open`: bytes pass.
 * - `lost`: the writer may go on, and nobody gets it.
 * - `stalled`: the kernel takes what it has room for, and nobody gets it.
 * - `reset`: writing and reading fail.
 */
class Lane {
  /** How many bytes the writer's kernel has taken: they have left the process. */
  taken = 0;
  /** How many bytes of the write that is under way, or has failed, were not taken. */
  unsent = 0;
  /** How many bytes have arrived at the reader's kernel. */
  passed = 0;
  /** What was taken, one character a byte. */
  text = "";
  /** Whether it is under TLS, which does not let a byte through that has changed. */
  secured = false;
  readonly #direction: Direction;
  readonly #options: FaultWireOptions;
  readonly #onFault: (kind: Fault["kind"]) => void;
  readonly #faultAt: number;
  #state: "open" | "lost" | "stalled" | "reset" = "open";
  #queue: Bytes[] = [];
  #length = 0;
  #ended = false;
  #broken = false;
  #readerGone = false;
  #reader: PromiseWithResolvers<Bytes | null> | undefined;
  #writer: PromiseWithResolvers<void> | undefined;

  constructor(direction: Direction, options: FaultWireOptions, onFault: (kind: Fault["kind"]) => void) {
    this.#direction = direction;
    this.#options = options;
    this.#onFault = onFault;
    this.#faultAt = options.fault?.direction === direction ? options.fault.at : Infinity;
  }

  /** The fault is at the very beginning. */
  begin(): void {
    if (this.#options.fault!.kind !== "corrupt") this.#strike();
  }

  read(): Promise<Bytes | null> | Bytes | null {
    const first = this.#queue[0];
    if (first !== undefined) {
      const { pieces = Infinity } = this.#options;
      const bytes = first.length <= pieces ? this.#queue.shift()! : first.slice(0, pieces);
      if (first.length > pieces) this.#queue[0] = first.slice(pieces);
      this.#length -= bytes.length;
      this.#writer?.resolve();
      return bytes;
    }
    if (this.#broken) throw new Error("bad record mac");
    if (this.#state === "reset") throw wasReset();
    if (this.#ended) return null;
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  write(bytes: Uint8Array): Promise<void> | void {
    this.unsent = bytes.length;
    const rest = this.#take(new Uint8Array(bytes));
    if (rest.length > 0) return this.#takeLater(rest);
  }

  async #takeLater(rest: Bytes): Promise<void> {
    const { capacity = 65_536 } = this.#options;
    while (rest.length > 0) {
      if (this.#length >= capacity && this.#state !== "reset") {
        this.#writer = Promise.withResolvers();
        await this.#writer.promise;
      }
      rest = this.#take(rest);
    }
  }

  /** Takes what there is room for, and returns the rest. */
  #take(bytes: Bytes): Bytes {
    if (this.#state === "reset") throw wasReset();
    if (this.#readerGone) {
      // The first write to somebody who has left succeeds: only then does he say so.
      this.#note(bytes);
      this.reset();
      return bytes.slice(bytes.length);
    }
    if (this.#state === "lost") {
      this.#note(bytes);
      return bytes.slice(bytes.length);
    }
    const { capacity = 65_536 } = this.#options;
    const taken = bytes.slice(0, Math.max(0, capacity - this.#length));
    this.#note(taken);
    const until = this.#faultAt - this.passed;
    if (this.#state === "open" && taken.length >= until && until > 0) {
      if (this.#options.fault!.kind === "corrupt") {
        this.#corrupt(taken, until);
      } else {
        this.#pass(taken.slice(0, until));
        this.#strike();
      }
    } else if (this.#state === "open" && until === 0 && this.#options.fault!.kind === "corrupt") {
      this.#corrupt(taken, 0);
    } else if (this.#state === "open") {
      this.#pass(taken);
    } else {
      this.#length += taken.length; // stalled
    }
    return bytes.slice(taken.length);
  }

  #note(bytes: Bytes): void {
    this.taken += bytes.length;
    this.unsent -= bytes.length;
    this.text += latin1.decode(bytes);
  }

  /** The byte after so many is changed, if it is among these. */
  #corrupt(bytes: Bytes, index: number): void {
    if (index >= bytes.length) return this.#pass(bytes);
    if (this.secured) {
      this.#pass(bytes.slice(0, index));
      this.#broken = true;
      this.#state = "lost";
      this.#reader?.reject(new Error("bad record mac"));
      this.#reader = undefined;
      return;
    }
    bytes[index]! ^= 0x20;
    this.#pass(bytes);
  }

  #strike(): void {
    const { kind } = this.#options.fault!;
    if (kind === "drop") this.#state = "lost";
    else if (kind === "half-close") this.end();
    else this.#onFault(kind);
  }

  #pass(bytes: Bytes): void {
    if (bytes.length === 0) return;
    this.passed += bytes.length;
    this.#queue.push(bytes);
    this.#length += bytes.length;
    if (this.#reader !== undefined) {
      const { resolve } = this.#reader;
      this.#reader = undefined;
      resolve(this.read() as Bytes);
    }
    this.#options.onPassed?.(this.#direction, this.passed);
  }

  /** The reader gets what has arrived, and then an end. */
  end(): void {
    if (this.#state === "reset") return;
    this.#state = "lost";
    this.#ended = true;
    this.#writer?.resolve();
    if (this.#reader === undefined || this.#length > 0) return;
    this.#reader.resolve(null);
    this.#reader = undefined;
  }

  /** Both ends fail. What has arrived and was not read is lost, too. */
  reset(): void {
    this.#state = "reset";
    this.#queue = [];
    this.#length = 0;
    this.#reader?.reject(wasReset());
    this.#reader = undefined;
    this.#writer?.resolve(); // the next try fails
  }

  stall(): void {
    this.#state = "stalled";
  }

  /** The reader has closed its socket. */
  abandon(): void {
    this.#readerGone = true;
    this.#queue = [];
    this.#length = 0;
    this.#reader?.resolve(null);
    this.#reader = undefined;
    this.#writer?.resolve();
  }

  /** The writer has closed its socket: what it waits for does not leave any more. */
  giveUp(): void {
    this.#writer?.reject(wasReset());
    this.#writer = undefined;
  }
}

class WireEnd implements Connection {
  readonly info: SocketInfo = Object.freeze({ remoteAddress: "memory", localAddress: "memory" });
  readonly #role: "client" | "server";
  readonly #incoming: Lane;
  readonly #outgoing: Lane;
  #closed = false;

  constructor(role: "client" | "server", incoming: Lane, outgoing: Lane) {
    this.#role = role;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  read(): Promise<Bytes | null> | Bytes | null {
    return this.#incoming.read();
  }

  get unsent(): number {
    return this.#outgoing.unsent;
  }

  write(bytes: Uint8Array): Promise<void> | void {
    if (this.#closed) throw wasReset();
    return this.#outgoing.write(bytes);
  }

  closeWrite(): void {
    this.#outgoing.end();
  }

  close(reason?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#outgoing.giveUp();
    if (reason === undefined) this.#outgoing.end();
    else this.#outgoing.reset();
    this.#incoming.abandon();
  }

  async startTls(_settings: TlsSettings, signal: AbortSignal): Promise<Connection> {
    const onAbort = () => this.close(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      signal.throwIfAborted();
      if (this.#role === "client") await this.write(HELLO);
      let heard = "";
      while (heard.length < HELLO.length) {
        const bytes = await this.read();
        signal.throwIfAborted();
        if (bytes === null) throw Object.assign(new Error("The peer ended it"), { code: "ECONNRESET" });
        heard += latin1.decode(bytes);
      }
      if (heard !== latin1.decode(HELLO)) throw new Error("The handshake failed");
      if (this.#role === "server") await this.write(HELLO);
    } catch (error) {
      this.close(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    this.#outgoing.secured = true;
    return this;
  }
}
