import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { toBytes } from "@std/streams";
import fc from "fast-check";
import { ProtocolError } from "../../src/core/errors.ts";
import { DataDecoder, DataDecoderStream } from "../../src/streams/data_decoder.ts";
import { DataEncoder, DataEncoderStream } from "../../src/streams/data_encoder.ts";
import { test } from "../support/unwatched.ts";

interface Decoded {
  content: string;
  rest: string;
  ended: boolean;
  bareLineEnds: boolean;
}

/** What the decoder must do, on strings with a character for each byte. */
function reference(wire: string): Decoded {
  // The line end of the DATA command precedes the first line.
  const lines = `\r\n${wire}`;
  const end = lines.indexOf("\r\n.\r\n");
  const ended = end >= 0;
  let stuffed = ended ? lines.slice(0, end + 2) : lines;
  // Only the next byte tells what a CR at the very end is; after CRLF and a dot it is not even content yet.
  const bareLineEnds = /\r(?!\n|$)|(?<!\r)\n/.test(stuffed);
  if (stuffed.endsWith("\r\n.\r")) stuffed = stuffed.slice(0, -1);
  return {
    content: stuffed.replaceAll("\r\n.", "\r\n").slice(2),
    rest: ended ? lines.slice(end + 5) : "",
    ended,
    bareLineEnds,
  };
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function text(...chunks: Uint8Array[]): string {
  let result = "";
  for (const chunk of chunks) for (const byte of chunk) result += String.fromCharCode(byte);
  return result;
}

/** Decodes in pieces. Content is compared at the very end, so that a view that a later call changed would be seen. */
function decodeAll(pieces: string[], decoder = new DataDecoder()): Decoded {
  const contents: Uint8Array[] = [];
  const rests: Uint8Array[] = [];
  for (const piece of pieces) {
    contents.push(decoder.decode(bytes(piece)));
    rests.push(decoder.rest);
  }
  const { ended, bareLineEnds } = decoder;
  return { content: text(...contents), rest: text(...rests), ended, bareLineEnds };
}

/** A text whole, byte by byte, cut in two at each place, and with empty pieces. */
function* cuts(text: string): Generator<string[]> {
  yield [text];
  yield [...text];
  yield ["", ...[...text].flatMap((byte) => [byte, ""])];
  for (let i = 0; i <= text.length; i++) yield [text.slice(0, i), text.slice(i)];
}

const x = "x".repeat(40);

const CASES: Record<string, string> = {
  "an empty message": ".\r\n",
  "one empty line": "\r\n.\r\n",
  "a message": "Subject: Hi\r\n\r\nHello\r\n.\r\n",
  "a message with commands after it": "Hello\r\n.\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n",
  "a message with another after it": "a\r\n.\r\nb\r\n.\r\n",
  "stuffed dots": "..\r\n...\r\n..a\r\na..\r\n.\r\n",
  "stuffed dots in long lines": `..${x}\r\n${x}\r\n..${x}\r\n..${x}\r\n.\r\n`,
  "dots that nobody stuffed": ".a\r\n.b\r\n.\r\n",
  "only dots": "......\r\n.......\r\n.\r\n",
  "a half message": "Subject: Hi\r\nHel",
  "a half message after CR": "Hello\r",
  "a half message after CRLF": "Hello\r\n",
  "a half message after CRLF dot": "Hello\r\n.",
  "a half message after CRLF dot CR": "Hello\r\n.\r",
  "bare LF": "a\nb\r\n.\r\n",
  "bare CR": "a\rb\r\n.\r\n",
  "a bare LF as the last byte": "a\n",
  "a bare LF as the last byte of two": "a\r\n\n",
  "a dot after a bare LF": "a\n.b\r\n.\r\n",
  "two dots after a bare LF": "a\n..b\r\n.\r\n",
  "a dot after a bare CR": "a\r.b\r\n.\r\n",
  "CR CR LF": "a\r\r\n.\r\n",
  "CR CR LF after a dot": "a\r\n.\r\r\n.\r\n",
  "CR and text after a dot": "a\r\n.\rb\r\n.\r\n",
  "LF after a dot": "a\r\n.\nb\r\n.\r\n",
  "LF CR": "a\n\r\n.\r\n",
  "NUL bytes": "\0\r\0\n\0\r\n\0.\r\n.\0\r\n.\r\n",
  "bytes above 0x7F": "\x80\x8D\x8E\xFF\r\n..\x85\r\n.\r\n",
};

for (const [name, wire] of Object.entries(CASES)) {
  test(`DataDecoder decodes ${name}, cut anywhere`, () => {
    const expected = reference(wire);
    for (const pieces of cuts(wire)) assertEquals(decodeAll(pieces), expected, JSON.stringify(pieces));
  });
}

// What servers were found to take for the end of data (SMTP smuggling, 2023).
for (
  const fake of [
    "\n.\n",
    "\n.\r\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\n",
    "\r\n.\r",
    "\r\n.\r\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
  ]
) {
  test(`DataDecoder does not end at ${JSON.stringify(fake)}, cut anywhere`, () => {
    const wire = `a${fake}MAIL FROM:<b@c.test>\r\n`;
    for (const pieces of cuts(wire)) {
      const decoder = new DataDecoder();
      const { content } = decodeAll(pieces, decoder);
      assertEquals(decoder.ended, false);
      assert(content.endsWith("MAIL FROM:<b@c.test>\r\n"));
      assertEquals(decoder.bareLineEnds, !fake.includes("\0"), JSON.stringify(pieces));
    }
  });
}

const pieces = fc.array(
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom("\r", "\n", "\r\n", ".", "\r\n.", "\n.", "a", "\0") },
      { weight: 1, arbitrary: fc.nat({ max: 255 }).map((byte) => String.fromCharCode(byte)) },
      { weight: 1, arbitrary: fc.nat({ max: 40 }).map((length) => "w".repeat(length)) },
    ),
    { maxLength: 30 },
  ).map((parts) => parts.join("")),
  { maxLength: 6 },
);

