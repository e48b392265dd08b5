/**
 * Starts Dovecot: LMTP, and submission that relays to another server.
 *
 * Ports: LMTP with STARTTLS, submission with STARTTLS and AUTH, submission with implicit TLS. LMTP answers `reject@…`
 * with 550 at RCPT and `broken@…` with 451 at the end of the message.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dovecotConfiguration } from "./dovecot_config.ts";
import { makeFolders, PASS, type PeerServer, startPeer } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** A running Dovecot. */
export interface Dovecot extends PeerServer {
  /** The path of the unix socket for LMTP. */
  readonly lmtpPath: string;
}

/** Returns why Dovecot cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function dovecotMissing(): string | undefined {
  return peerMissing("Dovecot", {
    programs: ["/usr/sbin/dovecot", "/usr/lib/dovecot/lmtp", "/usr/lib/dovecot/submission", "setsid"],
    root: true,
  });
}

/**
 * Starts Dovecot and waits until it accepts connections.
 * @param relayPort Where submission relays to. Default: nowhere.
 */
export async function startDovecot(relayPort = 25): Promise<Dovecot> {
  const server = await startPeer({
    name: "Dovecot",
    ports: 3,
    layOut({ folder, ports, certificate, key }) {
      makeFolders("nobody", join(folder, "mail"));
      const path = join(folder, "dovecot.conf");
      const [lmtpPort, submissionPort, submissionsPort] = ports as [number, number, number];
      writeFileSync(
        path,
        dovecotConfiguration({
          folder,
          certificate,
          key,
          protocols: "lmtp submission",
          relayPort,
          submissionPort,
          submissionsPort,
          more: usersAndMail(folder, lmtpPort),
        }),
      );
      writeFileSync(join(folder, "refused"), "reject@example.org:::::::\nreject@example.com:::::::\n");
      writeFileSync(
        join(folder, "broken"),
        "broken@example.org:::::::userdb_mail=maildir:/proc/none\nbroken@example.com:::::::userdb_mail=maildir:/proc/none\n",
      );
      return {
        command: ["/usr/sbin/dovecot", "-F", "-c", path],
        logs: [join(folder, "log")],
        mail: join(folder, "mail"),
        each: "Maildir/new",
        sockets: [join(folder, "base/lmtp")],
      };
    },
  });
  return { ...server, lmtpPath: join(server.folder, "base/lmtp") };
}

/** Everyone may log in and gets mail, except the users in two files. */
function usersAndMail(folder: string, lmtpPort: number): string {
  return `disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256
passdb {
  driver = static
  args = password={PLAIN}${PASS}
}
userdb {
  driver = passwd-file
  args = ${folder}/refused
  result_success = return-fail
}
userdb {
  driver = passwd-file
  args = ${folder}/broken
  default_fields = uid=nobody gid=nogroup home=${folder}/mail
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/mail/%u allow_all_users=yes
}
mail_location = maildir:~/Maildir
mail_fsync = never
submission_max_mail_size = 200M
submission_max_recipients = 0
lmtp_user_concurrency_limit = 0
lmtp_rcpt_check_quota = no
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${lmtpPort}
  }
  unix_listener lmtp {
    mode = 0666
  }
}
`;
}
