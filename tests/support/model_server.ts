/**
 * A mail server of a few lines that is obviously right, shares no code with the client's parsing, and treats pipelined
 * commands as a real one does. Real servers differ in how a transaction goes on that was refused half way.
 *
 * Its decisions are in the addresses, so that a test knows them beforehand: `s-550-354-250-250@…` is refused as a
 * sender, see {@linkcode sender} and {@linkcode recipient}.
 * @module
 */
import type { Socket } from "../../src/sockets/socket.ts";

/**
 * - `postfix`: a BDAT that fails closes the transaction.
 * - `dovecot`: after a BDAT that fails, whatever the reason, each BDAT is 503 until RSET, and the transaction stays
 *   open (lib-smtp, smtp-server-cmd-data.c, `data_failed`).
 * - `strict`: as `dovecot`, and MAIL, RCPT and DATA are 503 too.
 * - `exim`: a BDAT without recipients leaves the transaction open: a second MAIL is 503, a RCPT after it joins the
 *   first transaction (smtp_in.c). After a chunk that is not the last, everything but BDAT and RSET is 503 until RSET.
 */
export type Family = "postfix" | "dovecot" | "strict" | "exim";

/** How the server behaves. */
export interface ModelOptions {
  protocol?: "smtp" | "lmtp";
  pipelining?: boolean;
  chunking?: boolean;
  family?: Family;
  /** Whether STARTTLS is offered. */
  startTls?: boolean;
  /** Whether a login is offered, under TLS where STARTTLS is. Anybody gets in. */
  login?: boolean;
  /** Whether DATA gets 354 although every recipient was refused. */
  alwaysGoAhead?: boolean;
  /** Whether replies leave one by one, or together once there is nothing more to read. */
  batch?: boolean;
  /** Turns of the event loop that pass before replies leave. */
  lag?: number;
  /** Replies leave in pieces of so many bytes. */
  pieces?: number;
  /** The reply of this number after EHLO, from 0, is 421, and the server closes. */
  closingAt?: number;
  /** The server takes so many bytes after EHLO and cuts the connection. */
  cutAfterReceived?: number;
  /** The server says so many bytes after its reply to EHLO and cuts the connection. */
  cutAfterSent?: number;
  /** Whether a cut is a reset, which loses what is under way, or an orderly end. */
  cutHard?: boolean;
  /** Content under DATA gets a 552 as soon as so many bytes have come without its end. Not under LMTP. */
  refuseEarlyAt?: number;
}

/** A message that was delivered. */
export interface Delivered {
  from: string;
  to: string[];
  /** The content, one character a byte. */
  content: string;
}

/** What the server decides about a message. */
export interface Decisions {
  mail: number;
  data: number;
  chunk: number;
  final: number;
}

/** The address of a sender with the server's decisions in it. */
export function sender(name: string, { mail, data, chunk, final }: Decisions): string {
  return `${name}-${mail}-${data}-${chunk}-${final}@client.test`;
}

/** The address of a recipient with the server's decisions in it; `final` counts under LMTP. */
export function recipient(name: string, reply: number, final = 250): string {
  return `${name}-${reply}-${final}@mx.test`;
}

function decisions(address: string): number[] {
  return address.split("@")[0]!.split("-").slice(1).map(Number);
}

class Cut extends Error {}

interface Transaction {
  from: string;
  to: string[];
  /** The chunks that were taken so far. */
  content: string;
  chunks: number;
}

/** Plays the server on a socket until the client is gone. */
export class ModelServer {
  readonly delivered: Delivered[] = [];
  /** What the client has done that RFC 2920 and RFC 5321 forbid. */
  readonly violations: string[] = [];
  /** Whether the client has said DATA. */
  dataCommands = false;
  /** Senders of messages that went by DATA. */
  readonly dataSenders = new Set<string>();
  /** Senders of messages of which a chunk that is not the last was refused. */
  readonly refusedChunks = new Set<string>();
  /** Resolves when the connection has ended. */
  readonly done: Promise<void>;
  /** Called with how many bytes have come after EHLO. */
  onReceived: ((total: number) => void) | undefined;

  readonly #options: ModelOptions;
  #socket: Socket;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #decoder = new TextDecoder("latin1");
  #input = "";
  #output = "";
  #received = 0;
  #sent = 0;
  #replies = 0;
  #greeted = false;
  #transaction: Transaction | undefined;
  #failed = false;

