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
    cert: undefined,
    key: undefined,
    alpnProtocols: [],
    verify: true,
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
  ]
) {
  test(`settle() refuses the host name ${JSON.stringify(hostname)}`, () => {
    assertThrows(() => settle({ hostname, port: 25 }), TypeError, "hostname must be");
  });
}

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
  assertEquals([settings.serverName, settings.caCerts], ["b.test", [cert]]);
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
  for (const text of ["mx.test", "1.2.3", "256.1.1.1", ":", "a:b", "", "1.2.3.4.5", "[::1]"]) {
    assertEquals(isIpAddress(text), false, text);
  }
});

test("formatAddress() puts IPv6 addresses in brackets", () => {
  assertEquals(formatAddress("192.0.2.1", 25), "192.0.2.1:25");
  assertEquals(formatAddress("2001:db8::1", 25), "[2001:db8::1]:25");
});
