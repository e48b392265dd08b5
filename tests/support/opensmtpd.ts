/**
 * Starts OpenSMTPD. It is not installed but unpacked, because Debian lets only one mail server be installed at a time.
 *
 * Port: SMTP with STARTTLS and AUTH. It answers recipients that are not at `example.org` or `example.com` with 550.
 * @module
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolders, PEERS_FOLDER, type PeerServer, startPeer, USER } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

const ROOT = `${PEERS_FOLDER}opensmtpd`;

/** "open-sesame", as crypt(3) has it. */
const HASH =
  "$6$smtpsmtp$mcQhVdmd7XQyWrgVVyIfjYKJ4qHhPMF4.J4wLwELCZwz45owwH09APOKpEeqs7O0uq.QMujXZHQPXELZ6/xVh.";

/** Returns why OpenSMTPD cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function openSmtpdMissing(): string | undefined {
  return peerMissing("OpenSMTPD", {
    programs: [`${ROOT}/usr/sbin/smtpd`, "setsid", "unshare", "mount", "bash"],
    users: ["opensmtpd", "opensmtpq"],
    root: true,
  });
}

/** Starts OpenSMTPD and waits until it accepts connections. */
export function startOpenSmtpd(): Promise<PeerServer> {
  return startPeer({
    name: "OpenSMTPD",
    ports: 1,
    // 6.8 on OpenSSL 3 cannot use a key on an elliptic curve.
    certificate: { algorithm: "RSA" },
    layOut({ folder, ports, certificate, key }) {
      makeFolders("nobody", join(folder, "mail"));
      mkdirSync(join(folder, "var-spool/smtpd"), { recursive: true });
      chmodSync(join(folder, "var-spool/smtpd"), 0o711);
      const path = join(folder, "smtpd.conf");
      writeFileSync(path, configuration(folder, ports[0]!, certificate, key));
      writeFileSync(join(folder, "start.sh"), startScript(folder, path));
      return {
        command: ["unshare", "--mount", "bash", join(folder, "start.sh")],
        mail: join(folder, "mail/new"),
        queues: [join(folder, "var-spool/smtpd/queue"), join(folder, "var-spool/smtpd/incoming")],
      };
    },
  });
}

function configuration(folder: string, port: number, certificate: string, key: string): string {
  return `pki mx.test cert "${certificate}"
pki mx.test key "${key}"
table creds { "${USER}" = "${HASH}" }
table vusers { "@" = "nobody" }
smtp max-message-size "200M"
smtp limit max-mails 1000000
listen on 127.0.0.1 port ${port} tls pki mx.test auth-optional <creds> hostname mx.test
action "deliver" maildir "${folder}/mail" virtual <vusers>
match for domain { "example.org", "example.com" } from any action "deliver"
`;
}

/** The paths of its queue, its socket and its helpers are compiled in: it gets its own view of the file system. */
function startScript(folder: string, configuration: string): string {
  return `set -e
mount --make-rprivate /
mount --bind "${folder}/var-spool" /var/spool
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p -m 755 /var/lib/opensmtpd/empty
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "${ROOT}/usr/libexec" /usr/libexec
exec "${ROOT}/usr/sbin/smtpd" -d -f "${configuration}"
`;
}
