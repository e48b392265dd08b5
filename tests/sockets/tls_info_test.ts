import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { X509Certificate } from "node:crypto";
import type tls from "node:tls";
import { connect } from "../../src/sockets/connect.ts";
import type { Socket, SocketAddress, SocketOptions } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener, type Peer } from "../support/peer.ts";
import { certificates } from "./conformance.ts";

type Connect = (address: SocketAddress, options: SocketOptions) => Socket;

const adapters: Record<string, Connect> = {
  "connect()": connect,
  "connect() with a localAddress": (address, options) =>
    connect(address, { ...options, localAddress: "127.0.0.1" }),
  "toSocket() over a pair": (address, options) =>
    toSocket((address, { signal }) => {
      const { readable, writable } = connect(address, { signal });
      return { readable, writable };
    }, { ...options, address }),
  "toSocket() over a socket": (address, options) =>
    toSocket((address, { signal }) => connect(address, { secureTransport: "starttls", signal }), {
      ...options,
      address,
    }),
};

for (const [name, connect] of Object.entries(adapters)) {
  for (const transport of ["on", "starttls"] as const) {
    const where = `${name} on ${runtime}, with "${transport}",`;

    test(`${where} reports what TLS has agreed on if the certificate is asked for`, async () => {
      const { good } = await certificates();
      await withTls(connect, transport, { peerCertificate: true }, ({ tls: info, alpn }, server) => {
        const { raw } = new X509Certificate(good.cert);
        assertEquals(info!.peerCertificate, new Uint8Array(raw));
        assertStrictEquals(info!.peerCertificate!.constructor, Uint8Array);
        assertEquals([info!.protocol, alpn], ["TLSv1.3", null]);
        assertMatch(info!.cipher!, /^TLS_[A-Z0-9_]+$/);
        if (runtime === "deno") return assertEquals(info!.exportKeyingMaterial, undefined); // 2.9.6
        const exported = (context: string) =>
          info!.exportKeyingMaterial!(32, "EXPORTER-Test", bytes(context));
        for (const context of ["", "some"]) {
          const expected = server.exportKeyingMaterial(32, "EXPORTER-Test", bytes(context) as never);
          assertEquals(exported(context), new Uint8Array(expected));
        }
        assert(exported("").join() !== exported("some").join());
      });
    });
  }
}

test(`connect() on ${runtime} reports on TLS by default only if the runtime itself does`, async () => {
  await withTls(connect, "on", {}, ({ tls }) => {
    assertEquals(tls?.protocol, runtime === "deno" ? undefined : "TLSv1.3");
    assertEquals(tls?.peerCertificate === undefined, runtime === "deno");
  });
});

test(`connect() on ${runtime} reports nothing about TLS in the clear`, async () => {
  await using listener = await Listener.tcp();
  const socket = connect(listener.address);
  assertEquals((await socket.opened).tls, undefined);
  await socket.close();
});

async function withTls(
  connect: Connect,
  secureTransport: "on" | "starttls",
  options: SocketOptions["tls"],
  check: (info: Awaited<Socket["opened"]>, server: tls.TLSSocket) => void,
): Promise<void> {
  const { authority, good } = await certificates();
  await using listener = await Listener.tcp();
  const plain = connect(listener.address, {
    secureTransport,
    tls: { caCerts: [authority.cert], ...options },
  });
  const socket = secureTransport === "on" ? plain : plain.startTls();
  const secured: Promise<Peer> = listener.accept().then((peer) => peer.startTls(good));
  const [peer, info] = await Promise.all([secured, socket.opened]);
  check(info, peer.raw as tls.TLSSocket);
  await socket.close();
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
