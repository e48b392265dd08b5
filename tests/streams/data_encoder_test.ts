import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { toBytes } from "@std/streams";
import fc from "fast-check";
import { DataEncoder, type DataEncoderOptions, DataEncoderStream } from "../../src/streams/data_encoder.ts";
import { test } from "../support/unwatched.ts";

/** What the encoder must do, on strings with a character for each byte. */
function reference(text: string, transparency = true): string {
  const lines = text.replace(/\r\n|\r|\n/g, "\r\n").split("\r\n");
  // Splitting leaves an empty line after the last line end.
  const complete = lines.at(-1) === "" ? lines : [...lines, ""];
  const stuffed = complete.map((line) => transparency && line.startsWith(".") ? `.${line}` : line);
  return stuffed.join("\r\n") + (transparency ? ".\r\n" : "");
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function text(...chunks: Uint8Array[]): string {
  let result = "";
  for (const chunk of chunks) for (const byte of chunk) result += String.fromCharCode(byte);
  return result;
}

/** Encodes in pieces, with `encode()`. */
function encodeAll(pieces: string[], options?: DataEncoderOptions): string {
  const encoder = new DataEncoder(options);
  const chunks = pieces.map((piece) => encoder.encode(bytes(piece)));
  return text(...chunks, encoder.end());
}

/** Encodes in pieces, with `encodeInto()`, each from an address of its own into the middle of a target. */
function encodeAllInto(pieces: string[], options?: DataEncoderOptions): string {
  const encoder = new DataEncoder(options);
  let result = "";
  for (const [index, piece] of pieces.entries()) {
    const room = DataEncoder.maxLength(piece.length);
    const shift = index % 8;
    const source = new Uint8Array(shift + piece.length).subarray(shift);
    source.set(bytes(piece));
    const target = new Uint8Array(shift + room + 3).fill(0xEE);
    const written = encoder.encodeInto(source, target, shift);
    assert(written <= room);
    assert(target.subarray(0, shift).every((byte) => byte === 0xEE), "Wrote before the offset");
    assert(target.subarray(shift + written).every((byte) => byte === 0xEE), "Wrote after the output");
    result += text(target.subarray(shift, shift + written));
  }
  return result + text(encoder.end());
}

function cutAt(text: string, ...places: number[]): string[] {
  return [0, ...places].map((from, index) => text.slice(from, places[index] ?? text.length));
}

/** A text whole, byte by byte, cut in two at each place, and with empty pieces. */
function* cuts(text: string): Generator<string[]> {
  yield [text];
  yield [...text];
  yield ["", ...[...text].flatMap((byte) => [byte, ""])];
  for (let i = 0; i <= text.length; i++) yield cutAt(text, i);
}

const x = "x".repeat(40);

const CASES: Record<string, string> = {
  "an empty message": "",
  "no line end at all": "Hello",
  "text that needs nothing": "Subject: Hi\r\n\r\nHello\r\n",
  "LF line ends": "Subject: Hi\n\nHello\n",
  "CR line ends": "Subject: Hi\r\rHello\r",
  "all three mixed": "a\nb\rc\r\nd\n\re\r\r\nf",
  "CR CR LF": "a\r\r\nb",
  "CR CR LF LF": "a\r\r\n\nb",
  "LF CR": "a\n\rb",
  "only CR": "\r",
  "only LF": "\n",
  "only CRLF": "\r\n",
  "many CR": "\r\r\r\r\r",
  "many LF": "\n\n\n\n\n",
  "one dot": ".",
  "two dots": "..",
  "only dots in lines": ".\n..\n...\n",
  "only dots in CR lines": ".\r.\r.",
  "the end of data itself": "\r\n.\r\n",
  "the end of data with bare LF": "a\n.\nb",
  "the end of data with bare CR": "a\r.\rb",
  "the end of data with CRLF and LF": "a\r\n.\nb",
  "the end of data with LF and CRLF": "a\n.\r\nb",
  "the end of data with CR and CRLF": "a\r.\r\nb",
  "dots inside lines": "a.b.c\r\n a.\r\nb..\r\n",
  "a dot after a long line": `${x}\r\n.${x}\n.${x}`,
  "other control characters": "\0\t\v\f\x0E\x01a\0\n\0.\0",
  "NUL around a line end": "\0\r\0\n\0\r\n\0",
  "bytes above 0x7F": "\x80\x8D\x8E\xFF\n.\xFE\x85\r\xE2\x80\xA8",
};

for (const [name, input] of Object.entries(CASES)) {
  test(`DataEncoder encodes ${name}, cut anywhere`, () => {
    for (const transparency of [true, false]) {
      const expected = reference(input, transparency);
      for (const pieces of cuts(input)) {
        assertEquals(encodeAll(pieces, { transparency }), expected, `encode ${JSON.stringify(pieces)}`);
        assertEquals(
          encodeAllInto(pieces, { transparency }),
          expected,
          `encodeInto ${JSON.stringify(pieces)}`,
        );
      }
    }
  });
}

test("DataEncoder ends an empty message with the dot alone", () => {
  assertEquals(text(new DataEncoder().end()), ".\r\n");
  assertEquals(text(new DataEncoder({ transparency: false }).end()), "");
});

test("DataEncoder completes the last line in end()", () => {
  assertEquals(encodeAll(["a"]), "a\r\n.\r\n");
  assertEquals(encodeAll(["a\r"]), "a\r\n.\r\n");
  assertEquals(encodeAll(["a\n"]), "a\r\n.\r\n");
  assertEquals(encodeAll(["a"], { transparency: false }), "a\r\n");
  assertEquals(encodeAll(["a\r"], { transparency: false }), "a\r\n");
});

test("DataEncoder is ready for a new message after end()", () => {
  const encoder = new DataEncoder();
  for (const message of ["a", ".\r", "\n.", "\r\n"]) {
    assertEquals(text(encoder.encode(bytes(message)), encoder.end()), reference(message));
  }
});

test("DataEncoder finds line ends and dots at every place of a long line", () => {
  for (let length = 0; length < 70; length++) {
    for (const special of ["\n", "\r", "\r\n", "\n.", "\r\n.", "\r.", "\t", "\x80"]) {
      const input = "y".repeat(length) + special + "z".repeat(37);
      assertEquals(encodeAll([input]), reference(input), JSON.stringify(input));
      assertEquals(encodeAllInto(["a", input]), reference(`a${input}`), JSON.stringify(input));
    }
  }
});

/** Bytes with many special ones, also after long stretches of plain ones. */
const content = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("\r", "\n", "\r\n", ".", "\r\n.", "\n.", "a", "\t", "\0") },
    { weight: 1, arbitrary: fc.nat({ max: 255 }).map((byte) => String.fromCharCode(byte)) },
    { weight: 1, arbitrary: fc.nat({ max: 40 }).map((length) => "w".repeat(length)) },
  ),
  { maxLength: 60 },
).map((parts) => parts.join(""));

