/**
 * What every adapter has to do: one suite, run over each of them.
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type Socket,
  type SocketAddress,
  SocketError,
  type SocketErrorCode,
  type SocketOptions,
} from "../../src/sockets/socket.ts";
import { type Authority, createAuthority, type KeyPair } from "../support/certificates.ts";
import { test } from "../support/harness.ts";
import { Listener, type Peer } from "../support/peer.ts";

/** What is under test. */
export interface Adapter {
  /** How its tests are called. */
  name: string;
  /** Whether a connection that is given up in the handshake stays until its peer says something. */
  lingersInHandshake?: boolean;
  /**
   * Whether it reaches the peer through a bridge: it then knows neither addresses nor why a connection fails, and has no
   * TLS of its own.
   */
  bridged?: boolean;
  /** Whether it cannot let the peer wait. */
  readsAhead?: boolean;
  /** Whether TLS ends one's own side when the peer has ended his. */
  tlsEndsBoth?: boolean;
  /** What a certificate that has expired is called. Default: `"certificate-expired"`. */
  expired?: SocketErrorCode;
  /** Opens a socket. */
  connect(address: SocketAddress, options?: SocketOptions): Socket;
}

/** More than any kernel buffers: it cannot be written before the peer reads. */
const LARGE = 64 * 1024 * 1024;

interface Certificates {
  authority: Authority;
  good: KeyPair;
  expired: KeyPair;
  otherName: KeyPair;
  client: KeyPair;
}

let made: Promise<Certificates> | undefined;

/** The certificates of the suite, made once. */
export function certificates(): Promise<Certificates> {
  return made ??= make();
}

async function make(): Promise<Certificates> {
  const authority = await createAuthority();
  const [good, expired, otherName, client] = await Promise.all([
    authority.issue(),
    authority.issue({ expires: -24 * 60 * 60 * 1000 }),
    authority.issue({ names: ["mx.test"] }),
    authority.issue({ names: ["client.test"], usage: "client" }),
  ]);
  return { authority, good, expired, otherName, client };
}

