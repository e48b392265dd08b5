/**
 * Fuzzes the reply decoder.
 *
 * - However the bytes are cut, the replies are those that a model finds which reads all bytes at once: codes, lines, bytes, what is
 *   left, and where and whether it fails.
 * - A reply reads the same whether its text is read at once or later.
 * - What is written again is read as the same reply.
 * - Work and memory grow with the bytes and no faster, counted in reads of bytes and in memory asked for.
 * @module
 */
import { ProtocolError } from "../../src/core/errors.ts";
import { Reply } from "../../src/core/reply.ts";
import { ReplyDecoder } from "../../src/core/reply_decoder.ts";
import { REPLIES } from "./corpus.ts";
import { BYTES, mutate, noise } from "./mutate.ts";
import { Random } from "./random.ts";
import { bytesOf, cut, hold, isFitToShow, must, mustEqual, type Target, textOf } from "./target.ts";

/** What a decoder has found. */
interface Found {
  readonly replies: readonly {
    readonly code: number;
    readonly lines: readonly string[];
    readonly bytes: string;
  }[];
  /** Whether it failed. */
  readonly failed: boolean;
  /** How many bytes belong to no reply, if it has not failed. */
  readonly left: number | undefined;
}

interface Limits {
  readonly maxLineLength: number;
  readonly maxReplyLength: number;
}

/** The reply decoder. */
export const replyDecoder: Target = {
  name: "reply-decoder",
  play(random, notes) {
    const bytes = received(random);
    const limits = random.pick([
      { maxLineLength: 12_288, maxReplyLength: 262_144 },
      { maxLineLength: 12_288, maxReplyLength: 262_144 },
      { maxLineLength: 1 + random.below(60), maxReplyLength: 1 + random.below(200) },
    ]);
    const cuts = random.below(0x7fff_ffff);
    notes.log(JSON.stringify(bytes));
    const expected = model(bytes, limits);
    notes.count(expected.failed ? "failed" : "not failed");
    notes.count("replies", expected.replies.length);
    hold(bytes, (text) => mustEqual(decode(text, limits, new Random(cuts)), model(text, limits), "It finds"));
    hold(bytes, (text) => checkWritten(text));
    if (random.chance(0.01)) checkCosts(random.pick(REPLIES), 1 + random.below(400), cuts);
  },
};

/** What a server sends. */
function received(random: Random): string {
  if (random.chance(0.1)) return noise(random, BYTES);
  let text = "";
  for (let count = 1 + random.below(4); count > 0; count--) {
    text += random.pick(REPLIES) + random.pick(["\r\n", "\r\n", "\r\n", "\n"]);
  }
  return mutate(random, text, BYTES, REPLIES);
}

function decode(text: string, limits: Limits, random: Random): Found {
  const decoder = new ReplyDecoder(limits);
  const replies: Reply[] = [];
  let failed = false;
  for (const piece of cut(text, random)) {
    const bytes = bytesOf(piece);
    decoder.push(bytes);
    bytes.fill(0x58); // it must have its own copy
    try {
      for (let reply; (reply = decoder.next()) !== undefined;) {
        if (random.chance(0.3)) void reply.lines;
        replies.push(reply);
      }
    } catch (error) {
      must(error instanceof ProtocolError, `It throws ${error}`);
      must(isFitToShow(error.message), "Its error is not fit to be shown");
      failed = true;
    }
  }
  if (failed) {
    let again: unknown;
    try {
      decoder.next();
    } catch (error) {
      again = error;
    }
    must(again instanceof ProtocolError, "It goes on after a failure");
  }
  return {
    replies: replies.map((reply) => {
      const early = random.chance(0.5) ? textOf(reply.bytes) : undefined;
      const { code, lines } = reply;
      const bytes = textOf(reply.bytes);
      must(early === undefined || early === bytes, "The bytes of a reply change when it is read");
      return { code, lines, bytes };
    }),
    failed,
    left: failed ? undefined : decoder.bufferedLength,
  };
}

