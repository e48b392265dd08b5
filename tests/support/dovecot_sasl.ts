/**
 * A Dovecot of one's own that knows how to log in, in every way it has: submission that relays to another server.
 *
 * Ports: submission with STARTTLS. Passwords are the same for everybody; tokens are JSON Web Tokens of {@linkcode signToken}.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dovecotConfiguration } from "./dovecot_config.ts";
import { makeFolders, PASS, type PeerServer, startPeer } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** What signs tokens (HS256). Dovecot wants it in base64. */
const TOKEN_KEY = "secret-token-key";

/** Says why Dovecot cannot be started here; `undefined` where it can. Throws instead with `SMTP_PEERS=required`. */
export function dovecotSaslMissing(): string | undefined {
  return peerMissing("Dovecot", {
    programs: ["/usr/sbin/dovecot", "/usr/lib/dovecot/submission", "setsid"],
    root: true,
  });
}

/**
 * Starts it and waits until it accepts connections.
 * @param relayPort Where submission relays to: it connects there with each login.
 * @param introspectionUrl Whom to ask about tokens: the token is added to the end of it. Default: nobody, tokens are those
 * of {@linkcode signToken}.
 */
export function startDovecotSasl(relayPort: number, introspectionUrl?: string): Promise<PeerServer> {
  return startPeer({
    name: "Dovecot SASL",
    ports: 1,
    layOut({ folder, ports, certificate, key }) {
      const keys = join(folder, "keys/default/HS256");
      mkdirSync(keys, { recursive: true });
      writeFileSync(join(keys, "default"), btoa(TOKEN_KEY));
      writeFileSync(
        join(folder, "oauth2.conf.ext"),
        introspectionUrl === undefined ? localValidation(folder) : introspection(introspectionUrl),
      );
      makeFolders("nobody", join(folder, "mail"));
      const path = join(folder, "dovecot.conf");
      writeFileSync(
        path,
        dovecotConfiguration({
          folder,
          certificate,
          key,
          protocols: "submission",
          relayPort,
          submissionPort: ports[0]!,
          anvil: NO_PENALTY,
          more: logins(folder),
        }),
      );
      return {
        command: ["/usr/sbin/dovecot", "-F", "-c", path],
        logs: [join(folder, "log")],
        mail: join(folder, "mail"),
      };
    },
  });
}

/** Signs a JSON Web Token (RFC 7519) for a user, good for as many seconds. */
export async function signToken(user: string, seconds: number, key: string = TOKEN_KEY): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown) => base64Url(new TextEncoder().encode(JSON.stringify(value)));
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${
    part({ sub: user, iat: now - 3600, nbf: now - 3600, exp: now + seconds })
  }`;
  const imported = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(key),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const signature = await crypto.subtle.sign("HMAC", imported, new TextEncoder().encode(signed));
  return `${signed}.${base64Url(new Uint8Array(signature))}`;
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Tokens that the authorisation server vouches for, each time anew. */
function introspection(url: string): string {
  return `introspection_mode = get
introspection_url = ${url}
force_introspection = yes
active_attribute = active
active_value = true
username_attribute = sub
`;
}

function localValidation(folder: string): string {
  return `introspection_mode = local
local_validation_key_dict = fs:posix:prefix=${folder}/keys/
username_attribute = sub
`;
}

function logins(folder: string): string {
  return `auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 oauthbearer xoauth2
auth_failure_delay = 0 secs
auth_username_chars =
passdb {
  driver = static
  args = password={PLAIN}${PASS}
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
}
passdb {
  driver = oauth2
  args = ${folder}/oauth2.conf.ext
  mechanisms = oauthbearer xoauth2
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/mail allow_all_users=yes
}
mail_location = maildir:${folder}/mail
`;
}

/** Without it nobody is made to wait for the wrong passwords of others. */
const NO_PENALTY = `  unix_listener anvil-auth-penalty {
    mode = 0
  }
`;
