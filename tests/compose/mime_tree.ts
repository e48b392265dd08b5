/** Random messages whose contents are known. @module */
import fc from "fast-check";

/** A part: a content, parts, or a message. */
export type Tree =
  | { kind: "leaf"; type: string; label: string; content: Uint8Array; subject: string; attached: boolean }
  | { kind: "multipart"; label: string; preamble: string; epilogue: string; parts: Tree[]; id: number }
  | { kind: "message"; label: string; disposition: string; subject: string; inner: Tree };

/** The contents of a message by their names; the content of a nested message by the name of that message. */
export type Contents = Map<string, Uint8Array>;

const encoder = new TextEncoder();

/** Joins texts and bytes. */
export function concat(...pieces: (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const bytes = pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : piece);
  const all = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const piece of bytes) {
    all.set(piece, offset);
    offset += piece.length;
  }
  return all;
}

/** Cuts bytes at random places. */
export function cut(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let offset = 0;
  let i = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset >= bytes.length) return controller.close();
      const size = sizes.length === 0 ? bytes.length : sizes[i++ % sizes.length]!;
      controller.enqueue(bytes.slice(offset, offset + size));
      offset += size;
    },
  }, { highWaterMark: 0 });
}

/** Random sizes of the pieces. */
export const sizes: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 5 });

const asciiLines = fc.array(
  fc.string({ unit: fc.constantFrom(..."aZ9 =.-\t".split("")), maxLength: 80 }),
  { maxLength: 6 },
).map((lines) => encoder.encode(lines.join("\r\n")));

const foreignLines = fc.array(
  fc.string({ unit: fc.constantFrom(..."aZ9 =.-\tüß東😀".split("")), maxLength: 60 }),
  { maxLength: 6 },
).map((lines) => encoder.encode(lines.join("\r\n")));

const anyBytes = fc.uint8Array({ maxLength: 200 });

const word = fc.string({ unit: fc.constantFrom(..."abc".split("")), minLength: 1, maxLength: 8 });

const foreignWord = fc.string({ unit: fc.constantFrom(..."aüß東 ".split("")), maxLength: 30 }).map((text) =>
  `x${text}x`
);

/** Random trees with 8bit and binary contents, or with 7bit contents only. */
export function trees(ascii: boolean): fc.Arbitrary<Tree> {
  const subject = ascii ? word : fc.oneof(word, foreignWord);
  const lines = (labels: string[], content: fc.Arbitrary<Uint8Array>) =>
    fc.record({
      kind: fc.constant("leaf" as const),
      type: fc.constantFrom(
        "text/plain; charset=utf-8",
        "text/html; charset=utf-8",
        "application/json",
        "image/png",
      ),
      label: fc.constantFrom(...labels),
      content,
      subject,
      attached: fc.constant(true),
    });
  const leaf: fc.Arbitrary<Tree> = ascii ? lines(["", "7bit", "8bit", "binary"], asciiLines) : fc.oneof(
    lines(["", "7bit", "8bit", "binary"], fc.oneof(asciiLines, foreignLines)),
    lines(["binary"], anyBytes),
    lines(["base64", "quoted-printable"], anyBytes),
  );
  const labels = ascii ? ["", "7bit"] : ["", "7bit", "8bit", "binary"];
  let count = 0;
  return fc.letrec<{ tree: Tree; leaf: Tree; multipart: Tree; message: Tree }>((tie) => ({
    tree: fc.oneof({ maxDepth: 3, withCrossShrink: true }, tie("leaf"), tie("multipart"), tie("message")),
    leaf,
    multipart: fc.record({
      kind: fc.constant("multipart" as const),
      label: fc.constantFrom(...labels),
      preamble: fc.constantFrom("", "This is a preamble.\r\n", "a\r\n\r\nb\r\n"),
      epilogue: fc.constantFrom("", "\r\n", "\r\nAn epilogue.\r\n"),
      parts: fc.array(tie("tree"), { minLength: 1, maxLength: 3 }),
      id: fc.constant(0).map(() => ++count),
    }),
    message: fc.record({
      kind: fc.constant("message" as const),
      label: fc.constantFrom(...labels),
      disposition: fc.constantFrom("inline", "attachment"),
      subject,
      inner: tie("tree"),
    }),
  })).tree;
}

