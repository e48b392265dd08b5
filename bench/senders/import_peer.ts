/**
 * How a program of `bench/` gets at a peer.
 *
 * @module
 */

/**
 * Loads a library that lies beside the built programs. Its name is no literal, so that nobody looks for it before.
 *
 * @param name The package's name.
 */
export async function importPeer<Module>(name: string): Promise<Module> {
  return await import(name) as Module;
}
