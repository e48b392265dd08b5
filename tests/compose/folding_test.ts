/** Where header fields are folded, and what becomes of those that cannot be. @module */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { execFileSync } from "node:child_process";
import PostalMime from "postal-mime";
import { foldField, foldHeader } from "../../src/compose/folding.ts";
import { compose } from "../../src/compose/mod.ts";
import type { Mail } from "../../src/compose/mod.ts";
import { test } from "../support/harness.ts";
import { readBytes } from "./read.ts";

/** What JavaScript takes for white space, and mail does not; and what looks like it. */
const SPACES = [
  ..."\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff",
  ..."\u180e\u200b\u2060",
];

const LONG = "a".repeat(60);

/** Every way to get a text into a header. */
const FIELDS: Record<string, (text: string) => Partial<Mail>> = {
  "from.name": (text) => ({ from: { name: text, address: "me@example.com" } }),
  "from.address": (text) => ({ from: { address: `${text}@example.com` } }),
  "from.address, quoted": (text) => ({ from: { address: quoted(text) } }),
  "from.address, domain": (text) => ({ from: { address: `me@${text}.example` } }),
  "from, as text": (text) => ({ from: `${text} <me@example.com>` }),
  "sender": (text) => ({ sender: { name: text, address: quoted(text) } }),
  "to": (text) => ({ to: [{ name: text, address: "a@example.com" }, { address: `ü${text}@example.com` }] }),
  "to, a group": (text) => ({ to: `"${escape(text)}": a@example.com, ${quoted(text)};` }),
  "cc": (text) => ({ cc: { name: text, address: `ü${text}@example.com` } }),
  "replyTo": (text) => ({ replyTo: { name: text, address: quoted(`ü${text}`) } }),
  "subject": (text) => ({ subject: text }),
  "headers": (text) => ({ headers: { "X-Custom": text } }),
  "headers, that the library has rules for": (text) => ({
    headers: { "OTP-Token": text, "Resent-From": text, "Comments": [text, text] },
  }),
  "messageId": (text) => ({ messageId: `${text}@example.com` }),
  "inReplyTo": (text) => ({ inReplyTo: `<${text}@example.com>` }),
  "references": (text) => ({ references: [`${text}@example.com`, `b${text}@example.com`] }),
  "references, as text": (text) => ({ references: `<a@example.com> <${text}@example.com>` }),
  "filename": (text) => ({ attachments: [{ filename: text, content: "" }] }),
  "cid": (text) => ({ attachments: [{ cid: text, content: "", contentType: "image/png" }], html: "x" }),
  "contentType": (text) => ({ attachments: [{ contentType: `text/x${text}`, content: "" }] }),
  "contentType, a parameter": (text) => ({
    attachments: [{ contentType: `text/x; a="${escape(text)}"`, content: "" }],
  }),
  "contentType, the name of a parameter": (text) => ({
    attachments: [{ contentType: `text/x; ${text}=a`, content: "" }],
  }),
  "contentType, a value without quotes": (text) => ({
    attachments: [{ contentType: `text/x; a=${text}`, content: "" }],
  }),
  "attachments[].headers": (text) => ({
    attachments: [{ content: "", headers: { "Content-Description": text } }],
  }),
  "alternatives[].contentType": (text) => ({
    alternatives: [{ contentType: `text/calendar; method=${text}`, content: "" }],
  }),
  "list, URLs": (text) => ({
    list: { unsubscribe: [`mailto:a@example.com?subject=${text}`, `https://example.com/${text}`] },
  }),
  "list.id": (text) => ({ list: { id: text } }),
};

const BASE: Mail = {
  from: "me@example.com",
  to: "you@example.org",
  subject: "Hi",
  text: "Hello",
  headers: { "X-Last": "1" },
  date: new Date(0),
  messageId: "id@example.com",
};

