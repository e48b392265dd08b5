/**
 * A relay over TCP that fails where it is told to: between a client and a server of any kind, on the way of every byte.
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import type { Direction, Fault } from "./faults.ts";

/** What happens to a connection. */
export interface RelayPlan {
  /** What goes wrong. Default: nothing. */
  readonly fault?: Fault | undefined;
  /** Bytes leave in pieces of so many, each in a write of its own. Default: as they come. */
  readonly pieces?: number;
  /** Bytes are gathered for so many milliseconds, and leave together. Default: they leave at once. */
  readonly coalesce?: number;
  /** Bytes leave so many milliseconds after they came, in order. Default: at once. */
  readonly delay?: number;
  /** Called when bytes have been passed on, with how many that are in that direction. */
  readonly onPassed?: (direction: Direction, total: number) => void;
}

/** A relay that listens. */
export class FaultRelay implements AsyncDisposable {
  /** Where it listens, on 127.0.0.1. */
  readonly port: number;
  /** What happens to the connections that come from now on. */
  plan: (index: number) => RelayPlan = () => ({});
  /** Every connection until now. */
  readonly connections: RelayedConnection[] = [];
  readonly #server: Server;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => {
      const upstream = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
      const plan = this.plan(this.connections.length);
      this.connections.push(new RelayedConnection(client, upstream, plan));
    });
  }

  /**
   * Begins to listen.
   *
   * @param target The port of the server, on 127.0.0.1.
   */
  static async start(target: number): Promise<FaultRelay> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return new FaultRelay(server, target);
  }

  /** Forgets the connections that have ended, for those who open many, and returns them. */
  forget(): RelayedConnection[] {
    const all = this.connections.splice(0);
    this.connections.push(...all.filter(({ ended }) => !ended));
    return all.filter(({ ended }) => ended);
  }

  /** Cuts what is open, and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.connections.map((connection) => connection.close()));
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** One connection through a relay. */
export class RelayedConnection {
  /** How many bytes were passed on. */
  readonly passed: Record<Direction, number> = { up: 0, down: 0 };
  /** Whether the fault has happened. */
  struck = false;
  /** Whether both sides are closed. */
  ended = false;
  /** The port that the server sees, once it has been reached. */
  port: number | undefined;
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #plan: RelayPlan;
  readonly #closed: Promise<unknown>;
  /** Directions in which nothing passes any more. */
  readonly #lost: Set<Direction> = new Set();
  #stalled = false;
  readonly #timers: Set<ReturnType<typeof setTimeout>> = new Set();

  constructor(client: Socket, upstream: Socket, plan: RelayPlan) {
    this.#client = client;
    this.#upstream = upstream;
    this.#plan = plan;
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    this.#closed = Promise.all(
      [client, upstream].map((socket) =>
        new Promise<void>((resolve) => socket.once("close", () => resolve()))
      ),
    ).then(() => this.ended = true);
    this.#join("up", client, upstream);
    this.#join("down", upstream, client);
    upstream.once("connect", () => this.port = upstream.localPort);
    if (plan.fault?.at === 0 && plan.fault.kind !== "corrupt") upstream.once("connect", () => this.#strike());
  }

  /** Resolves when both sides are closed. */
  get closed(): Promise<unknown> {
    return this.#closed;
  }

  /** Closes both sides, in good order as far as they are open. */
  close(): Promise<unknown> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#client.destroy();
    this.#upstream.destroy();
    return this.#closed;
  }

  #join(direction: Direction, from: Socket, to: Socket): void {
    const held: Uint8Array[] = [];
    const { coalesce = 0, delay = 0 } = this.#plan;
    const release = () => {
      const bytes = join(held.splice(0));
      if (bytes.length > 0) this.#take(direction, bytes, from, to);
    };
    from.on("data", (bytes: Uint8Array) => {
      if (coalesce === 0 && delay === 0) return this.#take(direction, bytes, from, to);
      if (coalesce === 0) return this.#later(delay, () => this.#take(direction, bytes, from, to));
      held.push(bytes);
      if (held.length === 1) this.#later(coalesce, release);
    });
    from.on("end", () => {
      if (this.#stalled) return;
      this.#later(delay, () => {
        release();
        if (!to.destroyed) to.end();
      });
    });
    from.on("error", () => {
      if (!this.#stalled) to.resetAndDestroy();
    });
    from.on("close", () => {
      // One that was destroyed without an end: a reset that nobody reports as an error.
      if (!this.#stalled && !from.readableEnded && !this.struck) to.destroy();
    });
  }

  #later(delay: number, step: () => void): void {
    if (delay === 0) return step();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      step();
    }, delay);
    this.#timers.add(timer);
  }

  #take(direction: Direction, bytes: Uint8Array, from: Socket, to: Socket): void {
    if (this.#stalled || this.#lost.has(direction) || to.destroyed) return;
    const { fault } = this.#plan;
    const left = fault?.direction === direction ? fault.at - this.passed[direction] : Infinity;
    if (fault?.kind === "corrupt") {
      const copy = bytes.slice();
      if (left >= 0 && left < copy.length) {
        copy[left]! ^= 0x20;
        this.struck = true;
      }
      return this.#pass(direction, copy, from, to);
    }
    if (left > bytes.length) return this.#pass(direction, bytes, from, to);
    this.#pass(direction, bytes.subarray(0, left), from, to, () => this.#strike());
    this.#lost.add(direction);
  }

  #pass(direction: Direction, bytes: Uint8Array, from: Socket, to: Socket, then?: () => void): void {
    const { pieces = Infinity, onPassed } = this.#plan;
    this.passed[direction] += bytes.length;
    let isFull = false;
    for (let at = 0; at < bytes.length; at += pieces) {
      const piece = bytes.slice(at, at + pieces);
      const isLast = at + piece.length >= bytes.length;
      isFull = !to.write(piece, isLast && then !== undefined ? () => then() : undefined);
    }
    if (bytes.length === 0) then?.();
    if (isFull) {
      from.pause();
      to.once("drain", () => {
        if (!this.#stalled) from.resume();
      });
    }
    onPassed?.(direction, this.passed[direction]);
  }

  #strike(): void {
    if (this.struck) return;
    this.struck = true;
    const { kind, direction } = this.#plan.fault!;
    const [client, upstream] = [this.#client, this.#upstream];
    switch (kind) {
      case "fin":
        this.#lost.add("up").add("down");
        client.end();
        upstream.end();
        break;
      case "rst":
        this.#lost.add("up").add("down");
        client.resetAndDestroy();
        upstream.resetAndDestroy();
        break;
      case "half-close":
        (direction === "up" ? upstream : client).end();
        break;
      case "stall":
        this.#stalled = true;
        client.pause();
        upstream.pause();
        break;
      case "drop":
        break;
    }
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