const pieces = fc.array(content, { maxLength: 6 });

test("DataEncoder does what the reference does, for any content in any pieces", () => {
  fc.assert(
    fc.property(pieces, fc.boolean(), (pieces, transparency) => {
      const expected = reference(pieces.join(""), transparency);
      assertEquals(encodeAll(pieces, { transparency }), expected);
      assertEquals(encodeAllInto(pieces, { transparency }), expected);
    }),
    { numRuns: 1_000 },
  );
});

test("DataEncoder leaves its own output unchanged but for the dots", () => {
  fc.assert(fc.property(pieces, (pieces) => {
    const once = encodeAll(pieces, { transparency: false });
    const chunk = bytes(once);
    assertStrictEquals(new DataEncoder({ transparency: false }).encode(chunk), chunk);
  }));
});

test("DataEncoder encodes chunks longer than a block, whatever is at its border", () => {
  const border = 65_536;
  for (const special of ["", "\n", "\r", "\r\n", "\n.", "\r\n.", "\r.", "\r\r\n", "."]) {
    for (let before = 0; before <= special.length + 1; before++) {
      const input = "a".repeat(border - before) + special + "b".repeat(border - special.length) + "c\n.d";
      const expected = reference(input);
      const encoder = new DataEncoder();
      const encoded = encoder.encode(bytes(input));
      assertEquals(encoded.buffer.byteLength, encoded.length, "More memory than needed");
      assert(
        text(encoded, encoder.end()) === expected,
        `encode ${JSON.stringify(special)} ${before} bytes before`,
      );
      assert(
        encodeAllInto([input]) === expected,
        `encodeInto ${JSON.stringify(special)} ${before} bytes before`,
      );
    }
  }
});

test("DataEncoder encodes a chunk longer than a block from the state that the chunk before left", () => {
  for (const before of ["", "a", "a\r", "a\n", "a\r\n"]) {
    for (const start of [".", "\n.", "\r", "b"]) {
      const input = [before, start + "b".repeat(70_000) + "\r"];
      assert(encodeAll(input) === reference(input.join("")), JSON.stringify([before, start]));
    }
  }
});

test("DataEncoder encodes a block of nothing but line ends", () => {
  for (const byte of ["\n", "\r"]) {
    const input = byte.repeat(65_536);
    assert(encodeAll([input]) === reference(input));
    assert(encodeAll(["a\r", input]) === reference(`a\r${input}`));
    assert(encodeAllInto(["a\r", input]) === reference(`a\r${input}`));
  }
  const dots = "\n.".repeat(32_768);
  assert(encodeAllInto(["a\r", dots]) === reference(`a\r${dots}`));
});

