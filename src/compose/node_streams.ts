/**
 * The border to the libraries underneath, which know the streams of Node. Deno, Bun and, with `nodejs_compat`, Workers have
 * them too.
 *
 * @module
 */
import { pipeline, Readable } from "node:stream";
import type { Reading } from "./content.ts";
import type { NodeReadable } from "./web_stream.ts";

/**
 * Makes a stream of Node from a content.
 *
 * @param open Starts to read it, when the first piece is wanted.
 * @returns The stream. Destroying it lets go of the content, if it was opened.
 */
export function toNodeReadable(open: () => Reading): NodeReadable {
  let reading: Reading | undefined;
  let ended = false;
  return new Readable({
    highWaterMark: 0, // nothing is read before it is wanted
    read(this: Readable) {
      const next = async () => {
        try {
          reading ??= open();
          let piece = await reading.read();
          while (piece?.length === 0) piece = await reading.read(); // to push nothing would end the reading
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
      const released = ended ? undefined : reading?.cancel(error);
      Promise.resolve(released).then(() => callback(error), () => callback(error));
    },
  }) as NodeReadable;
}

/**
 * Sends a stream of Node through another.
 *
 * @param source The stream.
 * @param transform What it goes through.
 * @returns What comes out. Errors come out too; to stop reading destroys both.
 */
export function pipe<T>(source: NodeReadable, transform: unknown): AsyncIterable<T> {
  pipeline(source as Readable, transform as never, () => {}); // errors come out at the end
  return transform as AsyncIterable<T>;
}

/**
 * Encodes a body.
 *
 * @param body The body.
 * @param encoding How.
 * @param options Whether line ends are bytes like others.
 * @returns The body, encoded, without a line end behind the last line.
 */
export async function* encodeBody(
  body: AsyncIterable<Uint8Array>,
  encoding: "quoted-printable" | "base64",
  options: { binary: boolean },
): AsyncGenerator<Uint8Array, undefined> {
  const encoder = encoding === "base64"
    ? new (await import("nodemailer/lib/base64")).Encoder()
    : new (await import("nodemailer/lib/qp")).Encoder(options);
  const source = Readable.from(body, { objectMode: false, highWaterMark: 64 * 1024 }) as NodeReadable;
  for await (const piece of pipe<Uint8Array>(source, encoder)) yield piece;
}
