import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { Connection } from "../../src/sockets/connection.ts";
import {
  ConnectionSocket,
  type ConnectionSocketInit,
  type Open,
} from "../../src/sockets/connection_socket.ts";
import { settleTls } from "../../src/sockets/settings.ts";
import { SocketError } from "../../src/sockets/socket.ts";
import { test } from "../support/harness.ts";
import { assertFails } from "./conformance.ts";

const BYTE = new Uint8Array(1);

test("a write that fails leaves what the peer said last to be read", async () => {
  const reads = [new Uint8Array([52, 50, 49]), null];
  const socket = createSocket({
    read: () => reads.shift()!,
    write: () => Promise.reject(Object.assign(new Error("write"), { code: "EPIPE" })),
  });
  await assertFails(socket.writable.getWriter().write(BYTE), "connection-reset");
  const reader = socket.readable.getReader();
  assertEquals([...(await reader.read()).value!], [52, 50, 49]);
  assertEquals((await reader.read()).done, true);
  await assertFails(socket.closed, "connection-reset");
});

test("an end that fails is a write that fails", async () => {
  const socket = createSocket({
    closeWrite: () => Promise.reject(Object.assign(new Error("?"), { code: "ENOTCONN" })),
  });
  await assertFails(socket.writable.getWriter().close(), "connection-reset");
  await assertFails(socket.close(), "connection-reset");
});

test("an adapter that throws is an adapter that rejects", async () => {
  const socket = createSocket({
    read: () => {
      throw Object.assign(new Error("read"), { code: "ECONNRESET" });
    },
  });
  await assertFails(socket.readable.getReader().read(), "connection-reset");
  await assertFails(socket.closed, "connection-reset");
});

test("nothing is read before somebody asks, and then once", async () => {
  let reads = 0;
  const socket = createSocket({
    read: () => {
      reads++;
      return new Uint8Array(1);
    },
  });
  await turn();
  assertEquals(reads, 0);
  await socket.readable.getReader().read();
  await turn();
  assertEquals(reads, 1);
});

test("an empty chunk is not written", async () => {
  const written: number[] = [];
  const socket = createSocket({ write: (bytes) => void written.push(bytes.length) });
  const writer = socket.writable.getWriter();
  await writer.write(new Uint8Array(0));
  await writer.write(BYTE);
  assertEquals(written, [1]);
});

test("a socket lets go of its signal when it is closed, and when it has gone over to TLS", async () => {
  const signal = new CountingSignal();
  const first = createSocket({}, { signal });
  assertEquals(signal.count, 1);
  await first.close();
  assertEquals(signal.count, 0);
  const second = createSocket({ startTls: () => Promise.resolve(connection({})) }, {
    signal,
    secureTransport: "starttls",
  });
  const secure = second.startTls();
  await secure.opened;
  assertEquals(signal.count, 1);
  await secure.close();
  assertEquals(signal.count, 0);
});

test("a connection that opens after the socket was closed is closed", async () => {
  const { promise, resolve } = Promise.withResolvers<Connection>();
  let signal: AbortSignal | undefined;
  const socket = createSocket((given) => {
    signal = given;
    return promise;
  });
  let closed = false;
  socket.close().then(() => closed = true);
  await assertFails(socket.opened, "closed");
  assertEquals(signal?.aborted, true);
  await turn();
  assertEquals(closed, false); // there may be something to close yet
  let released = false;
  resolve(connection({ close: () => void (released = true) }));
  await socket.closed;
  assertEquals(released, true);
});

test("a signal that is aborted already closes a connection that is there", async () => {
  let released = false;
  const socket = createSocket({ close: () => void (released = true) }, { signal: AbortSignal.abort() });
  await assertFails(socket.closed, "aborted");
  assertEquals(released, true);
});

test("startTls() is refused while bytes wait that came for a reader that has left", async () => {
  const { promise, resolve } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  const socket = createSocket({ read: () => promise }, { secureTransport: "starttls" });
  await turn(); // a stream that has just been made does not pull yet
  const reader = socket.readable.getReader();
  const read = assertRejects(() => reader.read());
  reader.releaseLock();
  await read;
  assertThrows(() => socket.startTls(), TypeError, "a read is under way");
  resolve(new Uint8Array(1));
  await turn();
  assertThrows(() => socket.startTls(), TypeError, "bytes not read yet");
});

test("startTls() is refused when a direction has ended and when the socket is closed", async () => {
  const socket = createSocket({ read: () => null }, { secureTransport: "starttls", allowHalfOpen: true });
  const reader = socket.readable.getReader();
  await reader.read();
  reader.releaseLock();
  assertThrows(() => socket.startTls(), TypeError, "a direction has ended");
  await socket.close();
  assertThrows(() => socket.startTls(), TypeError, "the socket is closed");
});

