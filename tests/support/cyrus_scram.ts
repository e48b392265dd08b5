/**
 * aiosmtpd with the Cyrus SASL library: no server that Debian has offers SCRAM with -PLUS over SMTP, but the library that
 * most of them log in with does it.
 *
 * Port: SMTP with STARTTLS, TLS 1.2, and after it SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, bound by `tls-server-end-point`.
 * @module
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { aiosmtpdMissing } from "./aiosmtpd.ts";
import { PASS, type PeerServer, startPeer, USER } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** Returns why it cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function cyrusScramMissing(): string | undefined {
  return aiosmtpdMissing() ??
    peerMissing("Cyrus SASL", { programs: ["saslpasswd2"], saslPlugins: ["scram", "sasldb"] });
}

/** Starts it and waits until it accepts connections. */
export function startCyrusScram(): Promise<PeerServer> {
  return startPeer({
    name: "Cyrus SASL",
    ports: 1,
    layOut({ folder, ports, certificate, key }) {
      const users = join(folder, "users.db");
      const { status, stderr } = spawnSync("saslpasswd2", ["-p", "-c", "-f", users, "-u", "mx.test", USER], {
        input: PASS,
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(`saslpasswd2 ended with ${status}: ${stderr}`);
      const program = fileURLToPath(new URL("cyrus_scram_server.py", import.meta.url));
      return {
        command: ["/usr/bin/python3", program, `${ports[0]}`, certificate, key, users],
        mail: folder, // it keeps no mail
      };
    },
  });
}
