/**
 * The worker that runs the conformance suite: one test for each WebSocket.
 * @module
 */
import { testConformanceIn } from "../sockets/conformance/all.ts";
import { workersAdapter } from "./conformance_adapter.ts";
import { type Begin, decodeMessage } from "./peer_wire.ts";
import { Remote } from "./remote_peer.ts";

/** The platform's own, of which no types are here. */
declare const WebSocketPair: new () => { 0: WebSocket; 1: WebSocket & { accept(): void } };

/** Runs a test. Each has a suite of its own: what it opens belongs to its request. */
async function run({ test: name, certificates }: Begin, remote: Remote): Promise<void> {
  const bodies = new Map<string, () => Promise<void>>();
  testConformanceIn({
    test: (name, body) => void bodies.set(name, body),
    certificates: () => Promise.resolve(certificates),
    listen: (hostname) => remote.listen(hostname),
    listenUnix: () => Promise.reject(new TypeError("There are no unix sockets")),
  }, workersAdapter);
  try {
    const body = bodies.get(name);
    if (body === undefined) throw new Error(`There is no test "${name}"`);
    await body();
    remote.end();
  } catch (error) {
    const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
    remote.end({ message, stack });
  }
}

/** The worker. */
export default {
  /** Takes a WebSocket. */
  fetch(): Response {
    const { 0: theirs, 1: ours } = new WebSocketPair();
    ours.binaryType = "arraybuffer";
    ours.accept();
    const remote = new Remote(ours);
    let begun = false;
    ours.addEventListener("message", ({ data }) => {
      if (begun) return remote.receive(data);
      begun = true;
      void run(decodeMessage(data).says as Begin, remote);
    });
    ours.addEventListener("close", () => ours.close());
    return new Response(null, { status: 101, webSocket: theirs } as ResponseInit);
  },
};
