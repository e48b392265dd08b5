/**
 * What a client says in clear about whom it means: SNI, in the ClientHello.
 * @module
 */
import { assertEquals } from "@std/assert";
import { connect } from "../../src/sockets/connect.ts";
import type { Socket, SocketAddress, SocketOptions } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener, type Peer } from "../support/peer.ts";

type Connect = (address: SocketAddress, options: SocketOptions) => Socket;

/** Every way to TLS that there is. */
const ways: [name: string, connect: Connect, tls: SocketOptions["tls"]][] = [
  ["connect()", connect, {}],
  ["connect() with peerCertificate", connect, { peerCertificate: true }],
  ["connect() with verify: false", connect, { verify: false }],
  ["connect() with fingerprints", connect, { fingerprints: "00".repeat(32) }],
  [
    "connect() with a localAddress",
    (address, options) => connect(address, { ...options, localAddress: "127.0.0.1" }),
    {},
  ],
  [
    "toSocket() over a pair",
    (address, options) =>
      toSocket((address, { signal }) => {
        const { readable, writable } = connect(address, { signal });
        return { readable, writable };
      }, { ...options, address }),
    {},
  ],
];

/** The host that is connected to, `tls.serverName`, and what is sent. */
const names: [hostname: string, serverName: string | undefined, sent: string | undefined][] = [
  ["127.0.0.1", undefined, undefined],
  ["127.0.0.1", "127.0.0.1", undefined],
  ["127.0.0.1", "127.0.0.2", undefined],
  ["127.0.0.1", "::1", undefined],
  ["localhost", "127.0.0.1", undefined],
  ["localhost", undefined, "localhost"],
  ["127.0.0.1", "mx.test", "mx.test"],
  ["127.0.0.1", "mx.test.", "mx.test"],
  ["127.0.0.1", "bücher.test", "xn--bcher-kva.test"],
];

for (const [name, connect, options] of ways) {
  for (const transport of ["on", "starttls"] as const) {
    test(`${name} on ${runtime}, with "${transport}", sends names and no IP addresses as SNI`, async () => {
      for (const [hostname, serverName, sent] of names) {
        await using listener = await Listener.tcp();
        const { port } = listener.address as { port: number };
        const tls = { ...options, ...(serverName !== undefined && { serverName }) };
        const plain = connect({ hostname, port }, { secureTransport: transport, tls });
        const socket = transport === "on" ? plain : plain.startTls();
        const peer = await listener.accept();
        assertEquals(await readServerName(peer), sent, `${hostname}, ${serverName}`);
        await peer.end();
        await socket.close().catch(() => {});
        await plain.closed.catch(() => {});
      }
    });
  }
}

/** Reads the name in a ClientHello that fits into one record (RFC 8446, section 4.1.2; RFC 6066, section 3). */
async function readServerName(peer: Peer): Promise<string | undefined> {
  const hello: number[] = [];
  const two = (offset: number) => hello[offset]! << 8 | hello[offset + 1]!;
  while (hello.length < 5 || hello.length < 5 + two(3)) hello.push(...(await peer.read())!);
  let offset = 5 + 4 + 2 + 32; // the headers of record and message, version, random
  offset += 1 + hello[offset]!; // session id
  offset += 2 + two(offset); // cipher suites
  offset += 1 + hello[offset]!; // compression methods
  const end = offset + 2 + two(offset);
  for (offset += 2; offset < end; offset += 4 + two(offset + 2)) {
    if (two(offset) !== 0) continue;
    return String.fromCharCode(...hello.slice(offset + 9, offset + 9 + two(offset + 7)));
  }
  return undefined;
}