/** Writes a tree as a message, and collects its contents in `contents`. */
export function write(tree: Tree, contents: Contents, name = "m"): Uint8Array<ArrayBuffer> {
  const header = `From: sender@example.com\r\nSubject: ${
    "subject" in tree ? tree.subject : "s"
  }\r\nMIME-Version: 1.0\r\n`;
  return concat(header, writePart(tree, contents, name));
}

function writePart(tree: Tree, contents: Contents, name: string): Uint8Array {
  const label = tree.label === "" ? "" : `Content-Transfer-Encoding: ${tree.label}\r\n`;
  switch (tree.kind) {
    case "leaf":
      contents.set(name, tree.content);
      return concat(
        `Content-Type: ${tree.type}\r\n${label}Content-Disposition: attachment; filename=${name}\r\n\r\n`,
        encode(tree.label, tree.content),
      );
    case "message": {
      const inner: Contents = new Map();
      const bytes = write(tree.inner, inner, `${name}i`);
      for (const [key, value] of inner) contents.set(key, value);
      return concat(
        `Content-Type: message/rfc822\r\n${label}Content-Disposition: ${tree.disposition}; filename=${name}\r\n\r\n`,
        bytes,
      );
    }
    case "multipart": {
      const boundary = `b${tree.id}e`; // none is the beginning of another
      const parts = tree.parts.flatMap((part, i) => [
        `${i === 0 ? "" : "\r\n"}--${boundary}\r\n`,
        writePart(part, contents, `${name}${i}`),
      ]);
      return concat(
        `Content-Type: multipart/mixed; boundary="${boundary}"\r\n${label}\r\n${tree.preamble}`,
        ...parts,
        `\r\n--${boundary}--${tree.epilogue}`,
      );
    }
  }
}

function encode(label: string, content: Uint8Array): Uint8Array | string {
  if (label === "base64") return btoa(String.fromCharCode(...content)).replaceAll(/.{76}/g, "$&\r\n");
  if (label !== "quoted-printable") return content;
  return Array.from(content, (byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")
    .replaceAll(/.{72}/g, "$&=\r\n");
}

/** Finds the contents of a message that `write` wrote, in the simplest way. */
export function read(message: Uint8Array, found: Contents = new Map()): Contents {
  const text = Array.from(message, (byte) => String.fromCharCode(byte)).join("");
  readPart(text, found);
  return found;
}

function readPart(text: string, found: Contents): void {
  const end = text.indexOf("\r\n\r\n");
  const header = text.slice(0, end + 2).replaceAll(/\r\n[ \t]+/g, " ");
  const body = text.slice(end + 4);
  const type = header.match(/^Content-Type: *([^;\r]*)/im)![1]!;
  const label = header.match(/^Content-Transfer-Encoding: *(\S*)/im)?.[1] ?? "7bit";
  if (type === "multipart/mixed") {
    const boundary = header.match(/boundary="?(\w+)/i)![1]!;
    const parts = `\r\n${body}`.split(`\r\n--${boundary}`);
    for (const part of parts.slice(1, -1)) readPart(part.slice(2), found);
  } else if (type === "message/rfc822") readPart(body, found);
  else {
    const name = header.match(/filename="?(\w+)/i)![1]!;
    found.set(name, Uint8Array.from(decode(label, body), (character) => character.charCodeAt(0)));
  }
}

function decode(label: string, body: string): string {
  if (label === "base64") return atob(body);
  if (label !== "quoted-printable") return body;
  return body.replaceAll("=\r\n", "")
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