test("startTls() closes the connection when a queued write fails", async () => {
  let released = false;
  const socket = createSocket({
    write: () => Promise.reject(Object.assign(new Error("write"), { code: "EPIPE" })),
    close: () => void (released = true),
  }, { secureTransport: "starttls" });
  const writer = socket.writable.getWriter();
  const written = assertFails(writer.write(BYTE), "connection-reset");
  writer.releaseLock();
  const secure = socket.startTls();
  await written;
  await assertFails(secure.opened, "connection-reset");
  await socket.closed;
  assertEquals(released, true);
});

test("startTls() gives up the opening of the connection with its signal", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const plain = createSocket(
    (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    {
      secureTransport: "starttls",
      signal: controller.signal,
    },
  );
  const secure = plain.startTls();
  await turn();
  controller.abort(reason);
  assertStrictEquals((await assertFails(secure.opened, "aborted")).cause, reason);
  await assertFails(secure.closed, "aborted");
});

test("startTls() closes the connection when it is given up while writes are waiting", async () => {
  const steps: string[] = [];
  const writing = Promise.withResolvers<void>();
  const controller = new AbortController();
  const plain = createSocket({
    write: () => writing.promise,
    close: () => (steps.push("close"), writing.reject(new Error("The connection is closed"))),
    startTls: () => (steps.push("startTls"), Promise.reject(new Error("It must not get here"))),
  }, { secureTransport: "starttls", signal: controller.signal });
  const writer = plain.writable.getWriter();
  const written = assertRejects(() => writer.write(BYTE));
  writer.releaseLock();
  const secure = plain.startTls();
  await turn();
  assertEquals(steps, []);
  controller.abort();
  await assertFails(secure.opened, "aborted");
  await written;
  await secure.closed.catch(() => {});
  assertEquals([steps[0], steps.includes("startTls")], ["close", false]);
});

test("startTls() closes the connection when the handshake fails", async () => {
  const steps: string[] = [];
  const failure = new Error("handshake");
  const plain = createSocket({
    close: () => void steps.push("close"),
    startTls: () => (steps.push("startTls"), Promise.reject(failure)),
  }, { secureTransport: "starttls" });
  const secure = plain.startTls();
  assertStrictEquals((await assertFails(secure.opened, "tls-failed")).cause, failure);
  assertEquals(steps, ["startTls", "close"]);
});

test("startTls() checks its options before it does anything", async () => {
  const socket = createSocket({}, { secureTransport: "starttls" });
  assertThrows(() => socket.startTls({ caCerts: ["garbage"] }), TypeError, "caCerts[0]");
  assertEquals([socket.readable.locked, socket.writable.locked], [false, false]);
  await socket.writable.getWriter().write(BYTE);
});

test("an error of the opening is normalised, with its cause", async () => {
  const cause = Object.assign(new Error("no"), { code: "ECONNREFUSED" });
  const socket = createSocket(() => Promise.reject(cause), { target: "mx.test:25" });
  const error = await assertFails(socket.opened, "connection-refused");
  assertStrictEquals(error.cause, cause);
  assertEquals(error.message, "Connection refused (mx.test:25): no");
  assertEquals(error instanceof SocketError && error instanceof TypeError, true);
});

test("close() hands the reason to the connection", async () => {
  const reasons: unknown[] = [];
  await createSocket({ close: (reason) => void reasons.push(reason) }).close();
  const reason = new Error("enough");
  await createSocket({ close: (reason) => void reasons.push(reason) }).close(reason);
  assertEquals(reasons, [undefined, reason]);
});

function connection(parts: Partial<Connection>): Connection {
  return {
    info: {},
    read: () => new Promise<never>(() => {}),
    write: () => {},
    closeWrite: () => {},
    close: () => {},
    startTls: () => Promise.reject(new Error("Not here")),
    ...parts,
  };
}

function createSocket(
  parts: Partial<Connection> | Open,
  init: Partial<ConnectionSocketInit> = {},
): ConnectionSocket {
  return new ConnectionSocket(typeof parts === "function" ? parts : connection(parts), {
    secureTransport: "off",
    startTls: (options = {}) => settleTls(options, "mx.test"),
    ...init,
  });
}

/** A signal that knows how many listen. */
class CountingSignal extends EventTarget implements AbortSignal {
  readonly aborted = false;
  readonly reason = undefined;
  onabort = null;
  count = 0;

  throwIfAborted(): void {}

  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.count++;
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.count--;
    super.removeEventListener(...args);
  }
}

/** Long enough for everything that only waits for promises. */
async function turn(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}
