/**
 * The peers of a test that runs in workerd: see `remote_peer.ts`.
 * @module
 */
import type { Certificates } from "../sockets/conformance/suite.ts";
import { Listener, type Peer, type PeerTls } from "../support/peer.ts";
import { type Answer, type Call, decodeMessage, encodeMessage, type End, type Handle } from "./peer_wire.ts";

/**
 * Has workerd run a test, and does what the test asks of its peers.
 * @param url Where the worker accepts WebSockets.
 * @param name The name of the test.
 * @param certificates The certificates of the suite.
 */
export async function runRemoteTest(url: URL, name: string, certificates: Certificates): Promise<void> {
  await using host = new PeerHost();
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  socket.onopen = () => socket.send(encodeMessage({ test: name, certificates }));
  socket.onclose = ({ code, reason }) => reject(new Error(`workerd has hung up: ${code} ${reason}`));
  socket.onmessage = async ({ data }) => {
    const { says, payload } = decodeMessage(data as ArrayBuffer);
    if ("end" in (says as End)) {
      const { error } = says as End;
      if (error === undefined) return resolve();
      return reject(Object.assign(new Error(error.message), { stack: `In workerd: ${error.stack}` }));
    }
    const [answer, bytes] = await host.answer(says as Call, payload);
    if (socket.readyState === WebSocket.OPEN) socket.send(encodeMessage(answer, bytes));
  };
  try {
    await ended;
  } finally {
    socket.close();
  }
}

class PeerHost implements AsyncDisposable {
  readonly #targets: (Listener | Peer)[] = [];

  /** Carries out a call. */
  async answer({ call, target, method, args }: Call, payload: Uint8Array): Promise<[Answer, Uint8Array?]> {
    try {
      const value = await this.#do(target, method, args, payload);
      return value instanceof Uint8Array ? [{ call, bytes: true }, value] : [{ call, value }];
    } catch (error) {
      return [{ call, error: String(error) }];
    }
  }

  async #do(index: number, method: string, args: unknown[], payload: Uint8Array): Promise<unknown> {
    if (index === 0) return this.#handle(await Listener.tcp(args[0] as string));
    const target = this.#targets[index - 1]!;
    if (target instanceof Listener) {
      if (method === "accept") return this.#handle(await target.accept());
      return await target[Symbol.asyncDispose]();
    }
    switch (method) {
      case "read":
        return await target.read();
      case "readText":
        return await target.readText(args[0] as number);
      case "drain":
        return await target.drain();
      case "write":
        return await target.write(payload);
      case "end":
        return await target.end();
      case "reset":
        return target.reset();
      case "startTls":
        return this.#handle(await target.startTls(args[0] as PeerTls));
    }
    throw new TypeError(`A peer does not ${method}`);
  }

  #handle(target: Listener | Peer): Handle {
    const index = this.#targets.push(target);
    if (target instanceof Listener) {
      return { target: index, port: (target.address as { port: number }).port };
    }
    const { remotePort, servername } = target.raw as Peer["raw"] & { servername?: unknown };
    return { target: index, raw: { remotePort, servername } };
  }

  /** Closes what the test has left open. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of this.#targets) if (target instanceof Listener) await target[Symbol.asyncDispose]();
  }
}
