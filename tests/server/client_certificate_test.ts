import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { assertEquals, assertInstanceOf, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  type ClientCertificate,
  serve,
  type ServeOptions,
  type ServerHandlers,
  type SmtpServer,
} from "../../src/server/mod.ts";
import { readClientCertificate } from "../../src/server/client_certificate.ts";
import { SocketError } from "../../src/sockets/mod.ts";
import { createAuthority, createOwn, createSelfSigned, der, type KeyPair } from "../support/certificates.ts";
import { test } from "../support/harness.ts";

const authority = await createAuthority("Clients CA");
const servers = await createAuthority("Servers CA");
const stranger = await createAuthority("Clients CA"); // the same name, another key
const own = await servers.issue();

const names = ["client.test"];
const good = await authority.issue({ names, usage: "client" });
/** Certificates that nobody may get in with. */
const BAD: Record<string, KeyPair> = {
  "a stranger's, signed by itself": await createSelfSigned(names),
  "one by an authority of the same name": await stranger.issue({ names, usage: "client" }),
  "one by the server's own authority": await servers.issue({ names, usage: "client" }),
  "an expired one": await authority.issue({ names, usage: "client", expires: -1000 }),
  "one for servers": await authority.issue({ names, usage: "server" }),
};

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
const SECURITIES = ["tls", "starttls"] as const;
type Version = typeof VERSIONS[number];

interface Served extends AsyncDisposable {
  server: SmtpServer;
  /** What the handlers were asked under TLS. */
  asked: string[];
  certificates: (ClientCertificate | undefined)[];
  error: Promise<unknown>;
}