test("DataEncoder.encode() gives the chunk itself when nothing has to change", () => {
  const encoder = new DataEncoder();
  for (const input of ["", "a\r\nb.", "c\r", "\nd", "\r\n", `${x}\r\n`.repeat(4_000), "e"]) {
    const chunk = bytes(input);
    assertStrictEquals(encoder.encode(chunk), chunk);
  }
});

test("DataEncoder.encode() gives memory that no later call changes", () => {
  const encoder = new DataEncoder();
  const first = encoder.encode(bytes("a\nb\n"));
  assertEquals(first.buffer.byteLength, first.length);
  const second = encoder.encode(bytes("c\nd\ne\n"));
  const end = encoder.end();
  end.fill(0);
  assertEquals(text(first), "a\r\nb\r\n");
  assertEquals(text(second), "c\r\nd\r\ne\r\n");
  assertEquals(text(encoder.end()), ".\r\n");
  assertNotEquals(first.buffer, second.buffer);
});

test("DataEncoder.encode() leaves the source as it was", () => {
  const source = bytes("a\n.b\r");
  new DataEncoder().encode(source);
  assertEquals(text(source), "a\n.b\r");
});

test("two DataEncoders do not disturb each other", () => {
  const [a, b] = [new DataEncoder(), new DataEncoder()];
  const parts = [
    a.encode(bytes("a\r")),
    b.encode(bytes("b")),
    a.encode(bytes("\n.")),
    b.encode(bytes("\n.\n")),
  ];
  assertEquals(text(parts[0]!, parts[2]!, a.end()), reference("a\r\n."));
  assertEquals(text(parts[1]!, parts[3]!, b.end()), reference("b\n.\n"));
});

test("DataEncoder takes shared memory, as WebAssembly threads have it", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  shared.set(bytes("a\n.b"));
  assertEquals(text(new DataEncoder().encode(shared)), "a\r\n..b");
});

test("DataEncoder.encodeInto() refuses a target without room for the worst case", () => {
  const encoder = new DataEncoder();
  const source = bytes("a\nb");
  assertEquals(DataEncoder.maxLength(3), 7);
  const message = "Cannot encode 3 bytes: 7 bytes must be free in the target of length";
  for (const [length, offset] of [[6, 0], [8, 2], [8, -1], [8, 0.5], [8, NaN]] as const) {
    assertThrows(() => encoder.encodeInto(source, new Uint8Array(length), offset), RangeError, message);
  }
  assertEquals(encoder.encodeInto(source, new Uint8Array(7), 0), 4);
});

test("DataEncoder refuses what is not bytes", () => {
  const encoder = new DataEncoder();
  const string = "a\n" as unknown as Uint8Array;
  assertThrows(
    () => encoder.encode(string),
    TypeError,
    "Cannot encode content: expected a Uint8Array, got String",
  );
  assertThrows(() => encoder.encodeInto(string, new Uint8Array(9), 0), TypeError, "got String");
  assertThrows(() => encoder.encodeInto(bytes("a"), [] as unknown as Uint8Array, 0), TypeError, "got Array");
});

test("DataEncoderStream encodes a message in any chunks and ends it", async () => {
  await fc.assert(
    fc.asyncProperty(pieces, fc.boolean(), async (pieces, transparency) => {
      const source = new ReadableStream<Uint8Array>({
        start(controller): void {
          for (const piece of pieces) controller.enqueue(bytes(piece));
          controller.close();
        },
      });
      const encoded = await toBytes(source.pipeThrough(new DataEncoderStream({ transparency })));
      assertEquals(text(encoded), reference(pieces.join(""), transparency));
    }),
    { numRuns: 50 },
  );
});

test("DataEncoderStream gives no empty chunks, and a long one in several", async () => {
  const stream = new DataEncoderStream({ transparency: false });
  const writer = stream.writable.getWriter();
  const written = (async (): Promise<void> => {
    await writer.write(new Uint8Array(0));
    await writer.write(bytes("a".repeat(100_000)));
    await writer.write(bytes("\r\n"));
    await writer.close();
  })();
  const lengths: number[] = [];
  for await (const chunk of stream.readable) lengths.push(chunk.length);
  await written;
  assertEquals(lengths, [65_536, 34_464, 2]);
});

test("DataEncoderStream fails when it is given a string", async () => {
  const source = new ReadableStream({
    start(controller): void {
      controller.enqueue("Subject: Hi\n");
      controller.close();
    },
  });
  await assertRejects(() => toBytes(source.pipeThrough(new DataEncoderStream())), TypeError, "got String");
});
