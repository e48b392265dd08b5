/**
 * Which runtime this is, and what it brings: the one place that asks for more than `"Deno" in globalThis`.
 *
 * @module
 */
import type buffer from "node:buffer";
import type crypto from "node:crypto";
import type dns from "node:dns";
import type fs from "node:fs";
import type net from "node:net";
import type stream from "node:stream";
import type tls from "node:tls";

/** The `node:` modules that are used here. */
interface Builtins {
  "node:buffer": typeof buffer;
  "node:crypto": typeof crypto;
  "node:dns": typeof dns;
  "node:fs": typeof fs;
  "node:net": typeof net;
  "node:stream": typeof stream;
  "node:tls": typeof tls;
}

/** Whether this is Cloudflare Workers. */
export function isWorkers(): boolean {
  return globalThis.navigator?.userAgent === "Cloudflare-Workers";
}

/** Whether `node:net` and `node:tls` do everything that is needed here: on Node, Deno and Bun. */
export function hasNode(): boolean {
  // With nodejs_compat Workers have node:tls, too, but it cannot take over a connection for STARTTLS.
  if (isWorkers()) return false;
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  return process?.versions?.node !== undefined;
}

/**
 * Whether this is a Bun whose own sockets are safe to use: up to 1.3.14 `upgradeTLS` does not check host names, even when
 * told to.
 *
 * @param version The version of Bun. Default: that of the Bun that runs this, if it is one.
 */
export function isNativeBun(
  version: string | undefined = (globalThis as { Bun?: { version?: string } }).Bun?.version,
): boolean {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  return major > 1 || major === 1 && minor >= 4;
}

/**
 * A `node:` module, on Node (22.3 and later), Deno and Bun. It is looked up when it is needed and never imported: even a
 * dynamic import would be in the way of bundlers, whose single file would then not load where there is no such module, in
 * browsers and on Workers.
 *
 * @param name The name of the module.
 * @returns The module. The runtime keeps it: another call takes no more than a microsecond.
 * @throws {TypeError} If the runtime does not have it.
 */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const module = process?.getBuiltinModule?.(name);
  if (module === undefined) throw new TypeError(`This runtime has no ${name}`);
  return module as Builtins[Name];
}

/**
 * Asks Deno for the permission to bind an address; elsewhere it does nothing. `node:net` on Deno asks only in a later turn,
 * where nobody can catch what it throws, and the process ends. In a terminal, and without `--no-prompt`, Deno asks the user.
 *
 * @param host The address with its port.
 * @throws {Deno.errors.NotCapable} If the permission is not given.
 */
export async function assertPermitted(host: string): Promise<void> {
  if (!("Deno" in globalThis)) return;
  const { state } = await Deno.permissions.request({ name: "net", host });
  if (state === "granted") return;
  throw new Deno.errors.NotCapable(`Requires net access to "${host}", run again with the --allow-net flag`);
}