/** Declares the tests for one adapter. */
export function testConformance(
  {
    name,
    connect,
    lingersInHandshake = false,
    bridged = false,
    readsAhead = false,
    tlsEndsBoth = false,
    expired = "certificate-expired",
  }: Adapter,
): void {
  /** A test of what a bridge keeps from the adapter. */
  const testDirect: typeof test = bridged ? () => {} : test;

  /** A test with a connection: the socket, open, and its peer. */
  function testConnected(
    what: string,
    body: (socket: Socket, peer: Peer) => Promise<void>,
    options?: SocketOptions,
  ): void {
    if (bridged && options?.secureTransport !== undefined) return;
    test(`${name}: ${what}`, async () => {
      await using listener = await Listener.tcp();
      const socket = connect(listener.address, options);
      const peer = await listener.accept();
      await socket.opened;
      await body(socket, peer);
      await socket.close().catch(() => {});
    });
  }

  /** The same in the clear, over TLS from the first byte, and over TLS after STARTTLS. */
  function testAllTransports(
    what: string,
    body: (socket: Socket, peer: Peer) => Promise<void>,
    options: SocketOptions = {},
  ): void {
    testConnected(`${what}, in the clear`, body, options);
    testDirect(`${name}: ${what}, over TLS`, async () => {
      const { authority, good } = await certificates();
      await using listener = await Listener.tcp();
      const tls = { caCerts: [authority.cert] };
      const socket = connect(listener.address, { ...options, secureTransport: "on", tls });
      const [peer] = await Promise.all([secureNext(listener, good), socket.opened]);
      await body(socket, peer);
      await socket.close().catch(() => {});
    });
    testDirect(`${name}: ${what}, after STARTTLS`, async () => {
      const { authority, good } = await certificates();
      await using listener = await Listener.tcp();
      const plain = connect(listener.address, { ...options, secureTransport: "starttls" });
      const peer = await listener.accept();
      const socket = plain.startTls({ caCerts: [authority.cert] });
      const [secure] = await Promise.all([peer.startTls(good), socket.opened]);
      await body(socket, secure);
      await socket.close().catch(() => {});
    });
  }

  // ---- opening

  testDirect(`${name}: opened tells the addresses when the connection stands`, async () => {
    await using listener = await Listener.tcp();
    const socket = connect(listener.address);
    const peer = await listener.accept();
    const info = await socket.opened;
    const { hostname, port } = listener.address as { hostname: string; port: number };
    assertEquals(info.remoteAddress, `${hostname}:${port}`);
    assertEquals(info.localAddress, `${hostname}:${peer.raw.remotePort}`);
    assertEquals(socket.upgraded, false);
    assertEquals(socket.secureTransport, "off");
    await socket.close();
  });

  test(`${name}: reads and writes wait for the opening when they come before it`, async () => {
    await using listener = await Listener.tcp();
    const socket = connect(listener.address);
    const read = socket.readable.getReader().read();
    const written = socket.writable.getWriter().write(bytes("hello"));
    const peer = await listener.accept();
    assertEquals(await peer.readText(5), "hello");
    await written;
    await peer.write("there");
    assertEquals(text((await read).value), "there");
    await socket.close();
  });

  testConnected("what the peer says at once is kept", async (socket, peer) => {
    await peer.write("220 mx.test\r\n");
    await peer.end();
    const reader = socket.readable.getReader();
    assertEquals(text((await reader.read()).value), "220 mx.test\r\n");
    assertEquals((await reader.read()).done, true);
  });

  testDirect(`${name}: IPv6 addresses work and are written with brackets`, async () => {
    await using listener = await Listener.tcp("::1");
    const socket = connect(listener.address);
    await listener.accept();
    const { port } = listener.address as { port: number };
    assertEquals((await socket.opened).remoteAddress, `[::1]:${port}`);
    await socket.close();
  });

  testDirect(`${name}: a host name is looked up`, async () => {
    await using listener = await Listener.tcp();
    const { port } = listener.address as { port: number };
    const socket = connect({ hostname: "localhost", port });
    await listener.accept();
    assertEquals((await socket.opened).remoteAddress, `127.0.0.1:${port}`);
    await socket.close();
  });

  testDirect(`${name}: opened rejects with connection-refused when nobody listens`, async () => {
    const listener = await Listener.tcp();
    await listener[Symbol.asyncDispose]();
    await assertNeverOpens(connect(listener.address), "connection-refused");
  });

  testDirect(
    `${name}: opened rejects with connection-refused when the unix socket is not there`,
    async () => {
      await assertNeverOpens(connect({ path: "/does/not/exist.sock" }), "connection-refused");
    },
  );

  testDirect(`${name}: opened rejects with host-not-found when the name has no address`, async () => {
    // RFC 6761, section 6.4: never a real name.
    await assertNeverOpens(connect({ hostname: "does-not-exist.invalid", port: 25 }), "host-not-found");
  });

  test(`${name}: a signal that is aborted already opens nothing`, async () => {
    await using listener = await Listener.tcp();
    const reason = new Error("enough");
    const socket = connect(listener.address, { signal: AbortSignal.abort(reason) });
    const error = await assertNeverOpens(socket, "aborted");
    assertStrictEquals(error.cause, reason);
  });

  test(`${name}: a signal gives the connecting up`, async () => {
    await using listener = await Listener.tcp();
    const controller = new AbortController();
    const socket = connect(listener.address, { signal: controller.signal });
    controller.abort();
    await assertNeverOpens(socket, "aborted");
  });

  test(`${name}: close() gives the connecting up`, async () => {
    await using listener = await Listener.tcp();
    const socket = connect(listener.address);
    const written = assertFails(socket.writable.getWriter().write(bytes("lost")), "closed");
    await socket.close();
    await assertFails(socket.opened, "closed");
    await written;
  });

  for (const how of ["signal", "close()"] as const) {
    for (const transport of ["on", "starttls"] as const) {
      testDirect(
        `${name}: a ${how} gives up a handshake that is never answered, with "${transport}"`,
        async () => {
          await using listener = await Listener.tcp();
          const controller = new AbortController();
          const { signal } = controller;
          let socket = connect(listener.address, { secureTransport: transport, signal });
          const peer = await listener.accept();
          if (transport === "starttls") socket = socket.startTls();
          assert(await peer.read() !== null); // the ClientHello
          if (how === "signal") {
            controller.abort();
            await assertNeverOpens(socket, "aborted");
          } else {
            await socket.close();
            await assertFails(socket.opened, "closed");
          }
          if (lingersInHandshake) await peer.end();
          await peer.drain();
        },
      );
    }
  }

  // ---- transfer

  testAllTransports("bytes go both ways", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const reader = socket.readable.getReader();
    for (let i = 0; i < 100; i++) {
      await writer.write(bytes(`ping ${i}\r\n`));
      const ping = `ping ${i}\r\n`;
      assertEquals(await peer.readText(ping.length), ping);
      await peer.write(`pong ${i}\r\n`);
      const { value } = await reader.read();
      assertEquals(text(value), `pong ${i}\r\n`);
    }
  });

  testAllTransports("a buffer may be used again when its write is done", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const buffer = new Uint8Array(10_000);
    const write = async () => {
      for (let i = 0; i < 50; i++) await writer.write(buffer.fill(i));
      await writer.close();
    };
    const read = async () => {
      let count = 0;
      for (let part = await peer.read(); part !== null; part = await peer.read()) {
        for (const byte of part) assertEquals(byte, Math.floor(count++ / buffer.length));
      }
      assertEquals(count, 50 * buffer.length);
    };
    await Promise.all([write(), read()]);
  });

  testAllTransports("what was read belongs to the reader", async (socket, peer) => {
    const reader = socket.readable.getReader();
    const parts: Uint8Array[] = [];
    for (let i = 0; i < 20; i++) {
      await peer.write(`${i % 10}`);
      const { value } = await reader.read();
      assertStrictEquals(value!.constructor, Uint8Array); // a Buffer's slice() would be a view
      parts.push(value!);
    }
    assertEquals(parts.map(text).join(""), "01234567890123456789");
    structuredClone(parts[0], { transfer: [parts[0]!.buffer as ArrayBuffer] });
    assertEquals(text(parts[1]), "1");
  });

  testAllTransports("64 MiB arrive intact, both ways at once", async (socket, peer) => {
    await Promise.all([
      sendPattern((chunk) => peer.write(chunk)).then(() => peer.end()),
      sendPatternTo(socket.writable),
      checkPattern(() => peer.read()),
      checkPatternFrom(socket.readable),
    ]);
    await socket.closed;
  }, { allowHalfOpen: true });

  testAllTransports("a write waits when the peer does not read", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const reader = socket.readable.getReader();
    const sending = new Sending((chunk) => writer.write(chunk));
    await sending.stall(async () => {
      await peer.write("!");
      await reader.read();
    });
    assert((writer.desiredSize ?? 0) <= 0);
    let count = 0;
    while (count < LARGE) count += (await peer.read())!.length;
    await sending.done;
  });

  if (!readsAhead) {
    testAllTransports("nothing is read ahead when nobody reads", async (socket, peer) => {
      const writer = socket.writable.getWriter();
      const reader = socket.readable.getReader();
      const sending = new Sending((chunk) => peer.write(chunk));
      let count = (await reader.read()).value!.length;
      await sending.stall(async () => {
        await writer.write(bytes("!"));
        await peer.readText(1);
      });
      while (count < LARGE) count += (await reader.read()).value!.length;
      await sending.done;
    });
  }

  // ---- ends

  testAllTransports("closing the writable ends one's own side only", async (socket, peer) => {
    const reader = socket.readable.getReader();
    await socket.writable.getWriter().close();
    assertEquals(await peer.read(), null);
    await peer.write("still here");
    assertEquals(text((await reader.read()).value), "still here");
    await peer.end();
    assertEquals((await reader.read()).done, true);
    await socket.closed;
  });

  testAllTransports("what came before both sides ended can still be read", async (socket, peer) => {
    await socket.writable.getWriter().close();
    assertEquals(await peer.read(), null);
    const sent = 100_000;
    await peer.write(new Uint8Array(sent));
    await peer.end();
    const reader = socket.readable.getReader();
    // The end of both sides has arrived here, too, before anything is read.
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve));
    let count = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) count += part.value.length;
    assertEquals(count, sent);
    await socket.closed;
  });

  testAllTransports("a socket closes when the peer has ended its side", async (socket, peer) => {
    await peer.write("bye");
    await peer.end();
    const reader = socket.readable.getReader();
    const writer = socket.writable.getWriter();
    assertEquals(text((await reader.read()).value), "bye");
    assertEquals((await reader.read()).done, true);
    await socket.closed;
    await assertFails(writer.write(bytes("too late")), "connection-reset");
    assertEquals(await peer.read(), null);
  });

  (tlsEndsBoth ? testConnected : testAllTransports)(
    "a socket with allowHalfOpen can still write when the peer has ended its side",
    async (socket, peer) => {
      await peer.end();
      assertEquals((await socket.readable.getReader().read()).done, true);
      const writer = socket.writable.getWriter();
      await writer.write(bytes("one more"));
      assertEquals(await peer.readText(8), "one more");
      await writer.close();
      assertEquals(await peer.read(), null);
      await socket.closed;
    },
    { allowHalfOpen: true },
  );

  testAllTransports("close() ends a read under way, and may be called again", async (socket, peer) => {
    const reader = socket.readable.getReader();
    const writer = socket.writable.getWriter();
    const read = reader.read();
    const closed = socket.close();
    assertStrictEquals(closed, socket.closed);
    assertEquals((await read).done, true);
    await closed;
    assertStrictEquals(socket.close(), closed);
    await assertFails(writer.write(bytes("too late")), "closed");
    await peer.drain();
  });

  testAllTransports("close() with a write under way makes it fail", async (socket, peer) => {
    const writer = socket.writable.getWriter();
    const write = assertFails(writer.write(new Uint8Array(LARGE)), "closed");
    await peer.write("!");
    await socket.readable.getReader().read();
    await socket.close();
    await write;
    await peer.drain();
  });

  testConnected("close(reason) hands the reason to reads and writes", async (socket, peer) => {
    const reason = new Error("enough");
    const read = assertRejects(() => socket.readable.getReader().read());
    const writer = socket.writable.getWriter();
    await socket.close(reason);
    assertStrictEquals(await read, reason);
    assertStrictEquals(await assertRejects(() => writer.write(bytes("too late"))), reason);
    await peer.drain();
  });

  testConnected("cancelling the readable leaves the writable open", async (socket, peer) => {
    await socket.readable.cancel();
    const writer = socket.writable.getWriter();
    await writer.write(bytes("hello"));
    assertEquals(await peer.readText(5), "hello");
    await writer.close();
    await socket.closed;
  });

  testConnected("aborting the writable closes the socket", async (socket, peer) => {
    await socket.writable.abort(new Error("enough"));
    await socket.closed;
    await peer.drain();
  });

  testConnected("a chunk that is no Uint8Array is refused", async (socket) => {
    const writer = socket.writable.getWriter() as unknown as WritableStreamDefaultWriter<string>;
    const error = await assertRejects(() => writer.write("text"));
    assertInstanceOf(error, TypeError);
  });

  test(`${name}: a signal closes an open socket`, async () => {
    await using listener = await Listener.tcp();
    const controller = new AbortController();
    const socket = connect(listener.address, { signal: controller.signal });
    const peer = await listener.accept();
    await socket.opened;
    const read = assertFails(socket.readable.getReader().read(), "aborted");
    controller.abort();
    await read;
    await assertFails(socket.closed, "aborted");
    await assertFails(socket.writable.getWriter().write(bytes("too late")), "aborted");
    await peer.drain();
  });

  testAllTransports("a connection that is cut makes a read fail", async (socket, peer) => {
    const read = assertFails(socket.readable.getReader().read(), "connection-reset");
    peer.reset();
    await read;
    await assertFails(socket.closed, "connection-reset");
    await assertFails(socket.writable.getWriter().write(bytes("too late")), "connection-reset");
  });

  testAllTransports("a connection that is cut makes a write fail", async (socket, peer) => {
    const reader = socket.readable.getReader();
    const write = assertFails(socket.writable.getWriter().write(new Uint8Array(LARGE)), "connection-reset");
    await peer.write("!");
    await reader.read();
    peer.reset();
    await write;
    // What the server said last could still be read here; then there is nothing.
    await reader.read().catch(() => {});
    await assertFails(socket.closed, "connection-reset");
  });

  // ---- TLS

  testConnected(
    "startTls() goes over in the middle of a conversation",
    async (plain, peer) => {
      const { authority, good } = await certificates();
      const before = { reader: plain.readable.getReader(), writer: plain.writable.getWriter() };
      await before.writer.write(bytes("STARTTLS\r\n"));
      assertEquals(await peer.readText(10), "STARTTLS\r\n");
      await peer.write("220 go\r\n");
      assertEquals(text((await before.reader.read()).value), "220 go\r\n");
      before.reader.releaseLock();
      before.writer.releaseLock();
      const socket = plain.startTls({ caCerts: [authority.cert] });
      assertEquals([socket.upgraded, socket.secureTransport], [true, "on"]);
      assertEquals([plain.readable.locked, plain.writable.locked], [true, true]);
      assertThrows(() => plain.startTls(), TypeError, "Cannot start TLS");
      assertThrows(() => socket.startTls(), TypeError, "Cannot start TLS");
      const secure = await peer.startTls(good);
      const { remoteAddress, alpn } = await socket.opened;
      assertEquals([remoteAddress, alpn], [(await plain.opened).remoteAddress, null]);
      await plain.closed;
      const reader = socket.readable.getReader();
      await socket.writable.getWriter().write(bytes("EHLO\r\n"));
      assertEquals(await secure.readText(6), "EHLO\r\n");
      await secure.write("250 ok\r\n");
      assertEquals(text((await reader.read()).value), "250 ok\r\n");
      await plain.close(); // no longer its connection
      await secure.write("251 ok\r\n");
      assertEquals(text((await reader.read()).value), "251 ok\r\n");
      await socket.close();
      await secure.drain();
    },
    { secureTransport: "starttls" },
  );

  testConnected(
    "startTls() waits for writes that are still queued",
    async (plain, peer) => {
      const { authority, good } = await certificates();
      const writer = plain.writable.getWriter();
      for (let i = 0; i < 10; i++) writer.write(bytes(`${i}`)).catch(() => {});
      writer.releaseLock();
      const socket = plain.startTls({ caCerts: [authority.cert] });
      assertEquals(await peer.readText(10), "0123456789");
      await Promise.all([peer.startTls(good), socket.opened]);
      await socket.close();
    },
    { secureTransport: "starttls" },
  );

  testConnected("startTls() fails when the peer has said something in the clear behind its consent", async (
    plain,
    peer,
  ) => {
    const reader = plain.readable.getReader();
    await peer.write("220 go\r\n");
    assertEquals(text((await reader.read()).value), "220 go\r\n");
    reader.releaseLock();
    await peer.write("250 injected\r\n");
    const socket = plain.startTls();
    await assertNeverOpens(socket, "tls-failed");
    await peer.drain();
  }, { secureTransport: "starttls" });

  testConnected(
    "startTls() is refused while a stream is locked or a read is under way, and nothing is lost",
    async (socket, peer) => {
      const writer = socket.writable.getWriter();
      assertThrows(() => socket.startTls(), TypeError, "the writable is locked");
      writer.releaseLock();
      let reader = socket.readable.getReader();
      assertThrows(() => socket.startTls(), TypeError, "the readable is locked");
      const read = assertRejects(() => reader.read());
      reader.releaseLock();
      await read;
      assertThrows(() => socket.startTls(), TypeError, "a read is under way");
      await peer.write("220");
      reader = socket.readable.getReader();
      assertEquals(text((await reader.read()).value), "220");
      await socket.writable.getWriter().write(bytes("EHLO"));
      assertEquals(await peer.readText(4), "EHLO");
    },
    { secureTransport: "starttls" },
  );

  testConnected("startTls() is refused when the socket was not opened for it", (socket) => {
    assertThrows(() => socket.startTls(), TypeError, `secureTransport "off"`);
    return Promise.resolve();
  });

  testDirect(`${name}: startTls() before the connection stands waits for it`, async () => {
    const { authority, good } = await certificates();
    await using listener = await Listener.tcp();
    const plain = connect(listener.address, {
      secureTransport: "starttls",
      tls: { caCerts: [authority.cert] },
    });
    const socket = plain.startTls();
    await Promise.all([secureNext(listener, good), plain.opened, socket.opened]);
    await socket.close();
  });

  testDirect(`${name}: startTls() fails as the connecting does`, async () => {
    const listener = await Listener.tcp();
    await listener[Symbol.asyncDispose]();
    const plain = connect(listener.address, { secureTransport: "starttls" });
    const socket = plain.startTls();
    await assertNeverOpens(socket, "connection-refused");
    await assertFails(plain.opened, "connection-refused");
    await assertFails(plain.closed, "connection-refused");
  });

  const bad: [string, SocketErrorCode, (all: Certificates) => { keys: KeyPair; caCerts: string[] }][] = [
    ["nobody vouches for", "certificate-untrusted", ({ good }) => ({ keys: good, caCerts: [] })],
    ["is for another name", "certificate-name", ({ otherName, authority }) => ({
      keys: otherName,
      caCerts: [authority.cert],
    })],
    ["has expired", expired, (all) => ({
      keys: all.expired,
      caCerts: [all.authority.cert],
    })],
  ];
  for (const [what, code, choose] of bad) {
    for (const transport of ["on", "starttls"] as const) {
      for (const verify of [true, false]) {
        const verb = verify ? "refused" : "taken with verify: false";
        testDirect(`${name}: a certificate that ${what} is ${verb}, with "${transport}"`, async () => {
          const { keys, caCerts } = choose(await certificates());
          await using listener = await Listener.tcp();
          const tls = { caCerts, verify };
          const plain = connect(listener.address, { secureTransport: transport, tls });
          const socket = transport === "on" ? plain : plain.startTls();
          const peer = await listener.accept();
          if (verify) {
            // With TLS 1.3 the server may be done before the client has looked at the certificate.
            const gone = peer.startTls(keys).then((secure) => secure.drain(), () => {});
            await assertNeverOpens(socket, code);
            await gone;
          } else {
            const [secure] = await Promise.all([peer.startTls(keys), socket.opened]);
            await secure.write("ok");
            assertEquals(text((await socket.readable.getReader().read()).value), "ok");
            await socket.close();
          }
        });
      }
    }
  }

  testDirect(`${name}: serverName is checked and sent instead of the host name`, async () => {
    const { authority, otherName } = await certificates();
    await using listener = await Listener.tcp();
    const tls = { caCerts: [authority.cert], serverName: "mx.test" };
    const socket = connect(listener.address, { secureTransport: "on", tls });
    const [peer] = await Promise.all([secureNext(listener, otherName), socket.opened]);
    assertEquals((peer.raw as { servername?: string }).servername, "mx.test");
    await socket.close();
  });

  for (const transport of ["on", "starttls"] as const) {
    testDirect(`${name}: a client certificate is shown, with "${transport}"`, async () => {
      const { authority, good, client } = await certificates();
      await using listener = await Listener.tcp();
      const tls = { caCerts: [authority.cert], cert: client.cert, key: client.key };
      const plain = connect(listener.address, { secureTransport: transport, tls });
      const socket = transport === "on" ? plain : plain.startTls();
      const [peer] = await Promise.all([
        listener.accept().then((peer) => peer.startTls({ ...good, clientCa: authority.cert })),
        socket.opened,
      ]);
      await peer.write("ok");
      assertEquals(text((await socket.readable.getReader().read()).value), "ok");
      await socket.close();
    });
  }

  testDirect(`${name}: ALPN agrees on a protocol`, async () => {
    const { authority, good } = await certificates();
    await using listener = await Listener.tcp();
    const tls = { caCerts: [authority.cert], alpnProtocols: ["smtp", "other"] };
    const socket = connect(listener.address, { secureTransport: "on", tls });
    const accepted = listener.accept().then((peer) =>
      peer.startTls({ ...good, alpnProtocols: ["other", "smtp"] })
    );
    const [info] = await Promise.all([socket.opened, accepted]);
    assert(info.alpn === "smtp" || info.alpn === "other");
    await socket.close();
  });

  testDirect(`${name}: a peer that speaks no TLS is tls-failed`, async () => {
    await using listener = await Listener.tcp();
    const socket = connect(listener.address, { secureTransport: "on" });
    const peer = await listener.accept();
    await peer.write("220 mx.test ESMTP, in the clear\r\n");
    await assertNeverOpens(socket, "tls-failed");
    await peer.drain();
  });

  testDirect(`${name}: a peer that hangs up in the handshake is connection-reset`, async () => {
    await using listener = await Listener.tcp();
    const socket = connect(listener.address, { secureTransport: "on" });
    const peer = await listener.accept();
    await peer.read();
    await peer.end();
    await assertNeverOpens(socket, "connection-reset");
  });

  testConnected("an end without TLS's close_notify is an end", async (plain, peer) => {
    const { authority, good } = await certificates();
    const socket = plain.startTls({ caCerts: [authority.cert] });
    const [secure] = await Promise.all([peer.startTls(good), socket.opened]);
    const reader = socket.readable.getReader();
    await secure.write("221 bye\r\n");
    assertEquals(text((await reader.read()).value), "221 bye\r\n");
    await peer.end(); // below TLS
    assertEquals((await reader.read()).done, true);
    await socket.closed;
  }, { secureTransport: "starttls" });

  // ---- unix sockets

  testDirect(`${name}: unix sockets work`, async () => {
    await using listener = await Listener.unix();
    const socket = connect(listener.address);
    const peer = await listener.accept();
    assertEquals((await socket.opened).remoteAddress, (listener.address as { path: string }).path);
    await socket.writable.getWriter().write(bytes("hello"));
    assertEquals(await peer.readText(5), "hello");
    await peer.write("there");
    assertEquals(text((await socket.readable.getReader().read()).value), "there");
    await socket.close();
  });

  for (const transport of ["on", "starttls"] as const) {
    testDirect(`${name}: TLS works over unix sockets, with "${transport}"`, async () => {
      const { authority, good } = await certificates();
      await using listener = await Listener.unix();
      const tls = { caCerts: [authority.cert], serverName: "localhost" };
      const plain = connect(listener.address, { secureTransport: transport, tls });
      const socket = transport === "on" ? plain : plain.startTls();
      const [peer] = await Promise.all([secureNext(listener, good), socket.opened]);
      await socket.writable.getWriter().write(bytes("hello"));
      assertEquals(await peer.readText(5), "hello");
      await peer.write("there");
      assertEquals(text((await socket.readable.getReader().read()).value), "there");
      await socket.close();
      await peer.drain();
    });
  }
}

