import { assertEquals } from "@std/assert";
import { SmtpClient } from "../../mod.ts";
import { aiosmtpdMissing, startAiosmtpd } from "../support/aiosmtpd.ts";
import { test } from "../support/harness.ts";
import { peerOptions, testPeer } from "../support/peer_suite.ts";

const missing = aiosmtpdMissing();

testPeer({ name: "aiosmtpd", missing, start: startAiosmtpd, starttls: 0 });

test(
  "aiosmtpd: what it repeats of a login as an unknown command, in capitals, is masked",
  { skip: missing },
  async () => {
    await using peer = await startAiosmtpd();
    await using client = await SmtpClient.connect(peerOptions(peer, "starttls", 0));
    assertEquals(client.authenticated, true);
    for (
      const line of [peer.pass, btoa(`\0${peer.user}\0${peer.pass}`), btoa(`x${peer.pass}`).slice(0, -5)]
    ) {
      const reply = await client.command(line);
      assertEquals(reply.toString(), "500 Error: command ******** not recognized");
    }
  },
);
