import { harakaMissing, startHaraka } from "../support/haraka.ts";
import { testPeer } from "../support/peer_suite.ts";

testPeer({
  name: "Haraka",
  missing: harakaMissing(),
  start: startHaraka,
  starttls: 0,
  tls: 1,
});
