/**
 * Rewrites headers without bytes above 127 (RFC 2047, RFC 2231).
 *
 * @module
 */
import { ConversionError } from "./errors.ts";
import { foldField } from "./folding.ts";
import type { SplitNode } from "./message_splitter.ts";
import { loadLibrary } from "./node_streams.ts";

/** Fields that hold addresses: names and domains can be encoded, local parts cannot. */
const ADDRESS_FIELDS =
  /^(?:resent-)?(?:from|sender|to|cc|bcc|reply-to)$|^(?:disposition-notification-to|errors-to)$/;

/** Fields with parameters (RFC 2231). */
const PARAMETER_FIELDS: ReadonlySet<string> = new Set(["content-type", "content-disposition"]);

/** Fields that must not contain encoded words (RFC 2047, section 5). */
const STRUCTURED_FIELDS: ReadonlySet<string> = new Set([
  "message-id",
  "resent-message-id",
  "in-reply-to",
  "references",
  "content-id",
  "content-location",
  "content-transfer-encoding",
  "mime-version",
  "date",
  "resent-date",
  "received",
  "return-path",
  "dkim-signature",
  "arc-seal",
  "arc-message-signature",
]);

/** The part of the library that is used here. */
interface HeaderWriter {
  encodeHeaderValue(name: string, value: string): string;
  parseHeaderValue(value: string): { params: Record<string, string | undefined> };
  buildHeaderValue(value: unknown): string;
}

/** What a header must say about its body from now on. */
export interface HeaderChange {
  /** The body's transfer encoding. */
  encoding?: "7bit" | "quoted-printable" | "base64" | undefined;
  /** The body's character set, for a header without a type. */
  charset?: string | undefined;
}

/**
 * Writes a header in ASCII. Fields that need no change stay as they are, byte for byte.
 *
 * @param node The header.
 * @param change What the header must say about its body.
 * @param signed Whether the header belongs to a signed part, and so must not change.
 * @returns The header with the empty line after it.
 * @throws {ConversionError} `"header"` or `"signed"`.
 */
export async function asciiHeader(
  node: SplitNode,
  change: HeaderChange,
  signed: boolean,
): Promise<Uint8Array> {
  const { headers } = node;
  const raw = headers.build();
  const list = headers.getList();
  // deno-lint-ignore no-control-regex -- the range of ASCII
  const foreign = list.filter(({ line }) => /[^\x00-\x7f]/.test(line));
  if (foreign.length === 0 && change.encoding === undefined) return raw;
  if (signed) {
    throw new ConversionError(
      "signed",
      "Cannot convert the message: the header of a signed part is not ASCII",
    );
  }
  if (foreign.length > 0) {
    const writer = await loadWriter();
    for (const field of foreign) field.line = asciiField(field.key, field.line, writer);
  }
  headers.changed = true;
  if (change.encoding !== undefined) setEncoding(node, change);
  const lineEnd = raw.indexOf(0x0a) > 0 && raw[raw.indexOf(0x0a) - 1] !== 0x0d ? "\n" : "\r\n";
  return headers.build(lineEnd);
}

function setEncoding(node: SplitNode, { encoding, charset }: HeaderChange): void {
  const list = node.headers.getList();
  const line = `Content-Transfer-Encoding: ${encoding}`;
  const fields = list.filter(({ key }) => key === "content-transfer-encoding");
  for (const field of fields) field.line = line;
  const add = (field: string) =>
    node.headers.addFormatted(field.slice(0, field.indexOf(":")), field, list.length);
  // Without MIME-Version the other fields mean nothing (RFC 2045, section 4).
  if (node.root && !list.some(({ key }) => key === "mime-version")) add("MIME-Version: 1.0");
  if (charset !== undefined) add(`Content-Type: text/plain; charset=${charset}`);
  if (fields.length === 0) add(line);
}

function asciiField(key: string, line: string, writer: HeaderWriter): string {
  const colon = line.indexOf(":");
  const name = line.slice(0, colon);
  // deno-lint-ignore no-control-regex -- the range of ASCII
  if (colon < 1 || /[^\x00-\x7f]/.test(name)) throw notInAscii("a line");
  const bytes = Uint8Array.from(
    line.slice(colon + 1).replaceAll(/\r?\n/g, "").trim(),
    (c) => c.charCodeAt(0),
  );
  const value = decodeUtf8(bytes);
  const structured = STRUCTURED_FIELDS.has(key);
  let written: string;
  if (value === undefined) {
    if (structured || ADDRESS_FIELDS.test(key) || PARAMETER_FIELDS.has(key)) {
      throw notInAscii(`the field ${name}`);
    }
    written = unknownWords(bytes);
  } else if (structured) throw notInAscii(`the field ${name}`);
  else if (ADDRESS_FIELDS.test(key)) written = writer.encodeHeaderValue("From", value);
  else if (PARAMETER_FIELDS.has(key)) {
    const parsed = writer.parseHeaderValue(value);
    // The delimiters between the parts contain the boundary unencoded (RFC 2046, section 5.1.1).
    // deno-lint-ignore no-control-regex -- the range of ASCII
    if (/[^\x00-\x7f]/.test(parsed.params["boundary"] ?? "")) throw notInAscii("the boundary");
    written = writer.buildHeaderValue(parsed);
  } else written = writer.encodeHeaderValue(name, value);
  // deno-lint-ignore no-control-regex -- the range of ASCII
  if (/[^\x00-\x7f]/.test(written)) throw notInAscii(`the field ${name}`);
  return foldField(`${name}: ${written}`);
}

function notInAscii(where: string): ConversionError {
  return new ConversionError(
    "header",
    `Cannot convert the message: ${where} of a header has characters that ASCII cannot express`,
  );
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Encodes text of an unknown character set (RFC 1428). 42 bytes make an encoded word of 75 characters, the maximum. */
function unknownWords(bytes: Uint8Array): string {
  const words: string[] = [];
  for (let i = 0; i < bytes.length; i += 42) {
    words.push(`=?unknown-8bit?B?${btoa(String.fromCharCode(...bytes.subarray(i, i + 42)))}?=`);
  }
  return words.join(" ");
}

async function loadWriter(): Promise<HeaderWriter> {
  const [{ default: MimeNode }, { parseHeaderValue, buildHeaderValue }] = await Promise.all([
    loadLibrary<{ default: Pick<HeaderWriter, "encodeHeaderValue"> }>(
      "nodemailer",
      () => import("nodemailer/lib/mime-node"),
    ),
    loadLibrary<Omit<HeaderWriter, "encodeHeaderValue">>(
      "nodemailer",
      () => import("nodemailer/lib/mime-funcs"),
    ),
  ]);
  return {
    encodeHeaderValue: (name, value) => MimeNode.encodeHeaderValue(name, value),
    parseHeaderValue,
    buildHeaderValue,
  };
}
