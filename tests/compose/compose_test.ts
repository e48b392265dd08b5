import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import PostalMime from "postal-mime";
import { compose } from "../../src/compose/mod.ts";
import type { Mail } from "../../src/compose/mod.ts";
import { test } from "../support/harness.ts";
import { readBytes, readText } from "./read.ts";

const MAIL: Mail = {
  from: "Jane Doe <jane@example.com>",
  to: "you@example.org",
  subject: "Hi",
  text: "Hello",
};

async function parse(mail: Mail) {
  return await PostalMime.parse(await readBytes(compose(mail).message));
}

function headerOf(message: string): string {
  return message.slice(0, message.indexOf("\r\n\r\n"));
}

test("compose() writes a text with its header, and leaves bcc out", async () => {
  const { envelope, message, messageId } = compose({
    ...MAIL,
    cc: "Copy <copy@example.org>",
    bcc: ["secret@example.net", "you@example.org"],
    replyTo: "answers@example.com",
    date: new Date("2026-11-22T12:00:00Z"),
  });
  assertEquals(envelope, {
    from: "jane@example.com",
    to: ["you@example.org", "copy@example.org", "secret@example.net"],
  });
  assertEquals(
    await readText(message),
    "From: Jane Doe <jane@example.com>\r\n" +
      "To: you@example.org\r\n" +
      "Cc: Copy <copy@example.org>\r\n" +
      "Reply-To: answers@example.com\r\n" +
      "Subject: Hi\r\n" +
      `Message-ID: ${messageId}\r\n` +
      "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n" +
      "Content-Transfer-Encoding: 7bit\r\n" +
      "MIME-Version: 1.0\r\n" +
      "Content-Type: text/plain; charset=utf-8\r\n" +
      "\r\nHello\r\n",
  );
});

test("compose() writes text, HTML and attachments of every kind, all in ASCII", async () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);
  const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 500), bytes.subarray(500)];
  const { message } = compose({
    ...MAIL,
    subject: "Grüße aus 東京",
    text: "Grüße\nund mehr\n",
    html: '<p>Grüße <img src="cid:logo"></p>',
    alternatives: [{ contentType: "text/calendar; method=REQUEST", content: "BEGIN:VCALENDAR\r\n" }],
    attachments: [
      { filename: "Ä.bin", content: bytes },
      { filename: "buffer.bin", content: bytes.buffer },
      { content: new Blob([bytes], { type: "image/png" }), cid: "logo", filename: "logo.png" },
      { filename: "stream.bin", content: new Blob([bytes]).stream() },
      {
        filename: "iterable.bin",
        content: async function* () {
          yield* pieces;
        }(),
      },
      { filename: "function.bin", content: () => new Blob([bytes]).stream() },
      { filename: "pieces.txt", content: () => Promise.resolve(new Blob(["Grü", "ße"]).stream()) },
      new File([bytes], "file.pdf", { type: "application/pdf" }),
      { content: "From: a@example.com\r\nSubject: inner\r\n\r\nText\r\n", contentType: "message/rfc822" },
    ],
  });
  const raw = await readBytes(message);
  assert(raw.every((byte) => byte < 0x80));
  const mail = await PostalMime.parse(raw, { forceRfc822Attachments: true });
  assertEquals(mail.subject, "Grüße aus 東京");
  assertEquals(mail.text!.trimEnd(), "Grüße\nund mehr");
  assertEquals(mail.html!.trimEnd(), '<p>Grüße <img src="cid:logo"></p>');
  const attached = new Map(mail.attachments.map((part) => [part.filename, part]));
  for (
    const name of [
      "Ä.bin",
      "buffer.bin",
      "logo.png",
      "stream.bin",
      "iterable.bin",
      "function.bin",
      "file.pdf",
    ]
  ) {
    assertEquals(new Uint8Array(attached.get(name)!.content as ArrayBuffer), bytes, name);
  }
  assertEquals(attached.get("file.pdf")!.mimeType, "application/pdf");
  assertEquals(attached.get("logo.png")!.contentId, "<logo>");
  assertEquals(new TextDecoder().decode(attached.get("pieces.txt")!.content as ArrayBuffer), "Grüße");
  const types = mail.attachments.map(({ mimeType }) => mimeType);
  assert(types.includes("message/rfc822") && types.includes("text/calendar"), String(types));
});

