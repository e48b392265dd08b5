/**
 * Messages for servers that take ASCII only: 8bit and binary contents re-encoded (RFC 6152, section 3; RFC 3030, section 4.2).
 *
 * @module
 */
import { asciiHeader } from "./ascii_header.ts";
import type { HeaderChange } from "./ascii_header.ts";
import { readContent } from "./content.ts";
import type { Reading } from "./content.ts";
import { ConversionError } from "./conversion_error.ts";
import type { MailContent } from "./mail.ts";
import { loadNodeStreams } from "./load.ts";
import { isAsciiOnly, LineEnds, OctetCount } from "./octets.ts";
import { SplitMessage } from "./splitter.ts";
import type { SplitNode } from "./splitter.ts";

/**
 * How much of a part is looked at before its header is written: enough for most texts to be seen whole, and as much as one
 * message holds in memory.
 */
const LOOK_AHEAD = 64 * 1024;

/** Messages inside messages: beyond it, somebody means harm. */
const MAX_DEPTH = 20;

/** The labels that say that a body is as it is (RFC 2045, section 6.2). `""` means 7bit. */
const IDENTITIES: ReadonlySet<string> = new Set(["", "7bit", "8bit", "binary"]);

/**
 * Makes a message ASCII, for a server that does not offer 8BITMIME or BINARYMIME: `encode: "auto"` of `client.send()`, once
 * `@streams/smtp/compose` is imported.
 *
 * Parts with bytes above 127, NUL or lines of more than 998 bytes are encoded as quoted-printable or base64, whichever is
 * shorter, and their headers say so; messages that are attached are converted too. Fields with UTF-8 in them become encoded
 * words (RFC 2047) and parameters (RFC 2231). All else stays as it is: a message that is 7bit data throughout comes out byte for
 * byte, except that a multipart or an attached message that calls itself 8bit is called 7bit, and that a part of more than 64
 * KiB that calls itself 8bit or binary is encoded, as its end is not waited for. Memory does not grow with the message.
 *
 * What is signed as a part (`multipart/signed`) is not changed: that is an error. A signature over the whole message
 * (DKIM-Signature, ARC) does not survive a conversion: sign afterwards.
 *
 * @example
 * ```ts
 * import { toSevenBit } from "@streams/smtp/compose";
 *
 * const message = "Subject: Grüße\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello Jürgen, hello all\r\n";
 * console.log(await new Response(toSevenBit(message)).text()); // Hello J=C3=BCrgen, hello all
 * ```
 *
 * @param message The message. A stream belongs to this call: it is read, or cancelled with the result.
 * @returns The message in ASCII. It fails with a {@linkcode ConversionError} where there is none.
 * @throws {TypeError} If it is no message.
 */
export function toSevenBit(message: MailContent): ReadableStream<Uint8Array> {
  const content = readContent("the message", message);
  let reading: Reading | undefined;
  let pieces: AsyncGenerator<Uint8Array, undefined> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        pieces ??= convert(reading = content.open(), { depth: 0, strict: false });
        const { value, done } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        await reading?.cancel(error).catch(() => {}); // the first error counts
        throw error;
      }
    },
    async cancel(reason) {
      // First the source: whoever waits for it then waits no longer.
      await (reading ?? content).cancel(reason);
      await pieces?.return(undefined);
    },
  }, { highWaterMark: 0 });
}

/** Where in the message we are. */
interface Place {
  /** How many messages it is inside of. */
  readonly depth: number;
  /** Whether nothing may be changed, being signed. */
  readonly strict: boolean;
}

/** What is known of a multipart. */
interface Multipart {
  readonly strict: boolean;
  /** Whether parts of it were seen. */
  hasParts: boolean;
  /** Whether bytes were lost in what nobody reads, before the first part. */
  lostBytes: boolean;
}

