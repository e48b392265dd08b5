/**
 * Fuzzes the codecs: the content after DATA and BDAT, base64, xtext.
 *
 * - However a content is cut, it is encoded as a model encodes it whole, and no line of it but the last is a lone dot.
 * - Decoded again, cut in another way, it is the content with CRLF line ends, and the commands behind it are left.
 * - Whatever bytes come: only CRLF.CRLF ends a content, and it is decoded as a model decodes it whole.
 * - base64 and xtext are what the runtime, and a regular expression, say; nothing else is decoded.
 * @module
 */
import { Buffer } from "node:buffer";
import { encodeUtf8AddrUnitext, encodeUtf8AddrXtext, encodeXtext } from "../../src/core/xtext.ts";
import { decodeBase64, encodeBase64 } from "../../src/sasl/base64.ts";
import { DataDecoder } from "../../src/streams/data_decoder.ts";
import { DataEncoder } from "../../src/streams/data_encoder.ts";
import { ADDRESSES, COMMANDS, CONTENTS } from "./corpus.ts";
import { BYTES, CHARACTERS, mutate, noise } from "./mutate.ts";
import { Random } from "./random.ts";
import { bytesOf, cut, hold, must, mustEqual, type Target, textOf } from "./target.ts";

/** The codecs. */
export const codecs: Target = {
  name: "codecs",
  play(random, notes) {
    const what = random.weighted({ encode: 4, decode: 4, base64: 1, xtext: 1 });
    notes.count(what);
    const cuts = random.below(0x7fff_ffff);
    if (what === "base64") return checkBase64(random);
    if (what === "xtext") return checkXtext(random);
    const content = contentOf(random);
    notes.log(JSON.stringify(content));
    if (what === "encode") hold(content, (text) => checkEncoder(text, new Random(cuts)));
    else hold(content, (text) => checkDecoder(text, new Random(cuts)));
  },
};

function contentOf(random: Random): string {
  if (random.chance(0.2)) return noise(random, ["\r", "\n", ".", "\r\n", "a", "\r\n.\r\n"]);
  const content = mutate(random, random.pick(CONTENTS), BYTES, CONTENTS);
  // The encoder works in blocks of 64 KiB, and in steps of 16 bytes.
  const length = random.chance(0.002) ? 65_536 : random.chance(0.5) ? random.below(40) : 0;
  if (length === 0) return content;
  return random.pick(["x", "line\r\n", ".\r\n", "\n"]).repeat(length).slice(0, length - random.below(10)) +
    content;
}

function checkEncoder(text: string, random: Random): void {
  const transparency = random.chance(0.7);
  const lines = text.replaceAll(/\r\n|\r|\n/g, "\r\n").replace(/[^\n]$/, "$&\r\n");
  const expected = transparency ? lines.replaceAll(/(^|\r\n)\./g, "$1..") + ".\r\n" : lines;
  const encoder = new DataEncoder({ transparency });
  const into = new DataEncoder({ transparency });
  const target = new Uint8Array(DataEncoder.maxLength(text.length) + DataEncoder.maxEndLength + 1_000);
  for (let message = 0; message < 2; message++) {
    let encoded = "";
    let written = 0;
    for (const piece of cut(text, random)) {
      const bytes = bytesOf(piece);
      encoded += textOf(encoder.encode(bytes));
      must(textOf(bytes) === piece, "The encoder changes the content itself");
      const room = DataEncoder.maxLength(bytes.length);
      if (target.length - written >= room) written += into.encodeInto(bytes, target, written);
      else return; // more pieces than there is room for what they might become
    }
    encoded += textOf(encoder.end());
    written += into.endInto(target, written);
    must(
      encoded === expected,
      `It is encoded as ${JSON.stringify(encoded.slice(0, 300))}, not ${
        JSON.stringify(expected.slice(0, 300))
      }`,
    );
    must(textOf(target.subarray(0, written)) === expected, "encodeInto() encodes something else");
  }
  if (!transparency) return;
  must(`\r\n${expected}`.indexOf("\r\n.\r\n") === expected.length - 3, "It ends before its end");
  must(!/\r(?!\n)|(?<!\r)\n/.test(expected), "It has a bare line end");
  const behind = random.pick(["", ...COMMANDS.map((command) => `${command}\r\n`)]);
  const { content, ended, rest, bare } = decode(expected + behind, random);
  must(ended && !bare, "It does not end, or has bare line ends");
  must(content === lines, `It is decoded as ${JSON.stringify(content.slice(0, 300))}`);
  must(rest === behind, `What follows is ${JSON.stringify(rest)}, not ${JSON.stringify(behind)}`);
}

