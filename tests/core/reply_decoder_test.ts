import { assertEquals, assertInstanceOf, assertLess, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ProtocolError } from "../../src/core/errors.ts";
import { ReplyDecoder, type ReplyDecoderOptions } from "../../src/core/reply_decoder.ts";
import { test } from "../support/unwatched.ts";

/** What a decoder made of some bytes: the replies as `code: line|line`, then how it ended. */
type Outcome = string[];

const encoder = new TextEncoder();

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? encoder.encode(text) : text;
}

function decode(chunks: readonly Uint8Array[], options?: ReplyDecoderOptions): Outcome {
  const decoder = new ReplyDecoder(options);
  const outcome: Outcome = [];
  try {
    for (const chunk of chunks) {
      const copy = chunk.slice();
      decoder.push(copy);
      // The decoder must have its own copy.
      copy.fill(0x21);
      for (let reply = decoder.next(); reply !== undefined; reply = decoder.next()) {
        outcome.push(`${reply.code}: ${reply.lines.join("|")}`);
      }
    }
    outcome.push(`${decoder.bufferedLength} left`);
  } catch (error) {
    assertInstanceOf(error, ProtocolError);
    outcome.push("failed");
  }
  return outcome;
}

/** The same decoder in a few lines: it needs everything at once. */
function reference(bytes: Uint8Array): Outcome {
  const outcome: Outcome = [];
  let lines: string[] = [];
  let first: string | undefined;
  let pending = 0;
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(10, start);
    const rest = String.fromCharCode(...bytes.subarray(start, end < 0 ? undefined : end));
    if (end < 0) {
      // What cannot become a code fails before its line is complete.
      if (!/^([2-5](\d(\d(\D[^]*)?)?)?)?$/.test(rest)) return [...outcome, "failed"];
      return [...outcome, `${pending + rest.length} left`];
    }
    const match = /^([2-5]\d\d)(?!\d)([- \t])?([^]*)$/.exec(rest.replace(/\r$/, ""));
    if (match === null || match[1]![0] !== (first ??= match[1]![0])) return [...outcome, "failed"];
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      Uint8Array.from(match[3] ?? "", (char) => char.charCodeAt(0)),
    );
    // deno-lint-ignore no-control-regex
    lines.push(text.replace(/[\0-\x08\x0a-\x1f\x7f-\x9f]/g, "\ufffd"));
    pending += end + 1 - start;
    start = end + 1;
    if (match[2] === "-") continue;
    outcome.push(`${match[1]}: ${lines.join("|")}`);
    lines = [];
    first = undefined;
    pending = 0;
  }
}

/** Feeds bytes whole, byte by byte, in two pieces cut at every place, and with an empty chunk between. */
function assertDecodes(text: string | Uint8Array, expected: Outcome, options?: ReplyDecoderOptions): void {
  const bytes = bytesOf(text);
  assertEquals(decode([bytes], options), expected, "whole");
  assertEquals(decode(Array.from(bytes, (byte) => Uint8Array.of(byte)), options), expected, "byte by byte");
  for (let cut = 0; cut <= bytes.length; cut++) {
    const pieces = [bytes.subarray(0, cut), new Uint8Array(0), bytes.subarray(cut)];
    assertEquals(decode(pieces, options), expected, `cut at ${cut}`);
  }
}

