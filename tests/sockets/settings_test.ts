import { assertEquals, assertThrows } from "@std/assert";
import { formatAddress, isIpAddress, settle, settleTls } from "../../src/sockets/settings.ts";
import { settleForWorkers } from "../../src/sockets/workers/options.ts";
import type { SocketAddress, SocketOptions, TlsOptions } from "../../src/sockets/socket.ts";
import { createAuthority } from "../support/certificates.ts";
import { test } from "../support/harness.ts";

const { cert, key } = await (await createAuthority()).issue();
const HOST = { hostname: "mx.test", port: 25 };

test("settle() completes the options", () => {
  const { startTls: _, ...settings } = settle(HOST);
  assertEquals(settings, {
    address: { hostname: "mx.test", port: 25 },
    target: "mx.test:25",
    secureTransport: "off",
    tls: undefined,
    allowHalfOpen: false,
    signal: undefined,
    localAddress: undefined,
    keepAlive: true,
  });
  assertEquals(settle(HOST, { secureTransport: "on" }).tls, {
    serverName: "mx.test",
    caCerts: [],
    fingerprints: [],
    cert: undefined,
    key: undefined,
    alpnProtocols: [],
    verify: true,
    insists: false,
    verifiedBy: "name",
    peerCertificate: false,
  });
});

for (
  const [given, hostname] of [
    ["mx.test", "mx.test"],
    ["mx.test.", "mx.test."],
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["_submission.example", "_submission.example"],
    ["MX-1.test", "MX-1.test"],
    ["\uff11\uff12\uff17.0.0.1", "127.0.0.1"], // digits of another width
    ["mx\u3002test", "mx.test"],
    [`${"a".repeat(63)}.${"a.".repeat(94)}b`, `${"a".repeat(63)}.${"a.".repeat(94)}b`],
  ] as const
) {
  test(`settle() takes the host name ${given}`, () => {
    assertEquals(settle({ hostname: given, port: 25 }).address, { hostname, port: 25 });
  });
}

for (
  const hostname of [
    "",
    "mx .test",
    "mx.test\r\n",
    "mx/test",
    "user@mx.test",
    "http://mx.test",
    "a:b",
    "[::1",
    ".",
    "..",
    "mx.test..",
    ".mx.test",
    "mx..test",
    "\u3002", // a dot of East Asia
    "\u00ad", // a soft hyphen, which is nothing
    "mx.test\u3002\u3002",
    "*",
    "*.mx.test",
    "mx.test,other.test",
    "mx%2etest",
    "b\u00fccher%2etest",
    `${"a".repeat(64)}.test`,
    `${"a.".repeat(125)}test`,
    "127.1",
    "2130706433",
    "0x7f000001",
    "127.0.0.01",
    "010.0.0.1",
    "256.1.1.1",
    "1.2.3.4.",
  ]
) {
  test(`settle() refuses the host name ${JSON.stringify(hostname)}`, () => {
    assertThrows(() => settle({ hostname, port: 25 }), TypeError, "hostname must be");
  });
}

for (
  const [option, address, options] of [
    ["hostname", { hostname: "smtps://me:s3cr3t@mx.test", port: 25 }, {}],
    ["hostname", { hostname: "me:s3cr3t@mx.test", port: 25 }, {}],
    ["path", { path: "smtps://me:s3cr3t@mx.test" }, {}],
    ["serverName", HOST, { secureTransport: "on", tls: { serverName: "smtps://me:s3cr3t@mx.test" } }],
  ] as [string, SocketAddress, SocketOptions][]
) {
  test(`settle() refuses a URL as ${option} and does not show it: ${JSON.stringify(address)}`, () => {
    const { message } = assertThrows(() => settle(address, options), TypeError, `${option} must be`);
    assertEquals(message.replace(/^.*, not/, ""), " a URL: use hostname, port, security and auth");
  });
}

test("settle() takes a path with an @", () => {
  assertEquals(settle({ path: "/run/smtp@1" }).target, "/run/smtp@1");
});

for (const port of [0, -1, 65_536, 2.5, NaN, "25" as unknown as number]) {
  test(`settle() refuses the port ${JSON.stringify(port)}`, () => {
    assertThrows(() => settle({ hostname: "mx.test", port }), RangeError, "from 1 to 65535");
  });
}

