import { assertEquals } from "@std/assert";
import { SmtpClient } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { openSmtpdMissing, startOpenSmtpd } from "../support/opensmtpd.ts";
import { peerOptions, testPeer } from "../support/peer_suite.ts";
import { rejectsWith } from "../support/rejects_with.ts";

testPeer({
  name: "OpenSMTPD",
  missing: openSmtpdMissing(),
  start: startOpenSmtpd,
  refused: "reject@elsewhere.example",
});

// Debian 12's OpenSMTPD says 220 to STARTTLS and crashes in the handshake.
test("OpenSMTPD: STARTTLS fails after 220", { skip: openSmtpdMissing() }, async () => {
  await using peer = await startOpenSmtpd();
  const commands: string[] = [];
  const error = await rejectsWith("tls-failed", () =>
    SmtpClient.connect({
      ...peerOptions(peer, "starttls", 0),
      trace: (event) => {
        if (event.type === "command") commands.push(event.line);
      },
    }));
  assertEquals([error.phase, error.outcome, error.usable], ["starttls", "not-sent", false]);
  assertEquals(commands, ["EHLO client.test", "STARTTLS"]);
});
