/**
 * The peers of a test that runs in workerd, where there are no servers: they are in Node (`peer_host.ts`), and do what they
 * are told. The socket under test is not remote: its streams, its states and its errors are those of workerd.
 *
 * A call has ended when the peer's own has, so that a write to a peer waits as long as it would, and a peer reads when the
 * test has it read, not before.
 * @module
 */
import type { KeyPair } from "../support/certificates.ts";
import type { TestListener, TestPeer } from "../sockets/conformance/suite.ts";
import { type Answer, type Call, decodeMessage, encodeMessage, type End, type Handle } from "./peer_wire.ts";

/** Calls to Node, over the WebSocket of one test. */
export class Remote {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #calls = 0;

  /** @param socket The WebSocket, accepted. */
  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** Has a listener or a peer do something. Calls begin in the order that they were made in. */
  call<T>(target: number, method: string, args: unknown[] = [], payload?: Uint8Array): Promise<T> {
    const call: Call = { call: this.#calls++, target, method, args };
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(call.call, { resolve, reject });
    this.#socket.send(encodeMessage(call, payload));
    return promise as Promise<T>;
  }

  /** Takes an answer. */
  receive(message: ArrayBuffer): void {
    const { says, payload } = decodeMessage(message);
    const { call, value, bytes, error } = says as Answer;
    const { resolve, reject } = this.#waiting.get(call)!;
    this.#waiting.delete(call);
    if (error !== undefined) reject(new Error(error));
    else resolve(bytes ? payload : value);
  }

  /** Says how the test has ended. */
  end(error?: End["error"]): void {
    this.#socket.send(encodeMessage({ end: true, ...(error && { error }) }));
  }

  /** Listens. A certificate on Workers is for a name: what listens on 127.0.0.1 is told of as `localhost`. */
  async listen(hostname?: string): Promise<TestListener> {
    const { target, port } = await this.call<Handle>(0, "listen", [hostname ?? "127.0.0.1"]);
    return {
      address: { hostname: hostname ?? "localhost", port: port! },
      accept: async () => new RemotePeer(this, await this.call<Handle>(target, "accept")),
      [Symbol.asyncDispose]: () => this.call(target, "dispose"),
    };
  }
}

class RemotePeer implements TestPeer {
  readonly raw: TestPeer["raw"];
  readonly #remote: Remote;
  readonly #target: number;

  constructor(remote: Remote, { target, raw }: Handle) {
    this.#remote = remote;
    this.#target = target;
    this.raw = raw!;
  }

  read(): Promise<Uint8Array | null> {
    return this.#remote.call(this.#target, "read");
  }

  readText(length: number): Promise<string> {
    return this.#remote.call(this.#target, "readText", [length]);
  }

  drain(): Promise<void> {
    return this.#remote.call(this.#target, "drain");
  }

  write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    return this.#remote.call(this.#target, "write", [], bytes);
  }

  end(): Promise<void> {
    return this.#remote.call(this.#target, "end");
  }

  reset(): void {
    void this.#remote.call(this.#target, "reset");
  }

  async startTls(options: KeyPair): Promise<TestPeer> {
    return new RemotePeer(this.#remote, await this.#remote.call(this.#target, "startTls", [options]));
  }
}
