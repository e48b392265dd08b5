import { assert, assertThrows } from "@std/assert";
import { assertCertificates, assertPrivateKey, isServersOwn } from "../../src/sockets/pem.ts";
import { createAuthority, createSelfSigned } from "../support/certificates.ts";
import { test } from "../support/harness.ts";

const { cert, key } = await (await createAuthority()).issue();

test("assertCertificates() takes one certificate, several, and text around them", () => {
  assertCertificates(cert, "caCerts[0]");
  assertCertificates(`subject: CN=mx.test\n${cert}\n${cert}\r\nthe end`, "caCerts[0]");
  assertCertificates(cert.replaceAll("\n", "\r\n"), "caCerts[0]");
  assertCertificates(cert.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE"), "caCerts[0]");
});

for (
  const [what, pem] of Object.entries({
    "nothing": "",
    "any text": "garbage",
    "a file name": "/etc/ssl/cert.pem",
    "a private key": key,
    "half a certificate": cert.slice(0, cert.length / 2),
    "a certificate that lost a line": cert.split("\n").toSpliced(2, 1).join("\n"),
    "a block that is not base64": "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----",
    "a block that is empty": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
    "a block that is not DER": "-----BEGIN CERTIFICATE-----\naGVsbG8gd29ybGQ=\n-----END CERTIFICATE-----",
    "a good one and a bad one": `${cert}\n-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----`,
    "bytes": new Uint8Array(3) as unknown as string,
  })
) {
  test(`assertCertificates() refuses ${what}`, () => {
    assertThrows(
      () => assertCertificates(pem, "caCerts[3]"),
      TypeError,
      "caCerts[3] must be one or more certificates",
    );
  });
}

test("isServersOwn() finds what Deno's own TLS takes for an authority's, although it may be a server's", async () => {
  const [{ cert: own }, { cert: nameless }, { cert: root }] = await Promise.all([
    createSelfSigned(["localhost"]),
    createSelfSigned([]),
    createAuthority(),
  ]);
  assert(isServersOwn(own, "mx.test")); // its names are looked at later
  assert(isServersOwn(nameless, "localhost"));
  assert(!isServersOwn(nameless, "mx.test"));
  assert(!isServersOwn(root, "localhost"));
  assert(!isServersOwn(cert, "localhost")); // no authority's
  assert(isServersOwn(`${root}\n${own}`, "localhost"));
});

test("assertPrivateKey() takes a key, even with its certificate before it", () => {
  assertPrivateKey(key, "key");
  assertPrivateKey(`${cert}\n${key}`, "key");
  assertPrivateKey(key.replaceAll("PRIVATE KEY", "EC PRIVATE KEY"), "key");
});

test("assertPrivateKey() refuses a certificate, a broken key and an encrypted one, and shows none of it", () => {
  const body = key.split("\n")[1]!;
  const broken = key.split("\n").toSpliced(1, 1).join("\n");
  const traditional = key.replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n");
  for (const pem of [cert, broken, key.replaceAll("PRIVATE", "ENCRYPTED PRIVATE"), traditional, "", body]) {
    const error = assertThrows(() => assertPrivateKey(pem, "key"), TypeError, "key must be a private key");
    assert(!(error as Error).message.includes(body.slice(0, 10)));
  }
});

test("assertCertificates() takes no time for a text that only looks like PEM", () => {
  const start = performance.now();
  assertThrows(
    () => assertCertificates("-----BEGIN CERTIFICATE-----".repeat(2_000), "caCerts[0]"),
    TypeError,
  );
  assert(performance.now() - start < 2_000);
});
