import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LineDecoder } from "../../src/server/line_decoder.ts";
import { test } from "../support/harness.ts";

/** All lines of some chunks; a faulty one as its reply's text. */
function lines(chunks: Iterable<Uint8Array>, maxLength = 2048, bareLineFeeds = false): string[] {
  const decoder = new LineDecoder(maxLength, bareLineFeeds);
  const found: string[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let line = decoder.next(); line !== undefined; line = decoder.next()) {
      found.push(typeof line === "string" ? line : line.reply.text);
    }
  }
  return found;
}

const TOO_LONG = "Line is too long";
const BARE_LF = "Line does not end with CR LF";
const NOT_UTF8 = "Line is not UTF-8";

/** The same without any cleverness. */
function reference(bytes: Uint8Array, maxLineLength: number, bareLineFeeds: boolean): string[] {
  const found: string[] = [];
  let line: number[] = [];
  let refused = "";
  for (const byte of bytes) {
    line.push(byte);
    if (byte !== 0x0a) continue;
    const crlf = line.length >= 2 && line.at(-2) === 0x0d;
    if (line.length > maxLineLength) refused ||= TOO_LONG;
    if (!crlf && !bareLineFeeds) {
      if (refused === "") found.push(refused = BARE_LF);
      continue;
    }
    if (refused !== "") {
      if (refused === TOO_LONG) found.push(TOO_LONG);
    } else {
      try {
        const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
        found.push(text.decode(Uint8Array.from(line.slice(0, crlf ? -2 : -1))));
      } catch {
        found.push(NOT_UTF8);
      }
    }
    line = [];
    refused = "";
  }
  return found;
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("LineDecoder finds lines wherever the bytes are cut", () => {
  const text = bytes("EHLO client.test\r\n\r\nNOOP ä\r\nMAIL FROM:<a@example.com>\r\nQU");
  const expected = ["EHLO client.test", "", "NOOP ä", "MAIL FROM:<a@example.com>"];
  assertEquals(lines([text]), expected);
  assertEquals(lines(Array.from(text, (byte) => Uint8Array.of(byte))), expected);
  for (let i = 0; i <= text.length; i++) {
    assertEquals(lines([text.subarray(0, i), text.subarray(i)]), expected);
  }
});

test("LineDecoder agrees with a simple one, for any bytes in any pieces", () => {
  const byte = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0x41, 0x20) },
    { weight: 3, arbitrary: fc.constantFrom(0x0d, 0x0a) },
    { weight: 1, arbitrary: fc.constantFrom(0xc3, 0xa4, 0xff, 0x00) },
  );
  fc.assert(
    fc.property(
      fc.array(fc.array(byte, { maxLength: 30 }).map((list) => Uint8Array.from(list)), { maxLength: 10 }),
      fc.boolean(),
      (chunks, bareLineFeeds) => {
        const all = Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
        assertEquals(lines(chunks, 12, bareLineFeeds), reference(all, 12, bareLineFeeds));
      },
    ),
    { numRuns: 500 },
  );
});

for (
  const [name, wire, expected] of [
    ["in an address", "RCPT TO:<x@example.org\nRCPT TO:<evil@example.org>\r\nNOOP\r\n", [BARE_LF, "NOOP"]],
    ["more than once", "a\nb\n\n\nc\r\nNOOP\r\n", [BARE_LF, "NOOP"]],
    ["before CR LF", "a\n\r\nNOOP\r\n", [BARE_LF, "NOOP"]],
    ["after CR LF", "a\r\n\nRSET\r\nNOOP\r\n", ["a", BARE_LF, "NOOP"]],
    ["and a bare CR", "a\r\r\nb\rc\nd\r\nNOOP\r\n", ["a\r", BARE_LF, "NOOP"]],
    ["in a line that is too long", "x".repeat(40) + "\nRSET\r\nNOOP\r\n", [TOO_LONG, "NOOP"]],
    ["before a line is too long", "x\n" + "y".repeat(40) + "\r\nNOOP\r\n", [BARE_LF, "NOOP"]],
    ["and no end", "RSET\nRSET\n", [BARE_LF]],
  ] as const
) {
  test(`LineDecoder refuses a line with a bare line feed ${name}, up to its CR LF`, () => {
    const all = bytes(wire);
    assertEquals(reference(all, 32, false), [...expected]);
    assertEquals(lines([all], 32), [...expected]);
    assertEquals(lines(Array.from(all, (byte) => Uint8Array.of(byte)), 32), [...expected]);
    for (let i = 0; i <= all.length; i++) {
      assertEquals(lines([all.subarray(0, i), all.subarray(i)], 32), [...expected], `cut at ${i}`);
    }
  });
}

