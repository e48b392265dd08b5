import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { inspect } from "node:util";
import { Reply } from "../../src/core/reply.ts";
import { ReplyDecoder } from "../../src/core/reply_decoder.ts";
import { test } from "../support/unwatched.ts";

test("Reply gives code, lines, text and enhanced status code", () => {
  const reply = new Reply(550, "5.1.1 No such user");
  assertEquals(reply.code, 550);
  assertEquals(reply.lines, ["5.1.1 No such user"]);
  assertEquals(reply.text, "No such user");
  assertEquals(reply.enhancedCode, "5.1.1");
});

test("Reply puts the enhanced status code before each line", () => {
  const reply = new Reply(450, ["Busy", "", "Later"], { enhancedCode: "4.3.2" });
  assertEquals(reply.lines, ["4.3.2 Busy", "4.3.2", "4.3.2 Later"]);
  assertEquals(reply.text, "Busy\n\nLater");
  assertEquals(reply.toWire(), "450-4.3.2 Busy\r\n450-4.3.2\r\n450 4.3.2 Later\r\n");
});

test("Reply takes the enhanced status code off each line that has it", () => {
  assertEquals(new Reply(250, ["2.1.0 One", "two", "2.1.5 Three"]).text, "One\ntwo\nThree");
});

test("Reply has no enhanced status code when its class is another, or only a later line has one", () => {
  assertEquals(new Reply(250, "4.2.1 is our version").enhancedCode, undefined);
  assertEquals(new Reply(250, ["mx.test", "2.0.0 Ok"]).enhancedCode, undefined);
  assertEquals(new Reply(354, "3.0.0 Go on").enhancedCode, undefined);
});

test("Reply knows its class", () => {
  const classes = [200, 299, 300, 399, 400, 499, 500, 599].map((code) => {
    const { positive, intermediate, temporary, permanent } = new Reply(code, "");
    return [positive, intermediate, temporary, permanent].indexOf(true);
  });
  assertEquals(classes, [0, 0, 1, 1, 2, 2, 3, 3]);
});

test("Reply.toString() shows the lines with their codes", () => {
  assertEquals(new Reply(250, ["mx.test", "SIZE"]).toString(), "250-mx.test\n250 SIZE");
  assertEquals(`${new Reply(220, "mx.test")}`, "220 mx.test");
});

test("Reply.toWire() adds the enhanced status code where a line lacks it", () => {
  assertEquals(new Reply(250, ["2.1.0 a", "b", ""]).toWire(), "250-2.1.0 a\r\n250-2.1.0 b\r\n250 2.1.0\r\n");
  assertEquals(new Reply(250, ["mx.test", "SIZE"]).toWire(), "250-mx.test\r\n250 SIZE\r\n");
  assertEquals(new Reply(250, "").toWire(), "250 \r\n");
});

test("Reply shows its text in JSON and in the console", () => {
  const decoder = new ReplyDecoder();
  decoder.push(new TextEncoder().encode("550 5.1.1 No such user\r\n"));
  const reply = decoder.next()!;
  assertEquals(JSON.stringify(reply), '{"code":550,"lines":["5.1.1 No such user"]}');
  assertEquals(inspect({ reply }), `{ reply: Reply "550 5.1.1 No such user" }`);
});

