/**
 * A Dovecot of one's own: LMTP, and submission that relays to another server.
 *
 * Ports: LMTP with STARTTLS, submission with STARTTLS and AUTH, submission with implicit TLS. LMTP answers `reject@…`
 * with 550 at RCPT and `broken@…` with 451 at the end of the message.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolders, PASS, type PeerServer, startPeer } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** A Dovecot that runs. */
export interface Dovecot extends PeerServer {
  /** The path of the unix socket for LMTP. */
  readonly lmtpPath: string;
}

/** Says why Dovecot cannot be started here; `undefined` where it can. Throws instead with `SMTP_PEERS=required`. */
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
      writeFileSync(path, configuration(folder, ports, certificate, key, relayPort));
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

function configuration(
  folder: string,
  [lmtp, submission, submissions]: readonly number[],
  certificate: string,
  key: string,
  relayPort: number,
): string {
  return `base_dir = ${folder}/base
state_dir = ${folder}/state
log_path = ${folder}/log
protocols = lmtp submission
listen = 127.0.0.1
hostname = mx.test
default_login_user = dovenull
default_internal_user = dovecot
ssl = yes
ssl_cert = <${certificate}
ssl_key = <${key}
ssl_ca =
disable_plaintext_auth = no
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
first_valid_uid = 1
submission_relay_host = 127.0.0.1
submission_relay_port = ${relayPort}
submission_max_mail_size = 200M
submission_max_recipients = 0
lmtp_user_concurrency_limit = 0
lmtp_rcpt_check_quota = no
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${lmtp}
  }
  unix_listener lmtp {
    mode = 0666
  }
}
service submission-login {
  chroot =
  inet_listener submission {
    port = ${submission}
  }
  inet_listener submissions {
    port = ${submissions}
    ssl = yes
  }
}
service anvil {
  chroot =
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
`;
}
