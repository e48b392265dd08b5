/**
 * Converts messages for servers that take ASCII only: 8bit and binary contents are encoded (RFC 6152, section 3; RFC 3030,
 * section 4.2).
 *
 * @module
 */
import { asciiHeader } from "./ascii_header.ts";
import type { HeaderChange } from "./ascii_header.ts";
import { contentSource } from "./content_source.ts";
import type { ContentReader } from "./content_source.ts";
import { ConversionError } from "./errors.ts";
import type { MailContent } from "./mail.ts";
import { MessageSplitter } from "./message_splitter.ts";
import type { SplitNode } from "./message_splitter.ts";
import { encodeBody } from "./node_streams.ts";
import { isAsciiOnly, OctetCount, withCrlf } from "./octets.ts";

/**
 * How many bytes of a part are read before its header is written: most texts are shorter, and their encoding is chosen by
 * the whole text. It is also the most that a conversion keeps in memory.
 */
const LOOK_AHEAD = 64 * 1024;

/** How deep messages may be nested. Only an attack goes deeper. */
const MAX_DEPTH = 20;

/** The labels of bodies that are not encoded (RFC 2045, section 6.2). `""` means 7bit. */
const UNENCODED: ReadonlySet<string> = new Set(["", "7bit", "8bit", "binary"]);

/**
 * Converts a message to ASCII, for a server that does not offer 8BITMIME or BINARYMIME. Once `@streams/smtp/compose` is
 * imported, `encode: "auto"` of `client.send()` does this where the server needs it.
 *
 * Parts with bytes above 127, NUL or lines of more than 998 bytes are encoded as quoted-printable or base64, whichever is
 * shorter, and their headers are changed to match. Attached messages are converted too. Fields with UTF-8 become encoded
 * words (RFC 2047) and encoded parameters (RFC 2231). Everything else stays as it is, byte for byte, with two exceptions: a
 * multipart or an attached message that is labelled 8bit becomes 7bit, and a part of more than 64 KiB that is labelled 8bit
 * or binary is always encoded, because its header is written before its end is known. Memory does not grow with the message.
 *
 * A signed part (`multipart/signed`) is never changed: if it would have to be, the conversion fails. A signature over the whole
 * message (DKIM-Signature, ARC) does not survive a conversion: convert first, then sign.
 *
 * @example
 * ```ts
 * import { toSevenBit } from "@streams/smtp/compose";
 *
 * const message = "Subject: Grüße\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello Jürgen, hello all\r\n";
 * console.log(await new Response(toSevenBit(message)).text()); // Hello J=C3=BCrgen, hello all
 * ```
 *
 * @param message The message. This call takes over a stream: it reads it, and cancels it when the result is cancelled.
 * @returns The message in ASCII. It fails with a {@linkcode ConversionError} if the message cannot be converted.
 * @throws {TypeError} If the message is of an unknown kind.
 */
export function toSevenBit(message: MailContent): ReadableStream<Uint8Array> {
  const content = contentSource("Cannot convert the message: it", message);
  let reader: ContentReader | undefined;
  let pieces: AsyncGenerator<Uint8Array, undefined> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        pieces ??= convert(reader = content.open(), { depth: 0, signed: false });
        const { value, done } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        await reader?.cancel(error).catch(() => {}); // the first error counts
        throw error;
      }
    },
    async cancel(reason) {
      // The source first: a read that waits for it ends then.
      await (reader ?? content).cancel(reason);
      await pieces?.return(undefined);
    },
  }, { highWaterMark: 0 });
}

/** The place of a message or part inside the whole message. */
interface Place {
  /** How many messages are around it. */
  readonly depth: number;
  /** Whether it is signed, and so must not change. */
  readonly signed: boolean;
}

/** The state of a multipart. */
interface Multipart {
  readonly signed: boolean;
  hasParts: boolean;
  /** Whether bytes were replaced before the first part, where no reader looks. */
  lostBytes: boolean;
}

async function* convert(reader: ContentReader, place: Place): AsyncGenerator<Uint8Array, undefined> {
  const message = await MessageSplitter.open(reader);
  const multiparts = new Map<SplitNode, Multipart>();
  try {
    for (let piece = await message.peek(); piece !== undefined; piece = await message.peek()) {
      message.take();
      if (piece.type !== "node") {
        yield convertBetween(piece.value!, multiparts.get(piece.node));
        continue;
      }
      const parent = piece.parentNode ? multiparts.get(piece.parentNode) : undefined;
      if (parent !== undefined) parent.hasParts = true;
      const signed = parent?.signed ?? place.signed;
      if (piece.multipart) {
        const partsSigned = signed || piece.multipart === "signed";
        multiparts.set(piece, { signed: partsSigned, hasParts: false, lostBytes: false });
        yield await asciiHeader(piece, compositeChange(piece, partsSigned), signed);
      } else if (piece.contentType === "message/rfc822" && UNENCODED.has(labelOf(piece))) {
        yield await asciiHeader(piece, compositeChange(piece, signed), signed);
        if (place.depth === MAX_DEPTH) {
          throw new ConversionError(
            "structure",
            `Cannot convert the message: it has more than ${MAX_DEPTH} levels of nested messages`,
          );
        }
        yield* convert(readPieces(message.body()), { depth: place.depth + 1, signed });
      } else yield* convertPart(piece, message.body(), { ...place, signed });
    }
    for (const { lostBytes, hasParts } of multiparts.values()) {
      if (lostBytes && !hasParts) {
        throw new ConversionError("structure", "Cannot convert the message: a multipart has no parts");
      }
    }
  } finally {
    await message.close();
  }
}

