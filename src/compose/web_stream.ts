/**
 * Web streams made of the streams of Node, without knowing these.
 *
 * @module
 */

/** As much of a stream of Node as is used. */
export interface NodeReadable extends AsyncIterable<Uint8Array> {
  destroy(error?: Error): unknown;
}

/**
 * Makes a web stream from a stream of Node.
 *
 * @param open Opens it, when the first piece is wanted.
 * @param release Lets go of all that stands behind it, opened or not, when the web stream is cancelled or the other fails.
 * @returns The web stream. It reads no further than it is read.
 */
export function toWebStream(
  open: () => Promise<NodeReadable>,
  release: (reason: unknown) => Promise<void>,
): ReadableStream<Uint8Array> {
  let cancelled = false;
  let source: NodeReadable | undefined;
  let iterator: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        source ??= await open();
        if (cancelled) return void source.destroy(); // while the library was being loaded
        iterator ??= source[Symbol.asyncIterator]();
        const { value, done } = await iterator.next();
        if (done) controller.close();
        // A Buffer of Node's, which may lie in a pool, is shown as what it is.
        else controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.length));
      } catch (error) {
        await release(error);
        throw error;
      }
    },
    async cancel(reason) {
      cancelled = true;
      source?.destroy();
      await release(reason);
    },
  }, { highWaterMark: 0 });
}
