/**
 * Starts a Dovecot that offers every login it knows: submission that relays to another server.
 *
 * Ports: submission with STARTTLS. Everyone has the same password; tokens are JSON Web Tokens of {@linkcode signToken}.
 * @module
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dovecotConfiguration } from "./dovecot_config.ts";
import { makeFolders, PASS, type PeerServer, startPeer } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** The key that signs tokens (HS256). Dovecot wants it in base64. */
const TOKEN_KEY = "secret-token-key";

/** Returns why Dovecot cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function dovecotSaslMissing(): string | undefined {
  return peerMissing("Dovecot", {
    programs: ["/usr/sbin/dovecot", "/usr/lib/dovecot/submission", "setsid"],
    root: true,
  });
}

/**
 * Starts it and waits until it accepts connections.
 * @param relayPort Where submission relays to: it connects there with each login.
 * @param introspectionUrl Where to ask about tokens: the token is appended to it. Default: it asks nobody, tokens are those
 * of {@linkcode signToken}.
 * @param stored How it keeps the password: hashed, it can check PLAIN and LOGIN, and offers the other mechanisms all the same.
 * Default: in the clear.
 */
export function startDovecotSasl(
  relayPort: number,
  introspectionUrl?: string,
  stored: "clear" | "hashed" = "clear",
): Promise<PeerServer> {
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
          more: logins(folder, stored === "clear" ? `{PLAIN}${PASS}` : hashOf(PASS)),
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

/** Signs a JSON Web Token (RFC 7519) for a user, valid for so many seconds; with `more` in it, it is longer. */
export async function signToken(
  user: string,
  seconds: number,
  key: string = TOKEN_KEY,
  more = "",
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown) => base64Url(new TextEncoder().encode(JSON.stringify(value)));
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${
    part({ sub: user, iat: now - 3600, nbf: now - 3600, exp: now + seconds, more })
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

/** Asks the authorisation server about each token. */
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

function hashOf(pass: string): string {
  return `{SHA256}${createHash("sha256").update(pass).digest("base64")}`;
}

function logins(folder: string, password: string): string {
  return `auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 oauthbearer xoauth2
auth_username_chars =
passdb {
  driver = static
  args = password=${password}
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
