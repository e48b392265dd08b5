/**
 * The configuration that all our Dovecots share.
 * @module
 */

/** What differs between them. */
export interface DovecotSetting {
  /** Its folder. */
  folder: string;
  /** The paths of its certificate and the key. */
  certificate: string;
  key: string;
  /** Its protocols, such as `"lmtp submission"`. */
  protocols: string;
  /** Where submission relays to. */
  relayPort: number;
  /** Ports of submission: with STARTTLS, with TLS from the first byte. */
  submissionPort: number;
  submissionsPort?: number;
  /** Everything else. */
  more: string;
}

/** Writes the configuration. No login waits because another one was wrong: neither by its delay nor by its penalty. */
export function dovecotConfiguration(setting: DovecotSetting): string {
  const { folder, certificate, key, protocols, relayPort, submissionPort, submissionsPort } = setting;
  return `base_dir = ${folder}/base
state_dir = ${folder}/state
log_path = ${folder}/log
protocols = ${protocols}
listen = 127.0.0.1
hostname = mx.test
default_login_user = dovenull
default_internal_user = dovecot
ssl = yes
ssl_cert = <${certificate}
ssl_key = <${key}
ssl_ca =
first_valid_uid = 1
submission_relay_host = 127.0.0.1
submission_relay_port = ${relayPort}
service submission-login {
  chroot =
  inet_listener submission {
    port = ${submissionPort}
  }
${submissionsPort === undefined ? "" : implicitTls(submissionsPort)}}
auth_failure_delay = 0 secs
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
${setting.more}`;
}

function implicitTls(port: number): string {
  return `  inet_listener submissions {
    port = ${port}
    ssl = yes
  }
`;
}