/**
 * Converts delimiters, and the text before the first and after the last part, which no reader shows (RFC 2046, section
 * 5.1.1).
 */
function convertBetween(bytes: Uint8Array, multipart: Multipart | undefined): Uint8Array {
  if (isAsciiOnly(bytes)) return bytes;
  if (multipart?.signed) throw signedError();
  if (multipart !== undefined) multipart.lostBytes = true;
  return bytes.map((octet) => octet > 0x7f ? 0x3f : octet);
}

/** A multipart or a message whose parts are all 7bit is 7bit itself (RFC 2045, section 6.4). */
function compositeChange(node: SplitNode, signed: boolean): HeaderChange {
  const label = labelOf(node);
  return !signed && (label === "8bit" || label === "binary") ? { encoding: "7bit" } : {};
}

async function* convertPart(
  node: SplitNode,
  body: AsyncGenerator<Uint8Array, undefined>,
  { depth, signed }: Place,
): AsyncGenerator<Uint8Array, undefined> {
  const seen: Uint8Array[] = [];
  const count = new OctetCount();
  let whole = false;
  while (!whole && count.total < LOOK_AHEAD) {
    const { value, done } = await body.next();
    if (done) whole = true;
    else {
      seen.push(value);
      count.push(value);
    }
  }
  if (whole) count.end();
  const encoding = encodingFor(node, count, { signed, whole });
  const charset = encoding !== undefined && !hasField(node, "content-type") ? guessCharset(seen) : undefined;
  yield await asciiHeader(node, { encoding, charset }, signed);
  if (encoding === undefined) {
    for await (const piece of followedBy(seen, body)) {
      if (!isAsciiOnly(piece)) throw signed ? signedError() : unexpectedBytes(node);
      yield piece;
    }
    return;
  }
  const binary = labelOf(node) === "binary";
  const all = followedBy(seen, body);
  yield* encodeBody(binary ? all : withCrlf(all), encoding, { binary });
  if (encoding === "base64" && depth === 0 && node.root) yield Uint8Array.of(0x0d, 0x0a);
}

/** Chooses the encoding of a part; `undefined` leaves the part as it is. */
function encodingFor(
  node: SplitNode,
  count: OctetCount,
  { signed, whole }: { signed: boolean; whole: boolean },
): "quoted-printable" | "base64" | undefined {
  const label = labelOf(node);
  if (signed || !UNENCODED.has(label) || mustStay(node)) return undefined;
  const foreign = count.foreign > 0 || count.longLines || (label === "binary" && count.bareEnds);
  const mayFollow = !whole && (label === "8bit" || label === "binary");
  if (!foreign && !mayFollow) return undefined;
  const lines = node.contentType !== false && node.contentType.startsWith("text/") &&
    !(label === "binary" && count.bareEnds);
  // An escaped octet costs two more characters, base64 a third more of everything.
  return lines && count.escaped * 6 <= count.total ? "quoted-printable" : "base64";
}

/** Of the message types besides message/rfc822, only those of RFC 6532 may be encoded (RFC 2046, section 5.2; RFC 6533). */
function mustStay({ contentType }: SplitNode): boolean {
  return contentType !== false && contentType.startsWith("message/") &&
    !contentType.startsWith("message/global");
}

function labelOf(node: SplitNode): string {
  return node.encoding || "";
}

function hasField(node: SplitNode, name: string): boolean {
  return node.headers.getList().some(({ key }) => key === name);
}

/** Names the character set of a text without a header: UTF-8 if the text is valid UTF-8, else unknown (RFC 1428). */
function guessCharset(seen: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for (const piece of seen) decoder.decode(piece, { stream: true });
    return "utf-8";
  } catch {
    return "unknown-8bit";
  }
}

function signedError(): ConversionError {
  return new ConversionError(
    "signed",
    "Cannot convert the message: a signed part has bytes above 127, and encoding it would break its signature",
  );
}

function unexpectedBytes(node: SplitNode): ConversionError {
  const label = labelOf(node) || "7bit";
  return new ConversionError(
    "encoding",
    `Cannot convert the message: a part of type ${node.contentType} that must be ${label} has bytes above 127`,
  );
}

async function* followedBy(
  first: readonly Uint8Array[],
  rest: AsyncGenerator<Uint8Array, undefined>,
): AsyncGenerator<Uint8Array, undefined> {
  yield* first;
  yield* rest;
}

/** Reads a nested message like any other. */
function readPieces(body: AsyncGenerator<Uint8Array, undefined>): ContentReader {
  return {
    read: async () => (await body.next()).value,
    cancel: async () => void await body.return(undefined),
  };
}
