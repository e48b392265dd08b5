/**
 * The `node:` modules, asked for when they are needed. An import of them, be it a dynamic one, would be in the way of
 * bundlers: what is bundled into one file would not load where there is no such module, in browsers and on Workers.
 *
 * @module
 */
import type buffer from "node:buffer";
import type dns from "node:dns";
import type net from "node:net";
import type stream from "node:stream";
import type tls from "node:tls";

/** Those that are used here. */
interface Builtins {
  "node:buffer": typeof buffer;
  "node:dns": typeof dns;
  "node:net": typeof net;
  "node:stream": typeof stream;
  "node:tls": typeof tls;
}

/**
 * A module of Node's, on Node (from 22.3 on), on Deno and on Bun.
 *
 * @param name Its name.
 * @returns The module. The runtime keeps it: asking again costs no more than a microsecond.
 * @throws {TypeError} If the runtime does not have it.
 */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const module = process?.getBuiltinModule?.(name);
  if (module === undefined) throw new TypeError(`This runtime has no ${name}`);
  return module as Builtins[Name];
}