test("compose() writes any subject, name, text and attachment unchanged", async () => {
  const text = fc.string({ unit: "binary", maxLength: 300 }).filter((text) => text.isWellFormed());
  const line = text.map((text) =>
    // deno-lint-ignore no-control-regex -- compose() refuses them
    text.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, " ").replaceAll(/\s+/g, " ").trim()
  );
  await fc.assert(
    fc.asyncProperty(
      line,
      line,
      text,
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 3 }),
      fc.constantFrom("quoted-printable" as const, "base64" as const, undefined),
      async (subject, name, body, contents, encoding) => {
        const mail = await parse({
          from: { name, address: "jane@example.com" },
          to: "you@example.org",
          subject,
          text: body,
          attachments: contents.map((content) => ({ content, filename: name === "" ? "x.bin" : name })),
          ...encoding !== undefined && { encoding },
        });
        assertEquals(mail.from?.address, "jane@example.com");
        assertEquals(mail.from?.name, name);
        assertEquals(mail.subject ?? "", subject);
        const ends = (text: string) => text.replaceAll(/\r\n|\r/g, "\n").replace(/\n+$/, "");
        assertEquals(ends(mail.text ?? ""), ends(body));
        const got = mail.attachments.map(({ content }) => new Uint8Array(content as ArrayBuffer));
        assertEquals(got, contents.map((content) => new Uint8Array(content)));
      },
    ),
    { numRuns: 60 },
  );
});

test("compose() gives the same message each time it is opened, and reads a stream once", async () => {
  const mail = compose({ ...MAIL, html: "<p>Hi</p>", attachments: [{ content: new Blob(["content"]) }] });
  const first = await readText(mail.message);
  assertEquals([await readText(mail.open()), await readText(mail.open())], [first, first]);

  const once = compose({ ...MAIL, attachments: [{ content: new Blob(["content"]).stream() }] });
  await readText(once.message);
  await assertRejects(
    () => readText(once.open()),
    TypeError,
    "attachments[0].content is a stream that was read already",
  );

  let opened = 0;
  const often = compose({ ...MAIL, attachments: [{ content: () => (opened++, new Blob(["c"]).stream()) }] });
  assertEquals(opened, 0);
  assertEquals(await readText(often.message), await readText(often.open()));
  assertEquals(opened, 2);
});

test("compose() reads a source no faster than its message is read", async () => {
  const piece = new Uint8Array(64 * 1024);
  let pulled = 0;
  const content = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(piece);
    },
  }, { highWaterMark: 0 });
  const reader = compose({ ...MAIL, attachments: [{ content }] }).message.getReader();
  assertEquals(pulled, 0);
  let read = 0;
  while (read < 20 * piece.length) read += (await reader.read()).value!.length;
  assert(pulled * piece.length < read + 16 * piece.length, `${pulled} pieces for ${read} bytes`);
  await reader.cancel();
});

test("compose() cancels all streams when the message is cancelled, read or not", async () => {
  for (const reads of [0, 1]) {
    const cancelled: string[] = [];
    const stream = (name: string) =>
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
        cancel: () => void cancelled.push(name),
      }, { highWaterMark: 0 });
    const iterable = async function* () {
      try {
        for (;;) yield new Uint8Array(100_000);
      } finally {
        cancelled.push("iterable");
      }
    };
    const { message } = compose({
      ...MAIL,
      attachments: [{ content: stream("first") }, { content: stream("second") }, { content: iterable() }],
    });
    const reader = message.getReader();
    for (let i = 0; i < reads * 40; i++) await reader.read();
    await reader.cancel(new Error("Enough"));
    // A generator that was never started runs no finally block.
    assertEquals(cancelled.sort(), ["first", "second"], `after ${reads} reads`);
  }
});

