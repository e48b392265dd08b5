/**
 * Reads a session of a client with the server again, once it is over: what the client said, byte by byte, as RFC 5321 has it, beside
 * what the server answered and which handlers it called. This model decides nothing: it says where an answer, or a call, cannot be.
 *
 * - Every line, and every content, has one reply, in order; nothing has one that was not said.
 * - Only CRLF ends a line, unless bare line feeds are allowed, and only CRLF.CRLF a content. So no message comes out of another.
 * - What is accepted is a command, in an order that is allowed, within the limits; a handler was asked, and has not refused.
 * - A handler is called for what the client said and for nothing else, with the same words; for a message, with its whole content if
 *   the content looks whole.
 * - After a reply that ends the session nothing more is done.
 * @module
 */
import type { ServeSocketOptions } from "../../src/server/mod.ts";
import { readCommand, writeMailbox } from "./grammar.ts";
import { bytesOf, must, mustEqual, type Notes } from "./target.ts";

/** The kind of a handler. */
export type CallKind = "connect" | "greet" | "auth" | "mail" | "rcpt" | "message" | "reset" | "close";

/** A handler that was called, and how the session looked to it. */
export interface Call {
  readonly kind: CallKind;
  readonly argument: string;
  readonly from: string | null;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly secure: boolean;
  readonly clientName: string;
  readonly esmtp: boolean;
  /** What it decided, `undefined` if it was still deciding at the end. */
  decision: "accept" | "refuse" | "throw" | "thrown" | "wrong" | "hangUp" | undefined;
  /** Of a message: what was read of it, and whether that was to its end. */
  read: string;
  ended: boolean;
}

/** A session that is over. */
export interface Conversation {
  /** What the client said, before and after TLS began. */
  readonly said: readonly string[];
  readonly heard: string;
  readonly calls: readonly Call[];
  readonly options: ServeSocketOptions;
  /** The handlers that the server has not. */
  readonly without: readonly CallKind[];
  /** Whether the connection was cut, so that the client may not have heard everything. */
  readonly wasCut: boolean;
  /** Whether time was up, or the server was shut down. */
  readonly wasEnded: boolean;
}

/** A reply, as the client heard it. */
interface Heard {
  readonly code: number;
  readonly text: string;
}

/** Reads a session again; throws where something cannot be. */
export function readStrictly(conversation: Conversation, notes: Notes): void {
  new StrictReading(conversation, notes).read();
}

/** Replies after which the server reads no further, wherever they come. */
const LAST = /^(?:221|421|554 5\.5\.1 (?:Wait|Nothing)|554 (?:Wait|Nothing)|554 .*HTTP)/;

class StrictReading {
  readonly #options: ServeSocketOptions;
  readonly #notes: Notes;
  readonly #calls: Call[];
  readonly #replies: Heard[];
  readonly #without: readonly CallKind[];
  readonly #wasCut: boolean;
  readonly #wasEnded: boolean;
  readonly #epochs: string[];
  #input: string;
  #isSecure = false;
  #name = "";
  #esmtp = false;
  #user: string | undefined;
  /** Its addresses; `undefined` is one that the model cannot tell. */
  #transaction: { readonly from: string | null | undefined; readonly to: (string | undefined)[] } | undefined;
  /** The client has to answer a challenge. */
  #challenged = false;
  /** Errors since the last message that was accepted, lines that were no commands, and commands before a login. */
  #errors = 0;
  #unrecognized = 0;
  #unauthenticated = 0;
  /** The greeting was a refusal. */
  #unserved = false;

  constructor({ said, heard, calls, options, without, wasCut, wasEnded }: Conversation, notes: Notes) {
    this.#options = options;
    this.#notes = notes;
    this.#calls = [...calls];
    this.#replies = parseReplies(heard);
    this.#without = without;
    this.#wasCut = wasCut;
    this.#wasEnded = wasEnded;
    this.#epochs = [...said];
    this.#input = this.#epochs.shift()!;
  }

  read(): void {
    if (!this.#without.includes("close")) {
      must(this.#calls.pop()?.kind === "close", "close() is not the last");
    }
    let reads = this.#readGreeting();
    while (reads) {
      const line = this.#nextLine();
      if (line === undefined) break;
      const reply = this.#replies.shift();
      if (reply === undefined) {
        const mayBe = this.#wasCut || this.#wasEnded || line.endsWith("\n");
        must(mayBe, `${JSON.stringify(line)} has no answer`);
        break;
      }
      const what = `${JSON.stringify(line)} is answered with ${reply.code} ${reply.text}`;
      reads = this.#readLine(line, reply, what);
      this.#countErrors(line, reply, what);
    }
    this.#readEnd();
  }

  /** The line that is next; `undefined` if there is none. A line that is refused for its form comes with its end. */
  #nextLine(): string | undefined {
    const { bareLineEnds } = this.#options;
    const end = bareLineEnds === "allow" ? this.#input.indexOf("\n") : this.#input.indexOf("\r\n");
    if (end < 0) {
      // It is refused for a line feed as soon as that has come.
      const partial = this.#input;
      this.#input = "";
      return partial.includes("\n") ? `${partial}\n` : undefined;
    }
    const length = bareLineEnds === "allow" ? end + 1 : end + 2;
    let line = this.#input.slice(0, end);
    if (bareLineEnds === "allow" && line.endsWith("\r")) line = line.slice(0, -1);
    this.#input = this.#input.slice(length);
    return length > this.#options.maxLineLength! || line.includes("\n") ? `${line}\n` : line;
  }

