import { assert, assertEquals, assertThrows } from "@std/assert";
import net from "node:net";
import { setImmediate } from "node:timers";
import tls from "node:tls";
import { connect } from "../../src/sockets/connect.ts";
import { nodeSocket, type NodeSocketInit } from "../../src/sockets/node/socket.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { runtime, test } from "../support/harness.ts";
import { assertFails, certificates } from "./conformance.ts";

test("nodeSocket() wraps an accepted socket", async () => {
  await using server = await Server.listen();
  const client = connect(server.address);
  const socket = nodeSocket(await server.accept());
  const { localAddress, remoteAddress } = await socket.opened;
  const other = await client.opened;
  assertEquals([localAddress, remoteAddress], [other.remoteAddress, other.localAddress]);
  await send(socket, "220 mx.test\r\n");
  assertEquals(await receive(client), "220 mx.test\r\n");
  await Promise.all([client.close(), socket.close()]);
});

test("nodeSocket() reads nothing ahead", async () => {
  await using server = await Server.listen();
  const client = connect(server.address);
  const raw = await server.accept();
  const socket = nodeSocket(raw);
  const sent = client.writable.getWriter().write(new Uint8Array(1_000_000));
  await sent.catch(() => {});
  assert(raw.readableLength <= 65_536, `${raw.readableLength} bytes were read ahead`);
  await Promise.all([client.close(), socket.close()]);
});

for (const transport of ["on", "starttls"] as const) {
  for (const highWaterMark of [undefined, 0]) {
    const how = `"${transport}", and a highWaterMark of ${highWaterMark}`;
    test(`nodeSocket() is the server's side of TLS, with ${how}`, async () => {
      const { authority } = await certificates();
      const init = await serverInit(transport, highWaterMark);
      await using server = await Server.listen();
      let client = connect(server.address, {
        secureTransport: transport,
        tls: { caCerts: [authority.cert] },
      });
      let socket = nodeSocket(await server.accept(), init);
      if (transport === "starttls") {
        await send(client, "STARTTLS\r\n");
        assertEquals(await receive(socket), "STARTTLS\r\n");
        await send(socket, "220 go\r\n");
        assertEquals(await receive(client), "220 go\r\n");
        client = client.startTls();
        socket = socket.startTls();
      }
      await Promise.all([client.opened, socket.opened]);
      await send(socket, "220 mx.test\r\n");
      assertEquals(await receive(client), "220 mx.test\r\n");
      // A lot of bytes, and the end right after them, to a reader that takes its time.
      const writer = client.writable.getWriter();
      const sent = Promise.all([writer.write(new Uint8Array(3_000_000)), writer.close()]);
      let count = 0;
      for await (const chunk of socket.readable) {
        count += chunk.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      assertEquals(count, 3_000_000);
      await sent;
      await Promise.all([client.close(), socket.closed]);
    });
  }
}

test("nodeSocket() rejects opened when the client's handshake makes no sense", async () => {
  await using server = await Server.listen();
  const client = connect(server.address);
  const socket = nodeSocket(await server.accept(), await serverInit("on"));
  await send(client, "EHLO client.test\r\n");
  await assertFails(socket.opened, "tls-failed");
  await client.close();
});

test("nodeSocket() rejects opened when the client hangs up in the handshake", async () => {
  await using server = await Server.listen();
  const client = connect(server.address);
  const socket = nodeSocket(await server.accept(), await serverInit("on"));
  await client.close();
  await assertFails(socket.opened, "connection-reset");
});

test("nodeSocket() gives up a handshake that is never begun when it is closed", async () => {
  await using server = await Server.listen();
  const client = connect(server.address);
  const socket = nodeSocket(await server.accept(), await serverInit("on"));
  const read = client.readable.getReader().read();
  await socket.close();
  await assertFails(socket.opened, "closed");
  assertEquals((await read).done, true);
});

test("nodeSocket() closes a socket when its signal is aborted already", async () => {
  await using server = await Server.listen();
  const client = connect(server.address);
  const socket = nodeSocket(await server.accept(), { signal: AbortSignal.abort() });
  await assertFails(socket.closed, "aborted");
  assertEquals((await client.readable.getReader().read()).done, true);
  await client.close();
});

test("nodeSocket() does not go over to TLS when its options do not allow it", async () => {
  await using server = await Server.listen();
  const client = connect(server.address);
  const socket = nodeSocket(await server.accept());
  assertThrows(() => socket.startTls(), TypeError, `secureTransport "off"`);
  await Promise.all([client.close(), socket.close()]);
});

async function serverInit(
  secureTransport: "on" | "starttls",
  highWaterMark?: number,
): Promise<NodeSocketInit> {
  const { good } = await certificates();
  const secureContext = tls.createSecureContext(good);
  const rest = highWaterMark === undefined ? {} : { highWaterMark };
  return {
    secureTransport,
    upgrade: (raw) => new tls.TLSSocket(raw, { isServer: true, secureContext, ...rest }),
  };
}

test(
  "a client refuses a renegotiation, in which the server could show another certificate",
  { skip: runtime === "node" ? undefined : "only a server on Node can ask for one" },
  async () => {
    const { authority, good } = await certificates();
    const failed = Promise.withResolvers<NodeJS.ErrnoException | null>();
    const server = tls.createServer({ ...good, maxVersion: "TLSv1.2" }, (secure) => {
      secure.on("error", failed.resolve);
      secure.renegotiate({}, failed.resolve);
      secure.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as net.AddressInfo;
    const address = { hostname: "127.0.0.1", port };
    const socket = connect(address, { secureTransport: "on", tls: { caCerts: authority.cert } });
    await socket.opened;
    await Promise.allSettled([socket.readable.getReader().read(), send(socket, "EHLO client.test\r\n")]);
    await assertFails(socket.closed, "tls-failed");
    assertEquals((await failed.promise)?.code, "ERR_SSL_NO_RENEGOTIATION");
    await new Promise<void>((resolve) => server.close(() => resolve()));
  },
);

/** Listens, and hands out what connects as it is. */
class Server implements AsyncDisposable {
  readonly address: { hostname: string; port: number };
  readonly #server: net.Server;
  readonly #all: net.Socket[] = [];
  readonly #accepted: net.Socket[] = [];
  #waiting: ((raw: net.Socket) => void) | undefined;

  private constructor(server: net.Server) {
    this.#server = server;
    this.address = { hostname: "127.0.0.1", port: (server.address() as net.AddressInfo).port };
    server.on("connection", (raw) => {
      this.#all.push(raw);
      if (this.#waiting === undefined) this.#accepted.push(raw);
      else this.#waiting(raw);
    });
  }

  static async listen(): Promise<Server> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, highWaterMark: 0 });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Server(server);
  }

  accept(): Promise<net.Socket> {
    const raw = this.#accepted.shift();
    return raw === undefined ? new Promise((resolve) => this.#waiting = resolve) : Promise.resolve(raw);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const raw of this.#all) raw.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

async function send(socket: Socket, text: string): Promise<void> {
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
}

async function receive(socket: Socket): Promise<string> {
  const reader = socket.readable.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}