/** Sends `LARGE` bytes, piece by piece. */
class Sending {
  readonly done: Promise<void>;
  #sent = 0;

  constructor(write: (chunk: Uint8Array) => Promise<void>) {
    this.done = this.#send(write);
  }

  async #send(write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
    for (const chunk = new Uint8Array(65_536); this.#sent < LARGE; this.#sent += chunk.length) {
      await write(chunk);
    }
  }

  /** Waits until nothing more is sent, measured not by the clock but by what else passes in the meantime. */
  async stall(roundTrip: () => Promise<void>): Promise<void> {
    for (let idle = 0, before = -1; idle < 100; idle++) {
      if (this.#sent !== before) idle = 0;
      before = this.#sent;
      await roundTrip();
    }
    assert(this.#sent < LARGE, "Everything was sent, and nobody has read it");
  }
}

async function secureNext(listener: Listener, keys: KeyPair): Promise<Peer> {
  return await (await listener.accept()).startTls(keys);
}

/** The promise rejects with a `SocketError` of this code. */
export async function assertFails(promise: Promise<unknown>, code: SocketErrorCode): Promise<SocketError> {
  const error = await assertRejects(() => promise);
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, code, error.message);
  return error;
}

async function assertNeverOpens(socket: Socket, code: SocketErrorCode): Promise<SocketError> {
  const error = await assertFails(socket.opened, code);
  await assertFails(socket.closed, code);
  await assertFails(socket.readable.getReader().read(), code);
  await assertFails(socket.writable.getWriter().closed, code);
  return error;
}

// An odd length, so that no boundary of the sender's is one of the receiver's.
const PATTERN = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 7919) >>> 3);
const PATTERN_COUNT = Math.ceil(LARGE / PATTERN.length);

async function sendPattern(write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  for (let i = 0; i < PATTERN_COUNT; i++) await write(PATTERN);
}

async function sendPatternTo(writable: WritableStream<Uint8Array>): Promise<void> {
  const writer = writable.getWriter();
  await sendPattern((chunk) => writer.write(chunk));
  await writer.close();
}

async function checkPatternFrom(readable: ReadableStream<Uint8Array>): Promise<void> {
  const reader = readable.getReader();
  await checkPattern(async () => (await reader.read()).value ?? null);
}

async function checkPattern(read: () => Promise<Uint8Array | null>): Promise<void> {
  let offset = 0;
  for (let part = await read(); part !== null; part = await read()) {
    for (let i = 0; i < part.length; i++) {
      if (part[i] !== PATTERN[(offset + i) % PATTERN.length]) throw new Error(`Byte ${offset + i} is wrong`);
    }
    offset += part.length;
  }
  assertEquals(offset, PATTERN_COUNT * PATTERN.length);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}