const refused: [string, SocketAddress, SocketOptions, string][] = [
  ["an empty address", {} as SocketAddress, {}, "port"],
  ["an empty path", { path: "" }, {}, "path"],
  ["a path with NUL", { path: "/a\0b" }, {}, "path"],
  ["another secureTransport", HOST, { secureTransport: "tls" as "on" }, "secureTransport must be"],
  ["tls that is off", HOST, { tls: {} }, `secureTransport "off"`],
  ["a localAddress that is a name", HOST, { localAddress: "eth0" }, "localAddress must be"],
  ["a localAddress that is no text", HOST, { localAddress: 5 as unknown as string }, "localAddress must be"],
  ["a localAddress that is too large", HOST, { localAddress: "256.0.0.1" }, "localAddress must be"],
  [
    "a localAddress on a unix socket",
    { path: "/a" },
    { localAddress: "127.0.0.1" },
    "localAddress has no meaning",
  ],
  [
    "TLS on a unix socket without a name",
    { path: "/a" },
    { secureTransport: "on" },
    "tls.serverName is missing",
  ],
];
for (const [what, address, options, message] of refused) {
  test(`settle() refuses ${what}`, () => {
    const error = assertThrows(() => settle(address, options));
    assertEquals((error as Error).message.includes(message), true, (error as Error).message);
  });
}

test("settle() checks the TLS options for a later startTls() at once", () => {
  const tls = { caCerts: ["garbage"] };
  assertThrows(() => settle(HOST, { secureTransport: "starttls", tls }), TypeError, "caCerts[0]");
});

test("settle() takes the TLS options as defaults for startTls()", () => {
  const { startTls } = settle(HOST, {
    secureTransport: "starttls",
    tls: { caCerts: [cert], serverName: "a.test" },
  });
  assertEquals(startTls().serverName, "a.test");
  const settings = startTls({ serverName: "b.test" });
  assertEquals([settings.serverName, settings.caCerts], ["b.test", [`${cert.trim()}\n`]]);
});

const refusedTls: [string, TlsOptions, string][] = [
  ["a certificate without a key", { cert }, "key is missing"],
  ["a key without a certificate", { key }, "cert is missing"],
  ["garbage in caCerts", { caCerts: [cert, "garbage"] }, "caCerts[1] must be"],
  ["a certificate and a key that are swapped", { cert: key, key: cert }, "cert must be"],
  ["an empty ALPN protocol", { alpnProtocols: [""] }, "alpnProtocols must be"],
  ["an ALPN protocol that is too long", { alpnProtocols: ["a".repeat(256)] }, "alpnProtocols must be"],
  ["a serverName that is not a name", { serverName: "mx test" }, "serverName must be"],
];
for (const [what, options, message] of refusedTls) {
  test(`settleTls() refuses ${what}`, () => {
    assertThrows(() => settleTls(options, "mx.test"), TypeError, message);
  });
}

const HASH = "0f".repeat(32);

test("settleTls() takes fingerprints as they are printed, and checks nothing else then", () => {
  for (
    const fingerprints of [
      HASH,
      [HASH],
      HASH.toUpperCase(),
      ` ${HASH.replace(/..(?!$)/g, "$&:").toUpperCase()}\n`,
    ]
  ) {
    const settings = settleTls({ fingerprints }, undefined);
    assertEquals([settings.fingerprints, settings.verify], [[HASH], false]);
  }
  assertEquals(settleTls({ fingerprints: [] }, "mx.test").verify, true);
});

for (
  const [what, options, message] of [
    [
      "a fingerprint that is too short",
      { fingerprints: HASH.slice(2) },
      "fingerprints must be SHA-256 in 64",
    ],
    ["a fingerprint with other letters", { fingerprints: [HASH, HASH.replace("f", "g")] }, "fingerprints[1]"],
    ["an empty fingerprint", { fingerprints: "" }, "fingerprints must be"],
    ["bytes", { fingerprints: [new Uint8Array(32)] as never }, "fingerprints[0] must be"],
    ["fingerprints with caCerts", { fingerprints: HASH, caCerts: cert }, "caCerts has no meaning"],
    [
      "fingerprints with verify: false",
      { fingerprints: HASH, verify: false },
      "verify: false has no meaning",
    ],
  ] satisfies [string, TlsOptions, string][]
) {
  test(`settleTls() refuses ${what}`, () => {
    assertThrows(() => settleTls(options, "mx.test"), TypeError, message);
  });
}

