/**
 * Which runtime this is: no other file asks for more than `"Deno" in globalThis`.
 *
 * @module
 */

/** Whether these are Cloudflare Workers. */
export function isWorkers(): boolean {
  return globalThis.navigator?.userAgent === "Cloudflare-Workers";
}

/** Whether there are `node:net` and `node:tls` that do all we need: on Node, Deno and Bun. */
export function hasNode(): boolean {
  // With nodejs_compat Workers have node:tls, too, but it cannot take a connection over for STARTTLS.
  if (isWorkers()) return false;
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  return process?.versions?.node !== undefined;
}
