import { assertEquals } from "@std/assert";
import { SmtpClient, type SmtpClientOptions } from "../../mod.ts";
import type { SaslContext } from "../../src/sasl/mechanism.ts";
import { scramSha256 } from "../../src/sasl/scram.ts";
import { cyrusScramMissing, startCyrusScram } from "../support/cyrus_scram.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

/** Logs in, and returns the mechanism's name. */
async function logIn(options: SmtpClientOptions): Promise<string> {
  let mechanism = "";
  const trace: SmtpClientOptions["trace"] = (event) => {
    if (event.type === "state" && event.state === "authenticated") mechanism = event.detail;
  };
  await using _ = await SmtpClient.connect({ ...options, trace });
  return mechanism;
}

test("Cyrus SASL: SCRAM-SHA-256-PLUS logs in over its own connection, and over no other", {
  skip: cyrusScramMissing(),
}, async () => {
  await using server = await startCyrusScram();
  const { user, pass } = server;
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: server.ports[0]!,
    tls: { caCerts: [server.ca], peerCertificate: true },
    clientName: "client.test",
    auth: { user, pass },
  };
  assertEquals(await logIn(options), "SCRAM-SHA-256-PLUS");
  await rejectsWith("auth-failed", () => logIn({ ...options, auth: { user, pass: "not the password" } }));
  assertEquals(
    await logIn({ ...options, auth: { user, pass, mechanisms: ["SCRAM-SHA-256"] } }),
    "SCRAM-SHA-256",
  );

  // A man in the middle has another certificate: the client binds to that one.
  const channelBinding = { type: "tls-server-end-point", data: new Uint8Array(32) } as const;
  const mechanism = () => scramSha256({ user, pass }, { plus: true, channelBinding });
  await rejectsWith("auth-failed", () => logIn({ ...options, auth: { mechanism } }));

  // A man in the middle has hidden -PLUS: a client that supports it says so, and the server notices.
  const downgraded = ({ channelBinding }: SaslContext) => scramSha256({ user, pass }, { channelBinding });
  await rejectsWith("auth-failed", () => logIn({ ...options, auth: { mechanism: downgraded } }));
});
