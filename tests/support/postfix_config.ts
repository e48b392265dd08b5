/**
 * The folder that our Postfix runs in: configuration, queue, users.
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KeyPair } from "./certificates.ts";

/** Postfix's main process, where Debian keeps it. */
export const MASTER = "/usr/lib/postfix/sbin/master";

/** Where delivered messages are, below the folder: all in one, whoever they are for. */
export const MAILDIR = "mail/all/new";

/** Where accepted mail waits, below the folder. */
export const QUEUES: readonly string[] = ["maildrop", "incoming", "active", "deferred"].map((name) =>
  `spool/${name}`
);

/** What is known before Postfix starts. */
export interface PostfixSettings {
  /** Ports for SMTP with STARTTLS, for implicit TLS, and for SMTP that requires STARTTLS. */
  ports: readonly number[];
  /** The server's certificate. */
  certificate: KeyPair;
  /** The certificate that signed it, PEM. */
  ca: string;
  /** The user that may log in: name, `@`, realm. */
  user: string;
  /** The user's password. */
  pass: string;
  /** More lines of `main.cf`; they override those in the file. */
  configuration: string;
  /** The socket of a `saslauthd` that PLAIN and LOGIN ask. Default: they look into the file of users. */
  saslauthd: string | undefined;
}

/**
 * Fills the folder as Postfix wants it. Its own `postfix check` would make the queue too, and sleep two seconds.
 * @param folder An empty folder.
 */
export function layOutPostfix(folder: string, settings: PostfixSettings): void {
  const { ports, certificate, ca, user, pass } = settings;
  const postfix = lookUp("/etc/passwd", "postfix");
  const postdrop = lookUp("/etc/group", "postdrop");
  const nobody = lookUp("/etc/passwd", "nobody");
  const make = (path: string, owner: number, mode: number, group = 0) => {
    mkdirSync(join(folder, path), { recursive: true });
    chownSync(join(folder, path), owner, group);
    chmodSync(join(folder, path), mode);
  };
  make("", 0, 0o755); // Postfix's processes drop root and must still get in
  for (const path of ["etc", "etc/sasl", "spool", "spool/pid"]) make(path, 0, 0o755);
  make("lib", postfix, 0o700);
  make("mail", nobody, 0o700);
  for (
    const name of ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private"]
  ) {
    make(`spool/${name}`, postfix, 0o700);
  }
  for (const name of ["saved", "trace"]) make(`spool/${name}`, postfix, 0o700);
  make("spool/maildrop", postfix, 0o730, postdrop);
  make("spool/public", postfix, 0o710, postdrop);

  const configure = (path: string, content: string) => {
    writeFileSync(join(folder, path), content);
    // Postfix reads a file that has just changed again and again for two seconds, in case something still writes to it.
    utimesSync(join(folder, path), 0, 0);
  };
  configure("etc/main.cf", mainConfiguration(folder, nobody) + settings.configuration);
  configure("etc/master.cf", masterConfiguration(ports));
  writeFileSync(join(folder, "etc/sasl/smtpd.conf"), saslConfiguration(folder, settings.saslauthd));
  writeFileSync(join(folder, "etc/ca.pem"), ca);
  writeFileSync(join(folder, "etc/server.pem"), certificate.cert);
  writeFileSync(join(folder, "etc/server.key"), certificate.key, { mode: 0o600 });

  const [name = "", realm = ""] = user.split("@");
  const users = join(folder, "users.db");
  const { status, stderr } = spawnSync("saslpasswd2", ["-p", "-c", "-f", users, "-u", realm, name], {
    input: pass,
  });
  if (status !== 0) throw new Error(`saslpasswd2 ended with ${status}: ${stderr}`);
  chownSync(users, postfix, 0);
}

function lookUp(file: string, name: string): number {
  const line = readFileSync(file, "utf8").split("\n").find((line) => line.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`${file} has no ${name}`);
  return Number(line.split(":")[2]);
}

function mainConfiguration(folder: string, nobody: number): string {
  return `compatibility_level = 3.6
queue_directory = ${folder}/spool
data_directory = ${folder}/lib
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${folder}/maillog
maillog_file_prefixes = ${folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test
mydomain = test
mydestination =
local_recipient_maps =
local_transport = error:no local
alias_maps =
alias_database =
default_database_type = hash
virtual_mailbox_domains = example.org, example.com, xn--bcher-kva.example
virtual_mailbox_base = ${folder}/mail
virtual_mailbox_maps = static:all/
virtual_minimum_uid = 1
virtual_uid_maps = static:${nobody}
virtual_gid_maps = static:${nobody}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 209715200
mynetworks = 127.0.0.0/8
# What is sent is what is delivered: no header is added or completed.
local_header_rewrite_clients =
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access inline:{
  {reject@example.org = 550 5.1.1 no such user} {defer@example.org = 450 4.2.1 try later} }, permit_mynetworks
smtpd_client_connection_rate_limit = 0
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_authorized_xforward_hosts = 127.0.0.0/8
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${folder}/etc/server.pem
smtpd_tls_key_file = ${folder}/etc/server.key
smtpd_tls_CAfile = ${folder}/etc/ca.pem
smtpd_tls_auth_only = no
smtpd_tls_session_cache_database =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = ${folder}/etc/sasl
smtpd_sasl_security_options = noanonymous
smtputf8_enable = yes
`;
}

function masterConfiguration([plain, tls, requiredTls]: readonly number[]): string {
  return `127.0.0.1:${plain} inet n - n - - smtpd
127.0.0.1:${tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:${requiredTls} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_tls_auth_only=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
relay unix - - n - - smtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;
}

function saslConfiguration(folder: string, saslauthd: string | undefined): string {
  const method = saslauthd === undefined ? "auxprop" : `saslauthd\nsaslauthd_path: ${saslauthd}`;
  return `pwcheck_method: ${method}
auxprop_plugin: sasldb
sasldb_path: ${folder}/users.db
mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512 ANONYMOUS
`;
}