function escape(text: string): string {
  return text.replaceAll(/["\\]/g, "\\$&");
}

function quoted(text: string): string {
  return `"${escape(text)}"@example.com`;
}

/** Composes a mail; `undefined` if it is refused. */
async function write(fields: Partial<Mail>): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let message: ReadableStream<Uint8Array>;
  try {
    ({ message } = compose({
      ...BASE,
      ...fields,
      ...(fields.headers && { headers: { ...BASE.headers, ...fields.headers } }),
    }));
  } catch (error) {
    assert(error instanceof TypeError, String(error));
    return undefined;
  }
  return await readBytes(message);
}

/** Checks the header of a message, and those of its parts. */
function mustBeFolded(raw: Uint8Array, what: string): void {
  const octets = Array.from(raw, (octet) => String.fromCharCode(octet)).join("");
  for (const part of octets.split(/^--.*\r\n/m)) {
    const end = part.indexOf("\r\n\r\n");
    if (end < 0) continue; // after the last delimiter
    for (const line of part.slice(0, end).split("\r\n")) {
      const shown = `${what}: ${JSON.stringify(line.slice(0, 200))}`;
      assert(line.length <= 998, `${line.length} octets, ${shown}`);
      assert(
        /^[\x21-\x39\x3b-\x7e]+:/.test(line) || /^[ \t]+[^ \t]/.test(line),
        `No line of a header: ${shown}`,
      );
      assert(line.trim() !== "", `White space only: ${shown}`);
    }
  }
}

for (const [name, make] of Object.entries(FIELDS)) {
  test(`compose() folds ${name} before spaces and tabs only, or refuses it`, async () => {
    for (const space of SPACES) {
      for (
        const text of [
          `${LONG}${space}${LONG}`,
          `${LONG} ${space}${LONG}`,
          space,
          `${LONG}${space.repeat(30)}x`,
        ]
      ) {
        const raw = await write(make(text));
        if (raw === undefined) continue;
        mustBeFolded(raw, name);
        const { headers } = await PostalMime.parse(raw);
        assert(
          headers.some(({ key }) => key === "x-last"),
          `The header ends too early with ${JSON.stringify(text)}`,
        );
      }
    }
  });

  test(`compose() writes no line of white space and none of more than 998 octets for ${name}`, async () => {
    for (const length of [201, 900, 1_000, 5_000]) {
      for (const unit of ["a", " ", "a ", "\t", '"', "ü", "😀", "\u00a0"]) {
        const filler = unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
        for (const text of [filler, `x ${filler}x`]) {
          const raw = await write(make(text));
          if (raw !== undefined) mustBeFolded(raw, `${name} with ${length} times ${JSON.stringify(unit)}`);
        }
      }
    }
  });
}

/** Any text that a header may have: no control characters, no lone surrogates. */
const anyText = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.string({ unit: "grapheme", maxLength: 30 }) },
    {
      weight: 3,
      arbitrary: fc.string({
        unit: fc.constantFrom(...SPACES, " ", "\t", "a", '"', "\\", "=?"),
        maxLength: 40,
      }),
    },
    { weight: 2, arbitrary: fc.string({ unit: "grapheme-ascii", maxLength: 120 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 1_200 }).map((length) => "x".repeat(length)) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 1_200 }).map((length) => " ".repeat(length)) },
  ),
  { maxLength: 6 },
).map((pieces) =>
  // deno-lint-ignore no-control-regex -- compose() refuses them
  pieces.join("").replaceAll(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "")
).filter((text) => text.isWellFormed());

test("compose() folds any text in any field as RFC 5322 says, or refuses it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...Object.keys(FIELDS)), anyText, async (name, text) => {
      const raw = await write(FIELDS[name]!(text));
      if (raw !== undefined) mustBeFolded(raw, name);
    }),
    { numRuns: 300 },
  );
});

/** What comes back is equal but for the white space around it and the length of gaps, which headers do not keep. */
function normal(text: string): string {
  return text.replaceAll(/[ \t]+/g, " ").trim();
}

/** A mail with a text in every field that may have any. */
function mailOf(text: string): Mail {
  return {
    ...BASE,
    from: { name: text, address: "me@example.com" },
    subject: text,
    headers: { "X-Custom": text, "X-Last": "1" },
    attachments: [{ filename: `a${text}b`, content: "", headers: { "Content-Description": text } }],
  };
}

/** Texts that are not encoded words already: those are left as they are. */
const plainText = anyText.filter((text) => !text.includes("=?"));

