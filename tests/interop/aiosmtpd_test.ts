import { aiosmtpdMissing, startAiosmtpd } from "../support/aiosmtpd.ts";
import { testPeer } from "../support/peer_suite.ts";

testPeer({ name: "aiosmtpd", missing: aiosmtpdMissing(), start: startAiosmtpd, starttls: 0 });