  #readGreeting(): boolean {
    const called = this.#calls[0]?.kind === "connect" ? this.#calls.shift() : undefined;
    const greeting = this.#replies.shift();
    if (greeting === undefined) return false;
    if (greeting.code === 220) {
      must(
        called === undefined || called.decision === "accept",
        "The greeting of a client that connect() has refused",
      );
      return true;
    }
    this.#unserved = true;
    const { code, text } = greeting;
    must(
      called !== undefined || code === 421 || this.#options.greetDelay! > 0,
      `The greeting is ${code} ${text}`,
    );
    return !LAST.test(`${code} ${text}`);
  }

  /** Returns whether the server reads on. */
  #readLine(line: string, reply: Heard, what: string): boolean {
    const { code } = reply;
    const ends = LAST.test(`${code} ${reply.text}`);
    if (line.endsWith("\n")) {
      must(code >= 400, `A line with a bad end: ${what}`);
      this.#challenged = false;
      return !ends && !/^BDAT(?![A-Za-z0-9])/i.test(line); // the content would be read as commands
    }
    if (this.#challenged) return this.#readResponse(reply, what) && !ends;
    const text = decodeUtf8(line);
    const command = text === undefined ? undefined : readCommand(text);
    const verb = /^[A-Za-z0-9]*/.exec(line)![0].toUpperCase();
    if (code < 400) {
      const isAscii = /^[\0-\x7f]*$/.test(line);
      const mayBeLenient = this.#options.lenientAddresses === true && (verb === "MAIL" || verb === "RCPT");
      must(
        command !== undefined || (text !== undefined && (!isAscii || mayBeLenient)),
        `It is no command: ${what}`,
      );
      must(!this.#unserved || verb === "QUIT", `Nobody is served: ${what}`);
    }
    switch (verb) {
      case "EHLO":
      case "HELO":
        return this.#readHello(
          verb === "EHLO",
          (text ?? "").slice(4).replaceAll(/^[ \t]+|[ \t]+$/g, ""),
          reply,
          what,
        ) && !ends;
      case "MAIL":
        return this.#readMail(reply, what) && !ends;
      case "RCPT":
        return this.#readRcpt(reply, what) && !ends;
      case "DATA":
        return this.#readData(reply, what) && !ends;
      case "AUTH":
        return this.#readAuth(reply, what) && !ends;
      case "STARTTLS":
        return this.#readStartTls(reply, what) && !ends;
      case "BDAT":
        must(code >= 400, `The server does not know BDAT: ${what}`);
        return false; // the content would be read as commands
      case "RSET":
        if (code < 400) this.#reset();
        break;
      case "QUIT":
        must((code === 221) === (command !== undefined) || code >= 400, what);
        break;
      default:
        must(code < 300 || code >= 400, what);
    }
    const isKnown = /^(?:RSET|NOOP|QUIT)$/.test(verb) && command !== undefined;
    if (isKnown && !this.#unserved) must(code < 400 || ends, `It is a command: ${what}`);
    return !ends;
  }

  /** The limits on errors: a session ends with the last one that is allowed. */
  #countErrors(line: string, { code, text }: Heard, what: string): void {
    const { maxErrors, maxUnrecognized, maxUnauthenticatedCommands, requireAuth } = this.#options;
    if (/Command not recognized/.test(text)) this.#unrecognized++;
    if (
      /Command not recognized|Syntax|^(?:5\.5\.\d )?(?:Line|Bad|Sender already|Not during|Already)/.test(text)
    ) this.#errors++;
    must(
      this.#errors <= maxErrors! && this.#unrecognized <= maxUnrecognized!,
      `There were too many errors: ${what}`,
    );
    const counts = requireAuth === true && this.#user === undefined && code < 400 &&
      readCommand(line) !== undefined;
    if (counts && !/^(?:AUTH|QUIT)\b/i.test(line)) this.#unauthenticated++;
    must(
      this.#unauthenticated <= maxUnauthenticatedCommands!,
      `There were too many commands without a login: ${what}`,
    );
  }

  /** Takes the call that belongs to a reply, if there is one. */
  #called(kind: CallKind, reply: Heard, argument: string | undefined, what: string): void {
    const [call] = this.#calls;
    const id = /Call (\d+)/.exec(reply.text)?.[1];
    if (call?.kind !== kind) {
      must(id === undefined, `A handler's reply for something else: ${what}`);
      return must(reply.code >= 300 || this.#without.includes(kind), `${kind}() was not asked: ${what}`);
    }
    const accepted = reply.code < 300;
    // What the server refuses by itself, it asks nobody about.
    const isOurs = accepted || id !== undefined || call.decision === undefined ||
      reply.text.includes("Local error") && (call.decision === "throw" || call.decision === "wrong");
    if (!isOurs) return;
    this.#calls.shift();
    must(accepted === (call.decision === "accept"), `${kind}() has decided to ${call.decision}: ${what}`);
    if (argument !== undefined) mustEqual(call.argument, argument, `${kind}() is called with`);
    mustEqual(
      [call.secure, call.user, call.clientName, call.esmtp],
      [this.#isSecure, this.#user, this.#name, this.#esmtp],
      `${kind}() sees`,
    );
    if (kind !== "rcpt" && kind !== "message") return;
    must(this.#transaction !== undefined, `There is no transaction: ${what}`);
    const { from = call.from, to } = this.#transaction;
    mustEqual(
      [call.from, call.to],
      [from, to.map((address, index) => address ?? call.to[index])],
      `${kind}() sees the envelope`,
    );
  }

  #reset(): void {
    if (this.#transaction === undefined) return;
    this.#transaction = undefined;
    if (this.#without.includes("reset")) return;
    must(this.#calls.shift()?.kind === "reset" || this.#wasCut, "reset() was not called");
  }

  #readHello(esmtp: boolean, name: string, reply: Heard, what: string): boolean {
    this.#called("greet", reply, reply.code < 300 ? name : undefined, what);
    if (reply.code >= 300) return true;
    this.#name = name;
    this.#esmtp = esmtp;
    this.#reset();
    return true;
  }

  #readMail(reply: Heard, what: string): boolean {
    const told = this.#calls[0]?.kind === "mail" ? this.#calls[0].argument : undefined;
    const calls = this.#calls.length;
    this.#called("mail", reply, undefined, what);
    if (reply.code >= 300) return true;
    must(this.#name !== "", `There was no EHLO: ${what}`);
    must(this.#transaction === undefined, `There is a transaction: ${what}`);
    must(this.#options.requireAuth !== true || this.#user !== undefined, `Nobody has logged in: ${what}`);
    must(this.#options.requireTls !== true || this.#isSecure, `There is no TLS: ${what}`);
    const from = addressOf(what, this.#calls.length < calls ? told : undefined);
    this.#transaction = { from: from === "" ? null : from, to: [] };
    return true;
  }

  #readRcpt(reply: Heard, what: string): boolean {
    const told = this.#calls[0]?.kind === "rcpt" ? this.#calls[0].argument : undefined;
    const calls = this.#calls.length;
    this.#called("rcpt", reply, undefined, what);
    if (reply.code >= 300) return true;
    must(this.#transaction !== undefined, `There is no transaction: ${what}`);
    must(
      this.#transaction.to.length < this.#options.maxRecipients!,
      `There are too many recipients: ${what}`,
    );
    this.#transaction.to.push(addressOf(what, this.#calls.length < calls ? told : undefined));
    return true;
  }

  #readData(reply: Heard, what: string): boolean {
    if (reply.code !== 354) {
      must(reply.code >= 400, what);
      return true;
    }
    const transaction = this.#transaction;
    must(transaction !== undefined && transaction.to.length > 0, `Nobody is to get it: ${what}`);
    const end = `\r\n${this.#input}`.indexOf("\r\n.\r\n");
    const whole = end >= 0;
    const content = (whole ? this.#input.slice(0, end) : this.#input).replaceAll(/(^|\r\n)\./g, "$1");
    const call = this.#calls[0]?.kind === "message" ? this.#calls[0] : undefined;
    if (call !== undefined) {
      must(
        content.startsWith(call.read),
        `The message is not what was sent: ${JSON.stringify(call.read.slice(0, 300))}`,
      );
      must(!call.ended || whole, "A message looks whole that was cut off");
      must(
        !call.ended || call.read === content,
        `The message is not all that was sent: ${JSON.stringify(call.read.slice(0, 300))}`,
      );
      must(
        call.read.length <= this.#options.maxMessageSize!,
        "More of a message is passed on than it may have",
      );
    }
    if (!whole) {
      this.#calls.splice(0, call === undefined ? 0 : 1);
      this.#input = "";
      must(this.#replies.every(({ code }) => code >= 400), "A message is accepted that has no end");
      return false;
    }
    this.#input = this.#input.slice(end + 3);
    const final = this.#replies.shift();
    if (final === undefined) {
      this.#calls.splice(0, call === undefined ? 0 : 1);
      return false;
    }
    const verdict = `The content is answered with ${final.code} ${final.text}`;
    const isTooLarge = content.length > this.#options.maxMessageSize!;
    const isBare = this.#options.bareLineEnds === "reject" &&
      (/\r(?!\n)/.test(content) || /(?<!\r)\n/.test(content));
    if (isTooLarge || isBare) {
      must(final.code >= 400, `It ${isTooLarge ? "is too large" : "has bare line ends"}: ${verdict}`);
      this.#calls.splice(0, call === undefined ? 0 : 1);
      this.#notes.count("messages refused for their content");
    } else {
      this.#called("message", final, undefined, verdict);
      must(call === undefined || this.#calls[0] !== call, `message() was asked, and not heard: ${verdict}`);
      if (final.code < 300) this.#errors = 0;
      this.#notes.count(final.code < 300 ? "messages accepted" : "messages refused by the handler");
      if (final.code >= 300) {
        must(call !== undefined || final.code === 421, `Nobody has refused it: ${verdict}`);
      }
    }
    this.#transaction = undefined;
    return !LAST.test(`${final.code} ${final.text}`);
  }

  #readAuth(reply: Heard, what: string): boolean {
    if (reply.code === 334 || reply.code < 300) {
      must(
        this.#esmtp && this.#user === undefined && this.#transaction === undefined,
        `It may not log in: ${what}`,
      );
      must(this.#isSecure || this.#options.allowInsecureAuth === true, `There is no TLS: ${what}`);
    }
    return this.#readResponse(reply, what);
  }

  #readResponse(reply: Heard, what: string): boolean {
    this.#challenged = reply.code === 334;
    if (this.#challenged) return true;
    const [call] = this.#calls;
    this.#called("auth", reply, undefined, what);
    if (reply.code >= 300) return true;
    must(call?.kind === "auth", `Nobody was asked: ${what}`);
    this.#user = JSON.parse(call.argument)[1];
    this.#notes.count("logins");
    return true;
  }

  #readStartTls(reply: Heard, what: string): boolean {
    if (reply.code >= 300) return true;
    must(
      this.#name !== "" && !this.#isSecure && this.#transaction === undefined,
      `TLS may not begin: ${what}`,
    );
    // What is behind it must not be heard of again.
    if (this.#input !== "" || this.#epochs.length === 0) return false;
    this.#input = this.#epochs.shift()!;
    this.#isSecure = true;
    this.#name = "";
    this.#esmtp = false;
    this.#user = undefined;
    this.#notes.count("TLS");
    return true;
  }

  /** Nothing may be left but what the end of a session brings. */
  #readEnd(): void {
    const left = this.#replies.map(({ code, text }) => `${code} ${text}`);
    // Too many errors, time that is up, a shutdown.
    if (left.length > 0 && left.at(-1)!.startsWith("421")) left.pop();
    mustEqual(left, [], "These replies answer nothing");
    // What was decided last was not heard any more.
    if (this.#wasCut) return;
    if (this.#wasEnded) this.#calls.shift();
    if (this.#wasEnded && this.#calls[0]?.kind === "reset") this.#calls.shift();
    mustEqual(
      this.#calls.map(({ kind, argument }) => `${kind} ${argument}`),
      [],
      "These handlers are called for nothing",
    );
  }
}

/**
 * The address of a line; what a handler was told must be it. Beyond ASCII, and where the server was lenient, its word is taken.
 *
 * @param what Begins with the line, as JSON.
 * @param told What a handler was told.
 */
function addressOf(what: string, told: string | undefined): string | undefined {
  const line = decodeUtf8(JSON.parse(/^"(?:[^"\\]|\\.)*"/.exec(what)![0]) as string)!;
  const { path } = readCommand(line) ?? {};
  if (path === undefined) return told;
  const address = path === null ? "" : path.domain === "" ? "postmaster" : writeMailbox(path);
  if (told !== undefined) mustEqual(told, address, `The address of ${line} is`);
  return address;
}

function parseReplies(text: string): Heard[] {
  const replies: Heard[] = [];
  let lines: string[] = [];
  for (const line of text.split(/(?<=\r\n)/)) {
    const match = /^([2-5]\d\d)([ -])([\t -~]*)\r\n$/.exec(line);
    must(
      match !== null || text.endsWith(line) && !line.endsWith("\n"),
      `The server says ${JSON.stringify(line)}`,
    );
    if (match === null) break; // cut off
    lines.push(match[3]!);
    if (match[2] === "-") continue;
    replies.push({ code: Number(match[1]), text: lines.join("\n") });
    lines = [];
  }
  return replies;
}

function decodeUtf8(bytes: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesOf(bytes));
  } catch {
    return undefined;
  }
}
