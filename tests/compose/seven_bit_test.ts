import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import PostalMime from "postal-mime";
import { compose, ConversionError, toSevenBit } from "../../src/compose/mod.ts";
import type { ConversionErrorCode } from "../../src/compose/mod.ts";
import { test } from "../support/harness.ts";
import { concat, type Contents, cut, read, sizes, trees, write } from "./mime_tree.ts";
import { readBytes, readText } from "./read.ts";

const lines = (...all: string[]) => all.join("\r\n");

/** Finds the contents of a message with another parser. */
async function contentsOf(message: Uint8Array<ArrayBuffer>, found: Contents = new Map()): Promise<Contents> {
  const mail = await PostalMime.parse(message, { forceRfc822Attachments: true });
  for (const { mimeType, filename, content } of mail.attachments) {
    const bytes = new Uint8Array(content as ArrayBuffer);
    if (mimeType === "message/rfc822") await contentsOf(bytes, found);
    else found.set(filename!, bytes);
  }
  return found;
}

/** The other parser reads line by line, and ends each line with LF. */
function loosely(contents: Contents): Map<string, string> {
  const text = (bytes: Uint8Array) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return new Map(
    [...contents].map(([name, bytes]) => [name, text(bytes).replaceAll(/\r\n?/g, "\n").replace(/\n+$/, "")]),
  );
}

async function failsWith(code: ConversionErrorCode, message: string): Promise<ConversionError> {
  const error = await assertRejects(() => readBytes(toSevenBit(message)), ConversionError);
  assertEquals(error.code, code, error.message);
  return error;
}

test("toSevenBit() leaves a message of 7bit data alone, byte for byte, wherever it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(trees(true), sizes, async (tree, sizes) => {
      const message = write(tree, new Map());
      assertEquals(await readBytes(toSevenBit(cut(message, sizes))), message);
    }),
    { numRuns: 150 },
  );
});

test("toSevenBit() leaves malformed messages alone", async () => {
  const unit = fc.constantFrom(
    ..."ab:- \r\n".split(""),
    "\r\n",
    "\r\n\r\n",
    "--b",
    "Content-Type: ",
    "multipart/mixed; boundary=b",
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ unit, maxLength: 60 }), sizes, async (text, sizes) => {
      const message = concat(text);
      assertEquals(await readText(toSevenBit(cut(message, sizes))), text);
    }),
    { numRuns: 400 },
  );
});

test("toSevenBit() converts everything to ASCII, and another parser finds the same contents", async () => {
  await fc.assert(
    fc.asyncProperty(trees(false), sizes, async (tree, sizes) => {
      const contents: Contents = new Map();
      const message = write(tree, contents);
      const converted = await readBytes(toSevenBit(cut(message, sizes)));
      assert(converted.every((byte) => byte < 0x80 && byte !== 0));
      const text = new TextDecoder().decode(converted);
      assert(text.split("\r\n").every((line) => line.length <= 998 && !/[\r\n]/.test(line)), text);
      assertEquals(read(converted), contents);
      assertEquals(loosely(await contentsOf(converted)), loosely(contents));
      assertEquals(await readText(toSevenBit(cut(converted, sizes))), text);
    }),
    { numRuns: 150 },
  );
});

test("toSevenBit() writes text as quoted-printable where that is shorter, else as base64", async () => {
  const head = lines(
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    "",
  );
  assertEquals(
    await readText(toSevenBit(`${head}Hello Jürgen, how are you? \r\n.\r\n`)),
    head.replace("8bit", "quoted-printable") + "Hello J=C3=BCrgen, how are you?=20\r\n.\r\n",
  );
  assertEquals(
    await readText(toSevenBit(`${head}東京\n大阪\r\n`)),
    head.replace("8bit", "base64") + "5p2x5LqsDQrlpKfpmKoNCg==\r\n",
  );
});

test("toSevenBit() adds the fields that a message lacks", async () => {
  assertEquals(
    await readText(toSevenBit("Subject: x\n\nHello Jürgen, hello all\n")),
    lines(
      "Subject: x",
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: quoted-printable",
      "",
      "Hello J=C3=BCrgen, hello all",
      "",
    ).replace("\r\n\r\n", "\n\n").replaceAll(/\r\n(?=[MC])/g, "\n"),
  );
  const latin = concat("Subject: x\r\n\r\nHello J", Uint8Array.of(0xfc), "rgen, hello all\r\n");
  const text = await readText(toSevenBit(latin));
  assert(text.includes("charset=unknown-8bit") && text.includes("J=FCrgen"), text);
});

