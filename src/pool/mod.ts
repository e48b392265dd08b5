/**
 * A pool of connections: one object to keep and forget, the same `send()` as the client's.
 *
 * @example In a module
 * ```ts ignore
 * import { SmtpPool } from "@streams/smtp/pool";
 *
 * const pool = new SmtpPool({ hostname: "smtp.example.com", auth: { user: "me", pass: "secret" } });
 *
 * export async function welcome(to: string): Promise<void> {
 *   await pool.send({ from: "me@example.com", to }, `To: ${to}\r\nSubject: Welcome\r\n\r\nHello`);
 * }
 * ```
 *
 * @module
 */
export type { HostStats } from "./hosts.ts";
export type { PoolHost, PoolSendOptions, QueuePriority, RetryOptions, SmtpPoolOptions } from "./options.ts";
export * from "./pool.ts";
export type { RateLimit } from "./rate.ts";
export { PoolError, PoolReceipt } from "./results.ts";
export type { PoolErrorInit, Try } from "./results.ts";
export type { PoolMail, PoolResult } from "./send_all.ts";