test("compose() writes any text so that postal-mime reads the same", async () => {
  await fc.assert(
    fc.asyncProperty(plainText, async (text) => {
      const raw = await write(mailOf(text));
      if (raw === undefined) return;
      mustBeFolded(raw, "all");
      const mail = await PostalMime.parse(raw);
      // It takes U+FEFF at the beginning of an encoded word for a mark of the byte order.
      const same = (found: string | undefined, given: string) =>
        assertEquals(normal((found ?? "").replaceAll("\ufeff", "")), normal(given.replaceAll("\ufeff", "")));
      same(mail.subject, text);
      same(mail.from?.name, text);
      same(mail.attachments[0]!.filename ?? "", `a${text}b`);
    }),
    { numRuns: 150 },
  );
});

const PYTHON = `
import email, email.policy, json, sys
from email.header import decode_header, make_header
from email.utils import parseaddr
result = []
for raw in json.load(sys.stdin):
    message = email.message_from_bytes(bytes.fromhex(raw), policy=email.policy.default)
    plain = email.message_from_bytes(bytes.fromhex(raw))
    part = next(message.iter_attachments())
    result.append({
        "defects": [str(defect) for defect in message.defects + part.defects],
        "subject": message["subject"],
        "name": str(make_header(decode_header(parseaddr(plain["from"])[0]))),
        "custom": message["x-custom"],
        "last": message["x-last"],
        "filename": part.get_filename(),
    })
print(json.dumps(result))
`;

function pythonMissing(): string | undefined {
  try {
    execFileSync("python3", ["-c", "import email.policy"]);
    return undefined;
  } catch {
    return "Python is not installed";
  }
}

test(
  "compose() writes any text so that Python's email package reads the same",
  { skip: pythonMissing() },
  async () => {
    const texts: string[] = [];
    const messages: string[] = [];
    for (
      const text of [
        ...SPACES.map((space) => `${LONG}${space}${LONG}`),
        ...fc.sample(plainText, { numRuns: 150, seed: 6 }),
      ]
    ) {
      const raw = await write(mailOf(text));
      if (raw === undefined) continue;
      texts.push(text);
      messages.push(Array.from(raw, (octet) => octet.toString(16).padStart(2, "0")).join(""));
    }
    assert(texts.length > 50, `${texts.length} texts were not refused`);
    const output = execFileSync("python3", ["-c", PYTHON], {
      input: JSON.stringify(messages),
      encoding: "utf8",
    });
    for (const [index, read] of JSON.parse(output).entries()) {
      const text = texts[index]!;
      assertEquals([read.defects, read.last], [[], "1"], text);
      for (const found of ["subject", "custom", "name"]) {
        assertEquals(
          normal(read[found] ?? ""),
          normal(text),
          found,
        );
      }
      assertEquals(normal(read.filename), normal(`a${text}b`));
    }
  },
);

test("foldField() gives what it was given, with line ends before spaces and tabs", () => {
  fc.assert(fc.property(anyText, (text) => {
    const field = `X-Name: ${text}x`;
    const folded = foldField(field);
    assertEquals(folded.replaceAll("\r\n", ""), field);
    for (const line of folded.split("\r\n").slice(1)) assert(/^[ \t]+[^ \t]/.test(line), line);
  }));
});

test("foldHeader() throws rather than write a line of more than 998 octets", () => {
  assertEquals(foldHeader(`A: ${"ü".repeat(498)}`), `A:\r\n ${"ü".repeat(498)}`);
  assertThrows(() => foldHeader(`A: ${"ü".repeat(499)}`), TypeError, "more than 998 octets");
});

test("compose() refuses addresses with white space that is no space", () => {
  for (const space of SPACES.filter((space) => /\s/.test(space))) {
    for (const address of [`a${space}b@example.com`, `"a${space}b"@example.com`, `${space}a@example.com`]) {
      const { message } = assertThrows(() => compose({ ...BASE, to: { address } }), TypeError);
      // Those that end a line or do not show are no characters of an address at all.
      assertMatch(message, /white space other than spaces|to must be a valid address/);
    }
  }
});
