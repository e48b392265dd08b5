/**
 * Which Bun to use by its own means.
 *
 * @module
 */

/**
 * Whether a Bun's own sockets are to be used: up to 1.3.14 `upgradeTLS` checks no host names, even when told to.
 *
 * @param version Its version. Default: that of the Bun that this runs on, if it is one.
 */
export function isNativeBun(
  version: string | undefined = (globalThis as { Bun?: { version?: string } }).Bun?.version,
): boolean {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  return major > 1 || major === 1 && minor >= 4;
}
