import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { encodeBase64 } from "../../src/sasl/base64.ts";
import type { SaslMechanism } from "../../src/sasl/mechanism.ts";
import { Scram, type ScramInit, scramSha1, scramSha256, scramSha512 } from "../../src/sasl/scram.ts";
import { computeProofs } from "../../src/sasl/scram_keys.ts";
import { test } from "../support/unwatched.ts";

const CREDENTIALS = { user: "user", pass: "pencil" };
const channelBinding = { type: "tls-server-end-point", data: new Uint8Array(32) } as const;

async function first(mechanism: SaslMechanism): Promise<string> {
  const { initialResponse } = mechanism;
  assert(typeof initialResponse === "function");
  return new TextDecoder().decode(await initialResponse.call(mechanism));
}

for (
  const [name, make] of [
    ["SCRAM-SHA-1", scramSha1],
    ["SCRAM-SHA-256", scramSha256],
    ["SCRAM-SHA-512", scramSha512],
  ] as const
) {
  test(`${name} makes a nonce of its own each time`, async () => {
    assertEquals(make(CREDENTIALS).name, name);
    const messages = await Promise.all([make(CREDENTIALS), make(CREDENTIALS)].map(first));
    for (const message of messages) assertMatch(message, /^n,,n=user,r=[A-Za-z0-9+/]{24}$/);
    assert(messages[0] !== messages[1]);
  });

  test(`${name}-PLUS names its channel binding, and needs one`, async () => {
    const mechanism = make(CREDENTIALS, { plus: true, channelBinding });
    assertEquals(mechanism.name, `${name}-PLUS`);
    assertMatch(await first(mechanism), /^p=tls-server-end-point,,n=user,r=/);
    assertThrows(() => make(CREDENTIALS, { plus: true }), TypeError, "no channel binding");
  });
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const settings: ScramInit = {
  hash: "SHA-256",
  credentials: { user: "user", pass: "pencil" },
  plus: false,
  channelBinding: undefined,
  nonce: "rOprNGfwEbeRWgbNEkqO",
};
const SERVER_FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

for (
  const { source, hash, clientFirst, serverFirst, clientFinal, serverFinal } of [
    {
      source: "RFC 5802, section 5",
      hash: "SHA-1",
      clientFirst: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
      serverFirst: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
      clientFinal: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
      serverFinal: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    {
      source: "RFC 7677, section 3",
      hash: "SHA-256",
      clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
      serverFirst: SERVER_FIRST,
      clientFinal:
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
    {
      source: "the XMPP wiki, SASL Authentication and SCRAM",
      hash: "SHA-512",
      clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
      serverFirst:
        "r=rOprNGfwEbeRWgbNEkqO02431b08-2f89-4bad-a4e6-80c0564ec865,s=Yin2FuHTt/M0kJWb0t9OI32n2VmOGi3m+JfjOvuDF88=,i=4096",
      clientFinal:
        "c=biws,r=rOprNGfwEbeRWgbNEkqO02431b08-2f89-4bad-a4e6-80c0564ec865,p=Hc5yec3NmCD7t+kFRw4/3yD6/F3SQHc7AVYschRja+Bc3sbdjlA0eH1OjJc0DD4ghn1tnXN5/Wr6qm9xmaHt4A==",
      serverFinal:
        "v=BQuhnKHqYDwQWS5jAw4sZed+C9KFUALsbrq81bB0mh+bcUUbbMPNNmBIupnS2AmyyDnG5CTBQtkjJ9kyY4kzmw==",
    },
  ] as const
) {
  test(`Scram has the dialogue of ${source}, for SCRAM-${hash}`, async () => {
    const nonce = clientFirst.slice("n,,n=user,r=".length);
    const exchange = new Scram({ ...settings, hash, nonce });
    assertEquals(exchange.name, `SCRAM-${hash}`);
    assertEquals(text(await exchange.initialResponse()), clientFirst);
    assertEquals(text(await exchange.respond(bytes(serverFirst))), clientFinal);
    assertEquals(await exchange.respond(bytes(serverFinal)), new Uint8Array());
    exchange.finish();
    assertEquals(exchange.refusal, undefined);
  });

  test(`Scram finds each bit of a wrong signature of SCRAM-${hash}`, async () => {
    const nonce = clientFirst.slice("n,,n=user,r=".length);
    const signature = atob(serverFinal.slice(2));
    for (const at of [0, signature.length - 1]) {
      const exchange = new Scram({ ...settings, hash, nonce });
      await exchange.initialResponse();
      await exchange.respond(bytes(serverFirst));
      const wrong = [...signature];
      wrong[at] = String.fromCharCode(wrong[at]!.charCodeAt(0) ^ 1);
      const final = bytes(`v=${btoa(wrong.join(""))}`);
      await assertRejects(() => exchange.respond(final), Error, "signature is wrong");
      assertThrows(() => exchange.finish(), Error, "signature is missing");
    }
  });
}

for (
  const [name, data, plus, header] of [
    ["no channel binding", undefined, false, "n,,"],
    ["a channel binding and no -PLUS on offer", Uint8Array.of(1, 2, 3), false, "y,,"],
    ["-PLUS", Uint8Array.of(1, 2, 255), true, "p=tls-exporter,,"],
  ] as const
) {
  test(`Scram writes the GS2 header of RFC 5802, section 6, with ${name}`, async () => {
    const channelBinding = data && { type: "tls-exporter" as const, data };
    const exchange = new Scram({ ...settings, plus, channelBinding });
    assertEquals(exchange.name, plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256");
    assertEquals(text(await exchange.initialResponse()), `${header}n=user,r=${settings.nonce}`);
    const response = text(await exchange.respond(bytes(SERVER_FIRST)));
    const bound = encodeBase64(Uint8Array.of(...bytes(header), ...(plus ? data : [])));
    assertEquals(response.split(",")[0], `c=${bound}`);
    // The proof covers the binding.
    const { clientProof } = await computeProofs("SHA-256", {
      password: "pencil",
      salt: Uint8Array.from(atob("W22ZaJ0SNY7soEsUEjb6gQ=="), (char) => char.charCodeAt(0)),
      iterations: 4096,
      authMessage: `n=user,r=${settings.nonce},${SERVER_FIRST},${response.slice(0, response.indexOf(",p="))}`,
    });
    assertEquals(response.split(",p=")[1], encodeBase64(clientProof));
  });
}

test("Scram prepares and escapes the name, and says for whom to act", async () => {
  const credentials = { user: "I\u00adX,=", pass: "p", authzid: "a,b" };
  const exchange = new Scram({ ...settings, credentials });
  assertEquals(text(await exchange.initialResponse()), `n,a=a=2Cb,n=IX=2C=3D,r=${settings.nonce}`);
});

test("Scram prepares the password", async () => {
  const responses = await Promise.all(["\u2168", "IX"].map(async (pass) => {
    const exchange = new Scram({ ...settings, credentials: { user: "user", pass } });
    await exchange.initialResponse();
    return await exchange.respond(bytes(SERVER_FIRST));
  }));
  assertEquals(responses[0], responses[1]);
});

test("Scram refuses a password without a prepared form before anything is said", async () => {
  const exchange = new Scram({ ...settings, credentials: { user: "user", pass: "\u0627\u0031" } });
  await assertRejects(() => exchange.initialResponse(), TypeError, "the password");
});

test("Scram takes a refusal in the first and in the last message", async () => {
  for (const first of [[], [SERVER_FIRST]]) {
    const exchange = new Scram(settings);
    await exchange.initialResponse();
    for (const message of first) await exchange.respond(bytes(message));
    assertEquals(await exchange.respond(bytes("e=unknown-user")), new Uint8Array());
    assertEquals(exchange.refusal, "unknown-user");
    assertThrows(() => exchange.finish(), Error, "signature is missing");
    await assertRejects(() => exchange.respond(new Uint8Array()), Error, "not waiting");
  }
});

test("Scram takes a signature only after its proof", async () => {
  const exchange = new Scram(settings);
  await exchange.initialResponse();
  // An empty signature would equal the one that is not computed yet.
  await assertRejects(() => exchange.respond(bytes("v=")), Error, "no nonce");
  assertThrows(() => exchange.finish(), Error, "signature is missing");
});

test("Scram refuses an empty signature", async () => {
  const exchange = new Scram(settings);
  await exchange.initialResponse();
  await exchange.respond(bytes(SERVER_FIRST));
  await assertRejects(() => exchange.respond(bytes("v=")), Error, "signature is wrong");
});

test("Scram refuses a challenge before its first message and one that is not UTF-8", async () => {
  const exchange = new Scram(settings);
  await assertRejects(() => exchange.respond(bytes(SERVER_FIRST)), Error, "not waiting");
  await exchange.initialResponse();
  await assertRejects(() => exchange.respond(Uint8Array.of(0xff)), Error, "not UTF-8");
});