  constructor(socket: Socket, options: ModelOptions = {}) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    this.done = this.#run();
  }

  async #run(): Promise<void> {
    let hard = false;
    try {
      await this.#say("220 model.test");
      while (await this.#command(await this.#line()));
      await this.#leave();
    } catch (error) {
      // A client that leaves is no failure, nor is anything that this server was asked to do.
      if (error instanceof Cut) hard = this.#options.cutHard ?? false;
    }
    await this.#socket.close(hard ? new Error("cut") : undefined).catch(() => {});
  }

  /** @returns Whether to go on. */
  async #command(line: string): Promise<boolean> {
    const verb = line.split(/[ :]/)[0]!.toUpperCase();
    const { pipelining, chunking, protocol = "smtp" } = this.#options;
    if (!pipelining && verb !== "BDAT" && this.#input !== "") {
      this.violations.push(`Spoke ahead of the reply to ${line}`);
    }
    switch (verb) {
      case "EHLO":
      case "LHLO":
        if ((verb === "LHLO") !== (protocol === "lmtp")) this.violations.push(line);
        await this.#say([
          "250-model.test",
          ...(pipelining ? ["250-PIPELINING"] : []),
          ...(chunking ? ["250-CHUNKING"] : []),
          ...(this.#offersTls ? ["250-STARTTLS"] : []),
          ...(this.#options.login && !this.#offersTls ? ["250-AUTH PLAIN"] : []),
          "250 8BITMIME",
        ].join("\r\n"));
        await this.#leave();
        this.#greeted = true;
        return true;
      case "STARTTLS":
        return await this.#startTls();
      case "AUTH":
        return await this.#say("235 Welcome");
      case "NOOP":
        return await this.#say("250 Ok");
      case "RSET":
        this.#transaction = undefined;
        this.#failed = false;
        return await this.#say("250 Reset");
      case "QUIT":
        await this.#say("221 Bye");
        return false;
      case "MAIL":
        return await this.#mail(address(line));
      case "RCPT":
        return await this.#rcpt(address(line));
      case "DATA":
        return await this.#data();
      case "BDAT":
        return await this.#bdat(line);
      default:
        this.violations.push(`Not a command: ${line.slice(0, 40)}`);
        return await this.#say("500 What?");
    }
  }

  get #offersTls(): boolean {
    return this.#options.startTls === true && this.#socket.secureTransport === "starttls";
  }

  async #startTls(): Promise<boolean> {
    await this.#say("220 Go ahead");
    await this.#leave();
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    this.#socket = this.#socket.startTls();
    this.#reader = this.#socket.readable.getReader();
    this.#writer = this.#socket.writable.getWriter();
    await this.#socket.opened;
    return true;
  }

  get #onlyReset(): boolean {
    const { family } = this.#options;
    if (family === "strict") return this.#failed;
    return family === "exim" && (this.#transaction?.chunks ?? 0) > 0;
  }

  async #mail(from: string): Promise<boolean> {
    if (this.#onlyReset) return await this.#say("503 only RSET");
    if (this.#transaction !== undefined) return await this.#say("503 nested MAIL");
    const [mail = 250] = decisions(from);
    if (mail === 250) this.#transaction = { from, to: [], content: "", chunks: 0 };
    return await this.#say(`${mail} MAIL`);
  }

  async #rcpt(to: string): Promise<boolean> {
    if (this.#onlyReset) return await this.#say("503 only RSET");
    if (this.#transaction === undefined) return await this.#say("503 need MAIL");
    const [reply = 250] = decisions(to);
    if (reply < 300) this.#transaction.to.push(to);
    return await this.#say(`${reply} RCPT`);
  }

  async #data(): Promise<boolean> {
    this.dataCommands = true;
    if (this.#input !== "") this.violations.push("Spoke after DATA before its reply");
    const transaction = this.#transaction;
    if (this.#onlyReset) return await this.#say("503 only RSET");
    if (transaction === undefined) return await this.#say("503 need MAIL");
    this.dataSenders.add(transaction.from);
    if (transaction.to.length === 0 && !(this.#options.alwaysGoAhead && this.#options.protocol !== "lmtp")) {
      return await this.#say("554 no valid recipients");
    }
    const [, data = 354, , final = 250] = decisions(transaction.from);
    if (data !== 354) return await this.#say(`${data} DATA`);
    await this.#say("354 Go ahead");
    await this.#leave();
    const { refuseEarlyAt = Infinity } = this.#options;
    let early = false;
    let end: number;
    while ((end = ("\r\n" + this.#input).indexOf("\r\n.\r\n")) < 0) {
      if (!early && this.#input.length >= refuseEarlyAt && this.#options.protocol !== "lmtp") {
        early = true;
        await this.#say("552 too much");
        await this.#leave();
      }
      await this.#fill();
    }
    const content = this.#input.slice(0, end).split("\r\n").map((line) =>
      line.startsWith(".") ? line.slice(1) : line
    );
    this.#input = this.#input.slice(end + 3);
    this.#transaction = undefined;
    if (early) return true;
    return await this.#finish({ ...transaction, content: content.join("\r\n") }, final);
  }

  async #bdat(line: string): Promise<boolean> {
    const [, size, last] = line.split(" ");
    while (this.#input.length < Number(size)) await this.#fill();
    const chunk = this.#input.slice(0, Number(size));
    this.#input = this.#input.slice(Number(size));
    if (!this.#options.pipelining && this.#input !== "") {
      this.violations.push("Spoke ahead of the reply to BDAT");
    }
    if (!this.#options.chunking) return await this.#say("500 What?");
    const { family = "postfix", protocol } = this.#options;
    const transaction = this.#transaction;
    if (this.#failed && family !== "postfix" && family !== "exim") {
      return await this.#say("503 issue RSET first");
    }
    if (transaction === undefined || transaction.to.length === 0) {
      if (family === "postfix") this.#transaction = undefined;
      // "The BDAT LAST command returns zero replies" (RFC 2033, section 4.3).
      if (protocol === "lmtp" && last !== undefined && transaction !== undefined) return true;
      this.#failed = true;
      return await this.#say("503 no valid recipients");
    }
    const [, , chunkReply = 250, final = 250] = decisions(transaction.from);
    if (last === undefined && chunkReply !== 250) {
      this.refusedChunks.add(transaction.from);
      this.#failed = true;
      // Exim has ended the message by its reply; Dovecot keeps the transaction.
      if (family === "postfix" || family === "exim") this.#transaction = undefined;
      return await this.#say(`${chunkReply} BDAT`);
    }
    transaction.content += chunk;
    transaction.chunks++;
    if (last === undefined) return await this.#say("250 chunk");
    this.#transaction = undefined;
    return await this.#finish(transaction, final);
  }

  /** The content is complete. */
  async #finish({ from, to, content }: Transaction, final: number): Promise<boolean> {
    // A client that gets a 421 gets nothing else, nor do the commands after it.
    const left = (this.#options.closingAt ?? Infinity) - this.#replies;
    if (this.#options.protocol === "lmtp") {
      const finals = to.map((address) => decisions(address)[1] ?? 250);
      const taken = to.filter((_, index) => finals[index] === 250 && index < left);
      if (taken.length > 0) this.delivered.push({ from, to: taken, content });
      for (const final of finals) await this.#say(`${final} final`);
      return true;
    }
    if (to.length === 0) return await this.#say("554 no valid recipients");
    if (final === 250 && left > 0) this.delivered.push({ from, to, content });
    return await this.#say(`${final} final`);
  }

  async #line(): Promise<string> {
    let end: number;
    while ((end = this.#input.indexOf("\r\n")) < 0) await this.#fill();
    const line = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 2);
    return line;
  }

  async #fill(): Promise<void> {
    await this.#leave();
    const { cutAfterReceived = Infinity } = this.#options;
    const room = this.#greeted ? cutAfterReceived - this.#received : Infinity;
    if (room <= 0) throw new Cut();
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("The client is gone");
    const taken = value.subarray(0, Math.min(value.length, room));
    if (this.#greeted) this.#received += taken.length;
    this.#input += this.#decoder.decode(taken);
    this.onReceived?.(this.#received);
  }

  async #say(reply: string): Promise<boolean> {
    const closing = this.#greeted && this.#replies++ === this.#options.closingAt;
    this.#output += (closing ? "421 closing" : reply) + "\r\n";
    if (!this.#options.batch || closing) await this.#leave();
    if (closing) throw new Error("This server has closed");
    return true;
  }

  async #leave(): Promise<void> {
    if (this.#output === "") return;
    const text = this.#output;
    this.#output = "";
    const { lag = 0, pieces = Infinity, cutAfterSent = Infinity } = this.#options;
    for (let i = 0; i < lag; i++) await Promise.resolve();
    const room = this.#greeted ? cutAfterSent - this.#sent : Infinity;
    if (this.#greeted) this.#sent += text.length;
    const bytes = new TextEncoder().encode(text.slice(0, Math.max(0, room)));
    for (let at = 0; at < bytes.length; at += pieces) await this.#writer.write(bytes.slice(at, at + pieces));
    if (room <= text.length) throw new Cut();
  }
}

function address(line: string): string {
  return line.slice(line.indexOf("<") + 1, line.indexOf(">"));
}

/** A socket that shows each chunk that is written to it. */
export function tapped(socket: Socket, seen: (bytes: Uint8Array) => void): Socket {
  const writer = socket.writable.getWriter();
  writer.closed.catch(() => {});
  const writable = new WritableStream<Uint8Array>({
    write(chunk) {
      seen(chunk);
      return writer.write(chunk);
    },
  });
  const { readable, opened, closed, secureTransport, upgraded } = socket;
  return {
    readable,
    writable,
    opened,
    closed,
    secureTransport,
    upgraded,
    close: (reason) => socket.close(reason),
    startTls: (options) => socket.startTls(options),
  };
}
