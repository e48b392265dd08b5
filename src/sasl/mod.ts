/**
 * SASL mechanisms (RFC 4422): how a client proves who it is.
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
export * from "./login.ts";
export * from "./mechanism.ts";
export * from "./plain.ts";
