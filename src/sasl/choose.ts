/**
 * Which mechanisms accept which credentials, the most wanted first.
 *
 * DIGEST-MD5 and NTLM are not among them: both are obsolete and broken (RFC 6331; MS-NLMP on top of MD4).
 *
 * @module
 */
import { anonymous } from "./anonymous.ts";
import { cramMd5 } from "./cram_md5.ts";
import { external } from "./external.ts";
import { login } from "./login.ts";
import type { Credentials, PasswordCredentials, SaslContext, SaslMechanism } from "./mechanism.ts";
import { oauthBearer } from "./oauth_bearer.ts";
import { plain } from "./plain.ts";
import { scramSha1, scramSha256, scramSha512 } from "./scram.ts";
import type { ScramOptions } from "./scram.ts";
import { xoauth2 } from "./xoauth2.ts";

/** Credentials of any kind; the token may still have to be obtained. */
export type CredentialsKind = Credentials | { accessToken: unknown };

/** Makes a mechanism. */
type Make<T> = (credentials: T, context: SaslContext) => SaslMechanism;

type Scram = (credentials: PasswordCredentials, options: ScramOptions) => SaslMechanism;

/**
 * How a session is protected, as far as a login is concerned.
 *
 * - `"verified"`: by TLS, and the server has shown that it is the right one.
 * - `"unverified"`: by TLS, with anybody: the certificate is not checked.
 * - `"none"`: in the clear.
 */
export type Protection = "verified" | "unverified" | "none";

/**
 * A channel binding is worth more than a longer hash: it keeps out an attacker in the middle with a certificate that the
 * client trusts, while nobody breaks an HMAC, not even that of SHA-1. So every -PLUS comes first.
 *
 * The order is the one for verified TLS. There the password is safe on its way, and PLAIN and LOGIN work for every user;
 * CRAM-MD5 needs a password that the server keeps in the clear, which many do not, and protects nothing that TLS does not.
 */
const PASSWORD: ReadonlyMap<string, Make<PasswordCredentials>> = new Map([
  ["SCRAM-SHA-512-PLUS", plus(scramSha512)],
  ["SCRAM-SHA-256-PLUS", plus(scramSha256)],
  ["SCRAM-SHA-1-PLUS", plus(scramSha1)],
  ["SCRAM-SHA-512", withoutPlus(scramSha512)],
  ["SCRAM-SHA-256", withoutPlus(scramSha256)],
  ["SCRAM-SHA-1", withoutPlus(scramSha1)],
  ["PLAIN", plain],
  ["LOGIN", login],
  ["CRAM-MD5", cramMd5],
]);

/** The mechanisms that hand the password over. */
export const WITH_PASSWORD: readonly string[] = ["PLAIN", "LOGIN"];

/** The mechanisms that can carry an authorization identity. */
const WITH_AUTHZID: readonly string[] = [...PASSWORD.keys()].filter((name) =>
  name.startsWith("SCRAM-") || name === "PLAIN"
);

function plus(scram: Scram): Make<PasswordCredentials> {
  return (credentials, { channelBinding }) => scram(credentials, { channelBinding, plus: true });
}

function withoutPlus(scram: Scram): Make<PasswordCredentials> {
  return (credentials, { channelBinding }) => scram(credentials, { channelBinding });
}

/**
 * Names the mechanisms that accept certain credentials, the most wanted first. They include those with -PLUS, which can
 * only be used if the connection has a channel binding.
 *
 * For a password the order is SCRAM with -PLUS, SCRAM, PLAIN, LOGIN, CRAM-MD5 under verified TLS. Elsewhere those that hand
 * the password over come last: SCRAM with -PLUS, SCRAM, CRAM-MD5, PLAIN, LOGIN.
 *
 * @param credentials The credentials.
 * @param protection How the session is protected. Default: `"verified"`.
 * @returns The names.
 */
export function mechanismsFor(
  credentials: CredentialsKind,
  protection: Protection = "verified",
): readonly string[] {
  if ("accessToken" in credentials) return ["OAUTHBEARER", "XOAUTH2"];
  if ("external" in credentials) return ["EXTERNAL"];
  if ("anonymous" in credentials) return ["ANONYMOUS"];
  const names = credentials.authzid === undefined || credentials.authzid === ""
    ? [...PASSWORD.keys()]
    : WITH_AUTHZID;
  if (protection === "verified") return names;
  const hands = (name: string) => Number(WITH_PASSWORD.includes(name));
  return names.toSorted((a, b) => hands(a) - hands(b));
}

/**
 * Makes a mechanism.
 *
 * @param name One of those that {@linkcode mechanismsFor} names for the credentials.
 * @param credentials The credentials.
 * @param context What is known about the session.
 * @returns The mechanism, for one attempt.
 * @throws {TypeError} If the credentials cannot be used with it, or the connection has no channel binding for -PLUS.
 * @throws {RangeError} If the mechanism does not accept such credentials.
 */
export function createMechanism(name: string, credentials: Credentials, context: SaslContext): SaslMechanism {
  if (!mechanismsFor(credentials).includes(name)) {
    throw new RangeError(`Cannot authenticate with ${name}: it does not take such credentials`);
  }
  if ("accessToken" in credentials) {
    return name === "XOAUTH2" ? xoauth2(credentials) : oauthBearer(credentials, context);
  }
  if ("external" in credentials) return external(credentials.external === true ? "" : credentials.external);
  if ("anonymous" in credentials) return anonymous(credentials.anonymous);
  return PASSWORD.get(name)!(credentials, context);
}
