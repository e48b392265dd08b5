/**
 * Starts aiosmtpd, Python's SMTP server, without PIPELINING.
 *
 * Port: SMTP with STARTTLS and AUTH. It answers `reject@…` with 550.
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PASS, type PeerServer, startPeer, USER } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** Debian's Python: no other has its modules. */
const PYTHON = "/usr/bin/python3";
const MODULE = "/usr/lib/python3/dist-packages/aiosmtpd/smtp.py";

/** Returns why aiosmtpd cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function aiosmtpdMissing(): string | undefined {
  return peerMissing("aiosmtpd", { programs: [PYTHON, "setsid"], files: [MODULE] });
}

/** Starts aiosmtpd and waits until it accepts connections. */
export function startAiosmtpd(): Promise<PeerServer> {
  return startPeer({
    name: "aiosmtpd",
    ports: 1,
    layOut({ folder, ports, certificate, key }) {
      mkdirSync(join(folder, "mail"));
      const program = fileURLToPath(new URL("aiosmtpd_server.py", import.meta.url));
      return {
        command: [PYTHON, program, `${ports[0]}`, certificate, key, join(folder, "mail"), USER, PASS],
        mail: join(folder, "mail"),
      };
    },
  });
}
