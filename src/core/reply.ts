/**
 * Replies: a code, lines of text, an enhanced status code (RFC 5321, section 4.2; RFC 3463; RFC 2034).
 *
 * @module
 */
import { isControl, isDigit } from "./characters.ts";
import { mustBe, show } from "./errors.ts";
import { copyText, decodeLines } from "./reply_text.ts";

/** Options of {@linkcode Reply}. */
export interface ReplyOptions {
  /** An enhanced status code such as `"5.1.1"` (RFC 3463), put before each line. Default: none. */
  enhancedCode?: string | undefined;
}

/** A {@linkcode Reply} as JSON. */
export interface ReplyJson {
  /** The reply code. */
  code: number;
  /** The text of each line. */
  lines: readonly string[];
}

/** The lines of a decoder's reply whose text nobody has read yet. */
const NOT_DECODED: readonly string[] = [];

/** Stands for bytes that are not UTF-8, and for control characters. */
const REPLACEMENT = "\ufffd";

/**
 * Makes a reply of bytes whose form the decoder has checked, without decoding its text: of most replies only the code is
 * read. Set by a static block, because it needs private fields.
 */
export let replyFromWire: (code: number, bytes: Uint8Array, start: number, end: number) => Reply;

/** Takes secrets out of the lines of a reply. Returns the same array if there were none. */
export type ReplyMask = (lines: readonly string[]) => readonly string[];

/** Lets nobody see the text of a decoder's reply but through a mask, which is called when the text is read for the first time. */
export let maskReply: (reply: Reply, mask: ReplyMask) => void;

/** The text of a 334 as the server sent it, for the mechanism that answers it. It may repeat a secret: it is not to be shown. */
export let challengeOf: (reply: Reply) => string;

/**
 * A reply of an SMTP server: a code and one or more lines of text (RFC 5321, section 4.2). It does not change, and no
 * line holds a control character other than the tab: those that a peer sends are replaced by U+FFFD.
 *
 * @example
 * ```ts
 * import { Reply } from "@streams/smtp";
 *
 * const reply = new Reply(550, "No such user here", { enhancedCode: "5.1.1" });
 * console.log(reply.permanent, reply.text); // true "No such user here"
 * console.log(reply.toString()); // "550 5.1.1 No such user here"
 * ```
 */
export class Reply {
  /** The reply code, 200 to 599. */
  readonly code: number;
  /** `undefined` until the text is read for the first time; the bytes are kept until then. */
  #lines: readonly string[] | undefined;
  #bytes: Uint8Array | undefined;
  /** The bytes of the text, where the lines do not tell all of it. */
  #text: Uint8Array | undefined;
  #start = 0;
  #end = 0;
  #mask: ReplyMask | undefined;

  /**
   * Makes a reply, for a server to send or for a test.
   *
   * @param code The reply code, 200 to 599.
   * @param text The text, or one text for each line.
   * @param options The enhanced status code.
   * @throws {RangeError} If the code is not an integer from 200 to 599, or the enhanced status code is of another class.
   * @throws {TypeError} If there is no line, or a line holds a control character (other than the tab) or a lone surrogate.
   */
  constructor(code: number, text: string | readonly string[], options?: ReplyOptions) {
    this.code = code;
    if (text === NOT_DECODED) return;
    if (!Number.isInteger(code) || code < 200 || code > 599) {
      throw new RangeError(
        mustBe("make a reply", "code", "a whole number from 200 to 599", code),
      );
    }
    const lines = typeof text === "string" ? [text] : [...text];
    if (lines.length === 0) throw new TypeError("Cannot make a reply: it needs at least one line");
    for (const line of lines) checkText(line);
    const enhancedCode = options?.enhancedCode;
    if (enhancedCode !== undefined) {
      if (enhancedCode === "" || enhancedCodeLength(enhancedCode, code) !== enhancedCode.length) {
        throw new RangeError(
          `Cannot make a reply: the enhanced status code ${show(enhancedCode)} does not fit the code ${code}`,
        );
      }
      // RFC 2034, section 4: every line of the reply carries it.
      for (let i = 0; i < lines.length; i++) {
        lines[i] = lines[i] === "" ? enhancedCode : `${enhancedCode} ${lines[i]}`;
      }
    }
    this.#lines = Object.freeze(lines);
  }