async function* convert(reading: Reading, place: Place): AsyncGenerator<Uint8Array, undefined> {
  const message = await SplitMessage.open(reading);
  const multiparts = new Map<SplitNode, Multipart>();
  try {
    for (let piece = await message.peek(); piece !== undefined; piece = await message.peek()) {
      message.take();
      if (piece.type !== "node") {
        yield between(piece.value!, multiparts.get(piece.node));
        continue;
      }
      const parent = piece.parentNode ? multiparts.get(piece.parentNode) : undefined;
      if (parent !== undefined) parent.hasParts = true;
      const strict = parent?.strict ?? place.strict;
      if (piece.multipart) {
        const signed = strict || piece.multipart === "signed";
        multiparts.set(piece, { strict: signed, hasParts: false, lostBytes: false });
        yield await asciiHeader(piece, compositeChange(piece, signed), strict);
      } else if (piece.contentType === "message/rfc822" && IDENTITIES.has(labelOf(piece))) {
        yield await asciiHeader(piece, compositeChange(piece, strict), strict);
        if (place.depth === MAX_DEPTH) {
          throw new ConversionError(
            "structure",
            `Cannot convert the message: it has more than ${MAX_DEPTH} messages inside each other`,
          );
        }
        yield* convert(readingOf(message.body()), { depth: place.depth + 1, strict });
      } else yield* convertPart(piece, message.body(), { ...place, strict });
    }
    for (const { lostBytes, hasParts } of multiparts.values()) {
      if (lostBytes && !hasParts) {
        throw new ConversionError("structure", "Cannot convert the message: a multipart has no parts in it");
      }
    }
  } finally {
    await message.close();
  }
}

/** Delimiters, and what stands before the first part and behind the last, which nobody reads (RFC 2046, section 5.1.1). */
function between(bytes: Uint8Array, multipart: Multipart | undefined): Uint8Array {
  if (isAsciiOnly(bytes)) return bytes;
  if (multipart?.strict) throw signed();
  if (multipart !== undefined) multipart.lostBytes = true;
  return bytes.map((octet) => octet > 0x7f ? 0x3f : octet);
}

/** A multipart or a message that has nothing in it but 7bit is 7bit (RFC 2045, section 6.4). */
function compositeChange(node: SplitNode, strict: boolean): HeaderChange {
  const label = labelOf(node);
  return !strict && (label === "8bit" || label === "binary") ? { encoding: "7bit" } : {};
}

async function* convertPart(
  node: SplitNode,
  body: AsyncGenerator<Uint8Array, undefined>,
  { depth, strict }: Place,
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
  const encoding = encodingFor(node, count, { strict, whole });
  const charset = encoding !== undefined && !hasField(node, "content-type") ? guessCharset(seen) : undefined;
  yield await asciiHeader(node, { encoding, charset }, strict);
  if (encoding === undefined) {
    for await (const piece of followedBy(seen, body)) {
      if (!isAsciiOnly(piece)) throw strict ? signed() : unexpected(node);
      yield piece;
    }
    return;
  }
  const { encodeBody } = await loadNodeStreams();
  const text = labelOf(node) !== "binary";
  yield* encodeBody(text ? withLineEnds(followedBy(seen, body)) : followedBy(seen, body), encoding, {
    binary: !text,
  });
  if (encoding === "base64" && depth === 0 && node.root) yield Uint8Array.of(0x0d, 0x0a);
}

/** Chooses how a part is to be encoded; `undefined` if it stays as it is. */
function encodingFor(
  node: SplitNode,
  count: OctetCount,
  { strict, whole }: { strict: boolean; whole: boolean },
): "quoted-printable" | "base64" | undefined {
  const label = labelOf(node);
  if (strict || !IDENTITIES.has(label) || mustStay(node)) return undefined;
  const foreign = count.foreign > 0 || count.longLines || (label === "binary" && count.bareEnds);
  const mayFollow = !whole && (label === "8bit" || label === "binary");
  if (!foreign && !mayFollow) return undefined;
  const lines = node.contentType !== false && node.contentType.startsWith("text/") &&
    !(label === "binary" && count.bareEnds);
  // An escape costs two characters more, base64 a third of everything.
  return lines && count.escaped * 6 <= count.total ? "quoted-printable" : "base64";
}

/** Of messages that are not whole ones, only those of RFC 6532 may be encoded (RFC 2046, section 5.2; RFC 6533). */
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

/** The text that no header says a word of: UTF-8 where it can be that, else unknown (RFC 1428). */
function guessCharset(seen: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for (const piece of seen) decoder.decode(piece, { stream: true });
    return "utf-8";
  } catch {
    return "unknown-8bit";
  }
}

function signed(): ConversionError {
  return new ConversionError(
    "signed",
    "Cannot convert the message: a signed part has bytes above 127, and to encode it would break its signature",
  );
}

function unexpected(node: SplitNode): ConversionError {
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

async function* withLineEnds(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  const ends = new LineEnds();
  for await (const piece of body) {
    const done = ends.push(piece);
    if (done.length > 0) yield done;
  }
}

/** A message inside a message is read like any other. */
function readingOf(body: AsyncGenerator<Uint8Array, undefined>): Reading {
  return {
    read: async () => (await body.next()).value,
    cancel: async () => void await body.return(undefined),
  };
}