const CASES: [name: string, wire: string, expected: Outcome][] = [
  ["a reply of one line", "250 2.1.0 Ok\r\n", ["250: 2.1.0 Ok"]],
  ["a reply of several lines", "250-mx.test\r\n250-PIPELINING\r\n250 SIZE 1000\r\n", [
    "250: mx.test|PIPELINING|SIZE 1000",
  ]],
  ["a code alone", "250\r\n", ["250: "]],
  ["a code alone after others", "250-mx.test\r\n250\r\n", ["250: mx.test|"]],
  ["a space without text", "250 \r\n", ["250: "]],
  ["a hyphen without text", "250-\r\n250-\r\n250 \r\n", ["250: ||"]],
  ["bare line feeds", "220-a\n220 b\n250 c\n", ["220: a|b", "250: c"]],
  ["line ends of both kinds in one reply", "220-a\n220-b\r\n220 c\n", ["220: a|b|c"]],
  ["codes that differ in later digits, the last one counts", "250-one\r\n211-two\r\n251 three\r\n", [
    "251: one|two|three",
  ]],
  ["a tab after the code", "250\tOk\r\n", ["250: Ok"]],
  ["a tab before a space", "250\t Ok\r\n", ["250:  Ok"]],
  ["a tab after the last code", "250-mx.test\r\n250-DSN\r\n250\tSIZE 1\r\n", ["250: mx.test|DSN|SIZE 1"]],
  ["text right after the code", "250Ok\r\n354go on\n", ["250: Ok", "354: go on"]],
  ["any other mark after the code, as text", "250_x\r\n250:x\r\n250.1\r\n", [
    "250: _x",
    "250: :x",
    "250: .1",
  ]],
  ["characters beyond ASCII after the code", "250\u00a0Ok\r\n250–Ok\r\n", ["250: \u00a0Ok", "250: –Ok"]],
  ["a NUL or a bare CR after the code", "250\0Ok\r\n250\rOk\r\n250\r\r\n", [
    "250: \ufffdOk",
    "250: \ufffdOk",
    "250: \ufffd",
  ]],
  ["two hyphens", "250--a\r\n250 -b\r\n", ["250: -a|-b"]],
  ["a hyphen after a space or a tab as text", "250 -a\r\n250\t-b\r\n", ["250: -a", "250: -b"]],
  ["an enhanced code after a tab", "250\t2.0.0\tOk\r\n", ["250: 2.0.0\tOk"]],
  ["several replies at once", "250 a\r\n354 b\r\n250-c\r\n250 d\r\n", ["250: a", "354: b", "250: c|d"]],
  ["UTF-8", "250 größe 😀 ok\r\n", ["250: größe 😀 ok"]],
  ["a byte order mark as text", "250 \ufeffok\r\n", ["250: \ufeffok"]],
  ["a tab", "250 a\tb\r\n", ["250: a\tb"]],
  ["control characters, replaced", "250 a\0b\x1b[2J\x7f\u009b\r\n", ["250: a\ufffdb\ufffd[2J\ufffd\ufffd"]],
  ["a bare CR inside a line, replaced", "250 a\rb\r\r\n", ["250: a\ufffdb\ufffd"]],
  ["hyphens and codes in the text", "250 -250-250 x\r\n", ["250: -250-250 x"]],
];

for (const [name, wire, expected] of CASES) {
  test(`ReplyDecoder decodes ${name}, however it is cut`, () => {
    assertDecodes(wire, [...expected, "0 left"]);
    assertEquals(reference(bytesOf(wire)), [...expected, "0 left"]);
  });
  test(`ReplyDecoder decodes ${name} and keeps the trailing data`, () => {
    assertDecodes(wire + "250-half", [...expected, "8 left"]);
    assertDecodes(wire + "25", [...expected, "2 left"]);
    assertDecodes(wire + "250 next\r\n", [...expected, "250: next", "0 left"]);
    assertDecodes(wire + "garbage\r\n", [...expected, "failed"]);
  });
}

test("ReplyDecoder replaces malformed UTF-8", () => {
  const bytes = Uint8Array.of(...encoder.encode("250 a"), 0xff, 0xc3, ...encoder.encode("b\r\n"));
  assertDecodes(bytes, ["250: a\ufffd\ufffdb", "0 left"]);
});

for (
  const line of [
    "150 x",
    "650 x",
    "2x0 x",
    "25x x",
    "2500",
    "2500 x",
    "250250 x",
    "25",
    "2",
    "",
    " 250 x",
    "EHLO",
    "-50 x",
  ]
) {
  test(`ReplyDecoder throws ProtocolError when a line is ${JSON.stringify(line)}`, () => {
    assertDecodes(`250 ok\r\n${line}\r\n250 later\r\n`, ["250: ok", "failed"]);
    assertDecodes(`250-first\r\n${line}\r\n`, ["failed"]);
  });
}