test("compose() fails with the error of a source that fails", async () => {
  const broken = () =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error("Disk gone")),
    });
  const mail = { ...MAIL, attachments: [{ content: "first" }, { content: broken }, { content: "last" }] };
  await assertRejects(() => readText(compose(mail).message), Error, "Disk gone");
  const wrong = { ...MAIL, attachments: [{ content: () => "text" as never }] };
  await assertRejects(() => readText(compose(wrong).message), TypeError, "must open a ReadableStream");
  const numbers = { ...MAIL, attachments: [{ content: new ReadableStream({ start: (c) => c.enqueue(1) }) }] };
  await assertRejects(() => readText(compose(numbers as Mail).message), TypeError, "pieces of bytes or text");
});

test("compose() opens no file and no URL, wherever a mail names one", () => {
  for (const key of ["path", "href"]) {
    const named = { [key]: "/etc/passwd" };
    for (
      const mail of [
        { text: named },
        { html: named },
        { ...named },
        { attachments: [named] },
        { attachments: [{ filename: "a", content: "b", ...named }] },
        { alternatives: [{ contentType: "text/plain", ...named }] },
        { attachments: [{ content: named }] },
      ]
    ) {
      assertThrows(() => compose({ ...MAIL, ...mail } as Mail), TypeError);
    }
  }
  assertThrows(
    () => compose({ ...MAIL, attachments: [{ path: "/etc/passwd" }] } as unknown as Mail),
    TypeError,
    'there is no option "attachments[0].path", give the content itself: neither files nor URLs are opened',
  );
  for (const key of ["raw", "icalEvent", "dkim", "amp", "watchHtml"]) {
    assertThrows(
      () => compose({ ...MAIL, [key]: "x" } as Mail),
      TypeError,
      `there is no option "mail.${key}"`,
    );
  }
  for (
    const [wrong, message] of [
      [{ subjekt: "Hi" }, '"mail.subjekt", did you mean mail.subject?'],
      [{ raw: "Subject: Hi" }, '"mail.raw", give it to send() as it is'],
      [{ icalEvent: {} }, '"mail.icalEvent", use alternatives'],
      [{ to: { address: "you@example.org", Name: "You" } }, '"to.Name", did you mean to.name?'],
      [{ attachments: [{ fileName: "a", content: "b" }] }, '"attachments[0].fileName", did you mean'],
      [{ envelope: { rcpt: "you@example.org" } }, '"envelope.rcpt", only from, to'],
    ] as [object, string][]
  ) {
    assertThrows(
      () => compose({ ...MAIL, ...wrong } as Mail),
      TypeError,
      `Cannot compose the mail: there is no option ${message}`,
    );
  }
});

