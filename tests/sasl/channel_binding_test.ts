import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { tlsServerEndPoint } from "../../src/sasl/channel_binding.ts";
import { createAuthority } from "../support/certificates.ts";
import { test } from "../support/unwatched.ts";

test("tlsServerEndPoint() hashes the certificate as its signature does", async () => {
  const { cert } = await (await createAuthority()).issue();
  const certificate = new X509Certificate(cert);
  const binding = await tlsServerEndPoint(certificate.raw);
  assert(binding !== undefined);
  assertEquals(binding.type, "tls-server-end-point");
  assertEquals(
    Buffer.from(binding.data).toString("hex"),
    certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
  );
});

test("tlsServerEndPoint() gives nothing for Ed25519, for which RFC 5929 defines nothing", async () => {
  // openssl req -x509 -newkey ed25519 -nodes -subj /CN=x -days 36500 -outform DER | base64
  const certificate = Uint8Array.from(
    atob(
      "MIIBLjCB4aADAgECAhRpSQ0eE+Tvj0/MShkLK2vEjaSPHDAFBgMrZXAwDDEKMAgGA1UEAwwBeDAgFw0yNjExMjIwNTIzNTRaGA8yMTI2MTAyOTA1MjM1NFowDDEKMAgGA1UEAwwBeDAqMAUGAytlcAMhAH7Zd5ZOx97qbdS03dPbNvXSuP+3HU/i6arZ/HvugRp8o1MwUTAdBgNVHQ4EFgQU8S3Oqj6cVSr5/imQ4YohiTTcZNIwHwYDVR0jBBgwFoAU8S3Oqj6cVSr5/imQ4YohiTTcZNIwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQCyYZtpbdFGQWrdUU/k8xaRS/TXN39O144n2ps90my+ipYiLPvHrmFZMMAF+RPszchbV6ORpWKVZlCHtEvTzLAE",
    ),
    (char) => char.charCodeAt(0),
  );
  assertEquals(await tlsServerEndPoint(certificate), undefined);
});

test("tlsServerEndPoint() refuses what is not a certificate", async () => {
  await assertRejects(() => tlsServerEndPoint(new Uint8Array(10)), SyntaxError, "not DER");
});
