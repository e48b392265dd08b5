/**
 * A server that takes what BDAT brings for commands: it announces CHUNKING and does not know BDAT, or knows it and does not skip
 * the chunk of one that it refuses. It reads commands as leniently as it is told to.
 * @module
 */
import type { Socket } from "../../src/sockets/socket.ts";

/** How the server behaves. */
export interface LiteralOptions {
  /** What it does with BDAT: it does not know it and answers so, or it skips no chunk that it refuses. */
  bdat: `${number} ${string}` | "known";
  protocol?: "smtp" | "lmtp";
  pipelining?: boolean;
  /** What ends a line for it. */
  lineEnd?: "crlf" | "lf" | "cr or lf" | "unicode";
  /** It reads the rest of a line that is longer as another one. */
  cut?: number;
  /** What it skips ahead of a command. */
  skips?: "nothing" | "blanks" | "all that is not visible";
  /** What makes a command. */
  verb?: "a word" | "four letters" | "a prefix";
}

/** A message that was delivered. */
export interface LiteralMail {
  from: string;
  to: string[];
  content: string;
}

const LINE_ENDS = {
  crlf: /\r\n/,
  lf: /\r?\n/,
  "cr or lf": /\r\n|[\r\n]/,
  // deno-lint-ignore no-control-regex
  unicode: /\r\n|[\n\v\f\r\x1c-\x1e\x85]|\xe2\x80[\xa8\xa9]/,
};

// deno-lint-ignore no-control-regex
const SKIPPED = { nothing: /^/, blanks: /^[ \t]*/, "all that is not visible": /^[\x00-\x20\x7f-\xff]*/ };

const VERBS = [
  ...["HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "AUTH"],
  ...["STARTTLS", "ETRN", "TURN", "SEND", "SOML", "SAML", "XCLIENT", "XFORWARD"],
];

/** Plays the server on a socket until the client is gone. */
export class LiteralServer {
  readonly delivered: LiteralMail[] = [];
  /** The commands that it has executed. */
  readonly executed: string[] = [];
  /** Whether the client has said BDAT, DATA. */
  readonly said: Set<string> = new Set();
  /** Resolves when the connection has ended. */
  readonly done: Promise<void>;

  readonly #options: LiteralOptions;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #input = "";
  #at = 0;
  #arrived: PromiseWithResolvers<void> = Promise.withResolvers();
  #over = false;
  #from: string | undefined;
  #to: string[] = [];
  #content = "";

  constructor(socket: Socket, options: LiteralOptions) {
    this.#options = options;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    void this.#receive();
    this.done = this.#run().catch(() => {}).then(() => socket.close()).catch(() => {});
  }

  /** What the client has written is read, whatever becomes of the client. */
  async #receive(): Promise<void> {
    try {
      for (let read = await this.#reader.read(); !read.done; read = await this.#reader.read()) {
        for (let at = 0; at < read.value.length; at += 8192) {
          this.#input += String.fromCharCode(...read.value.subarray(at, at + 8192)); // one character a byte
        }
        this.#arrived.resolve();
      }
    } catch {
      // The client is gone.
    }
    this.#over = true;
    this.#arrived.resolve();
  }

  async #run(): Promise<void> {
    await this.#say("220 literal.test ESMTP");
    while (await this.#command(await this.#line()));
  }

  async #command(line: string): Promise<boolean> {
    const { verb: how = "a word", skips = "nothing", bdat, protocol } = this.#options;
    const text = line.replace(SKIPPED[skips], "");
    const word = text.split(/[ \t:]/)[0]!.toUpperCase();
    const verb = VERBS.find((verb) =>
      how === "a word"
        ? word === verb
        : text.toUpperCase().startsWith(how === "a prefix" ? verb : verb.slice(0, 4))
    );
    if (word === "BDAT") this.said.add(word);
    if (word === "BDAT" && bdat === "known") return await this.#bdat(text);
    if (verb === undefined) return await this.#say(bdat === "known" ? "500 5.5.1 What?" : bdat);
    this.executed.push(text);
    this.said.add(verb);
    switch (verb) {
      case "EHLO":
      case "LHLO":
        return await this.#say([
          "250-literal.test",
          ...(this.#options.pipelining === false ? [] : ["250-PIPELINING"]),
          ...["250-8BITMIME", "250-BINARYMIME", "250 CHUNKING"],
        ].join("\r\n"));
      case "MAIL":
        if (this.#from !== undefined) return await this.#say("503 nested MAIL");
        if (/refused/.test(text)) return await this.#say("550 no");
        this.#from = address(text);
        return await this.#say("250 Ok");
      case "RCPT":
        if (this.#from === undefined) return await this.#say("503 need MAIL");
        if (/refused/.test(text)) return await this.#say("550 no");
        this.#to.push(address(text));
        return await this.#say("250 Ok");
      case "DATA": {
        if (this.#to.length === 0) return await this.#say("503 need RCPT");
        await this.#say("354 Go");
        const lines: string[] = [];
        for (let line = await this.#line(); line !== "."; line = await this.#line()) {
          lines.push(line.replace(/^\./, "") + "\r\n");
        }
        return await this.#deliver(lines.join(""), protocol === "lmtp" ? this.#to.length : 1);
      }
      case "RSET":
        this.#forget();
        return await this.#say("250 Ok");
      case "QUIT":
        await this.#say("221 Bye");
        return false;
      default:
        return await this.#say("250 Ok");
    }
  }

  /** As go-smtp does it: a chunk that is refused is not skipped. */
  async #bdat(text: string): Promise<boolean> {
    if (this.#to.length === 0) return await this.#say("502 5.5.1 Missing RCPT TO command.");
    const [, size, last] = text.split(" ");
    while (this.#input.length - this.#at < Number(size)) await this.#fill();
    this.#content += this.#take(Number(size));
    return last === undefined ? await this.#say("250 Continue") : await this.#deliver(this.#content, 1);
  }

  async #deliver(content: string, replies: number): Promise<boolean> {
    this.delivered.push({ from: this.#from!, to: this.#to, content });
    this.#forget();
    for (let i = 0; i < replies; i++) await this.#say("250 taken");
    return true;
  }

  #forget(): void {
    this.#from = undefined;
    this.#to = [];
    this.#content = "";
  }

  async #line(): Promise<string> {
    const { lineEnd = "crlf", cut = Infinity } = this.#options;
    const ends = new RegExp(LINE_ENDS[lineEnd], "g");
    for (;;) {
      ends.lastIndex = this.#at;
      const end = ends.exec(this.#input);
      const length = (end?.index ?? this.#input.length) - this.#at;
      if (length >= cut) return this.#take(cut);
      if (end !== null) {
        const line = this.#take(length);
        this.#take(end[0].length);
        return line;
      }
      await this.#fill();
    }
  }

  #take(length: number): string {
    const text = this.#input.slice(this.#at, this.#at + length);
    this.#at += length;
    return text;
  }

  async #fill(): Promise<void> {
    if (this.#over) throw new Error("The client is gone");
    this.#arrived = Promise.withResolvers();
    await this.#arrived.promise;
  }

  #say(reply: string): Promise<true> {
    this.#writer.write(new TextEncoder().encode(`${reply}\r\n`)).catch(() => {});
    return Promise.resolve(true);
  }
}

function address(line: string): string {
  return /<?([^<>:\s]*)>?\s*$/.exec(line.replace(/>.*/, ">"))![1]!;
}
