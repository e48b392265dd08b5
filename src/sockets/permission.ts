/**
 * Deno's permissions, asked for before `node:net` does: it asks in a later turn, where nobody can catch what it throws.
 *
 * @module
 */

/**
 * Asks for the permission to bind an address, on Deno. Where there is a terminal and no `--no-prompt`, the user is asked.
 *
 * @param host The address with its port.
 * @throws {Deno.errors.NotCapable} If it is not given.
 */
export async function assertPermitted(host: string): Promise<void> {
  if (!("Deno" in globalThis)) return;
  const { state } = await Deno.permissions.request({ name: "net", host });
  if (state === "granted") return;
  throw new Deno.errors.NotCapable(`Requires net access to "${host}", run again with the --allow-net flag`);
}
