import { eximMissing, startExim } from "../support/exim.ts";
import { testPeer } from "../support/peer_suite.ts";

testPeer({ name: "Exim", missing: eximMissing(), start: startExim, starttls: 0, tls: 1 });
