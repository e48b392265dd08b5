/**
 * Imports the peers in the programs of `bench/`.
 *
 * @module
 */

/**
 * Imports a library that is installed beside the built programs. Because the name is not a literal, type checkers do not look
 * for it.
 *
 * @param name The package's name.
 */
export async function importPeer<Module>(name: string): Promise<Module> {
  return await import(name) as Module;
}
