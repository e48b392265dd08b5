import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import type { SmtpErrorCode } from "../../src/errors.ts";
import { serve } from "../../src/server/mod.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { certificates } from "../sockets/conformance.ts";
import { fingerprintOf } from "../support/fingerprint.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener, type Peer } from "../support/peer.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const AUTH = { user: "ada", pass: "open sesame" };
const ENVELOPE = { from: "me@client.test", to: "you@server.test" };
const MESSAGE = "Subject: Hi\r\n\r\nHello";

/** A server of ours with the certificate that it has signed itself. */
async function start(security: "tls" | "starttls") {
  const { own } = await certificates();
  const options = { hostname: "127.0.0.1", tls: own, onError: () => {} }; // some clients give up the handshake
  const server = serve({ ...options, ...(security === "tls" && { security }) }, {
    auth: ({ user, pass }) => user === AUTH.user && pass === AUTH.pass,
    message: async (content) => {
      for await (const _ of content);
    },
  });
  const { port } = await server.listening as { port: number };
  return { options: { hostname: "127.0.0.1", port, security, auth: AUTH }, server };
}

for (const security of ["tls", "starttls"] as const) {
  test(`SmtpClient logs in to a bridge that signs its own certificate, with security "${security}"`, async () => {
    const { own } = await certificates();
    const { server, options } = await start(security);
    await using _ = server;
    for (const tls of [{ caCerts: own.cert }, { fingerprints: await fingerprintOf(own) }]) {
      await using client = await SmtpClient.connect({ ...options, tls });
      assertEquals([client.secure, client.authenticated], [true, true]);
      await client.send(ENVELOPE, MESSAGE);
    }
  });

  test(`SmtpClient names caCerts and fingerprints where nobody has signed the certificate, with "${security}"`, async () => {
    const { server, options } = await start(security);
    await using _ = server;
    const error = await rejectsWith("certificate-untrusted", () => SmtpClient.connect(options));
    assertMatch(error.message, /tls\.caCerts, or .*tls\.fingerprints/);
  });

  test(`SmtpClient sends nothing to a server whose fingerprint is another, with "${security}"`, async () => {
    const { good, own } = await certificates();
    const { server, options } = await start(security);
    await using _ = server;
    const tls = { fingerprints: [await fingerprintOf(good)] };
    const error = await rejectsWith("certificate-untrusted", () => SmtpClient.connect({ ...options, tls }));
    assertStringIncludes(error.message, "not in tls.fingerprints (127.0.0.1)");
    assertStringIncludes(error.message.replaceAll(":", "").toLowerCase(), await fingerprintOf(own));
  });
}

test("SmtpClient takes a certificate that was accepted by its fingerprint for checked", async () => {
  const { own } = await certificates();
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const serving = (async () => {
    const peer = await (await listener.accept()).startTls(own);
    await peer.write("220 mx.test\r\n");
    await peer.readText("EHLO client.test\r\n".length);
    await peer.write("250-mx.test\r\n250 REQUIRETLS\r\n");
    const mail = await peer.readText(`MAIL FROM:<${ENVELOPE.from}> REQUIRETLS\r\n`.length);
    await peer.write("250 Ok\r\n");
    return mail;
  })();
  const client = await SmtpClient.connect({
    hostname: "127.0.0.1",
    port,
    security: "tls",
    clientName: "client.test",
    tls: { fingerprints: await fingerprintOf(own) },
  });
  await client.mail(ENVELOPE.from, { requireTls: true });
  assertMatch(await serving, /REQUIRETLS/);
  await client.close();
});

for (const how of ["as it is", "by a function"] as const) {
  for (const transport of ["starttls", "on"] as const) {
    test(`SmtpClient refuses fingerprints with a socket of another make, given ${how}, opened with "${transport}"`, async () => {
      const { readable, writable } = memorySocketPair()[0];
      let used = false;
      const foreign: Socket = {
        readable,
        writable,
        opened: Promise.resolve({}),
        closed: new Promise(() => {}),
        upgraded: false,
        secureTransport: transport,
        close: () => Promise.resolve(),
        startTls: () => {
          used = true;
          return foreign;
        },
      };
      const connecting = SmtpClient.connect({
        hostname: "127.0.0.1",
        socket: how === "as it is" ? foreign : () => foreign,
        security: transport === "on" ? "tls" : "starttls",
        tls: { fingerprints: "00".repeat(32) },
      });
      const error = await assertRejects(() => connecting, Error);
      assertStringIncludes(error.message, "fingerprints cannot be compared");
      assertEquals(used, false);
    });
  }
}

test(`SmtpClient names security: "starttls" where the server does not begin with TLS, on ${runtime}`, async () => {
  const { server, options } = await start("starttls");
  await using _ = server;
  for (const tls of [{}, { peerCertificate: true }]) {
    const error = await rejectsWith(
      "tls-failed",
      () => SmtpClient.connect({ ...options, security: "tls", tls }),
    );
    assertStringIncludes(error.message, 'use security: "starttls"');
  }
});

const silent: [string, SmtpErrorCode, (peer: Peer) => Promise<void>, SmtpClientOptions?][] = [
  ["waits", "timeout", () => Promise.resolve(), { timeouts: { greeting: 50 } }],
  ["hangs up", "connection-lost", (peer) => peer.end()],
  ["sends an alert and hangs up", "protocol-error", async (peer) => {
    await peer.write(new Uint8Array([0x15, 3, 3, 0, 2, 2, 0x46]));
    await peer.end();
  }],
  [
    "sends an alert and waits",
    "protocol-error",
    (peer) => peer.write(new Uint8Array([0x15, 3, 3, 0, 2, 2, 0x46])),
  ],
];
for (const [what, code, act, options] of silent) {
  for (const security of ["starttls", "opportunistic", "none"] as const) {
    test(`SmtpClient names security: "tls" where the server ${what} instead of greeting, with "${security}"`, async () => {
      await using listener = await Listener.tcp();
      const connecting = SmtpClient.connect({ ...listener.address, security, ...options });
      const failed = rejectsWith(code, () => connecting);
      await act(await listener.accept());
      assertMatch((await failed).message, /; if it expects TLS at once, use security: "tls"$/);
    });
  }
}

test(`SmtpClient does not name security: "tls" where the session is under TLS, or the server has spoken`, async () => {
  const { authority, good } = await certificates();
  await using listener = await Listener.tcp();
  const address = { hostname: "localhost", port: (listener.address as { port: number }).port };
  const under = SmtpClient.connect({ ...address, security: "tls", tls: { caCerts: authority.cert } });
  const lost = rejectsWith("connection-lost", () => under);
  await (await (await listener.accept()).startTls(good)).end();
  assert(!(await lost).message.includes("security"));
  const spoken = SmtpClient.connect({ ...address, security: "none" });
  const refused = rejectsWith("service-unavailable", () => spoken);
  await (await listener.accept()).write("554 No\r\n");
  assert(!(await refused).message.includes("security"));
});
