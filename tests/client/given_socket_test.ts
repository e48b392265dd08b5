/**
 * What a client, a channel or `toSocket()` is told about TLS reaches the TLS of a socket that it was given.
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SmtpChannel } from "../../src/client/channel.ts";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpChannelOptions } from "../../src/client/options.ts";
import { serve } from "../../src/server/mod.ts";
import { connect } from "../../src/sockets/connect.ts";
import type { Socket, SocketError, TlsOptions } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { certificates } from "../sockets/conformance.ts";
import { fingerprintOf } from "../support/fingerprint.ts";
import { runtime, test } from "../support/harness.ts";

const PROXY = "localhost";
const BANK = "bank.test";
const OTHER = "00".repeat(32);

/** A proxy with a good certificate for its own name, and sockets that lead to it. */
async function start(told: TlsOptions = {}) {
  const { good, stranger, authority } = await certificates();
  const logins: string[] = [];
  const auth = ({ user }: { user: string }) => logins.push(user) > 0;
  const server = serve({ tls: told.verify === false ? stranger : good }, { auth });
  const { port } = await server.listening as { port: number };
  const tls = told.verify === false ? told : { caCerts: authority.cert, ...told };
  const open = () => connect({ hostname: PROXY, port }, { secureTransport: "starttls", tls });
  return { open, logins, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Says all up to the reply to STARTTLS. */
async function agree(channel: SmtpChannel): Promise<void> {
  await channel.replies.next();
  await channel.command("EHLO client.test");
  await channel.replies.next();
  await channel.command("STARTTLS");
  await channel.replies.next();
}

async function verdictOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "accepted";
  } catch (error) {
    return (error as SocketError).code;
  }
}

const whoms: [what: string, options: SmtpChannelOptions, verdict: string][] = [
  ["hostname", { hostname: BANK }, "certificate-name"],
  ["tls.serverName", { tls: { serverName: BANK } }, "certificate-name"],
  ["tls.serverName beside hostname", { hostname: PROXY, tls: { serverName: BANK } }, "certificate-name"],
  ["hostname, which it is for,", { hostname: PROXY }, "accepted"],
  ["tls, and no name,", { tls: { peerCertificate: true } }, "accepted"],
  ["nothing", {}, "accepted"],
];

const ways: [name: string, run: (socket: Socket, options: SmtpChannelOptions) => Promise<string>][] = [
  ["a channel", (socket, options) =>
    verdictOf(async () => {
      await using channel = await SmtpChannel.open({ socket, security: "starttls", ...options });
      await agree(channel);
      await channel.startTls();
    })],
  ["a client", (socket, options) =>
    verdictOf(async () => {
      await using _ = await SmtpClient.connect({ socket, security: "starttls", ...options });
    })],
  ["toSocket()", (socket, { hostname, tls }) =>
    verdictOf(async () => {
      const wrapped = toSocket(socket, {
        secureTransport: "starttls",
        ...(hostname !== undefined && { address: { hostname, port: 25 } }),
        ...(tls && { tls }),
      });
      await using channel = await SmtpChannel.open({ socket: wrapped, security: "starttls" });
      await agree(channel);
      await channel.startTls();
    })],
];

for (const [way, run] of ways) {
  for (const [what, options, verdict] of whoms) {
    test(`${way} on ${runtime} goes by ${what} with a socket that was given (${verdict})`, async () => {
      await using proxy = await start();
      assertEquals(await run(proxy.open(), options), verdict);
    });
  }

  test(`${way} on ${runtime} goes by tls.fingerprints with a socket that was given`, async () => {
    const { good } = await certificates();
    const options = (fingerprints: string) => ({ hostname: BANK, tls: { fingerprints } });
    await using plain = await startPlain();
    assertEquals(await run(plain.open(), options(OTHER)), "certificate-untrusted");
    assertEquals(await run(plain.open(), options(await fingerprintOf(good))), "accepted");
  });

  test(`${way} on ${runtime} checks the certificate with verify: true where the socket was told verify: false`, async () => {
    await using proxy = await start({ verify: false });
    const options = { hostname: PROXY, tls: { verify: true } };
    assertEquals(await run(proxy.open(), options), "certificate-untrusted");
  });
}

/** The same proxy, and sockets that trust no authority of ours: that has no meaning with fingerprints. */
async function startPlain() {
  const { good } = await certificates();
  const server = serve({ tls: good });
  const { port } = await server.listening as { port: number };
  const open = () => connect({ hostname: PROXY, port }, { secureTransport: "starttls" });
  return { open, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test(`a client on ${runtime} checks the certificate with verify: true where its function's socket was told verify: false`, async () => {
  await using proxy = await start({ verify: false });
  const { code } = await assertRejects(() =>
    SmtpClient.connect({
      hostname: PROXY,
      port: 587,
      socket: proxy.open,
      auth: { user: "ada", pass: "open sesame" },
      tls: { verify: true },
    })
  ) as SocketError;
  assertEquals([code, proxy.logins], ["certificate-untrusted", []]);
});

test(`toSocket() with "on" on ${runtime} checks the certificate for address, of a socket that was given`, async () => {
  const { good, authority } = await certificates();
  await using server = serve({ security: "tls", tls: good });
  const { port } = await server.listening as { port: number };
  const given = connect({ hostname: PROXY, port }, {
    secureTransport: "starttls",
    tls: { caCerts: authority.cert },
  });
  const socket = toSocket(given, { secureTransport: "on", address: { hostname: BANK, port: 465 } });
  const { code } = await assertRejects(() => socket.opened) as SocketError;
  assertEquals(code, "certificate-name");
});

test(`toSocket() on ${runtime} refuses what the given socket cannot do before STARTTLS is said`, async () => {
  await using proxy = await start();
  const socket = toSocket(proxy.open(), {
    secureTransport: "starttls",
    address: { hostname: PROXY, port: 25 },
  });
  await socket.opened;
  assertThrows(() => socket.startTls({ fingerprints: OTHER }), TypeError, "has no meaning with fingerprints");
  assertEquals([socket.secureTransport, socket.readable.locked], ["starttls", false]);
  await socket.close();
});
