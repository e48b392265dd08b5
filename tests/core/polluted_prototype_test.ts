/**
 * What another part of the program has put into `Object.prototype` is no option of anybody.
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { checkAuth } from "../../src/client/authenticate.ts";
import { SmtpChannel } from "../../src/client/channel.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { readOptions, type SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpPool } from "../../src/pool/pool.ts";
import { serve } from "../../src/server/mod.ts";
import { connect } from "../../src/sockets/connect.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { SocketError, TlsOptions } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { certificates } from "../sockets/conformance.ts";
import { fingerprintOf } from "../support/fingerprint.ts";
import { runtime, test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const AUTH = { user: "ada", pass: "open sesame" };

/** Runs something while `Object.prototype` has a property. */
async function polluted(name: string, value: unknown, run: () => unknown): Promise<void> {
  Object.defineProperty(Object.prototype, name, {
    value,
    configurable: true,
    writable: true,
    enumerable: true,
  });
  try {
    await run();
  } finally {
    delete (Object.prototype as unknown as Record<string, unknown>)[name];
  }
}

/** A server whose certificate nobody trusts, and the logins that it was told. */
async function start() {
  const { stranger } = await certificates();
  const logins: string[] = [];
  const server = serve({ tls: stranger }, {
    auth: ({ user }) => {
      logins.push(user);
      return true;
    },
  });
  const { port } = await server.listening as { port: number };
  return { port, logins, stranger, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const gadgets: [name: string, value: (own: string, pem: string) => unknown][] = [
  ["verify", () => false],
  ["fingerprints", (own) => own],
  ["caCerts", (_, pem) => pem],
  ["tls", () => ({ verify: false })],
  ["security", () => "none"],
];

for (const [name, value] of gadgets) {
  test(`Object.prototype.${name} does not make a client on ${runtime} log in to a stranger`, async () => {
    await using server = await start();
    const { port, stranger } = server;
    const evil = value(await fingerprintOf(stranger), stranger.cert);
    const options: SmtpClientOptions = { hostname: "localhost", port, auth: AUTH };
    const given = () => connect({ hostname: "localhost", port }, { secureTransport: "starttls" });
    await polluted(name, evil, async () => {
      await rejectsWith("certificate-untrusted", () => SmtpClient.connect(options));
      await rejectsWith("certificate-untrusted", () => SmtpClient.connect({ ...options, tls: {} }));
      await rejectsWith("certificate-untrusted", () => SmtpClient.connect({ ...options, socket: given() }));
      const pool = new SmtpPool({ ...options, retry: { attempts: 1 } });
      await rejectsWith(
        "certificate-untrusted",
        () => pool.send({ from: "me@client.test", to: "you@server.test" }, "Subject: Hi\r\n\r\nHi"),
      );
      await pool.close();
    });
    assertEquals(server.logins, []);
  });
}

test(`Object.prototype.verify does not turn off the check of sockets and channels on ${runtime}`, async () => {
  await using server = await start();
  const { port } = server;
  await polluted("verify", false, async () => {
    for (const tls of [undefined, {}] as (TlsOptions | undefined)[]) {
      const channel = await SmtpChannel.open({
        hostname: "localhost",
        port,
        security: "starttls",
        ...(tls && { tls }),
      });
      await channel.replies.next();
      await channel.command("EHLO client.test");
      await channel.replies.next();
      await channel.command("STARTTLS");
      await channel.replies.next();
      const { code } = await assertRejects(() => channel.startTls(tls)) as SocketError;
      assertEquals(code, "certificate-untrusted");
      await channel.close();
    }
  });
});

test(`Object.prototype.auth logs nobody in on ${runtime}`, async () => {
  const { good, authority } = await certificates();
  const logins: string[] = [];
  await using server = serve({ tls: good }, { auth: ({ user }) => logins.push(user) > 0 });
  const { port } = await server.listening as { port: number };
  const options: SmtpClientOptions = { hostname: "localhost", port, tls: { caCerts: authority.cert } };
  await polluted("auth", AUTH, async () => {
    await (await SmtpClient.connect(options)).close();
    const pool = new SmtpPool(options);
    // It is past the login by then. (The server is in the same program, and polluted as well.)
    await pool.send({ from: "me@client.test", to: "you@server.test" }, "Subject: Hi\r\n\r\nHi").catch(
      () => {},
    );
    await pool.close();
  });
  assertEquals(logins, []);
});

test(`Object.prototype.secureTransport does not pass a pair of streams off as protected on ${runtime}`, async () => {
  const { readable, writable } = memorySocketPair()[0];
  await polluted("secureTransport", "on", async () => {
    const socket = toSocket({ readable, writable }, { secureTransport: "starttls" });
    assertEquals(socket.secureTransport, "starttls");
    await socket.close();
  });
});

test(`Object.prototype opens no door of a server on ${runtime}`, async () => {
  await polluted("allowInsecureAuth", true, async () => {
    await using server = serve({}, { auth: () => true });
    const { port } = await server.listening as { port: number };
    await rejectsWith(
      "auth-unsupported",
      () => SmtpClient.connect({ hostname: "127.0.0.1", port, security: "none", auth: AUTH }),
    );
  });
  const { good, authority } = await certificates();
  await polluted("clientCertificate", "optional", async () => {
    await using server = serve({ security: "tls", tls: { ...good, caCerts: authority.cert } });
    const { port } = await server.listening as { port: number };
    await assertRejects(() =>
      SmtpClient.connect({ hostname: "localhost", port, security: "tls", tls: { caCerts: authority.cert } })
    );
  });
});

test("options of a class count, from its fields and its getters", async () => {
  const { authority } = await certificates();
  class Tls {
    get caCerts() {
      return authority.cert;
    }
  }
  class Login {
    user = AUTH.user;
    get pass() {
      return AUTH.pass;
    }
  }
  class Options {
    hostname = "mx.test";
    get tls() {
      return new Tls();
    }
    get auth() {
      return new Login();
    }
  }
  const { address, tls, auth } = readOptions(new Options());
  assertEquals(address, { hostname: "mx.test", port: 587 });
  assertEquals(tls, { caCerts: authority.cert });
  assertEquals({ ...checkAuth(auth!) }, AUTH);
});
