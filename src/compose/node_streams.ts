/**
 * The border to the libraries, which use the streams of Node. Deno, Bun and, with `nodejs_compat`, Workers have these too.
 * Libraries and streams are loaded on first use: importing this entry point needs neither.
 *
 * @module
 */
import type { ContentReader } from "./content_source.ts";

/** The part of a Node stream that is used here. */
export interface NodeReadable extends AsyncIterable<Uint8Array> {
  destroy(error?: Error): unknown;
}

/**
 * Loads a library.
 *
 * @param name Its name, for the error.
 * @param load Imports it.
 * @returns The library.
 * @throws {TypeError} If it is not installed, or the runtime lacks Node's modules. The message says what to do.
 */
export async function loadLibrary<T>(name: string, load: () => Promise<unknown>): Promise<T> {
  try {
    return await load() as T;
  } catch (cause) {
    throw new TypeError(
      `Cannot load ${name}: install nodemailer and @zone-eu/mailsplit, and on Workers set ` +
        'compatibility_flags = ["nodejs_compat"]',
      { cause },
    );
  }
}

function loadStreams(): Promise<typeof import("node:stream")> {
  return loadLibrary("node:stream", () => import("node:stream"));
}

/**
 * Makes a Node stream of a content.
 *
 * @param open Begins to read the content, when its first piece is wanted.
 * @returns The stream. Destroying it cancels the content, if that was opened.
 */
export async function toNodeReadable(open: () => ContentReader): Promise<NodeReadable> {
  const { Readable } = await loadStreams();
  let reader: ContentReader | undefined;
  let ended = false;
  return new Readable({
    highWaterMark: 0, // read nothing ahead
    read() {
      const next = async () => {
        try {
          reader ??= open();
          let piece = await reader.read();
          while (piece?.length === 0) piece = await reader.read(); // pushing an empty piece would end the stream
          ended = piece === undefined;
          this.push(piece ?? null);
        } catch (error) {
          ended = true;
          this.destroy(error instanceof Error ? error : new Error(String(error), { cause: error }));
        }
      };
      void next();
    },
    destroy(error: Error | null, callback: (error: Error | null) => void) {
      const released = ended ? undefined : reader?.cancel(error);
      Promise.resolve(released).then(() => callback(error), () => callback(error));
    },
  }) as NodeReadable;
}

/**
 * Makes a web stream of a Node stream.
 *
 * @param open Opens the Node stream, when the first piece is wanted.
 * @param release Cancels everything that feeds the Node stream, opened or not. Called when the web stream is cancelled and
 * when the Node stream fails.
 * @returns The web stream. It reads nothing ahead.
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
        if (cancelled) return void source.destroy(); // cancelled while the library was loading
        iterator ??= source[Symbol.asyncIterator]();
        const { value, done } = await iterator.next();
        if (done) controller.close();
        // Node's pieces are Buffers, which may lie in a shared pool: callers get plain bytes.
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

/**
 * Pipes a Node stream through a transform of a library.
 *
 * @param source The stream.
 * @param transform The transform.
 * @returns The output. It fails where either stream fails; ending the iteration destroys both.
 */
export async function pipeThrough<T>(source: NodeReadable, transform: unknown): Promise<AsyncIterable<T>> {
  const { pipeline } = await loadStreams();
  pipeline(source as never, transform as never, () => {}); // the output fails with the error
  return transform as AsyncIterable<T>;
}

/**
 * Encodes a body.
 *
 * @param body The body.
 * @param encoding The transfer encoding.
 * @param options `binary`: whether line ends are bytes like any others.
 * @returns The encoded body, without a line end after the last line.
 */
export async function* encodeBody(
  body: AsyncIterable<Uint8Array>,
  encoding: "quoted-printable" | "base64",
  options: { binary: boolean },
): AsyncGenerator<Uint8Array, undefined> {
  const { Encoder } = await loadLibrary<{ Encoder: new (options: { binary: boolean }) => unknown }>(
    "nodemailer",
    () => encoding === "base64" ? import("nodemailer/lib/base64") : import("nodemailer/lib/qp"),
  );
  const { Readable } = await loadStreams();
  const source = Readable.from(body, { objectMode: false, highWaterMark: 64 * 1024 }) as NodeReadable;
  yield* await pipeThrough<Uint8Array>(source, new Encoder(options));
}
