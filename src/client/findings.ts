/**
 * Servers that announce an extension and fail at it: what one connection has found out, the next goes by.
 *
 * @module
 */

/**
 * An extension that some servers announce though they, or a firewall in front of them, cannot do it. `"PIPELINING behind
 * DATA"`: commands may leave together, but not behind a content whose reply has not come.
 */
export type BrokenExtension = "PIPELINING" | "PIPELINING behind DATA" | "CHUNKING";

/** A server is given another chance after this time, in milliseconds: an hour. Servers are mended, and links only blink. */
const LIFETIME = 3_600_000;

/** More servers than one process speaks to; a bound all the same. */
const MAX_SERVERS = 1_000;

interface Finding {
  readonly extension: BrokenExtension;
  readonly until: number;
}

const findings = new Map<string, Finding[]>();

/**
 * Remembers that a server fails at an extension.
 *
 * @param server The server's address; `undefined` for a socket of the caller's, which tells nothing about the next.
 * @param extension What it fails at.
 * @param now The time in milliseconds, for tests.
 */
export function remember(
  server: string | undefined,
  extension: BrokenExtension,
  now: number = Date.now(),
): void {
  if (server === undefined) return;
  const others = (findings.get(server) ?? []).filter((finding) => finding.extension !== extension);
  findings.delete(server);
  findings.set(server, [...others, { extension, until: now + LIFETIME }]);
  if (findings.size > MAX_SERVERS) findings.delete(findings.keys().next().value!);
}

/**
 * Recalls what a server fails at.
 *
 * @param server The server's address.
 * @param now The time in milliseconds, for tests.
 * @returns The extensions to do without.
 */
export function recall(server: string | undefined, now: number = Date.now()): BrokenExtension[] {
  if (server === undefined) return [];
  return (findings.get(server) ?? []).filter(({ until }) => until > now).map(({ extension }) => extension);
}

/** Forgets everything, for tests. */
export function forgetFindings(): void {
  findings.clear();
}
