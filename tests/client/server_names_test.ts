/**
 * A host name or `tls.serverName` that is none is refused before anything is opened, wherever it is given.
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SmtpChannel } from "../../src/client/channel.ts";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { connect } from "../../src/sockets/connect.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { nodeSocket } from "../../src/sockets/node/socket.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { runtime, sendMail, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";

const NONE = [
  ".",
  "..",
  "",
  "mx.test..",
  ".mx.test",
  "mx..test",
  "\u3002",
  "*",
  "*.mx.test",
  "evil.test, DNS:mx.test",
];

/** Fails if anybody is asked for a connection. */
const never = (): never => {
  throw new Error("Something was opened");
};

for (const name of NONE) {
  const shown = JSON.stringify(name);

  test(`a client, a channel and sendMail() on ${runtime} open nothing for the name ${shown}`, async () => {
    await using listener = await Listener.tcp();
    const { port } = listener.address as { port: number };
    const given: SmtpClientOptions[] = [
      { hostname: name, port },
      { hostname: name, port, socket: never },
      ...(["tls", "starttls", "opportunistic"] as const).flatMap((security): SmtpClientOptions[] => [
        { hostname: "127.0.0.1", port, security, tls: { serverName: name } },
        { hostname: "127.0.0.1", port, security, tls: { serverName: name, verify: false } },
        { hostname: "127.0.0.1", port, security, tls: { serverName: name, peerCertificate: true } },
        { hostname: "127.0.0.1", port, security, tls: { serverName: name }, localAddress: "127.0.0.1" },
        { hostname: "127.0.0.1", port, security, tls: { serverName: name }, socket: never },
        { hostname: name, port, security, socket: never },
      ]),
    ];
    for (const options of given) {
      const ways = [
        () => SmtpClient.connect(options),
        () => SmtpClient.open(options),
        () => SmtpClient.verify(options),
        () => SmtpChannel.open(options),
        () => sendMail(options, { from: "me@client.test", to: "you@server.test" }, "Subject: Hi\r\n\r\nHi"),
      ];
      for (const way of ways) {
        await assertRejects(way as () => Promise<unknown>, TypeError, "must be a host name");
      }
    }
    assertEquals(await connections(listener), 0);
  });

  test(`connect(), toSocket() and startTls() on ${runtime} open nothing for the name ${shown}`, async () => {
    await using listener = await Listener.tcp();
    const { address } = listener;
    const { port } = address as { port: number };
    const tls = { serverName: name };
    const refused = (body: () => unknown) => assertThrows(body, TypeError, "must be a host name");
    for (const secureTransport of ["off", "on", "starttls"] as const) {
      refused(() => connect({ hostname: name, port }, { secureTransport }));
      refused(() => toSocket(never, { address: { hostname: name, port }, secureTransport }));
      if (secureTransport === "off") continue;
      refused(() => connect(address, { secureTransport, tls }));
      refused(() => connect(address, { secureTransport, tls, localAddress: "127.0.0.1" }));
      refused(() => connect(address, { secureTransport, tls: { ...tls, verify: false } }));
      refused(() => connect(address, { secureTransport, tls: { ...tls, fingerprints: "00".repeat(32) } }));
      refused(() => toSocket(never, { address, secureTransport, tls }));
      const { readable, writable } = memorySocketPair()[0];
      refused(() => toSocket({ readable, writable }, { address, secureTransport, tls }));
    }
    assertEquals(await connections(listener), 0);

    const clear = connect(address, { secureTransport: "starttls" });
    const peer = await listener.accept();
    await clear.opened;
    const pair = toSocket(memorySocketPair()[0], { secureTransport: "starttls" });
    const accepted = nodeSocket(peer.raw, { secureTransport: "starttls" });
    for (const socket of [clear, pair, accepted] as Socket[]) {
      if (socket.secureTransport === "starttls") refused(() => socket.startTls(tls));
    }
    await Promise.all([clear.close(), pair.close(), accepted.close()]);
  });
}

/** How many connections there were: one more is made, which comes after them. */
async function connections(listener: Listener): Promise<number> {
  const last = connect(listener.address);
  const { localAddress } = await last.opened;
  let count = 0;
  for (;; count++) {
    const { raw } = await listener.accept();
    if (`${raw.remoteAddress}:${raw.remotePort}` === localAddress) break;
  }
  await last.close();
  return count;
}
