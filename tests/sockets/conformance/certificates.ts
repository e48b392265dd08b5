/**
 * The peer's certificate, and everything else that the handshake agrees on.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Socket, SocketErrorCode } from "../../../src/sockets/socket.ts";
import type { KeyPair } from "../../support/certificates.ts";
import { fingerprintOf } from "../../support/fingerprint.ts";
import { bytes, text } from "./assertions.ts";
import { type Certificates, secureNext, type Suite, tcpAddress, type TestListener } from "./suite.ts";

/** Being well-formed is enough to be refused. */
const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

/** Declares the tests of certificates, names and ALPN. */
export function testCertificates(suite: Suite): void {
  const { adapter, connect, listen, certificates, testDirect, testUnlessRefused, assertFailed } = suite;
  const { refuses = [] } = adapter;

  const trusts = ({ authority }: Certificates) => refuses.includes("tls.caCerts") ? [] : [authority.cert];
  const bad: [string, SocketErrorCode, (all: Certificates) => KeyPair, (all: Certificates) => string[]][] = [
    ["no trusted authority signed", "certificate-untrusted", ({ stranger }) => stranger, () => []],
    ["is for another name", "certificate-name", ({ otherName }) => otherName, trusts],
    ["has expired", adapter.expired ?? "certificate-expired", ({ expired }) => expired, trusts],
  ];
  for (const [what, code, choose, trusted] of bad) {
    for (const transport of ["on", "starttls"] as const) {
      testDirect(`a certificate that ${what} is refused, with "${transport}"`, async () => {
        const all = await certificates();
        await using listener = await listen();
        const plain = connect(listener.address, {
          secureTransport: transport,
          tls: refuses.includes("tls.caCerts") ? {} : { caCerts: trusted(all) },
        });
        const socket = transport === "on" ? plain : plain.startTls();
        const peer = await listener.accept();
        // With TLS 1.3 the server may be done before the client has looked at the certificate.
        const gone = peer.startTls(choose(all)).then((secure) => secure.drain(), () => {});
        await assertFailed(socket, code, transport);
        await gone;
      });
      const asked = { secureTransport: transport, tls: { verify: false } };
      testUnlessRefused(
        `a certificate that ${what} is accepted with verify: false, with "${transport}"`,
        "tls.verify",
        asked,
        async () => {
          const all = await certificates();
          await using listener = await listen();
          const tls = { caCerts: trusted(all), verify: false };
          const plain = connect(listener.address, { secureTransport: transport, tls });
          const socket = transport === "on" ? plain : plain.startTls();
          const peer = await listener.accept();
          const [secure] = await Promise.all([peer.startTls(choose(all)), socket.opened]);
          await secure.write("ok");
          assertEquals(text((await socket.readable.getReader().read()).value), "ok");
          await socket.close();
        },
      );
    }
  }

  for (const transport of ["on", "starttls"] as const) {
    const trusting = { secureTransport: transport, tls: { caCerts: CERTIFICATE } };
    testUnlessRefused(
      `a server's own certificate with CA:TRUE is trusted when caCerts has it, with "${transport}"`,
      "tls.caCerts",
      trusting,
      async () => {
        const { authority, own } = await certificates();
        await using listener = await listen();
        // One text with several, as a file has them.
        const tls = { caCerts: `${authority.cert}\n${own.cert}` };
        await assertSpeaks(connect(listener.address, { secureTransport: transport, tls }), listener, own);
      },
    );

    testUnlessRefused(
      `a server's own certificate with nothing but a common name is refused, with "${transport}"`,
      "tls.caCerts",
      trusting,
      async () => {
        const { nameless } = await certificates();
        await using listener = await listen();
        const address = { ...tcpAddress(listener), hostname: "localhost" };
        const plain = connect(address, { secureTransport: transport, tls: { caCerts: nameless.cert } });
        const socket = transport === "on" ? plain : plain.startTls();
        const peer = await listener.accept();
        const gone = peer.startTls(nameless).then((secure) => secure.drain(), () => {});
        await assertFailed(socket, "certificate-name", transport);
        await gone;
      },
    );

    const pinned = { secureTransport: transport, tls: { fingerprints: "00".repeat(32) } };
    for (const kind of ["own", "nameless", "stranger", "otherName", "expired", "good"] as const) {
      const name = `a certificate (${kind}) is accepted as it is by its fingerprint, with "${transport}"`;
      testUnlessRefused(name, "tls.fingerprints", pinned, async () => {
        const all = await certificates();
        await using listener = await listen();
        const hex = await fingerprintOf(all[kind]);
        const fingerprints = ["00".repeat(32), hex.toUpperCase().replace(/..(?!$)/g, "$&:")];
        const plain = connect(listener.address, { secureTransport: transport, tls: { fingerprints } });
        await assertSpeaks(plain, listener, all[kind]);
      });
    }

    const name =
      `a certificate whose fingerprint is not given is refused, trusted or not, with "${transport}"`;
    testUnlessRefused(name, "tls.fingerprints", pinned, async () => {
      const all = await certificates();
      await using listener = await listen();
      const plain = connect(listener.address, {
        secureTransport: transport,
        tls: { fingerprints: await fingerprintOf(all.own) },
      });
      const socket = transport === "on" ? plain : plain.startTls();
      const writer = socket.writable.getWriter();
      writer.write(bytes("EHLO\r\n")).catch(() => {});
      writer.closed.catch(() => {});
      writer.releaseLock();
      const peer = await listener.accept();
      const heard = peer.startTls(all.good).then((secure) => secure.readText(6), () => "");
      await assertFailed(socket, "certificate-untrusted", transport);
      assertEquals(await heard.catch(() => ""), "");
    });
  }

  /** The handshake succeeds, and bytes pass. */
  async function assertSpeaks(plain: Socket, listener: TestListener, keys: KeyPair): Promise<void> {
    const socket = plain.secureTransport === "on" ? plain : plain.startTls();
    const [peer] = await Promise.all([secureNext(listener, keys), socket.opened]);
    await peer.write("ok");
    assertEquals(text((await socket.readable.getReader().read()).value), "ok");
    await socket.close();
  }

  const other = { secureTransport: "on", tls: { serverName: "mx.test" } } as const;
  testUnlessRefused(
    "serverName is checked and sent instead of the host name",
    "tls.serverName",
    other,
    async () => {
      const { authority, otherName } = await certificates();
      await using listener = await listen();
      const tls = { ...other.tls, caCerts: [authority.cert] };
      const socket = connect(listener.address, { secureTransport: "on", tls });
      const [peer] = await Promise.all([secureNext(listener, otherName), socket.opened]);
      assertEquals(peer.raw.servername, "mx.test");
      await socket.close();
    },
  );

  const client = {
    cert: CERTIFICATE,
    key: "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
  };
  for (const transport of ["on", "starttls"] as const) {
    const shown = { secureTransport: transport, tls: client };
    testUnlessRefused(`a client certificate is shown, with "${transport}"`, "tls.cert", shown, async () => {
      const { authority, good, client } = await certificates();
      await using listener = await listen();
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

  for (const transport of ["on", "starttls"] as const) {
    const shown = { secureTransport: transport, tls: client };
    const name =
      `a client certificate with the key of another fails, and nothing stays open, with "${transport}"`;
    testUnlessRefused(name, "tls.cert", shown, async () => {
      const all = await certificates();
      await using listener = await listen();
      const tls = { caCerts: [all.authority.cert], cert: all.client.cert, key: all.good.key };
      const plain = connect(listener.address, { secureTransport: transport, tls });
      const socket = transport === "on" ? plain : plain.startTls();
      const peer = await listener.accept();
      await assertFailed(socket, "tls-failed", transport);
      await peer.drain();
    });
  }

  const offered = { secureTransport: "on", tls: { alpnProtocols: ["smtp", "other"] } } as const;
  testUnlessRefused("ALPN agrees on a protocol", "tls.alpnProtocols", offered, async () => {
    const { authority, good } = await certificates();
    await using listener = await listen();
    const tls = { ...offered.tls, caCerts: [authority.cert] };
    const socket = connect(listener.address, { secureTransport: "on", tls });
    const accepted = listener.accept().then((peer) =>
      peer.startTls({ ...good, alpnProtocols: ["other", "smtp"] })
    );
    const [info] = await Promise.all([socket.opened, accepted]);
    assert(info.alpn === "smtp" || info.alpn === "other");
    await socket.close();
  });
}
