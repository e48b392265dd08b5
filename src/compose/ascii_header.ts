/**
 * Headers without bytes above 127 (RFC 2047, RFC 2231).
 *
 * @module
 */
import { ConversionError } from "./conversion_error.ts";
import type { SplitNode } from "./splitter.ts";

/** Fields that hold addresses: names can be encoded, domains too, local parts cannot. */
const ADDRESS_FIELDS =
  /^(?:resent-)?(?:from|sender|to|cc|bcc|reply-to)$|^(?:disposition-notification-to|errors-to)$/;

/** Fields with parameters (RFC 2231). */
const PARAMETER_FIELDS: ReadonlySet<string> = new Set(["content-type", "content-disposition"]);

/** Fields in which no encoded word may stand (RFC 2047, section 5). */
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

/** As much of the library as is used. */
interface Library {
  encodeHeaderValue(name: string, value: string): string;
  foldLines(field: string, length: number): string;
  parseHeaderValue(value: string): { params: Record<string, string | undefined> };
  buildHeaderValue(value: unknown): string;
}

/** What is to be said of the body. */
export interface HeaderChange {
  /** How it is encoded. */
  encoding?: "7bit" | "quoted-printable" | "base64" | undefined;
  /** In which character set it is, where the header says no type at all. */
  charset?: string | undefined;
}

/**
 * Writes a header in ASCII. Fields that need no change stay as they are, byte for byte.
 *
 * @param node The header.
 * @param change What else is to be said in it.
 * @param strict Whether nothing in it may be changed, being signed.
 * @returns The header with the empty line.
 * @throws {ConversionError} `"header"` or `"signed"`.
 */
export async function asciiHeader(
  node: SplitNode,
  change: HeaderChange,
  strict: boolean,
): Promise<Uint8Array> {
  const { headers } = node;
  const raw = headers.build();
  const list = headers.getList();
  // deno-lint-ignore no-control-regex -- that is ASCII
  const foreign = list.filter(({ line }) => /[^\x00-\x7f]/.test(line));
  if (foreign.length === 0 && change.encoding === undefined) return raw;
  if (strict) {
    throw new ConversionError(
      "signed",
      "Cannot convert the message: the header of a signed part is not ASCII",
    );
  }
  const library = foreign.length === 0 ? undefined : await loadWriter();
  for (const field of foreign) field.line = asciiField(field.key, field.line, library!);
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
  // Without it the rest means nothing (RFC 2045, section 4).
  if (node.root && !list.some(({ key }) => key === "mime-version")) add("MIME-Version: 1.0");
  if (charset !== undefined) add(`Content-Type: text/plain; charset=${charset}`);
  if (fields.length === 0) add(line);
}

function asciiField(key: string, line: string, library: Library): string {
  const colon = line.indexOf(":");
  const name = line.slice(0, colon);
  // deno-lint-ignore no-control-regex -- that is ASCII
  if (colon < 1 || /[^\x00-\x7f]/.test(name)) throw noForm("a line");
  const bytes = Uint8Array.from(
    line.slice(colon + 1).replaceAll(/\r?\n/g, "").trim(),
    (c) => c.charCodeAt(0),
  );
  const value = decodeUtf8(bytes);
  const structured = STRUCTURED_FIELDS.has(key);
  let written: string;
  if (value === undefined) {
    if (structured || ADDRESS_FIELDS.test(key) || PARAMETER_FIELDS.has(key)) {
      throw noForm(`the field ${name}`);
    }
    written = unknownWords(bytes);
  } else if (structured) throw noForm(`the field ${name}`);
  else if (ADDRESS_FIELDS.test(key)) written = library.encodeHeaderValue("From", value);
  else if (PARAMETER_FIELDS.has(key)) {
    const parsed = library.parseHeaderValue(value);
    // Delimiters bear it as it is (RFC 2046, section 5.1.1).
    // deno-lint-ignore no-control-regex -- that is ASCII
    if (/[^\x00-\x7f]/.test(parsed.params["boundary"] ?? "")) throw noForm("the boundary");
    written = library.buildHeaderValue(parsed);
  } else written = library.encodeHeaderValue(name, value);
  // deno-lint-ignore no-control-regex -- that is ASCII
  if (/[^\x00-\x7f]/.test(written)) throw noForm(`the field ${name}`);
  return library.foldLines(`${name}: ${written}`, 76);
}

function noForm(what: string): ConversionError {
  return new ConversionError(
    "header",
    `Cannot convert the message: ${what} of a header has characters without a form in ASCII`,
  );
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Text of a character set that nobody says (RFC 1428): 45 bytes make an encoded word of 75 characters or less. */
function unknownWords(bytes: Uint8Array): string {
  const words: string[] = [];
  for (let i = 0; i < bytes.length; i += 42) {
    words.push(`=?unknown-8bit?B?${btoa(String.fromCharCode(...bytes.subarray(i, i + 42)))}?=`);
  }
  return words.join(" ");
}

async function loadWriter(): Promise<Library> {
  const [{ default: MimeNode }, { foldLines, parseHeaderValue, buildHeaderValue }] = await Promise.all([
    import("nodemailer/lib/mime-node") as unknown as Promise<{ default: Pick<Library, "encodeHeaderValue"> }>,
    import("nodemailer/lib/mime-funcs") as unknown as Promise<Omit<Library, "encodeHeaderValue">>,
  ]);
  return {
    encodeHeaderValue: (name, value) => MimeNode.encodeHeaderValue(name, value),
    foldLines,
    parseHeaderValue,
    buildHeaderValue,
  };
}