/** Replies of one server. */
function received(...wire: (string | Uint8Array)[]): Reply[] {
  const decoder = new ReplyDecoder();
  for (const piece of wire) decoder.push(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
  const replies: Reply[] = [];
  for (let reply = decoder.next(); reply !== undefined; reply = decoder.next()) replies.push(reply);
  return replies;
}

test("Reply.bytes gives text that is not UTF-8, before and after the text is read", () => {
  const text = Uint8Array.of(0xc4, 0xfa, 0xba, 0xc3); // 您好 in GBK
  const [reply] = received("550-5.7.1 ", text, "\r\n550\t", text, text, "\n");
  for (let i = 0; i < 2; i++) {
    const { bytes } = reply!;
    assertEquals(new TextDecoder("gbk").decode(bytes), "5.7.1 您好\n您好您好");
    bytes.fill(0); // nobody else's
    assertEquals(
      reply!.lines.map((line) => line.replaceAll("\ufffd", "?")).join("|"),
      "5.7.1 ????|????????",
    );
    assertEquals(reply!.enhancedCode, "5.7.1");
  }
});

test("Reply.bytes is the lines, joined by a line feed", () => {
  const decode = (reply: Reply) => new TextDecoder().decode(reply.bytes);
  assertEquals(
    decode(new Reply(250, ["größe", "", "c"], { enhancedCode: "2.0.0" })),
    "2.0.0 größe\n2.0.0\n2.0.0 c",
  );
  for (const [i, reply] of received("250-\r\n250-a\r\n250-\r\n250 \0\ufffd\r\n250\r\n250Ok\r\n").entries()) {
    const expected = ["\na\n\n\0\ufffd", "", "Ok"][i];
    assertEquals(decode(reply), expected);
    void reply.lines;
    assertEquals(decode(reply), expected);
  }
});

test("Reply.bytes stays right when later replies arrive", () => {
  const decoder = new ReplyDecoder();
  const replies: Reply[] = [];
  for (let i = 0; i < 3000; i++) {
    decoder.push(Uint8Array.of(0x32, 0x35, 0x30, 0x20, 0xff, i & 0xff | 0x80, i >> 8 | 0x80, 0x0d, 0x0a));
    replies.push(decoder.next()!);
    if (i % 2 === 0) void replies[i]!.text;
  }
  replies.forEach((reply, i) => assertEquals([...reply.bytes], [0xff, i & 0xff | 0x80, i >> 8 | 0x80]));
});

test("Reply finds the enhanced status code after a tab, and before one", () => {
  const [reply] = received("250\t2.0.0\tOk: queued as 4XyZ\r\n");
  assertEquals([reply!.enhancedCode, reply!.text], ["2.0.0", "Ok: queued as 4XyZ"]);
});

test("Reply throws RangeError when the code is not one of a reply", () => {
  for (const code of [0, 100, 199, 600, 250.5, NaN, Infinity, "250" as unknown as number]) {
    assertThrows(
      () => new Reply(code, "x"),
      RangeError,
      `the current value is ${typeof code === "string" ? `"${code}"` : code}`,
    );
  }
});

test("Reply throws RangeError when the enhanced status code does not fit the code", () => {
  for (const enhancedCode of ["", "5.1.1", "2.1", "2.1.0 ", "2.1.0\r\n", "2.1.1234", "x"]) {
    assertThrows(() => new Reply(250, "x", { enhancedCode }), RangeError, "does not fit the code 250");
  }
  assertThrows(() => new Reply(354, "x", { enhancedCode: "3.0.0" }), RangeError, "does not fit");
});

test("Reply throws TypeError when a line holds a control character or a lone surrogate, or there is none", () => {
  for (const char of ["\0", "\n", "\r", "\x1b", "\x7f", "\x80", "\x9f"]) {
    assertThrows(() => new Reply(250, `a${char}b`), TypeError, "control character");
    assertThrows(() => new Reply(250, ["ok", char]), TypeError, "control character");
  }
  assertThrows(() => new Reply(250, "a\ud800"), TypeError, "lone surrogate");
  assertThrows(() => new Reply(250, []), TypeError, "at least one line");
  assertThrows(
    () => new Reply(250, [1 as unknown as string]),
    TypeError,
    "must be a string, the current value is 1",
  );
  assertEquals(new Reply(250, "a\tb").text, "a\tb");
});

test("Reply does not follow changes to the array it was made of", () => {
  const lines = ["a"];
  const reply = new Reply(250, lines);
  lines[0] = "b\r\n";
  assertEquals(reply.toWire(), "250 a\r\n");
  assertThrows(() => (reply.lines as string[]).push("c"), TypeError);
});

test("Reply comes back from the decoder as it was sent", () => {
  const line = fc.string({ unit: "grapheme", maxLength: 60 }).filter((text) => !/\p{Cc}|\p{Cs}/u.test(text));
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 599 }),
      fc.array(line, { minLength: 1, maxLength: 5 }),
      (code, lines) => {
        const reply = new Reply(code, lines);
        const decoder = new ReplyDecoder();
        decoder.push(new TextEncoder().encode(reply.toWire()));
        const again = decoder.next()!;
        assertEquals(again.toWire(), reply.toWire());
        assertEquals(again.text, reply.text);
        assertEquals(again.enhancedCode, reply.enhancedCode);
        assertEquals(decoder.bufferedLength, 0);
      },
    ),
  );
});

function codeLength(line: string, code: number): number {
  return new Reply(code, line).enhancedCode?.length ?? 0;
}

/** RFC 3463, section 2, read straight from the page. */
function reference(line: string, code: number): number {
  const match = /^([245])\.\d{1,3}\.\d{1,3}(?=[ \t]|$)/.exec(line);
  return match !== null && match[1] === String(code)[0] ? match[0].length : 0;
}

test("Reply finds enhanced status codes of its class", () => {
  assertEquals(codeLength("2.1.0 Ok", 250), 5);
  assertEquals(codeLength("5.7.999", 550), 7);
  assertEquals(codeLength("4.123.45 Later", 450), 8);
});

test("Reply finds no enhanced status code of another class or form", () => {
  for (
    const [line, code] of [
      ["4.2.1 is our version", 250],
      ["3.0.0 Go on", 354],
      ["2.1", 250],
      ["2.1.", 250],
      ["2..1 x", 250],
      ["2.1234.1 x", 250],
      ["2.1.1234 x", 250],
      ["2.1.0x", 250],
      ["2.1.0.1", 250],
      ["", 250],
      [" 2.1.0", 250],
    ] as const
  ) {
    assertEquals([line, codeLength(line, code)], [line, 0]);
    assertEquals(new Reply(code, line).text, line);
  }
});

test("Reply finds enhanced status codes as the grammar has them", () => {
  const line = fc.string({
    unit: fc.constantFrom("2", "4", "5", "3", "1", "0", ".", " ", "\t", "x"),
    maxLength: 12,
  });
  fc.assert(
    fc.property(line, fc.constantFrom(250, 354, 450, 550), (text, code) => {
      assertEquals(codeLength(text, code), reference(text, code));
    }),
    { numRuns: 3000 },
  );
});

test("Reply.text has neither the enhanced status code nor the space after it", () => {
  assertEquals(new Reply(250, "2.1.0 Ok").text, "Ok");
  assertEquals(new Reply(250, "2.1.0").text, "");
  assertEquals(new Reply(250, "2.1.0  Ok").text, " Ok");
});
