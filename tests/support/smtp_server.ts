/**
 * Starts smtp-server, the server module of nodemailer's author.
 *
 * Ports: SMTP with STARTTLS and AUTH, the same with implicit TLS. It answers `reject@…` with 550.
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PASS, PEERS_FOLDER, type PeerServer, startPeer, USER } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

const MODULE = `${PEERS_FOLDER}npm/node_modules/smtp-server`;

/** Returns why smtp-server cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function smtpServerMissing(): string | undefined {
  return peerMissing("smtp-server", { programs: ["node", "setsid"], files: [`${MODULE}/package.json`] });
}

/** Starts smtp-server and waits until it accepts connections. */
export function startSmtpServer(): Promise<PeerServer> {
  return startPeer({
    name: "smtp-server",
    ports: 2,
    layOut({ folder, ports, certificate, key }) {
      mkdirSync(join(folder, "mail"));
      const program = fileURLToPath(new URL("smtp_server_main.cjs", import.meta.url));
      const settings = { module: MODULE, ports, certificate, key, folder, user: USER, pass: PASS };
      return {
        command: ["node", program, JSON.stringify(settings)],
        mail: join(folder, "mail"),
      };
    },
  });
}