test("ReplyDecoder throws ProtocolError when the first digits of a reply differ", () => {
  for (
    const [one, other] of [["554-no", "250 or yes"], ["250-a", "450 b"], ["250-a", "354-b"], [
      "421-a",
      "221 b",
    ]]
  ) {
    assertDecodes(`220 hi\r\n${one}\r\n${other}\r\n250 later\r\n`, ["220: hi", "failed"]);
    assertDecodes(`${one}\r\n${one}\r\n${other}\r\n`, ["failed"]);
    assertDecodes(`${one}\r\n${other}`, [`${one!.length + 2 + other!.length} left`]);
  }
  const decoder = new ReplyDecoder();
  decoder.push(bytesOf("554-no\r\n250 or yes\r\n"));
  assertThrows(
    () => decoder.next(),
    ProtocolError,
    "The lines of a reply contradict each other: 554, then 250",
  );
});

test("ReplyDecoder takes a reply of any number of lines within the limit on its bytes", () => {
  const wire = "250-X\r\n".repeat(37_000) + "250 Y\r\n";
  assertLess(wire.length, 262_145);
  const decoder = new ReplyDecoder();
  decoder.push(bytesOf(wire));
  assertEquals(decoder.next()!.lines.length, 37_001);
});

test("ReplyDecoder shows what came instead of a reply", () => {
  const failure = (text: string | Uint8Array): string => {
    const decoder = new ReplyDecoder();
    decoder.push(bytesOf(text));
    return (assertThrows(() => decoder.next(), ProtocolError) as Error).message;
  };
  assertEquals(failure("HTTP/1.1 400 Bad\r\n"), 'A line is not an SMTP reply: "HTTP/1.1 400 Bad"');
  assertEquals(failure("\x1b]0;x\x07\n"), 'A line is not an SMTP reply: "\ufffd]0;x\ufffd"');
  assertEquals(
    failure(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70)),
    'A line is TLS and not an SMTP reply: "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdF"',
  );
});

test("ReplyDecoder fails without a line end when the bytes cannot become a reply", () => {
  // A TLS alert has none: a client would wait for its timeout.
  assertDecodes(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70), ["failed"]);
  assertDecodes("SSH-2.0", ["failed"]);
  assertDecodes("25O", ["failed"]);
});

test("ReplyDecoder stays failed, with the same error, and takes no more bytes", () => {
  const decoder = new ReplyDecoder();
  decoder.push(bytesOf("garbage\r\n"));
  const first = assertThrows(() => decoder.next(), ProtocolError);
  const { bufferedLength } = decoder;
  decoder.push(bytesOf("250 ok\r\n".repeat(1000)));
  assertStrictEquals(assertThrows(() => decoder.next(), ProtocolError), first);
  assertStrictEquals(assertThrows(() => decoder.end(), ProtocolError), first);
  assertEquals(decoder.bufferedLength, bufferedLength);
});

test("ReplyDecoder takes a line of exactly the limit and none beyond it", () => {
  const line = (length: number) => "250 " + "x".repeat(length - 6) + "\r\n";
  assertDecodes(line(40), [`250: ${"x".repeat(34)}`, "0 left"], { maxLineLength: 40 });
  assertDecodes(line(41), ["failed"], { maxLineLength: 40 });
  assertDecodes("250-a\r\n" + line(41), ["failed"], { maxLineLength: 40 });
  assertEquals(decode([bytesOf(line(12_288))])[1], "0 left");
  assertEquals(decode([bytesOf(line(12_289))]), ["failed"]);
});

test("ReplyDecoder fails as soon as a line without end is too long", () => {
  assertDecodes("250 " + "x".repeat(36), ["failed"], { maxLineLength: 40 });
  assertDecodes("250 " + "x".repeat(35), ["39 left"], { maxLineLength: 40 });
});

test("ReplyDecoder takes a reply of exactly the limit and none beyond it", () => {
  const wire = "250-aaa\r\n".repeat(4) + "250 b\r\n";
  assertDecodes(wire, ["250: aaa|aaa|aaa|aaa|b", "0 left"], { maxReplyLength: wire.length });
  assertDecodes(wire, ["failed"], { maxReplyLength: wire.length - 1 });
  assertDecodes(wire + wire, ["250: aaa|aaa|aaa|aaa|b", "250: aaa|aaa|aaa|aaa|b", "0 left"], {
    maxReplyLength: wire.length,
  });
});