test("DataDecoder does what the reference does, for any bytes in any pieces", () => {
  fc.assert(
    fc.property(pieces, (pieces) => assertEquals(decodeAll(pieces), reference(pieces.join("")))),
    { numRuns: 2_000 },
  );
});

test("DataDecoder gives back what DataEncoder was given, with its line ends made CRLF", () => {
  fc.assert(
    fc.property(pieces, pieces, (pieces, following) => {
      const encoder = new DataEncoder();
      const encoded = pieces.map((piece) => text(encoder.encode(bytes(piece))));
      const rest = following.join("");
      const { content, ...end } = decodeAll([...encoded, text(encoder.end()) + rest]);
      const normalised = pieces.join("").replace(/\r\n|\r|\n/g, "\r\n");
      const complete = normalised === "" || normalised.endsWith("\r\n") ? normalised : `${normalised}\r\n`;
      assertEquals(content, complete);
      assertEquals(end, { rest, ended: true, bareLineEnds: false });
    }),
    { numRuns: 500 },
  );
});

test("DataDecoder decodes chunks longer than a block, whatever is at its border", () => {
  for (const special of ["\r\n", "\r\n..", "\r\n.\r\nrest", "\n.\r\n", "\r", "\n", "\r\n.\rx"]) {
    for (let before = 0; before <= special.length; before++) {
      const wire = "a".repeat(65_536 - before) + special + "b".repeat(65_536) + "\r\n..\r\n.\r\nQUIT\r\n";
      const [actual, expected] = [decodeAll([wire]), reference(wire)];
      const note = `${JSON.stringify(special)} ${before} bytes before`;
      assert(actual.content === expected.content, note);
      assertEquals({ ...actual, content: "" }, { ...expected, content: "" }, note);
    }
  }
});

test("DataDecoder gives the chunk itself, or a view of it, if there is no dot in the middle", () => {
  const decoder = new DataDecoder();
  const whole = bytes("a\r\nb\n.c\r\n");
  assertStrictEquals(decoder.decode(whole), whole);
  const dotFirst = bytes("..d\r\n");
  assertStrictEquals(decoder.decode(dotFirst).buffer, dotFirst.buffer);
  const last = bytes("e\r\n.\r\nQUIT\r\n");
  const content = decoder.decode(last);
  assertEquals(text(content), "e\r\n");
  assertStrictEquals(content.buffer, last.buffer);
  assertStrictEquals(decoder.rest.buffer, last.buffer);
});

test("DataDecoder takes everything after the end of data for the rest", () => {
  const decoder = new DataDecoder();
  assertEquals(text(decoder.decode(bytes(".\r\nQUIT"))), "");
  assertEquals(text(decoder.rest), "QUIT");
  assertEquals(text(decoder.decode(bytes("\r\n..a"))), "");
  assertEquals(text(decoder.rest), "\r\n..a");
});

test("DataDecoder.reset() makes it ready for the next message, whatever came before", () => {
  for (const before of ["a\n", "a\r", "a\r\n.", "a\r\n.\r", ".\r\nQUIT", "a"]) {
    const decoder = new DataDecoder();
    decodeAll([before], decoder);
    decoder.reset();
    assertEquals([decoder.ended, decoder.bareLineEnds, decoder.rest.length], [false, false, 0]);
    assertEquals(decodeAll(["..b\r\n.\r\n"], decoder), reference("..b\r\n.\r\n"), JSON.stringify(before));
  }
});

test("DataDecoder refuses what is not bytes", () => {
  assertThrows(
    () => new DataDecoder().decode("a" as unknown as Uint8Array),
    TypeError,
    "Cannot decode content: expected a Uint8Array, got string",
  );
});

function source(
  chunks: string[],
  onCancel: (reason: unknown) => void = () => {},
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    pull(controller): void {
      const chunk = chunks.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(bytes(chunk));
    },
    cancel: onCancel,
  });
}

test("DataDecoderStream is the inverse of DataEncoderStream", async () => {
  const message = source(["Subject: Hi\n", "\n.", "hidden\r", "\n..\n"]);
  const decoded = message.pipeThrough(new DataEncoderStream()).pipeThrough(new DataDecoderStream());
  assertEquals(text(await toBytes(decoded)), "Subject: Hi\r\n\r\n.hidden\r\n..\r\n");
});

test("DataDecoderStream closes at the end of data although the source goes on, and cancels that", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const wire = source(["a\r\n", ".\r\n", "never", "read", "on"], resolve);
  assertEquals(text(await toBytes(wire.pipeThrough(new DataDecoderStream()))), "a\r\n");
  await promise;
});

test("DataDecoderStream fails when the source ends before the end of data", async () => {
  for (const wire of ["", "a", "a\r\n", "a\r\n.", "a\r\n.\r", "a\n.\n"]) {
    await assertRejects(
      () => toBytes(source([wire]).pipeThrough(new DataDecoderStream())),
      ProtocolError,
      "Cannot decode the content: the stream ended before the end of data",
    );
  }
});

test("DataDecoderStream fails when bytes follow the end of data", async () => {
  await assertRejects(
    () => toBytes(source(["a\r\n.\r\nQUIT\r\n"]).pipeThrough(new DataDecoderStream())),
    ProtocolError,
    "Cannot decode the content: 6 bytes follow the end of data",
  );
});
