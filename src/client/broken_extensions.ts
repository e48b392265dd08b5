/**
 * Servers that announce an extension and fail at it: later connections use what an earlier one has found out.
 *
 * @module
 */
import { describeAddress } from "./options.ts";
import type { Settings } from "./options.ts";
import type { BrokenExtension, Session } from "./session.ts";

/** A server is given another chance after this time, in milliseconds: an hour. Servers are repaired, and links recover. */
const LIFETIME = 3_600_000;

/** More servers than one process speaks to; a bound all the same. */
const MAX_SERVERS = 1_000;

/** How a connection ends when the server, or a firewall in front of it, cannot handle several commands at once. */
export const LOST: ReadonlySet<string> = new Set(["connection-lost", "connection-reset", "timeout"]);

interface Entry {
  readonly extension: BrokenExtension;
  readonly until: number;
}

const entries = new Map<string, Entry[]>();

/** The server fails at an extension that it announces: this session and the next ones do without. */
export function markBroken(session: Session, extension: BrokenExtension, detail: string): void {
  remember(serverOf(session.settings), extension);
  session.quirks = {
    ...session.quirks,
    broken: new Set([...session.quirks.broken, extension]),
  };
  session.trace?.({ type: "broken-extension", extension, detail });
}

/** Takes over what earlier sessions have found out about the server. */
export function recallBroken(session: Session): void {
  const broken = recall(serverOf(session.settings));
  for (const extension of broken) {
    session.trace?.({ type: "broken-extension", extension, detail: "the server failed at it before" });
  }
  session.quirks = { ...session.quirks, broken: new Set(broken) };
}

/** What entries are kept under: nothing for a socket of the caller's, which says nothing about the next one. */
function serverOf(settings: Settings): string | undefined {
  return settings.address && describeAddress(settings);
}

/**
 * Remembers that a server fails at an extension.
 *
 * @param server The server's address; `undefined` if it is not known.
 * @param extension What it fails at.
 * @param now The time in milliseconds, for tests.
 */
export function remember(
  server: string | undefined,
  extension: BrokenExtension,
  now: number = Date.now(),
): void {
  if (server === undefined) return;
  const others = (entries.get(server) ?? []).filter((entry) => entry.extension !== extension);
  entries.delete(server);
  entries.set(server, [...others, { extension, until: now + LIFETIME }]);
  if (entries.size > MAX_SERVERS) entries.delete(entries.keys().next().value!);
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
  return (entries.get(server) ?? []).filter(({ until }) => until > now).map(({ extension }) => extension);
}

/** Forgets everything, for tests. */
export function forgetBroken(): void {
  entries.clear();
}