test("toSevenBit() writes fields with UTF-8 as RFC 2047 and RFC 2231 allow, and leaves the others as they are", async () => {
  const message = lines(
    "Received: from a by b;\r\n\tSun, 22 Nov 2026 12:00:00 +0000",
    "From: Jürgen <juergen@exämple.com>",
    'To: "Müller, Ännchen" <a@example.org>,  b@example.org',
    "Subject: Grüße aus\r\n Köln",
    "X-Odd  : kept  as it is",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=us-ascii",
    "Content-Disposition: attachment; filename=Übersicht.txt",
    "",
    "Text",
    "",
  );
  const converted = await readText(toSevenBit(message));
  // deno-lint-ignore no-control-regex -- the range of ASCII
  assert(/^[\x00-\x7f]*$/.test(converted), converted);
  for (
    const kept of [
      "Received: from a by b;\r\n\tSun, 22 Nov 2026 12:00:00 +0000\r\n",
      "X-Odd  : kept  as it is\r\n",
      "charset=us-ascii\r\n",
      "\r\n\r\nText\r\n",
    ]
  ) assert(converted.includes(kept), converted);
  const mail = await PostalMime.parse(converted);
  assertEquals(mail.from?.name, "Jürgen");
  assertEquals(mail.from?.address, "juergen@xn--exmple-cua.com");
  assertEquals(mail.to?.map(({ name, address }) => `${name}|${address}`), [
    "Müller, Ännchen|a@example.org",
    "|b@example.org",
  ]);
  assertEquals(mail.subject, "Grüße aus Köln");
  assertEquals(mail.attachments[0]!.filename, "Übersicht.txt");
});

test("toSevenBit() marks a field of unknown character set as such, where encoded words are allowed", async () => {
  const latin = Uint8Array.of(0xfc);
  const subject = await readText(toSevenBit(concat("Subject: J", latin, "rgen\r\n\r\nText")));
  assertEquals(subject, `Subject: =?unknown-8bit?B?${btoa("J\xfcrgen")}?=\r\n\r\nText`);
  const from = toSevenBit(concat("From: J", latin, "rgen <a@example.com>\r\n\r\nText"));
  assertEquals((await assertRejects(() => readText(from), ConversionError)).code, "header");
});

test("toSevenBit() refuses fields that ASCII cannot express", async () => {
  await failsWith("header", "To: jürgen@example.com\r\n\r\nText");
  await failsWith("header", "Message-ID: <ü@example.com>\r\n\r\nText");
  await failsWith("header", "Grüße: x\r\n\r\nText");
  await failsWith("header", "Grüße\r\n\r\nText");
  await failsWith("header", 'Content-Type: multipart/mixed; boundary="ü"\r\n\r\n--ü\r\n\r\nText\r\n--ü--');
});

const signedMessage = (...part: string[]) =>
  lines(
    "Subject: Grüße",
    "MIME-Version: 1.0",
    'Content-Type: multipart/signed; boundary="s"; micalg=pgp-sha256; protocol="application/pgp-signature"',
    "",
    "--s",
    ...part,
    "--s",
    "Content-Type: application/pgp-signature",
    "",
    "-----BEGIN PGP SIGNATURE-----",
    "--s--",
    "",
  );

