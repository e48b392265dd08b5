/**
 * SASL mechanisms (RFC 4422), with which a client proves who it is.
 *
 * SCRAM-SHA-512, SCRAM-SHA-256 and SCRAM-SHA-1, each also with -PLUS, OAUTHBEARER, XOAUTH2, CRAM-MD5, PLAIN, LOGIN,
 * EXTERNAL and ANONYMOUS; any other as an object in the shape of {@linkcode SaslMechanism}. DIGEST-MD5 and NTLM are
 * missing: both are obsolete and broken (RFC 6331).
 *
 * @example The bytes of PLAIN
 * ```ts
 * import { plain } from "@streams/smtp/sasl";
 * import { assertEquals } from "@std/assert";
 *
 * const mechanism = plain({ user: "tim", pass: "tanstaaftanstaaf" });
 * assertEquals(new TextDecoder().decode(mechanism.initialResponse), "\0tim\0tanstaaftanstaaf");
 * ```
 *
 * @module
 */
export { anonymous } from "./anonymous.ts";
export * from "./channel_binding.ts";
export { createMechanism, type CredentialsKind, mechanismsFor, type Protection } from "./choose.ts";
export { cramMd5 } from "./cram_md5.ts";
export { external } from "./external.ts";
export { login } from "./login.ts";
export * from "./mechanism.ts";
export { oauthBearer, type OAuthBearerOptions } from "./oauth_bearer.ts";
export { plain } from "./plain.ts";
export { type ScramOptions, scramSha1, scramSha256, scramSha512 } from "./scram.ts";
export { xoauth2 } from "./xoauth2.ts";