test("LineDecoder tells how a refused line begins, wherever the bytes are cut", () => {
  for (
    const [wire, start] of [
      ["BDAT 5 LAST\nNOOP\r\n", "BDAT "],
      ["BDAT\n\r\n", "BDAT\n"],
      ["DATA" + " ".repeat(40) + "\r\n", "DATA "],
      ["DATA" + " ".repeat(40) + "\nNOOP\r\n", "DATA "],
      ["a\xff\r\n", "a\xff"],
      ["\n\r\n", "\n"],
    ] as const
  ) {
    const all = Uint8Array.from(`NOOP x\r\n${wire}RSET\n\r\n`, (char) => char.charCodeAt(0));
    for (let i = 0; i <= all.length; i++) {
      const decoder = new LineDecoder(32, false);
      const found: string[] = [];
      for (const chunk of [all.subarray(0, i), all.subarray(i)]) {
        decoder.push(chunk);
        for (let line = decoder.next(); line !== undefined; line = decoder.next()) {
          found.push(typeof line === "string" ? line : line.start);
        }
      }
      assertEquals(found, ["NOOP x", start, "RSET\n"], `cut at ${i}`);
    }
  }
});

test("LineDecoder counts the line end to the length of a line", () => {
  for (const cut of [0, 3, 8, 9]) {
    const pieces = (text: string) => [bytes(text).subarray(0, cut), bytes(text).subarray(cut)];
    assertEquals(lines(pieces("12345678\r\nNOOP\r\n"), 10), ["12345678", "NOOP"]);
    assertEquals(lines(pieces("123456789\r\nNOOP\r\n"), 10), [TOO_LONG, "NOOP"]);
  }
});

test("LineDecoder keeps no more than a line of what has no end", () => {
  const decoder = new LineDecoder(100, false);
  for (let i = 0; i < 50; i++) {
    decoder.push(bytes("x".repeat(64)));
    assertEquals(decoder.next(), undefined);
    assert(decoder.bufferedLength <= 100);
  }
  decoder.push(bytes("\r\nNOOP\r\n"));
  const fault = decoder.next();
  assert(typeof fault === "object");
  assertEquals(fault.reply.toString(), "500 5.5.2 Line is too long");
  assertEquals(decoder.next(), "NOOP");
});

test("LineDecoder counts the bytes after a line, and forgets them when told to", () => {
  const decoder = new LineDecoder(2048, false);
  decoder.push(bytes("DATA\r\nSubject: Hi\r\n"));
  assertEquals(decoder.bufferedLength, 19);
  assertEquals(decoder.next(), "DATA");
  assertEquals(decoder.bufferedLength, 13);
  decoder.clear();
  assertEquals(decoder.bufferedLength, 0);
  assertEquals(decoder.next(), undefined);
  decoder.push(bytes("NO"));
  assertEquals(decoder.next(), undefined);
  assertEquals(decoder.bufferedLength, 2);
  decoder.clear();
  decoder.push(bytes("QUIT\r\n"));
  assertEquals(decoder.next(), "QUIT");
  assertEquals(decoder.bufferedLength, 0);
});
