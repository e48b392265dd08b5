/**
 * Starts Exim. It is not installed but unpacked, because Debian lets only one mail server be installed at a time.
 *
 * Ports: SMTP with STARTTLS and AUTH, the same with implicit TLS. It answers `reject@…` with 550 and `defer@…` with 450,
 * `refused@…` as a sender with 550, and a message with a header `X-Refuse` with 550 at its end.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { giveTo, makeFolders, PASS, PEERS_FOLDER, type PeerServer, startPeer, USER } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

const EXIM = `${PEERS_FOLDER}exim4-daemon-light/usr/sbin/exim4`;

/** Who may log in with PLAIN and LOGIN alone, with the same password: CRAM-MD5 has no secret of this user. */
export const HASHED_USER = "hashed";

/** Returns why Exim cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function eximMissing(): string | undefined {
  return peerMissing("Exim", { programs: [EXIM, "setsid"], users: ["Debian-exim"], root: true });
}

/**
 * Starts Exim and waits until it accepts connections.
 * @param maxNonMail How many commands that belong to no message it takes in a session, before it closes with 554. An RSET
 * before each message that it receives is free, one after a transaction without a message is not. Exim's default: 10.
 * @param more Further lines of the main configuration. One for `tls_advertise_hosts` or
 * `smtp_accept_max_per_connection` takes the place of ours.
 */
export function startExim(maxNonMail = 100_000, more = ""): Promise<PeerServer> {
  return startPeer({
    name: "Exim",
    ports: 2,
    layOut({ folder, ports, certificate, key }) {
      makeFolders("nobody", join(folder, "spool"), join(folder, "mail"), join(folder, "log"));
      giveTo("nobody", key);
      const path = join(folder, "exim.conf");
      writeFileSync(path, configuration(folder, ports, certificate, key, maxNonMail, more));
      return {
        command: [EXIM, "-C", path, "-bdf"],
        logs: [join(folder, "log/mainlog"), join(folder, "log/rejectlog"), join(folder, "log/paniclog")],
        mail: join(folder, "mail/new"),
        queues: [join(folder, "spool/input")],
      };
    },
  });
}

function configuration(
  folder: string,
  ports: readonly number[],
  certificate: string,
  key: string,
  maxNonMail: number,
  more: string,
): string {
  return `exim_path = ${EXIM}
exim_user = nobody
exim_group = nogroup
never_users =
deliver_drop_privilege = true
primary_hostname = mx.test
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
pid_file_path = ${folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${ports.join(" : ")}
tls_on_connect_ports = ${ports[1]}
${more.includes("tls_advertise_hosts") ? "" : "tls_advertise_hosts = *"}
tls_certificate = ${certificate}
tls_privatekey = ${key}
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
host_lookup =
rfc1413_hosts =
pipelining_connect_advertise_hosts = *
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
prdr_enable = true
smtp_accept_max = 100
${more.includes("smtp_accept_max_per_connection") ? "" : "smtp_accept_max_per_connection = 0"}
smtp_accept_max_nonmail = ${maxNonMail}
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
message_size_limit = 200M
keep_environment =
${more}begin acl
acl_mail:
  deny message = no such sender
       condition = \${if match_local_part{$sender_address_local_part}{refused}}
  accept
acl_rcpt:
  deny message = no such user
       local_parts = reject
  defer message = try later
        local_parts = defer
  accept
acl_data:
  deny message = not this message
       condition = \${if def:header_x-refuse:}
  accept
begin routers
everybody:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = ${folder}/mail
  maildir_format
  create_directory
  return_path_add
  envelope_to_add
  user = nobody
  group = nogroup
begin retry
* * F,1h,10m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if and{{inlist{$auth2}{${USER}:${HASHED_USER}}}{eq{$auth3}{${PASS}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = "Username:: : Password::"
  server_condition = \${if and{{inlist{$auth1}{${USER}:${HASHED_USER}}}{eq{$auth2}{${PASS}}}}}
  server_set_id = $auth1
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = $tls_in_certificate_verified
  server_param2 = \${certextract {subject,CN}{$tls_in_peercert}}
  server_condition = \${if def:auth2}
  server_set_id = $auth2
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${if eq{$auth1}{${USER}}{${PASS}}fail}
  server_set_id = $auth1
`;
}
