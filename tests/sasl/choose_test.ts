import { assertEquals, assertThrows } from "@std/assert";
import { createMechanism, mechanismsFor } from "../../src/sasl/choose.ts";
import type { Credentials, SaslContext } from "../../src/sasl/mechanism.ts";
import { test } from "../support/unwatched.ts";

const channelBinding = { type: "tls-exporter", data: new Uint8Array(32) } as const;
const CONTEXT: SaslContext = { offered: [], hostname: "mx.test", port: 587, channelBinding };
const PASSWORD = { user: "user", pass: "pencil" };
const TOKEN = { user: "user", accessToken: "token" };

const SCRAM = [
  ...["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"],
  ...["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"],
];

test("mechanismsFor() names those first that are tied to the connection, and CRAM-MD5 last under verified TLS", () => {
  assertEquals(mechanismsFor(PASSWORD), [...SCRAM, "PLAIN", "LOGIN", "CRAM-MD5"]);
  assertEquals(mechanismsFor(PASSWORD, "verified"), mechanismsFor(PASSWORD));
  assertEquals(mechanismsFor(TOKEN), ["OAUTHBEARER", "XOAUTH2"]);
  assertEquals(mechanismsFor({ external: true }), ["EXTERNAL"]);
  assertEquals(mechanismsFor({ anonymous: "" }), ["ANONYMOUS"]);
});

for (const protection of ["unverified", "none"] as const) {
  test(`mechanismsFor() names those last that hand the password over, where the protection is ${protection}`, () => {
    assertEquals(mechanismsFor(PASSWORD, protection), [...SCRAM, "CRAM-MD5", "PLAIN", "LOGIN"]);
    assertEquals(mechanismsFor({ ...PASSWORD, authzid: "other" }, protection), [...SCRAM, "PLAIN"]);
    assertEquals(mechanismsFor(TOKEN, protection), mechanismsFor(TOKEN));
  });
}

test("mechanismsFor() leaves out what cannot say for whom to act", () => {
  const names = mechanismsFor({ ...PASSWORD, authzid: "other" });
  assertEquals(names.includes("PLAIN") && names.includes("SCRAM-SHA-256"), true);
  assertEquals(names.includes("LOGIN") || names.includes("CRAM-MD5"), false);
  assertEquals(mechanismsFor({ ...PASSWORD, authzid: "" }), mechanismsFor(PASSWORD));
});

for (
  const credentials of [PASSWORD, TOKEN, { external: true as const }, { anonymous: "x" }] as Credentials[]
) {
  for (const name of mechanismsFor(credentials)) {
    test(`createMechanism() makes ${name}`, () => {
      assertEquals(createMechanism(name, credentials, CONTEXT).name, name);
    });
  }
}

test("createMechanism() gives each mechanism what it needs", async () => {
  const first = async (name: string, credentials: Credentials, context: SaslContext = CONTEXT) => {
    const mechanism = createMechanism(name, credentials, context);
    const { initialResponse = new Uint8Array() } = mechanism;
    const response = typeof initialResponse === "function" ? await initialResponse() : initialResponse;
    return new TextDecoder().decode(response).replace(/r=.*/, "");
  };
  assertEquals(await first("SCRAM-SHA-1-PLUS", PASSWORD), "p=tls-exporter,,n=user,");
  assertEquals(await first("SCRAM-SHA-1", PASSWORD), "y,,n=user,");
  assertEquals(await first("SCRAM-SHA-1", PASSWORD, { offered: [] }), "n,,n=user,");
  assertEquals(
    await first("OAUTHBEARER", TOKEN),
    "n,a=user,\x01host=mx.test\x01port=587\x01auth=Bearer token\x01\x01",
  );
  assertEquals(await first("EXTERNAL", { external: "other" }), "other");
  assertEquals(await first("EXTERNAL", { external: true }), "");
  assertEquals(await first("ANONYMOUS", { anonymous: "trace" }), "trace");
  assertEquals(await first("PLAIN", { ...PASSWORD, authzid: "other" }), "other\0user\0pencil");
});

test("createMechanism() refuses what does not take such credentials", () => {
  assertThrows(() => createMechanism("PLAIN", TOKEN, CONTEXT), RangeError, "PLAIN");
  assertThrows(() => createMechanism("DIGEST-MD5", PASSWORD, CONTEXT), RangeError, "DIGEST-MD5");
  assertThrows(() => createMechanism("SCRAM-SHA-1-PLUS", PASSWORD, { offered: [] }), TypeError, "binding");
});