/** Without authorities it asks for no certificate. */
function start(
  security: "tls" | "starttls",
  options: Partial<ServeOptions["tls"]> = {},
  caCerts: string | undefined = authority.cert,
): Served {
  const asked: string[] = [];
  const certificates: Served["certificates"] = [];
  const failed = Promise.withResolvers<unknown>();
  const handlers: ServerHandlers = {
    connect: ({ secure }) => void (secure && asked.push("connect")),
    greet: (name, session) => {
      if (!session.secure) return;
      asked.push(name);
      certificates.push(session.clientCertificate);
    },
    mail: () => void asked.push("mail"),
  };
  const server = serve({
    security,
    tls: { ...own, ...(caCerts !== "" && { caCerts }), ...options },
    onError: failed.resolve,
  }, handlers);
  return {
    server,
    asked,
    certificates,
    error: failed.promise,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

interface Visit {
  /** What the server has said under TLS. */
  heard: string;
  session: Uint8Array | undefined;
}

/** A client that says all it has to say at once, as soon as its own side of the handshake is done. */
async function visit(
  { server }: Served,
  version: Version,
  pair: KeyPair | undefined,
  { security, session }: { security: "tls" | "starttls"; session?: Uint8Array | undefined },
): Promise<Visit> {
  const { port } = await server.listening;
  const raw = net.connect({ host: "127.0.0.1", port });
  raw.on("error", () => {});
  if (security === "starttls") await talkUntilTls(raw);
  else await new Promise((resolve) => raw.once("connect", resolve));
  const secure = tls.connect({
    socket: raw as Duplex as net.Socket,
    servername: "localhost",
    ca: servers.cert,
    minVersion: version,
    maxVersion: version,
    ...pair,
    ...(session !== undefined && { session: session as Uint8Array<ArrayBuffer> as never }),
  });
  const result: Visit = { heard: "", session: undefined };
  const closed = Promise.withResolvers<void>();
  secure.on("secureConnect", () => secure.write("EHLO client.test\r\nMAIL FROM:<a@example.com>\r\nQUIT\r\n"));
  secure.on("session", (ticket: Uint8Array) => result.session = ticket);
  secure.on("data", (bytes: Uint8Array) => result.heard += new TextDecoder().decode(bytes));
  secure.on("error", () => {});
  secure.on("end", () => secure.end());
  secure.on("close", () => closed.resolve());
  await closed.promise;
  raw.destroy();
  return result;
}

async function talkUntilTls(raw: net.Socket): Promise<void> {
  let heard = "";
  const ask = async (line: string, pattern: RegExp) => {
    if (line !== "") raw.write(`${line}\r\n`);
    while (!pattern.test(heard)) {
      heard += await new Promise<string>((resolve) => raw.once("data", (bytes) => resolve(String(bytes))));
    }
    heard = "";
  };
  await ask("", /^220 /m);
  await ask("EHLO client.test", /^250 /m);
  await ask("STARTTLS", /^220 /m);
  raw.removeAllListeners("data");
}

const SERVED = /^220 localhost ESMTP[^]*^250 2\.1\.0 Sender ok/m;
const SERVED_AFTER = /^250 2\.1\.0 Sender ok/m;

for (const security of SECURITIES) {
  const served = security === "tls" ? SERVED : SERVED_AFTER;
  for (const version of VERSIONS) {
    const how = `${security}, ${version}`;

    test(`serve() with caCerts takes mail from a client of theirs and tells whose it is (${how})`, async () => {
      await using door = start(security);
      const { heard } = await visit(door, version, good, { security });
      assertMatch(heard, served);
      assertEquals(door.asked, [...security === "tls" ? ["connect"] : [], "client.test", "mail"]);
      const [certificate] = door.certificates;
      assertEquals(certificate?.subject, "CN=client.test");
      assertEquals(certificate?.names, { dns: ["client.test"], email: [], uri: [], ip: [] });
      const { X509Certificate } = process.getBuiltinModule("node:crypto");
      assertEquals(certificate?.fingerprint, new X509Certificate(good.cert).fingerprint256);
    });

    for (const clientCertificate of ["required", "optional"] as const) {
      for (const [name, pair] of Object.entries(BAD)) {
        test(`serve() with caCerts refuses ${name} in the handshake (${how}, ${clientCertificate})`, async () => {
          await using door = start(security, { clientCertificate });
          const { heard } = await visit(door, version, pair, { security });
          assertEquals(heard, "");
          const error = await door.error;
          assertInstanceOf(error, SocketError);
          const code = name === "an expired one" ? "certificate-expired" : "certificate-untrusted";
          assertEquals(error.code, code, error.message);
          assertMatch(error.message, /client's certificate/);
          assertEquals(door.asked, []);
        });
      }
    }

    test(`serve() with caCerts refuses what a certificate in it that is no authority's has signed (${how})`, async () => {
      const friend = await createOwn(["friend.test"]);
      await using door = start(security, {}, authority.cert + friend.cert);
      const forged = await friend.issue({ names, usage: "client" });
      const { heard } = await visit(door, version, forged, { security });
      assertEquals(heard, "");
      assertInstanceOf(await door.error, SocketError);
      assertEquals(door.asked, []);
    });

    test(`serve() with caCerts takes a client's own certificate that is no authority's (${how})`, async () => {
      const friend = await createOwn(["friend.test"]);
      await using door = start(security, {}, authority.cert + friend.cert);
      const { heard } = await visit(door, version, friend, { security });
      assertMatch(heard, served);
    });

    test(`serve() with caCerts refuses a client without a certificate, unless it is optional (${how})`, async () => {
      {
        await using door = start(security);
        const { heard } = await visit(door, version, undefined, { security });
        assertEquals(heard, "");
        assertInstanceOf(await door.error, SocketError);
        assertEquals(door.asked, []);
      }
      await using door = start(security, { clientCertificate: "optional" });
      const { heard } = await visit(door, version, undefined, { security });
      assertMatch(heard, served);
      assertEquals(door.certificates, [undefined]);
    });

    test(`a session of a client that was refused does not let it in (${how})`, async () => {
      for (const clientCertificate of ["required", "optional"] as const) {
        for (const pair of Object.values(BAD)) {
          await using door = start(security, { clientCertificate });
          const { session } = await visit(door, version, pair, { security });
          await door.error;
          const again = await visit(door, version, pair, { security, session });
          assertEquals(again.heard, "");
          assertEquals(door.asked, []);
        }
      }
    });

    test(`a session of another server, which asks for no certificate, does not let a client in (${how})`, async () => {
      await using open = start(security, {}, "");
      const { session } = await visit(open, version, undefined, { security });
      await using door = start(security);
      const { heard } = await visit(door, version, undefined, { security, session });
      assertEquals(heard, "");
      assertEquals(door.asked, []);
      // Without one it is nobody's, even where that is good enough.
      await using optional = start(security, { clientCertificate: "optional" });
      await visit(optional, version, undefined, { security, session });
      assertEquals(optional.certificates.every((certificate) => certificate === undefined), true);
    });

    test(`a client of theirs that comes back with its session is served again (${how})`, async () => {
      await using door = start(security);
      const { session } = await visit(door, version, good, { security });
      const { heard } = await visit(door, version, good, { security, session });
      assertMatch(heard, served);
      assertEquals(
        door.certificates.map((certificate) => certificate?.subject),
        Array(2).fill("CN=client.test"),
      );
    });
  }
}

test("serve() refuses a clientCertificate that makes no sense", () => {
  assertThrows(
    () => serve({ tls: { ...own, clientCertificate: "optional" } }),
    TypeError,
    "Cannot serve: tls.clientCertificate needs tls.caCerts",
  );
  assertThrows(
    () => serve({ tls: { ...own, caCerts: authority.cert, clientCertificate: "maybe" as "optional" } }),
    TypeError,
    'Cannot serve: tls.clientCertificate must be "required" or "optional", the current value is "maybe"',
  );
});

function toDer(pem: string): Uint8Array {
  const base64 = /-----BEGIN CERTIFICATE-----([^-]+)/.exec(pem)![1]!;
  return Uint8Array.from(atob(base64.replace(/\s/g, "")), (char) => char.charCodeAt(0));
}

test("session.clientCertificate has each name by itself, and none that only looks like one", async () => {
  const text = (value: string) => new TextEncoder().encode(value);
  const [DNS, EMAIL, URI, IP] = [0x82, 0x81, 0x86, 0x87];
  const san = der(
    0x30,
    der(DNS, text("Client.TEST")),
    der(DNS, text("evil.test, DNS:mx.test")),
    der(DNS, text("mx.test\0.evil.test")),
    der(EMAIL, text("ada@client.test")),
    der(EMAIL, text("evil@client.test, email:root@client.test")),
    der(EMAIL, text("\u00e4@client.test")),
    der(URI, text("spiffe://client.test/mailer")),
    der(URI, text("no uri")),
    der(IP, new Uint8Array([192, 0, 2, 1])),
    der(IP, new Uint8Array([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
    der(IP, new Uint8Array([1, 2])),
  );
  const { cert } = await authority.issue({ usage: "client", san: [san] });
  const { names } = await readClientCertificate(toDer(cert));
  assertEquals(names, {
    dns: ["client.test"],
    email: ["ada@client.test"],
    uri: ["spiffe://client.test/mailer"],
    ip: ["192.0.2.1", "2001:db8::1"],
  });
});

test("session.clientCertificate writes a subject so that nothing in it looks like another part, or acts on a terminal", async () => {
  const cases: Record<string, string> = {
    "mail.test": "CN=mail.test",
    "a,O=Bank": String.raw`CN=a\,O\=Bank`,
    'x"+y;<z>\\': String.raw`CN=x\"\+y\;\<z\>\\`,
    "a\u202e\x1b\u2028b": String.raw`CN=a\e2\80\ae\1b\e2\80\a8b`,
    "J\u00fcrgen": "CN=J\u00fcrgen",
  };
  for (const [value, subject] of Object.entries(cases)) {
    const certificate = certificateOf(value);
    assertEquals((await readClientCertificate(certificate)).subject, subject);
  }
  await assertRejects(() => readClientCertificate(new Uint8Array([0x30, 3, 1, 2])), SyntaxError);
});

/** As much of a certificate as is read, with a common name. */
function certificateOf(commonName: string): Uint8Array {
  const value = der(0x0c, new TextEncoder().encode(commonName));
  const name = der(0x30, der(0x31, der(0x30, der(0x06, new Uint8Array([0x55, 4, 3])), value)));
  const nothing = der(0x30);
  return der(0x30, der(0x30, der(0x02, new Uint8Array([1])), nothing, nothing, nothing, name, nothing));
}