test("ReplyDecoder bounds a reply that never ends", () => {
  const decoder = new ReplyDecoder();
  const chunk = bytesOf("250-more\r\n".repeat(1000));
  let pushed = 0;
  assertThrows(
    () => {
      for (; pushed < 100 * chunk.length; pushed += chunk.length) {
        decoder.push(chunk);
        assertEquals(decoder.next(), undefined);
      }
    },
    ProtocolError,
    "The reply is longer than 262144 bytes",
  );
  assertLess(pushed, 262_144);
});

test("ReplyDecoder throws RangeError when a limit is not a whole number from 1 up", () => {
  for (const value of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => new ReplyDecoder({ maxLineLength: value }), RangeError, `maxLineLength`);
    assertThrows(
      () => new ReplyDecoder({ maxReplyLength: value }),
      RangeError,
      `the current value is ${value}`,
    );
  }
});

test("ReplyDecoder.end() throws ProtocolError within a reply only", () => {
  const decoder = new ReplyDecoder();
  decoder.end();
  decoder.push(bytesOf("250 ok\r\n"));
  decoder.next();
  decoder.end();
  decoder.push(bytesOf("250-half"));
  decoder.next();
  assertThrows(() => decoder.end(), ProtocolError, 'The connection ended within a reply: "250-half"');
});

test("ReplyDecoder.bufferedLength counts the bytes after a reply (STARTTLS response injection)", () => {
  const decoder = new ReplyDecoder();
  decoder.push(bytesOf("220 Go ahead\r\n250-injected\r\n250 AUTH PLAIN\r\n"));
  assertEquals(decoder.bufferedLength, 44);
  assertEquals(decoder.next()!.code, 220);
  assertEquals(decoder.bufferedLength, 30);
});

test("ReplyDecoder gives replies whose text stays right when it is read late", () => {
  const decoder = new ReplyDecoder();
  const replies = [];
  for (let i = 0; i < 3000; i++) {
    const wire = bytesOf(`250-first ${i}\r\n250 größe ${i}\r\n`);
    decoder.push(wire.subarray(0, i % wire.length));
    replies.push(decoder.next());
    decoder.push(wire.subarray(i % wire.length));
    replies.push(decoder.next());
  }
  const texts = replies.filter((reply) => reply !== undefined).map((reply) => reply.text);
  assertEquals(texts, Array.from({ length: 3000 }, (_, i) => `first ${i}\ngröße ${i}`));
});

test("ReplyDecoder takes time in proportion to a reply that comes byte by byte", () => {
  // Copying what is buffered for each byte would move 8 GB here.
  const decoder = new ReplyDecoder();
  const wire = bytesOf("250-" + "x".repeat(124) + "\r\n");
  for (let i = 0; i < 1000; i++) {
    for (const byte of wire) {
      decoder.push(Uint8Array.of(byte));
      decoder.next();
    }
  }
  decoder.push(bytesOf("250 end\r\n"));
  assertEquals(decoder.next()!.lines.length, 1001);
});

const piece = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("250 Ok", "250-", "250 ", "354", "550-5.1.1 No", "421 4.3.2 Bye", "251-"),
  },
  { weight: 4, arbitrary: fc.constantFrom("\r\n", "\n") },
  { weight: 1, arbitrary: fc.constantFrom("\r", "\t", "2", "25", "-", " ", "\0", "ü", "😀", "x") },
);

/** Cuts bytes at the places that numbers name. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...sorted].map((start, i) => bytes.subarray(start, sorted[i] ?? bytes.length));
}

test("ReplyDecoder agrees with a simple decoder on anything that looks like replies, however it is cut", () => {
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      (pieces, places) => {
        const bytes = encoder.encode(pieces.join(""));
        assertEquals(decode(cut(bytes, places)), reference(bytes));
      },
    ),
    { numRuns: 3000 },
  );
});

test("ReplyDecoder agrees with a simple decoder on any bytes", () => {
  const bytes = fc.array(fc.oneof(fc.constantFrom(10, 13, 45, 32, 50, 53, 48), fc.nat(255)), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 4 }), (list, places) => {
      const chunk = Uint8Array.from(list);
      assertEquals(decode(cut(chunk, places)), reference(chunk));
    }),
    { numRuns: 3000 },
  );
});