test("toSevenBit() does not break a signature", async () => {
  const kept = ["Content-Type: text/plain", "Content-Transfer-Encoding: 8bit", "", "Text"];
  const converted = await readText(toSevenBit(signedMessage(...kept)));
  assertEquals(converted, signedMessage(...kept).replace("Grüße", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?="));
  const inner = (...part: string[]) => [
    'Content-Type: multipart/mixed; boundary="t"',
    "Content-Transfer-Encoding: 8bit",
    "",
    "--t",
    ...part,
    "--t--",
    "",
  ];
  await failsWith("signed", signedMessage(...kept, "Grüße"));
  await failsWith("signed", signedMessage("Content-Type: text/plain; x=ü", "", "Text"));
  await failsWith("signed", signedMessage(...inner(...kept, "Grüße")));
  await failsWith(
    "signed",
    signedMessage(...inner("Content-Type: message/rfc822", "", "Subject: ü", "", "Text")),
  );
  await failsWith("signed", signedMessage(...inner("Content-Type: text/plain", "", "Text"), "Epilogue ü"));
});

test("toSevenBit() refuses contents that must not be encoded, or contradict their label", async () => {
  await failsWith("encoding", "Content-Type: message/partial; id=a; number=1\r\n\r\nGrüße");
  await failsWith("encoding", "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nGrüße");
  await failsWith(
    "encoding",
    "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nGrüße",
  );
  const late = `Content-Type: text/plain\r\n\r\n${"ASCII\r\n".repeat(20_000)}Grüße`;
  await failsWith("encoding", late);
});

test("toSevenBit() encodes a long part that is labelled 8bit without waiting for its end", async () => {
  const late = `Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${
    "ASCII\r\n".repeat(20_000)
  }Grüße\r\n`;
  const converted = await readText(toSevenBit(late));
  assert(converted.endsWith("ASCII\r\nGr=C3=BC=C3=9Fe\r\n"));
});

test("toSevenBit() encodes lines that are too long, and NUL", async () => {
  const head = "Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";
  const longest = `${head}${"x".repeat(998)}\r\n`;
  assertEquals(await readText(toSevenBit(longest)), longest);
  for (const body of [`${"x".repeat(999)}\r\n`, "Text with \0 in it\r\n"]) {
    const converted = await readText(toSevenBit(head + body));
    const [header, text] = converted.split("\r\n\r\n");
    assert(header!.includes("Content-Transfer-Encoding: quoted-printable"), header);
    assertEquals(text!.replaceAll("=\r\n", "").replaceAll("=00", "\0"), body);
  }
});

test("toSevenBit() encodes a message of RFC 6532 that is attached", async () => {
  const message = lines(
    "MIME-Version: 1.0",
    "Content-Type: message/global",
    "",
    "Subject: Grüße",
    "",
    "Text",
  );
  const converted = await readText(toSevenBit(message));
  assert(converted.includes("Content-Transfer-Encoding: base64\r\n\r\n"), converted);
});

test("toSevenBit() replaces bytes only between parts, where no reader looks", async () => {
  const multipart = (body: string) => `Content-Type: multipart/mixed; boundary=b\r\n\r\n${body}`;
  assertEquals(
    await readText(toSevenBit(multipart("Prä\r\n--b\r\n\r\nText\r\n--b--\r\nNachwörter"))),
    multipart("Pr??\r\n--b\r\n\r\nText\r\n--b--\r\nNachw??rter"),
  );
  await failsWith("structure", multipart("No parts, but ümläuts"));
});

test("toSevenBit() limits how deep messages are nested, and how many parts there are", async () => {
  const nested = (depth: number) =>
    `${"Content-Type: message/rfc822\r\n\r\n".repeat(depth)}Subject: ü\r\n\r\nGrüße`;
  assert((await readText(toSevenBit(nested(20)))).includes("Subject: ="));
  await failsWith("structure", nested(21));
  await failsWith(
    "structure",
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\nü\r\n".repeat(1002)}--b--`,
  );
  await failsWith("structure", `X: ${"x".repeat(2 ** 20)}\r\n\r\nText`);
});

test("toSevenBit() reads no faster than it is read, holds no whole message, and cancels its source", async () => {
  const head = concat("Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n");
  const piece = new Uint8Array(64 * 1024).fill(0xff);
  for (const reads of [0, 1, 500]) {
    let pulled = 0;
    let cancelled: unknown;
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(pulled++ === 0 ? head : piece),
      cancel: (reason) => void (cancelled = reason),
    }, { highWaterMark: 0 });
    const reader = toSevenBit(source).getReader();
    let read = 0;
    for (let i = 0; i < reads; i++) read += (await reader.read()).value!.length;
    const held = pulled * piece.length - read * 0.75;
    assert(held < 16 * piece.length, `${held} bytes are held after ${reads} reads`);
    const reason = new Error("Enough");
    await reader.cancel(reason);
    assert(cancelled instanceof Error, `not cancelled after ${reads} reads`);
  }
});

test("toSevenBit() fails with the error of its source", async () => {
  const broken = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(concat("Subject: x\r\n\r\n")),
    pull: (controller) => controller.error(new Error("Disk gone")),
  });
  await assertRejects(() => readBytes(toSevenBit(broken)), Error, "Disk gone");
});

test("toSevenBit() converts a mail with an 8bit message attached", async () => {
  const inner = new Blob(["Subject: Grüße\r\n\r\nHello Jürgen, hello all\r\n"]);
  const { message } = compose({
    from: "a@example.com",
    to: "b@example.org",
    text: "See below",
    attachments: [{ contentType: "message/rfc822", content: inner }],
  });
  const mail = await PostalMime.parse(await readBytes(toSevenBit(message)), { forceRfc822Attachments: true });
  const text = new TextDecoder().decode(mail.attachments[0]!.content as ArrayBuffer);
  assert(text.startsWith("Subject: =?UTF-8?Q?") && text.includes("J=C3=BCrgen"), text);
});
