/**
 * Servers that announce an extension and fail at it, or are known not to: later connections use what an earlier one has found
 * out.
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

/**
 * What connections have shown of PIPELINING: that it works, or when one was lost at its first group of commands, on the clock
 * of `performance.now()`.
 */
const pipelining = new Map<string, "works" | number>();

/** When servers have last answered a BDAT with 250, on the clock of `performance.now()`. */
const chunking = new Map<string, number>();

/** The server fails at an extension that it announces: this session and the next ones do without. */
export function markBroken(session: Session, extension: BrokenExtension, detail: string): void {
  remember(serverOf(session.settings), extension);
  if (extension === "CHUNKING") chunking.delete(chunkingKey(session));
  session.quirks = {
    ...session.quirks,
    broken: new Set([...session.quirks.broken, extension]),
  };
  session.trace?.({ type: "broken-extension", extension, detail });
}

/** The server has answered a group of commands: a connection that is lost later on says nothing about PIPELINING. */
export function provePipelining(session: Session): void {
  session.quirks = { ...session.quirks, pipelining: "proven" };
  const server = serverOf(session.settings);
  if (server !== undefined) keep(pipelining, server, "works");
}

/**
 * A new connection was lost at its first group of commands. Once may be chance: networks break, and servers are restarted. It
 * takes a second connection, opened after that, to show that the server cannot handle several commands at once; and nothing
 * shows it of one that has done so before.
 */
export function doubtPipelining(session: Session, detail: string): void {
  const server = serverOf(session.settings);
  if (server === undefined) return;
  const known = pipelining.get(server);
  if (known === "works") return;
  const now = performance.now();
  const isAgain = known !== undefined && session.established > known && now - known < LIFETIME;
  if (isAgain) markBroken(session, "PIPELINING", detail);
  keep(pipelining, server, now);
}

/** The server has answered a BDAT with 250: it, and whatever stands in front of it, reads a chunk as a chunk. */
export function proveChunking(session: Session): void {
  if (session.quirks.chunking === "proven") return;
  session.quirks = { ...session.quirks, chunking: "proven" };
  if (session.settings.address !== undefined) keep(chunking, chunkingKey(session), performance.now());
}

/** What was learnt in the clear may have been somebody else's words: it does not count under TLS (RFC 3207, section 4.2). */
function chunkingKey({ settings, link }: Session): string {
  return `${link.secure ? "TLS " : ""}${serverOf(settings)}`;
}

/** Sets a value, and drops the oldest where there are too many. */
function keep<T>(map: Map<string, T>, server: string, value: T): void {
  map.delete(server);
  map.set(server, value);
  if (map.size > MAX_SERVERS) map.delete(map.keys().next().value!);
}

/** Takes over what earlier sessions have found out about the server. */
export function recallBroken(session: Session): void {
  const broken = recall(serverOf(session.settings));
  for (const extension of broken) {
    session.trace?.({ type: "broken-extension", extension, detail: "the server failed at it before" });
  }
  const proven = performance.now() - (chunking.get(chunkingKey(session)) ?? -Infinity) < LIFETIME;
  session.quirks = {
    ...session.quirks,
    broken: new Set(broken),
    chunking: proven ? "proven" : "untested",
  };
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
  keep(entries, server, [...others, { extension, until: now + LIFETIME }]);
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
  pipelining.clear();
  chunking.clear();
}
