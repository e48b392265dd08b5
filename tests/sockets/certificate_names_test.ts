/**
 * Whom a certificate is for: the same verdict on every path, on every runtime.
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { canonicalAddress, certificateNames } from "../../src/sockets/certificate_names.ts";
import { connect } from "../../src/sockets/connect.ts";
import type { Socket, SocketAddress, SocketError, SocketOptions } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { createAuthority, der, type KeyPair, type LeafOptions } from "../support/certificates.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";

const text = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const dns = (name: string) => der(0x82, text(name));
const ip = (...bytes: number[]) => der(0x87, new Uint8Array(bytes));
const uri = (uri: string) => der(0x86, text(uri));
const mailbox = (mailbox: string) => der(0x81, text(mailbox));
const other = (value: string) =>
  der(0xa0, der(0x06, new Uint8Array([0x2a, 3])), der(0xa0, der(0x0c, text(value))));
const directory = (commonName: string) =>
  der(
    0xa4,
    der(0x30, der(0x31, der(0x30, der(0x06, new Uint8Array([0x55, 4, 3])), der(0x0c, text(commonName))))),
  );
const san = (...names: Uint8Array[]): LeafOptions => ({ san: [der(0x30, ...names)], commonName: "leaf" });
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];

/** What the certificate says, whom the client means, whether it is that. */
const cases: [what: string, leaf: LeafOptions, serverName: string, isFor: boolean][] = [
  ["a name", san(dns("mx.test")), "mx.test", true],
  ["one of several names", san(dns("a.test"), uri("https://mx.test/"), dns("mx.test")), "mx.test", true],
  ["a name in upper case", san(dns("MX.Test")), "mx.test", true],
  ["a name that is asked for in upper case", san(dns("mx.test")), "MX.TEST", true],
  ["a name that is asked for with a final dot", san(dns("mx.test")), "mx.test.", true],
  ["a name with a hyphen, a digit and an underscore", san(dns("mx-1_a.test")), "mx-1_a.test", true],
  ["a name of one label", san(dns("localhost")), "localhost", true],
  ["an A-label that is asked for as a U-label", san(dns("xn--bcher-kva.test")), "bücher.test", true],
  ["an A-label below a wildcard", san(dns("*.mx.test")), "bücher.mx.test", true],
  ["a wildcard", san(dns("*.mx.test")), "a.mx.test", true],
  ["a wildcard in upper case", san(dns("*.MX.test")), "a.mx.TEST", true],
  ["an IPv4 address", san(ip(127, 0, 0, 1)), "127.0.0.1", true],
  ["an IPv6 address", san(ip(...Array(15).fill(0), 1)), "::1", true],
  ["an IPv6 address that is asked for in full", san(ip(...Array(15).fill(0), 1)), "0:0:0:0:0:0:0:1", true],
  ["an IPv6 address that maps an IPv4 address", san(ip(...MAPPED)), "::ffff:127.0.0.1", true],

  ["a name, without a subject", { ...san(dns("mx.test")), commonName: "" }, "mx.test", true],
  ["a name beside some that are not valid", san(dns("\0"), ip(1), dns("*"), dns("mx.test")), "mx.test", true],
  [
    "many names",
    san(...Array.from({ length: 300 }, (_, i) => dns(`${i}.test`)), dns("mx.test")),
    "mx.test",
    true,
  ],

  ["another name", san(dns("a.test")), "mx.test", false],
  ["a longer name", san(dns("mx.test.evil.test")), "mx.test", false],
  ["the parent's name", san(dns("test")), "mx.test", false],
  ["a name below it", san(dns("a.mx.test")), "mx.test", false],
  ["a U-label", san(der(0x82, new TextEncoder().encode("bücher.test"))), "bücher.test", false],
  ["two names as one", san(dns("evil.test, DNS:mx.test")), "mx.test", false],
  ["two names as one, quoted", san(dns('evil.test", DNS:mx.test, "')), "mx.test", false],
  ["two names as one, on two lines", san(dns("evil.test\nmx.test")), "mx.test", false],
  ["a name and a NUL", san(dns("mx.test\0.evil.test")), "mx.test", false],
  ["a NUL at the end", san(dns("mx.test\0")), "mx.test", false],
  ["a NUL at the start", san(dns("\0mx.test")), "mx.test", false],
  ["a space at the end", san(dns("mx.test ")), "mx.test", false],
  ["a final dot", san(dns("mx.test.")), "mx.test", false],
  ["a final dot that is asked for", san(dns("mx.test.")), "mx.test.", false],
  ["a dot at the start", san(dns(".mx.test")), "mx.test", false],
  ["an empty name", san(dns("")), "mx.test", false],
  ["a URI", san(uri("https://mx.test/")), "mx.test", false],
  ["a name as URI", san(uri("mx.test")), "mx.test", false],
  ["two names as one URI", san(uri("https://evil.test/, DNS:mx.test")), "mx.test", false],
  ["a mailbox", san(mailbox("me@mx.test")), "mx.test", false],
  ["a name as mailbox", san(mailbox("mx.test")), "mx.test", false],
  ["two names as one mailbox", san(mailbox("me@evil.test, DNS:mx.test")), "mx.test", false],
  ["a name of another kind", san(other("mx.test, DNS:mx.test")), "mx.test", false],
  ["a directory name", san(directory("mx.test")), "mx.test", false],
  ["two names as one directory name", san(directory("evil.test, DNS:mx.test")), "mx.test", false],
  ["a wildcard for everything", san(dns("*")), "mx.test", false],
  ["a wildcard for everything, and a host of one label", san(dns("*")), "localhost", false],
  ["a wildcard for all of a top-level domain", san(dns("*.test")), "mx.test", false],
  ["a wildcard that would be two labels", san(dns("*.mx.test")), "a.b.mx.test", false],
  ["a wildcard that would be no label", san(dns("*.mx.test")), "mx.test", false],
  ["a wildcard with a final dot", san(dns("*.mx.test.")), "a.mx.test", false],
  ["two wildcards", san(dns("*.*.test")), "a.b.test", false],
  ["a wildcard after a label", san(dns("a.*.test")), "a.b.test", false],
  ["a part of a label before a wildcard", san(dns("a*.mx.test")), "ab.mx.test", false],
  ["a part of a label after a wildcard", san(dns("*b.mx.test")), "ab.mx.test", false],
  ["an A-label with a wildcard", san(dns("xn--*.mx.test")), "bücher.mx.test", false],
  ["an IP address as name", san(dns("127.0.0.1")), "127.0.0.1", false],
  ["an IPv6 address as name", san(dns("::1")), "::1", false],
  ["a wildcard over an IP address", san(dns("*.0.0.1")), "127.0.0.1", false],
  ["an IP address as URI", san(uri("https://127.0.0.1/")), "127.0.0.1", false],
  ["two IP addresses as one name", san(dns("evil.test, IP Address:127.0.0.1")), "127.0.0.1", false],
  ["an IPv6 address that maps the IPv4 address", san(ip(...MAPPED)), "127.0.0.1", false],
  ["an IPv4 address that is asked for as IPv6", san(ip(127, 0, 0, 1)), "::ffff:127.0.0.1", false],
  ["an IP address with a mask", san(ip(127, 0, 0, 1, 255, 255, 255, 255)), "127.0.0.1", false],
  ["the letters of a name as IP address", san(der(0x87, text("mx.t"))), "mx.t", false],
  ["an IP address, and a name that is asked for", san(ip(127, 0, 0, 1)), "mx.test", false],
  ["a name in a list of names in the list", san(der(0x30, dns("mx.test"))), "mx.test", false],
  ["a name in a constructed value", san(der(0xa2, der(0x16, text("mx.test")))), "mx.test", false],
  ["no names", san(), "mx.test", false],
  ["a common name alone", { san: [], commonName: "mx.test" }, "mx.test", false],
  ["a common name beside no names", { ...san(), commonName: "mx.test" }, "mx.test", false],
  [
    "a common name beside an IP address",
    { ...san(ip(127, 0, 0, 1)), commonName: "mx.test" },
    "mx.test",
    false,
  ],
  [
    "a common name beside a mailbox",
    { ...san(mailbox("me@a.test")), commonName: "mx.test" },
    "mx.test",
    false,
  ],
  ["a common name that is an IP address", { san: [], commonName: "127.0.0.1" }, "127.0.0.1", false],
];