  static {
    replyFromWire = (code, bytes, start, end) => {
      const reply = new Reply(code, NOT_DECODED);
      reply.#bytes = bytes;
      reply.#start = start;
      reply.#end = end;
      return reply;
    };
    maskReply = (reply, mask) => {
      reply.#mask = mask;
    };
    challengeOf = (reply) =>
      reply.#bytes === undefined
        ? reply.text
        : decodeLines(reply.#bytes, reply.#start, reply.#end).join("\n");
    // For console.log() on Node, Deno and Bun: it shows fields, and the text is not in one.
    Object.defineProperty(this.prototype, Symbol.for("nodejs.util.inspect.custom"), {
      value(this: Reply): string {
        return `Reply ${JSON.stringify(this.toString())}`;
      },
    });
  }

  /**
   * The text of each line as it is on the wire after the code and one space, tab or hyphen, with the enhanced status
   * code.
   */
  get lines(): readonly string[] {
    if (this.#lines === undefined) {
      const decoded = decodeLines(this.#bytes!, this.#start, this.#end);
      const lines = this.#lines = this.#mask?.(decoded) ?? decoded;
      // What was masked must not come back as bytes.
      if (lines === decoded && lines.some((line) => line.includes(REPLACEMENT))) {
        this.#text = this.#copyText();
      }
      this.#bytes = this.#mask = undefined;
    }
    return this.#lines;
  }

  /**
   * The text as the server sent it: the bytes of {@linkcode lines}, joined by a line feed. In `lines` everything that is
   * not UTF-8 is replaced by U+FFFD; some servers answer in an encoding of their country:
   *
   * ```ts ignore
   * new TextDecoder("gbk").decode(reply.bytes); // QQ
   * ```
   *
   * A copy, made when it is asked for. It may hold control characters: do not show it unchecked.
   */
  get bytes(): Uint8Array {
    if (this.#lines === undefined && this.#mask === undefined) return this.#copyText();
    const { lines } = this;
    return this.#text?.slice() ?? new TextEncoder().encode(lines.join("\n"));
  }

  /** The text for a person to read: the lines, joined by a line feed, without the enhanced status code. */
  get text(): string {
    const { lines, code } = this;
    if (lines.length === 1) return withoutEnhancedCode(lines[0]!, code);
    return lines.map((line) => withoutEnhancedCode(line, code)).join("\n");
  }

  /**
   * The enhanced status code, such as `"5.1.1"` (RFC 3463): that of the first line, if its class is that of the code.
   */
  get enhancedCode(): string | undefined {
    const line = this.lines[0]!;
    const length = enhancedCodeLength(line, this.code);
    return length === 0 ? undefined : line.slice(0, length);
  }

  /** Whether the server has done what the client asked for: 2xx. */
  get positive(): boolean {
    return this.code < 300;
  }

  /** Whether the server waits for more: 3xx. */
  get intermediate(): boolean {
    return this.code >= 300 && this.code < 400;
  }

  /** Whether the server refuses for now, and trying again later may help: 4xx. */
  get temporary(): boolean {
    return this.code >= 400 && this.code < 500;
  }

  /** Whether the server refuses for good: 5xx. */
  get permanent(): boolean {
    return this.code >= 500;
  }

  /**
   * Returns the reply as it looks on the wire, for logs and messages.
   *
   * @returns The lines with their codes, joined by a line feed, without a last one: `"250-mx.test\n250 SIZE"`.
   */
  toString(): string {
    return this.#format(this.lines, "\n");
  }

  /**
   * Returns the reply as a server sends it.
   *
   * @returns The complete reply with its line ends. A line that lacks the enhanced status code of the first one gets
   * it (RFC 2034, section 4).
   */
  toWire(): string {
    const { lines, enhancedCode } = this;
    if (enhancedCode === undefined || lines.length === 1) return this.#format(lines, "\r\n") + "\r\n";
    const complete = lines.map((line) => {
      if (enhancedCodeLength(line, this.code) > 0) return line;
      return line === "" ? enhancedCode : `${enhancedCode} ${line}`;
    });
    return this.#format(complete, "\r\n") + "\r\n";
  }

  /**
   * Returns the reply for JSON, such as a log of JSON lines.
   *
   * @returns The code and the lines.
   */
  toJSON(): ReplyJson {
    return { code: this.code, lines: this.lines };
  }

  #copyText(): Uint8Array {
    return copyText(this.#bytes!, this.#start, this.#end);
  }

  #format(lines: readonly string[], lineEnd: string): string {
    const last = lines.length - 1;
    let text = "";
    for (let i = 0; i < last; i++) text += `${this.code}-${lines[i]}${lineEnd}`;
    return `${text}${this.code} ${lines[last]}`;
  }
}

function checkText(text: string): void {
  if (typeof text !== "string") {
    throw new TypeError(mustBe("make a reply", "a line", "a string", text));
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isControl(code) && code !== 0x09) {
      throw new TypeError(`Cannot make a reply: ${show(text)} holds a control character`);
    }
  }
  if (!text.isWellFormed()) {
    throw new TypeError(`Cannot make a reply: ${show(text)} holds a lone surrogate`);
  }
}

/**
 * The length of the enhanced status code at the start of a line: `class "." subject "." detail`, with up to three digits
 * each (RFC 3463, section 2), and a space or a tab after it. 0 if there is none, or its class is not that of the reply
 * code: `250 4.2.1 is our version` has none.
 */
function enhancedCodeLength(line: string, code: number): number {
  const digit = Math.floor(code / 100);
  if (digit === 3 || line.charCodeAt(0) !== 0x30 + digit || line[1] !== ".") return 0;
  let i = 2;
  while (i < 5 && isDigit(line.charCodeAt(i))) i++;
  if (i === 2 || line[i] !== ".") return 0;
  const detail = ++i;
  while (i < detail + 3 && isDigit(line.charCodeAt(i))) i++;
  if (i === detail || (i < line.length && line[i] !== " " && line[i] !== "\t")) return 0;
  return i;
}

/** The line without its enhanced status code, if it has one. */
function withoutEnhancedCode(line: string, code: number): string {
  const length = enhancedCodeLength(line, code);
  return length === 0 ? line : line.slice(length + 1);
}
