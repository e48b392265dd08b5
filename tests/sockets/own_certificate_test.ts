/**
 * A certificate in `caCerts` that is no authority's (CA:FALSE): the server's own, and nothing that its key signs.
 * @module
 */
import { assertEquals } from "@std/assert";
import { connect } from "../../src/sockets/connect.ts";
import type {
  Socket,
  SocketAddress,
  SocketError,
  SocketOptions,
  TlsOptions,
} from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { createAuthority, createOwn, type KeyPair } from "../support/certificates.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";

const DAY = 24 * 60 * 60 * 1000;

type Connect = (address: SocketAddress, options: SocketOptions) => Socket;

const ways: [name: string, connect: Connect, tls: (client: KeyPair) => TlsOptions][] = [
  ["connect()", connect, () => ({})],
  ["connect() and startTls()", connect, () => ({})],
  ["connect() with a client certificate", connect, ({ cert, key }) => ({ cert, key })],
  ["connect() with peerCertificate", connect, () => ({ peerCertificate: true })],
  [
    "connect() with a localAddress",
    (address, options) => connect(address, { ...options, localAddress: "127.0.0.1" }),
    () => ({}),
  ],
  [
    "toSocket() over a pair",
    (address, options) =>
      toSocket((address, { signal }) => {
        const { readable, writable } = connect(address, { signal });
        return { readable, writable };
      }, { ...options, address }),
    () => ({}),
  ],
];

/** What the server shows, what is in `caCerts`, and the verdict. */
async function make() {
  const root = await createAuthority();
  const stranger = await createAuthority("Another CA");
  const own = await createOwn(["mx.test"]);
  const leaf = await root.issue({ names: ["mx.test"] });
  const foreign = await createOwn(["other.test"]);
  const expired = await createOwn(["mx.test"], -DAY);
  const below = await root.constrain(["evil.test"]);
  const cases: [what: string, shows: KeyPair, trusts: string[], verdict: string][] = [
    ["itself", own, [own.cert], "taken"],
    ["itself, beside others", own, [root.cert, foreign.cert, own.cert], "taken"],
    ["what an authority beside it has signed", leaf, [own.cert, root.cert], "taken"],
    ["itself, for another name", foreign, [foreign.cert], "certificate-name"],
    ["itself, expired", expired, [expired.cert], "certificate-expired"],
    ["itself, and it is not in caCerts", own, [foreign.cert], "certificate-untrusted"],
    ["what it has signed", await own.issue({ names: ["mx.test"] }), [own.cert], "certificate-untrusted"],
    [
      "what it has signed, for it has another name",
      await foreign.issue({ names: ["mx.test"] }),
      [root.cert, foreign.cert],
      "certificate-untrusted",
    ],
    [
      "what an authority has signed that it has signed",
      await (await own.constrain(["mx.test"])).issue({ names: ["mx.test"] }),
      [own.cert],
      "certificate-untrusted",
    ],
    [
      "what an authority beside it has signed that may not sign for it",
      await below.issue({ names: ["mx.test"] }),
      [own.cert, root.cert],
      "certificate-untrusted",
    ],
    [
      "a client's certificate of an authority beside it",
      await root.issue({ names: ["mx.test"], usage: "client" }),
      [own.cert, root.cert],
      "certificate-untrusted",
    ],
    [
      "what an authority that is not known has signed",
      await stranger.issue({ names: ["mx.test"] }),
      [own.cert, root.cert],
      "certificate-untrusted",
    ],
  ];
  return { cases, client: await root.issue({ names: ["client.test"], usage: "client" }) };
}

let made: ReturnType<typeof make> | undefined;

for (const [name, connect, options] of ways) {
  test(`${name} on ${runtime} takes a certificate without CA:TRUE in caCerts for the server's own alone`, async () => {
    const { cases, client } = await (made ??= make());
    const wrong: string[] = [];
    await using listener = await Listener.tcp();
    for (const [what, shows, caCerts, expected] of cases) {
      const tls = { caCerts, serverName: "mx.test", ...options(client) };
      const transport = name.includes("startTls") ? "starttls" : "on";
      const plain = connect(listener.address, { secureTransport: transport, tls });
      const socket = transport === "on" ? plain : plain.startTls();
      const peer = await listener.accept();
      const serving = peer.startTls(shows).catch(() => {});
      const verdict = await socket.opened.then(
        ({ tls }) => tls?.verifiedBy === "name" ? "taken" : `verified by ${tls?.verifiedBy}`,
        ({ code }: SocketError) => code,
      );
      if (verdict !== expected) wrong.push(`${what}: ${verdict}, not ${expected}`);
      await socket.close().catch(() => {});
      await serving;
      peer.destroy();
    }
    assertEquals(wrong, []);
  });
}
