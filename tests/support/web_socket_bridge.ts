/**
 * A bridge for tests, from a WebSocket to TCP, with backpressure both ways. It shares no code with `src/`.
 * @module
 */
import net from "node:net";
import { Peer } from "./peer.ts";
import { closeCode, OPCODES, WebSocketPeer } from "./web_socket_peer.ts";

/**
 * Takes WebSockets at `ws://127.0.0.1:PORT/HOST:PORT`, with `?half-close` if an empty message is to end a side. It serves
 * all tests of a file and does not keep the process alive.
 */
export class WebSocketBridge {
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
  }

  /** Starts one. */
  static async start(): Promise<WebSocketBridge> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (raw) => {
      const peer = new Peer(raw);
      run(peer).catch(() => peer.destroy()); // it went away in the handshake
    });
    await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    server.unref();
    return new WebSocketBridge((server.address() as net.AddressInfo).port);
  }

  /** Where to reach a server through it. */
  url(address: { hostname: string; port: number }, query = ""): string {
    return `ws://127.0.0.1:${this.#port}/${address.hostname}:${address.port}${query}`;
  }
}

async function run(peer: Peer): Promise<void> {
  const client = await WebSocketPeer.accept(peer);
  const [, host, port] = client.path.match(/^\/(.*):(\d+)/)!;
  const raw = net.connect({ host: host!, port: Number(port), allowHalfOpen: true, noDelay: true });
  const server = new Peer(raw);
  const halfClose = client.path.endsWith("?half-close");
  try {
    await Promise.all([forth(client, server, halfClose), back(server, client, halfClose)]);
  } finally {
    server.destroy();
    peer.destroy();
  }
}

async function forth(client: WebSocketPeer, server: Peer, halfClose: boolean): Promise<void> {
  try {
    for (let frame = await client.readFrame(); frame !== null; frame = await client.readFrame()) {
      const { opcode, payload } = frame;
      if (opcode === OPCODES.close) {
        if (closeCode(frame) === 1000) await server.end();
        else server.reset();
        await client.close(closeCode(frame));
        await client.peer.end();
        return await client.peer.drain();
      }
      if (payload.length > 0) await server.write(payload);
      else if (halfClose) await server.end();
    }
    server.destroy(); // cut
  } catch {
    server.destroy();
    client.peer.destroy();
  }
}

async function back(server: Peer, client: WebSocketPeer, halfClose: boolean): Promise<void> {
  try {
    for (let bytes = await server.read(); bytes !== null; bytes = await server.read()) {
      await client.writeFrame(OPCODES.binary, bytes);
    }
    if (halfClose) await client.writeFrame(OPCODES.binary, new Uint8Array(0));
    else await client.close(1000);
  } catch {
    client.peer.reset(); // cut, as it was
  }
}