test("settleTls() takes caCerts as one text, and says what is wrong with it", () => {
  const one = `${cert.trim()}\n`;
  assertEquals(settleTls({ caCerts: cert }, "mx.test").caCerts, [one]);
  assertEquals(settleTls({ caCerts: `text\n${cert}\n${cert}` }, "mx.test").caCerts, [one, one]);
  for (
    const caCerts of [
      "garbage",
      "/etc/ssl/cert.pem",
      "",
      new TextEncoder().encode(cert) as never,
      {} as never,
    ]
  ) {
    assertThrows(
      () => settleTls({ caCerts }, "mx.test"),
      TypeError,
      "Cannot use TLS: caCerts must be one or more certificates in PEM, the current value",
    );
  }
});

for (
  const [options, message] of [
    [{ requireTLS: true }, 'there is no option "requireTLS"'],
    [{ secure: true }, 'there is no option "secure", use secureTransport: "on"'],
    [{ caCerts: cert }, 'there is no option "caCerts", use tls.caCerts'],
    [{ keepalive: true }, 'there is no option "keepalive", did you mean keepAlive?'],
    [{ secureTransport: "on", tls: { ca: cert } }, 'there is no option "ca", use caCerts'],
    [{ secureTransport: "on", tls: { rejectUnauthorized: false } }, "use verify"],
    [{ secureTransport: "on", tls: { servername: "mx.test" } }, "did you mean serverName?"],
    [{ secureTransport: "on", tls: true }, "options must be an object"],
    ["mx.test", "options must be an object"],
  ] as [SocketOptions, string][]
) {
  test(`settle() refuses ${JSON.stringify(options)}`, () => {
    assertThrows(() => settle(HOST, options), TypeError, message);
  });
}

test("settle() refuses an address with names of other libraries, and takes one of Deno's", () => {
  const of = (address: unknown) => () => settle(address as SocketAddress);
  assertThrows(of({ host: "mx.test", port: 25 }), TypeError, "use hostname");
  assertThrows(of({ ...HOST, secureTransport: "on" }), TypeError, "use it in the second argument");
  assertThrows(of("mx.test:25"), TypeError, "address must be an object");
  assertEquals(of({ ...HOST, transport: "tcp" })().target, "mx.test:25");
});

test("settle() refuses TLS options for a later startTls() that do not exist", () => {
  const { startTls } = settle(HOST, { secureTransport: "starttls" });
  assertThrows(() => startTls({ ca: cert } as TlsOptions), TypeError, "use caCerts");
});

test("settleTls() takes the final dot from the name, which no certificate has", () => {
  assertEquals(settleTls({}, "mx.test.").serverName, "mx.test");
});

test("settleTls() needs no name if nothing is checked", () => {
  assertEquals(settleTls({ verify: false }, undefined).serverName, undefined);
});

test("settleForWorkers() refuses to show a certificate", () => {
  const tls = { peerCertificate: true };
  const refuse = () => settleForWorkers(settle(HOST, { secureTransport: "on", tls }));
  assertThrows(refuse, TypeError, "cannot honour tls.peerCertificate");
});

test("isIpAddress() tells addresses from names", () => {
  for (const text of ["192.0.2.1", "::1", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1"]) {
    assertEquals(isIpAddress(text), true, text);
  }
  for (const text of ["mx.test", "1.2.3", "256.1.1.1", "01.1.1.1", ":", "a:b", "", "1.2.3.4.5", "[::1]"]) {
    assertEquals(isIpAddress(text), false, text);
  }
});

test("formatAddress() puts IPv6 addresses in brackets", () => {
  assertEquals(formatAddress("192.0.2.1", 25), "192.0.2.1:25");
  assertEquals(formatAddress("2001:db8::1", 25), "[2001:db8::1]:25");
});