/** What a decoder makes of bytes, in pieces. */
function decode(text: string, random: Random) {
  const decoder = new DataDecoder();
  let content = "";
  let rest = "";
  for (const piece of cut(text, random)) {
    const bytes = bytesOf(piece);
    const already = decoder.ended;
    content += textOf(decoder.decode(bytes));
    rest += textOf(decoder.rest);
    must(!already || decoder.rest.length === bytes.length, "After the end something is content");
    must(textOf(bytes) === piece, "The decoder changes what it reads");
  }
  return { content, rest, ended: decoder.ended, bare: decoder.bareLineEnds };
}

function checkDecoder(text: string, random: Random): void {
  const end = `\r\n${text}`.indexOf("\r\n.\r\n");
  const ended = end >= 0;
  let content = ended ? text.slice(0, end) : text;
  // A dot that may still be the end of data is held back, with its CR.
  if (!ended) content = content.replace(/(^|\r\n)\.\r?$/, "$1");
  const expected = content.replaceAll(/(^|\r\n)\./g, "$1");
  const found = decode(text, random);
  mustEqual(found.ended, ended, "It has ended");
  must(
    found.content === expected,
    `It is decoded as ${JSON.stringify(found.content.slice(0, 300))}, not ${
      JSON.stringify(expected.slice(0, 300))
    }`,
  );
  mustEqual(found.rest, ended ? text.slice(end + 3) : "", "What follows is");
  // A CR at the end may still get its LF.
  const body = ended ? content : content.replace(/\r$/, "");
  const bare = /\r(?!\n)/.test(body) || /(?<!\r)\n/.test(body);
  if (ended || found.bare !== bare) mustEqual(found.bare, bare, "It has bare line ends");
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function checkBase64(random: Random): void {
  const bytes = bytesOf(noise(random, BYTES.filter((text) => text.length === 1)));
  const encoded = encodeBase64(bytes);
  must(
    encoded === Buffer.from(bytes).toString("base64"),
    `${encoded} is not the base64 of ${JSON.stringify(textOf(bytes))}`,
  );
  must(textOf(decodeBase64(encoded)) === textOf(bytes), `${encoded} is not decoded as what it was made of`);
  const text = mutate(random, encoded, [..."=+/-_ \t\r\nAZaz09\0\x80", "==", "===", "\u00e9", "\u{1f600}"], [
    "QUJD",
    "QQ==",
  ]);
  hold(text, (text) => {
    const canonical = Buffer.from(text, "base64").toString("base64") === text;
    let decoded: Uint8Array | undefined;
    try {
      decoded = decodeBase64(text);
    } catch (error) {
      must(error instanceof SyntaxError, `It throws ${error}`);
    }
    if (canonical) must(decoded !== undefined, "It is base64, and is refused");
    if (decoded === undefined) return;
    must(BASE64.test(text), "It is no base64, and is decoded");
    must(textOf(decoded) === textOf(Buffer.from(text, "base64")), "It is decoded as something else");
  });
}

function checkXtext(random: Random): void {
  const text = mutate(random, random.pick(ADDRESSES), CHARACTERS, ADDRESSES);
  hold(text, (text) => {
    const isAscii = /^[\0-\x7f]*$/.test(text);
    let xtext: string | undefined;
    try {
      xtext = encodeXtext(text);
    } catch (error) {
      must(error instanceof RangeError && !isAscii, `xtext throws ${error}`);
    }
    if (xtext !== undefined) {
      must(isAscii && /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(xtext), `${JSON.stringify(xtext)} is no xtext`);
      const decoded = xtext.replaceAll(/\+(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
      must(decoded === text, `xtext is ${xtext}`);
    }
    for (
      const [encode, allowed] of [[encodeUtf8AddrXtext, /^[!-*,-<>-~]*$/], [
        encodeUtf8AddrUnitext,
        /^(?:[!-*,-<>-~]|[^\0-\x9f])*$/u,
      ]] as const
    ) {
      let encoded: string;
      try {
        encoded = encode(text);
      } catch (error) {
        must(error instanceof RangeError && !text.isWellFormed(), `${encode.name} throws ${error}`);
        continue;
      }
      must(allowed.test(encoded), `${encode.name} makes ${JSON.stringify(encoded)}`);
      const decoded = encoded.replaceAll(
        /\\x\{([0-9A-F]+)\}/g,
        (_, hex) => String.fromCodePoint(Number.parseInt(hex, 16)),
      );
      must(decoded === text, `${encode.name} makes ${JSON.stringify(encoded)}`);
    }
  });
}
