/**
 * The adapter for Cloudflare Workers as the conformance suite sees it: what the platform cannot do, and does not report. It is
 * read on both sides, so that Node knows the names of the tests that workerd runs.
 * @module
 */
import { connect } from "../../src/sockets/connect.ts";
import type { Adapter } from "../sockets/conformance/suite.ts";

/** The adapter under test in workerd. */
export const workersAdapter: Adapter = {
  name: "connect() on workerd",
  connect,
  refuses: [
    "path",
    "tls.caCerts",
    "tls.fingerprints",
    "tls.cert",
    "tls.alpnProtocols",
    "tls.serverName",
    "tls.verify",
  ],
  indistinct: { connecting: "network", on: "network", starttls: "tls-failed" },
  hidesAddresses: true,
  separateTls: true,
  opensBeforeHandshake: true,
  takesCutForEnd: true,
  losesReleasedWrites: true,
  // A connection that is closed while "on" opens stays open until its peer ends it, or the request is over.
  lingersInHandshake: true,
};
