/**
 * Libraries that need the modules of Node, loaded when they are first used.
 *
 * @module
 */

/**
 * Loads a library.
 *
 * @param name Its name, for the error.
 * @param load Loads it.
 * @returns The library.
 * @throws {TypeError} If the runtime lacks what the library needs. The message says what to do on Workers.
 */
export async function loadLibrary<T>(name: string, load: () => Promise<unknown>): Promise<T> {
  try {
    return await load() as T;
  } catch (cause) {
    throw new TypeError(
      `Cannot load ${name}: it needs the modules of Node; on Workers set compatibility_flags = ["nodejs_compat"]`,
      { cause },
    );
  }
}

/**
 * Loads our side of the border to the libraries.
 *
 * @returns It.
 * @throws {TypeError} If the runtime has no streams of Node.
 */
export function loadNodeStreams(): Promise<typeof import("./node_streams.ts")> {
  return loadLibrary("the streams of Node", () => import("./node_streams.ts"));
}