/** The same from an authority that may sign for evil.test only. */
const constrained: typeof cases = [
  ["a name that it may sign for", san(dns("mx.evil.test")), "mx.evil.test", true],
  ["a name that it may not sign for", san(dns("mx.test")), "mx.test", false],
  [
    "a name that it may sign for and one that it may not",
    san(dns("evil.test"), dns("mx.test")),
    "mx.test",
    false,
  ],
  ["a common name alone", { san: [], commonName: "mx.test" }, "mx.test", false],
  ["a common name and a mailbox", { ...san(mailbox("me@mx.test")), commonName: "mx.test" }, "mx.test", false],
  ["two names as one", san(dns("mx.test, DNS:a.evil.test")), "mx.test", false],
  ["two names as one URI", san(uri("https://evil.test/, DNS:mx.test")), "mx.test", false],
  ["a wildcard", san(dns("*.test")), "mx.test", false],
];

interface Made {
  what: string;
  keys: KeyPair;
  serverName: string;
  isFor: boolean;
}

let made: Promise<{ root: string; client: KeyPair; all: Made[] }> | undefined;

async function make() {
  const root = await createAuthority();
  const below = await root.constrain(["evil.test"]);
  const issue =
    (issuer: typeof root, prefix: string) => ([what, leaf, serverName, isFor]: (typeof cases)[0]) =>
      issuer.issue(leaf).then((keys): Made => ({ what: `${prefix}${what}`, keys, serverName, isFor }));
  const client = await root.issue({ names: ["client.test"], usage: "client" });
  const all = [
    ...cases.map(issue(root, "")),
    ...constrained.map(issue(below, "signed by an authority for another domain: ")),
  ];
  return { root: root.cert, client, all: await Promise.all(all) };
}

