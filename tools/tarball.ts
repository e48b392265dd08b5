/**
 * Writes a tarball for npm: every file is below `package/`, and nothing differs from one run to the next.
 * @module
 */

const BLOCK = 512;

/** The time that npm itself gives to every file: 1985-10-26T08:15:00Z, in seconds. */
const MODIFIED = 499_162_500;

const encoder = new TextEncoder();

/**
 * Packs files.
 * @param files Their texts by their paths.
 * @returns The tarball, gzipped.
 * @throws {RangeError} If a path is longer than the format's 100 bytes.
 */
export async function pack(files: ReadonlyMap<string, string>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const [path, text] of files) {
    const content = encoder.encode(text);
    parts.push(header(`package/${path}`, content.length), content);
    parts.push(new Uint8Array(-content.length & (BLOCK - 1)));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  const gzipped = new Blob(parts).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(gzipped).arrayBuffer());
}

/** POSIX.1-1988, "ustar". */
function header(path: string, size: number): Uint8Array<ArrayBuffer> {
  if (encoder.encode(path).length > 100) throw new RangeError(`The path ${path} is too long for a tarball`);
  const block = new Uint8Array(BLOCK);
  const put = (offset: number, text: string) => block.set(encoder.encode(text), offset);
  const octal = (number: number, digits: number) => number.toString(8).padStart(digits, "0");
  put(0, path);
  put(100, octal(0o644, 7));
  put(108, octal(0, 7)); // user and group
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(MODIFIED, 11));
  put(148, " ".repeat(8)); // the checksum counts as spaces
  put(156, "0"); // a file
  put(257, "ustar\x0000");
  put(148, `${octal(block.reduce((sum, byte) => sum + byte, 0), 6)}\0`);
  return block;
}
