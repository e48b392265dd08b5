/**
 * Postfix's smtp-sink: accepts everything as fast as it comes, and writes it to files.
 *
 * Port: SMTP with PIPELINING, without STARTTLS.
 * @module
 */
import { join } from "node:path";
import { makeFolders, type PeerServer, startPeer } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** Returns why smtp-sink cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function smtpSinkMissing(): string | undefined {
  return peerMissing("smtp-sink", { programs: ["smtp-sink", "setsid"], root: true });
}

/**
 * Starts smtp-sink and waits until it accepts connections.
 * @param options More options for its command line.
 */
export function startSmtpSink(...options: string[]): Promise<PeerServer> {
  return startPeer({
    name: "smtp-sink",
    ports: 1,
    layOut({ folder, ports }) {
      makeFolders("nobody", join(folder, "mail"));
      return {
        command: [
          "smtp-sink",
          ...options,
          "-u",
          "nobody",
          "-d",
          join(folder, "mail/m."),
          `127.0.0.1:${ports[0]}`,
          "512",
        ],
        mail: join(folder, "mail"),
      };
    },
  });
}