type Connect = (address: SocketAddress, options: SocketOptions) => Socket;

const overPair: Connect = (address, options) =>
  toSocket((address, { signal }) => {
    const { readable, writable } = connect(address, { signal });
    return { readable, writable };
  }, { ...options, address });

/** Every way to TLS that there is. On Deno all but the first two take node:tls. */
const ways: [name: string, connect: Connect, tls: (client: KeyPair) => SocketOptions["tls"]][] = [
  ["connect()", connect, () => ({})],
  ["connect() and startTls()", connect, () => ({})],
  ["connect() with a client certificate", connect, ({ cert, key }) => ({ cert, key })],
  ["connect() with peerCertificate", connect, () => ({ peerCertificate: true })],
  [
    "connect() with a localAddress",
    (address, options) => connect(address, { ...options, localAddress: "127.0.0.1" }),
    () => ({}),
  ],
  ["toSocket() over a pair", overPair, () => ({})],
];

for (const [name, connect, options] of ways) {
  test(`${name} on ${runtime} takes a certificate only for whom its alternative names are`, async () => {
    const { root, client, all } = await (made ??= make());
    const wrong: string[] = [];
    await using listener = await Listener.tcp();
    for (const { what, keys, serverName, isFor } of all) {
      const tls = { caCerts: root, serverName, ...options(client) };
      const transport = name.includes("startTls") ? "starttls" : "on";
      const plain = connect(listener.address, { secureTransport: transport, tls });
      const socket = transport === "on" ? plain : plain.startTls();
      const peer = await listener.accept();
      const serving = peer.startTls(keys).catch(() => {});
      const verdict = await socket.opened.then(() => "taken", ({ code, message }: SocketError) => {
        return code === "certificate-name" || code === "certificate-untrusted"
          ? "refused"
          : `${code}: ${message}`;
      });
      if (verdict !== (isFor ? "taken" : "refused")) wrong.push(`${what}, for ${serverName}: ${verdict}`);
      await socket.close().catch(() => {});
      await serving;
      peer.destroy();
    }
    assertEquals(wrong, []);
  });
}

test("certificateNames() reads names of hosts and IP addresses, and leaves out what is not one", async () => {
  const { root, all } = await (made ??= make());
  const namesOf = (what: string) => {
    const { cert } = all.find((one) => one.what === what)!.keys;
    return certificateNames(derOf(cert));
  };
  assertEquals(namesOf("a wildcard in upper case"), { hosts: ["*.mx.test"], addresses: [] });
  assertEquals(namesOf("a name beside some that are not valid"), { hosts: ["mx.test"], addresses: [] });
  assertEquals(namesOf("two names as one"), { hosts: [], addresses: [] });
  assertEquals(namesOf("an IPv6 address"), { hosts: [], addresses: ["::1"] });
  assertEquals(certificateNames(derOf(root)), { hosts: [], addresses: [] });
});

test("certificateNames() refuses names that it finds twice, that are cut off or have something after them", async () => {
  const authority = await createAuthority();
  const [one, other] = [der(0x30, dns("mx.test")), der(0x30, dns("a.test"))];
  for (
    const san of [[one, other], [one, one], [one.slice(0, -1)], [new Uint8Array([...one, ...dns("a.test")])]]
  ) {
    const { cert } = await authority.issue({ san });
    assertThrows(() => certificateNames(derOf(cert)), SyntaxError, "Cannot read the certificate");
  }
});

test("certificateNames() reads or refuses every certificate that is cut off or changed, and never hangs", async () => {
  const { all } = await (made ??= make());
  const whole = derOf(all[0]!.keys.cert);
  for (let i = 0; i < whole.length; i++) {
    const changed = whole.slice();
    for (const bytes of [whole.slice(0, i), (changed[i] = changed[i]! ^ 0xff, changed)]) {
      try {
        certificateNames(bytes);
      } catch (error) {
        assertEquals((error as Error).name, "SyntaxError");
      }
    }
  }
  assertThrows(() => certificateNames(whole.slice(0, -1)), SyntaxError);
});

test("canonicalAddress() writes an address in one way", () => {
  assertEquals(canonicalAddress("2001:DB8:0::0001"), "2001:db8::1");
  assertEquals(canonicalAddress("fe80::1%eth0"), "fe80::1");
  assertEquals(canonicalAddress("::ffff:192.0.2.1"), "::ffff:c000:201");
  assertEquals(canonicalAddress("192.0.2.1"), "192.0.2.1");
});

function derOf(pem: string): Uint8Array {
  const [, body] = /-----BEGIN CERTIFICATE-----([^-]*)/.exec(pem)!;
  return Uint8Array.from(atob(body!), (char) => char.charCodeAt(0));
}