/** Reads all bytes at once, in the simplest way. */
function model(text: string, { maxLineLength, maxReplyLength }: Limits): Found {
  const replies: { code: number; lines: string[]; bytes: string }[] = [];
  let codes: string[] = [];
  let texts: string[] = [];
  let length = 0;
  let at = 0;
  while (at < text.length) {
    const end = text.indexOf("\n", at);
    const whole = end >= 0;
    const line = whole ? text.slice(at, end + 1) : text.slice(at);
    if (line.length > maxLineLength || (!whole && line.length === maxLineLength)) return failedAfter(replies);
    if (!whole) {
      // Not yet a line, and perhaps clear already that it is none.
      if (length + line.length > maxReplyLength) return failedAfter(replies);
      if (!/^(?:[2-5](?:\d(?:\d(?!\d)|$)|$))/.test(line)) return failedAfter(replies);
      return { replies, failed: false, left: length + line.length };
    }
    const content = line.replace(/\r?\n$/, "");
    const match = /^([2-5]\d\d)(?!\d)([- \t])?([^]*)$/.exec(content);
    if (match === null || codes.some((code) => code[0] !== match[1]![0])) return failedAfter(replies);
    codes.push(match[1]!);
    texts.push(match[3]!);
    length += line.length;
    at += line.length;
    if (length > maxReplyLength) return failedAfter(replies);
    if (match[2] === "-") continue;
    replies.push({ code: Number(match[1]), lines: texts.map(shown), bytes: texts.join("\n") });
    codes = [];
    texts = [];
    length = 0;
  }
  return { replies, failed: false, left: length };
}

function failedAfter(replies: Found["replies"]): Found {
  return { replies, failed: true, left: undefined };
}

/** A text of a server as people see it. */
function shown(text: string): string {
  const decoded = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(text));
  return decoded.replaceAll(/(?!\t)\p{Cc}/gu, "\ufffd");
}

function hasControls(text: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(text);
}

/** What a reply is written as is read as that reply. */
function checkWritten(text: string): void {
  const decoder = new ReplyDecoder();
  decoder.push(bytesOf(text));
  try {
    for (let reply; (reply = decoder.next()) !== undefined;) {
      const { code, lines, enhancedCode } = reply;
      must(
        lines.every((line) => !hasControls(line.replaceAll(/[\t\u2028\u2029]/g, ""))),
        "A line has control characters",
      );
      const wire = reply.toWire();
      const again = new ReplyDecoder();
      again.push(new TextEncoder().encode(wire));
      const second = again.next();
      must(second !== undefined && again.bufferedLength === 0, `${JSON.stringify(wire)} is not one reply`);
      mustEqual(
        [second.code, second.text, second.enhancedCode],
        [code, reply.text, enhancedCode],
        "Written again it is",
      );
      mustEqual(new Reply(code, lines).lines, lines, "Made again it has the lines");
      mustEqual(
        [reply.positive, reply.intermediate, reply.temporary, reply.permanent].indexOf(true),
        Math.floor(code / 100) - 2,
        "Its class is",
      );
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}

/** Work and memory for a reply of so many lines, whatever it arrives in. */
function checkCosts(text: string, lines: number, cuts: number): void {
  const reply = `250-${text.split("\r\n", 1)[0]!.slice(4)}\r\n`.repeat(lines) + "250 Ok\r\n";
  const original = globalThis.Uint8Array;
  let memory = 0;
  let reads = 0;
  const counting = new Proxy(original, {
    construct(target, args, newTarget) {
      const array = Reflect.construct(target, args, newTarget) as Uint8Array;
      if (typeof args[0] !== "number") return array;
      memory += args[0];
      return new Proxy(array, {
        get(bytes, key) {
          const value = Reflect.get(bytes, key, bytes);
          if (typeof key === "string" && key !== "length") reads++;
          return typeof value === "function" ? value.bind(bytes) : value;
        },
        set: (bytes, key, value) => Reflect.set(bytes, key, value, bytes),
      });
    },
  });
  const pieces = cut(reply, new Random(cuts)).map(bytesOf);
  globalThis.Uint8Array = counting;
  let found = 0;
  try {
    const decoder = new ReplyDecoder({ maxLineLength: 1_000_000, maxReplyLength: 100_000_000 });
    for (const piece of pieces) {
      decoder.push(piece);
      while (decoder.next() !== undefined) found++;
    }
  } finally {
    globalThis.Uint8Array = original;
  }
  mustEqual(found, 1, "So many replies");
  must(
    memory <= 8 * reply.length + 16_384,
    `${memory} bytes of memory for ${reply.length} bytes in ${pieces.length} pieces`,
  );
  const fair = 4 * reply.length + 20 * lines + 20 * pieces.length;
  must(reads <= fair, `${reads} reads for ${reply.length} bytes in ${pieces.length} pieces`);
}