test("compose() lets no option begin or end a header field", () => {
  for (const evil of ["a\r\nBcc: b@example.com", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x85b"]) {
    const mails: Partial<Record<keyof Mail, unknown>>[] = [
      { subject: evil },
      { from: { name: evil, address: "jane@example.com" } },
      { from: `${evil} <jane@example.com>` },
      { to: { address: `you@example.org${evil}` } },
      { messageId: evil },
      { inReplyTo: evil },
      { references: [evil] },
      { headers: { "X-Name": evil } },
      { headers: { "X-Name": ["good", evil] } },
      { headers: { [evil]: "x" } },
      { attachments: [{ filename: evil, content: "" }] },
      { attachments: [{ contentType: `text/plain; name=${evil}`, content: "" }] },
      { attachments: [{ cid: evil, content: "" }] },
      { attachments: [{ headers: { "X-Name": evil }, content: "" }] },
      { list: { id: evil } },
      { list: { help: evil } },
      { envelope: { from: evil } },
      { envelope: { to: [evil] } },
    ];
    for (const mail of mails) assertThrows(() => compose({ ...MAIL, ...mail } as Mail), TypeError);
  }
});

test("compose() refuses fields that have an option of their own, and invalid names", () => {
  for (
    const name of [
      "Bcc",
      "to",
      "FROM",
      "Content-Type",
      "MIME-Version",
      "Message-ID",
      "Subject",
      "a b",
      "a:",
      "",
      "ä",
    ]
  ) {
    assertThrows(() => compose({ ...MAIL, headers: { [name]: "x" } }), TypeError);
  }
  assertThrows(() => compose({ ...MAIL, headers: { "X-Number": 1 as never } }), TypeError);
});

test("compose() refuses invalid options", () => {
  const wrongs: Record<string, unknown>[] = [
    { from: [] },
    { from: undefined },
    { from: "" },
    { from: "nobody" },
    { to: [] },
    { to: "Jane Doe" },
    { to: "a@b@example.org" },
    { to: [1] },
    { to: { name: "x" } },
    { sender: "a@example.com, b@example.com" },
    { subject: 1 },
    { text: 1 },
    { text: ["x"] },
    { date: "today" },
    { date: new Date(NaN) },
    { messageId: "a b" },
    { messageId: "<a>b>" },
    { priority: "urgent" },
    { priority: "__proto__" },
    { encoding: "8bit" },
    { attachments: {} },
    { attachments: ["text"] },
    { attachments: [{}] },
    { attachments: [{ content: 1 }] },
    { attachments: [{ content: "", contentType: "text" }] },
    { attachments: [{ content: "", contentType: "multipart/mixed" }] },
    { attachments: [{ content: "", contentDisposition: "hidden" }] },
    { attachments: [{ content: "", cid: "<a>" }] },
    { alternatives: [{ content: "" }] },
    { list: { unsubscribe: "example.com" } },
    { list: { unsubscribe: "mailto:a@example.com", oneClick: true } },
    { list: { id: "<a>" } },
    { list: { digest: "x" } },
    { envelope: { from: "Jane <jane@example.com>" } },
    { envelope: { to: [] } },
  ];
  for (const wrong of wrongs) {
    const error = assertThrows(() => compose({ ...MAIL, ...wrong } as Mail), TypeError) as Error;
    assert(error.message.startsWith("Cannot compose the mail: "), error.message);
  }
});

test("compose() returns the given envelope instead of one made from the addresses", () => {
  assertEquals(compose({ ...MAIL, envelope: { from: null } }).envelope, {
    from: null,
    to: ["you@example.org"],
  });
  assertEquals(
    compose({ from: MAIL.from, envelope: { from: "bounces+1@example.com", to: "list@example.org" } })
      .envelope,
    { from: "bounces+1@example.com", to: ["list@example.org"] },
  );
});

test("compose() writes priority, threads, lists and custom fields", async () => {
  const { message } = compose({
    ...MAIL,
    sender: "secretary@example.com",
    messageId: "id@example.com",
    inReplyTo: "<before@example.com>",
    references: "<first@example.com> before@example.com",
    priority: "high",
    list: {
      unsubscribe: ["mailto:leave@example.com?subject=a, b", "https://example.com/leave?a=<1>"],
      oneClick: true,
      help: "https://example.com/help",
      id: "news.example.com",
    },
    headers: { "X-Campaign": "Grüße", "Auto-Submitted": ["auto-generated", "second"] },
  });
  const header = headerOf(await readText(message)).replaceAll("\r\n ", " ");
  for (
    const line of [
      "Sender: secretary@example.com",
      "Message-ID: <id@example.com>",
      "In-Reply-To: <before@example.com>",
      "References: <first@example.com> <before@example.com>",
      "X-Priority: 1 (Highest)",
      "Importance: High",
      "List-Unsubscribe: <mailto:leave@example.com?subject=a%2C%20b>, <https://example.com/leave?a=%3C1%3E>",
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
      "List-Help: <https://example.com/help>",
      "List-ID: <news.example.com>",
      "X-Campaign: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=",
      "Auto-Submitted: auto-generated",
      "Auto-Submitted: second",
    ]
  ) assert(header.split("\r\n").includes(line), `${line} is not in\n${header}`);
});
