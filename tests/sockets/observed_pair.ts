/** Pairs of streams to look at. @module */

/** A pair that stays silent, and tells how it was ended. */
export function observed(): {
  pair: { readable: ReadableStream; writable: WritableStream };
  end: Promise<string[]>;
} {
  const ends: string[] = [];
  const done = Promise.withResolvers<string[]>();
  const note = (end: string) => {
    ends.push(end);
    if (ends.length === 2) done.resolve(ends);
  };
  return {
    pair: {
      readable: new ReadableStream({ cancel: () => note("cancel") }),
      writable: new WritableStream({
        write: (_, controller) =>
          new Promise((resolve) => controller.signal.addEventListener("abort", () => resolve())),
        close: () => note("close"),
        abort: () => note("abort"),
      }),
    },
    end: done.promise,
  };
}
