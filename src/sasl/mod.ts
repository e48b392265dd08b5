/**
 * SASL mechanisms (RFC 4422): how a client proves who it is.
 *
 * SCRAM-SHA-512, SCRAM-SHA-256 and SCRAM-SHA-1, each also with -PLUS, OAUTHBEARER, XOAUTH2, CRAM-MD5, PLAIN, LOGIN,
 * EXTERNAL and ANONYMOUS; any other as an object in the shape of {@linkcode SaslMechanism}. DIGEST-MD5 and NTLM are left
 * out: both are obsolete and broken (RFC 6331).
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
export * from "./anonymous.ts";
export * from "./channel_binding.ts";
export * from "./choose.ts";
export * from "./cram_md5.ts";
export * from "./external.ts";
export * from "./login.ts";
export * from "./mechanism.ts";
export * from "./oauth_bearer.ts";
export * from "./plain.ts";
export * from "./scram.ts";
export * from "./xoauth2.ts";
