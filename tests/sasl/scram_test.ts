import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { SaslMechanism } from "../../src/sasl/mechanism.ts";
import { scramSha1, scramSha256, scramSha512 } from "../../src/sasl/scram.ts";
import { test } from "../support/harness.ts";

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
