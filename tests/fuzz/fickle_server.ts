/**
 * A server that answers anything: mostly what a server says, and at random any other code, lines that are no reply, several
 * replies or none, in pieces or all at once, and the end of the connection, in good order or not.
 * @module
 */
import type { Socket } from "../../src/sockets/socket.ts";
import type { Clock } from "./clock.ts";
import type { Command, Ledger } from "./ledger.ts";
import type { Random } from "./random.ts";

/** How a server is on one connection. */
export interface Temper {
  readonly protocol: "smtp" | "lmtp";
  /** The lines of its reply to EHLO. */
  readonly extensions: readonly string[];
  /** How likely each reply is to be something else than a server would say. */
  readonly wildness: number;
  /** How likely a command is to be refused, in good order. */
  readonly strictness: number;
  /** How its bytes leave: as they come, in pieces of random size, or together as long as there are commands to answer. */
  readonly writes: "whole" | "pieces" | "together";
  /** The most turns that pass before a reply. */
  readonly lag: number;
  /** The most turns that pass between two reads. */
  readonly laziness: number;
  /** What it does unasked, and in which turn. */
  readonly unasked: readonly {
    readonly turn: number;
    readonly what: "reply" | "421" | "bytes" | "end" | "cut";
  }[];
}

const CODES = [
  ...[
    100,
    120,
    199,
    200,
    211,
    214,
    220,
    221,
    235,
    250,
    250,
    250,
    251,
    252,
    299,
    300,
    334,
    334,
    354,
    354,
    399,
  ],
  ...[
    421,
    421,
    450,
    451,
    452,
    454,
    455,
    499,
    500,
    501,
    502,
    502,
    503,
    503,
    504,
    521,
    530,
    534,
    535,
    538,
    550,
  ],
  ...[551, 552, 553, 554, 555, 599, 600, 999],
];

const NONSENSE = [
  "",
  " ",
  "25",
  "abc",
  "-250 Ok",
  "2500 Ok",
  "25O Ok",
  "\x16\x03\x01\x02\x00",
  "\0",
  "250\0Ok",
  "HTTP/1.1 400 Bad Request",
  "250\tOk",
  "250",
  "550\tNo",
  "250-",
  "354\tGo",
  "\u00ff\u00fe",
  "250 \u00b2\u00e2\u00ca\u00d4",
  "\r",
  "250 Ok\r",
  "250-Ok\r\n",
  "250 Ok\n250 Ok",
  "250 Ok\r250 Ok",
];

/** Speaks with one client. */
export class FickleServer {
  readonly #socket: Socket;
  readonly #temper: Temper;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #ledger: Ledger;
  readonly #log: (line: string) => void;
  readonly #todo: Command[] = [];
  #output = "";
  #wake: (() => void) | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #current: Socket;
  #challenges = 0;
  #isClientGone = false;
  /** Whether it has ended its direction, and in which turn. */
  endedAt: number | undefined;

  /**
   * @param socket The server's end.
   * @param temper How it is.
   * @param tools Where its choices come from, the time, who writes down what is said, and for people to read.
   */
  constructor(
    socket: Socket,
    temper: Temper,
    tools: { random: Random; clock: Clock; ledger: Ledger; log: (line: string) => void },
  ) {
    this.#socket = this.#current = socket;
    this.#temper = temper;
    this.#random = tools.random;
    this.#clock = tools.clock;
    this.#ledger = tools.ledger;
    this.#log = tools.log;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    for (const promise of [socket.closed, this.#reader.closed, this.#writer.closed]) promise.catch(() => {});
    this.#ledger.onCommand = (command) => {
      this.#todo.push(command);
      this.#wake?.();
    };
  }

  /** Speaks until the client is gone. Never rejects. */
  async run(seen: (bytes: Uint8Array) => void): Promise<void> {
    await Promise.all([this.#read(seen), this.#answer(), this.#interrupt()]);
  }

  /** Ends the connection in good order, as a server does that nobody has spoken to for long. */
  async end(): Promise<void> {
    if (this.endedAt !== undefined) return;
    this.endedAt = this.#clock.turn;
    this.#log("S: FIN");
    this.#wake?.();
    await this.#writer.close().catch(() => {});
  }

  /** Cuts the connection. */
  async cut(): Promise<void> {
    this.endedAt ??= this.#clock.turn;
    this.#log("S: RST");
    this.#wake?.();
    await this.#current.close(new Error("cut")).catch(() => {});
  }

  async #read(seen: (bytes: Uint8Array) => void): Promise<void> {
    let naps = 200; // or a long content would take for ever
    for (let reader = this.#reader; !this.#isClientGone;) {
      try {
        const { value, done } = await reader.read();
        if (value !== undefined) seen(value);
        else if (done) this.#isClientGone = true;
        // TLS cannot begin under a read.
        if (this.#ledger.commands.at(-1)!.verb === "STARTTLS") await this.#startTlsAnswered.promise;
      } catch {
        this.#isClientGone = true;
      }
      await this.#upgrading?.catch(() => {});
      if (reader !== this.#reader) {
        reader = this.#reader; // TLS has begun
        this.#isClientGone = false;
      } else if (this.#temper.laziness > 0 && naps-- > 0) {
        await this.#clock.sleep(this.#random.below(this.#temper.laziness + 1));
      }
    }
    this.#wake?.();
    await this.end();
  }

  async #interrupt(): Promise<void> {
    let last = 0;
    for (const { turn, what } of this.#temper.unasked) {
      if (turn > last) await this.#clock.sleep(turn - last);
      last = turn;
      if (this.endedAt !== undefined) return;
      this.#log(`S: unasked: ${what}`);
      if (what === "end") await this.end();
      else if (what === "cut") await this.cut();
      else if (what === "421") await this.#leave("421 4.3.2 Going down\r\n");
      else if (what === "bytes") await this.#leave(this.#random.pick(NONSENSE));
      else await this.#leave(`${this.#random.pick(CODES)} Unasked\r\n`);
    }
  }

  async #answer(): Promise<void> {
    if (
      !await this.#reply({
        verb: "greeting",
        line: "",
        turn: 0,
        after: 0,
        write: 0,
        mail: undefined,
        end: false,
      })
    ) {
      return;
    }
    while (this.endedAt === undefined) {
      const command = this.#todo.shift();
      if (command === undefined) {
        await this.#flush();
        if (this.#isClientGone) return;
        await new Promise<void>((wake) => this.#wake = wake);
        this.#wake = undefined;
        continue;
      }
      this.#log(`C: ${command.line}`);
      if (!await this.#reply(command)) return;
    }
  }

  /** Answers a command. Returns whether anything more will be said. */
  async #reply(command: Command): Promise<boolean> {
    const { lag, wildness } = this.#temper;
    if (lag > 0) await this.#clock.sleep(this.#random.chance(0.5) ? 0.5 : this.#random.below(lag + 1));
    const wild = this.#random.chance(wildness);
    const text = wild ? this.#wild(command) : this.#sensible(command);
    try {
      return text !== undefined && await this.#say(command, text);
    } finally {
      if (command.verb === "STARTTLS") this.#startTlsAnswered.resolve();
    }
  }

  async #say(command: Command, text: string): Promise<boolean> {
    if (text === "end" || text === "cut") {
      await this.#flush(this.#random.chance(0.5));
      await this[text]();
      return false;
    }
    this.#output += text;
    if (
      command.verb === "STARTTLS" && text.startsWith("220") && this.#socket.secureTransport === "starttls"
    ) return await this.#startTls();
    if (this.#temper.writes !== "together" || command.verb === "greeting") await this.#flush();
    if (text.startsWith("221") || (text.startsWith("421") && this.#random.chance(0.8))) {
      await this.#flush();
      await this.end();
    }
    return true;
  }

  readonly #startTlsAnswered: PromiseWithResolvers<void> = Promise.withResolvers();
  #upgrading: Promise<void> | undefined;

  async #startTls(): Promise<boolean> {
    await this.#flush();
    if (this.#random.chance(0.1)) {
      await this.#leave("250 Injected\r\n");
      return true;
    }
    this.#ledger.upgrade();
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    this.#upgrading = (async () => {
      this.#current = this.#socket.startTls();
      this.#current.closed.catch(() => {});
      this.#reader = this.#current.readable.getReader();
      this.#writer = this.#current.writable.getWriter();
      this.#reader.closed.catch(() => {});
      this.#writer.closed.catch(() => {});
      await this.#current.opened.catch(() => {});
    })();
    // It cannot where the client has hung up.
    return await this.#upgrading.then(() => true, () => this.cut().then(() => false));
  }

  /** What a server says. */
  #sensible({ verb, line, mail, end }: Command): string | undefined {
    const { strictness, protocol } = this.#temper;
    const refused = this.#random.chance(strictness);
    const no = this.#random.pick([
      "450 4.7.1 Later",
      "451 4.3.0 Error",
      "452 4.5.3 Too many",
      "550 5.1.1 No",
      "554 5.7.1 No",
    ]);
    if (end) {
      const count = protocol === "lmtp" ? this.#acceptedBy(mail) : 1;
      return Array.from(
        { length: count },
        () => this.#random.chance(strictness) ? `${no}\r\n` : "250 2.0.0 Ok: queued as 4XYZ\r\n",
      )
        .join("");
    }
    switch (verb) {
      case "greeting":
        return refused && this.#random.chance(0.1) ? "554 Go away\r\n" : "220 mx.test ESMTP\r\n";
      case "EHLO":
      case "LHLO": {
        if (refused && this.#random.chance(0.2)) return "502 No EHLO\r\n";
        const lines = ["mx.test", ...this.#temper.extensions];
        return lines.map((text, index) => `250${index === lines.length - 1 ? " " : "-"}${text}\r\n`).join("");
      }
      case "STARTTLS":
        return refused || this.#socket.secureTransport === "off"
          ? "454 TLS not available\r\n"
          : "220 Ready\r\n";
      case "AUTH":
        if (refused) return "535 5.7.8 No\r\n";
        this.#challenges = line.split(" ").length > 2 ? 0 : 1;
        return this.#challenges === 0
          ? "235 Ok\r\n"
          : line.includes("CRAM")
          ? "334 PDEyM0BteD4=\r\n"
          : "334 \r\n";
      case "MAIL":
      case "RCPT":
        return refused ? `${no}\r\n` : "250 2.1.0 Ok\r\n";
      case "DATA":
        return refused || this.#acceptedBy(mail) === 0
          ? "554 5.5.1 No valid recipients\r\n"
          : "354 Go ahead\r\n";
      case "BDAT":
        return refused ? "552 5.3.4 Too much\r\n" : "250 Ok\r\n";
      case "RSET":
        return refused && this.#random.chance(0.5)
          ? this.#random.pick(["502 What?\r\n", "503 Bad sequence\r\n"])
          : "250 Ok\r\n";
      case "QUIT":
        return "221 Bye\r\n";
      case "VRFY":
      case "EXPN":
        return refused ? "252 Cannot tell\r\n" : "250-Ada <ada@mx.test>\r\n250 <bob@mx.test>\r\n";
      case "NOOP":
      case "HELO":
      case "HELP":
        return refused ? "502 No\r\n" : "250 Ok\r\n";
    }
    // Not a command: the client's part of a login.
    if (line === "*") return "501 Cancelled\r\n";
    return this.#challenges++ < 2 && this.#random.chance(0.5)
      ? "334 UGFzc3dvcmQ6\r\n"
      : refused
      ? "535 No\r\n"
      : "235 Ok\r\n";
  }

  #acceptedBy(mail: Command["mail"]): number {
    return this.#ledger.answers().filter(({ command, replies }) =>
      command.verb === "RCPT" && command.mail === mail && (replies[0]?.code ?? 250) < 300
    ).length;
  }

  /** What no server should say. `undefined`: nothing any more. */
  #wild(command: Command): string | undefined {
    const code = () => this.#random.pick(CODES);
    const kind = this.#random.weighted({
      code: 30,
      nonsense: 10,
      lines: 8,
      differing: 8,
      twice: 8,
      nothing: 4,
      silence: 3,
      half: 4,
      end: 5,
      cut: 5,
      early: 4,
      long: 1,
      many: 1,
    });
    switch (kind) {
      case "code":
        return `${code()} Whatever\r\n`;
      case "nonsense":
        return `${this.#random.pick(NONSENSE)}\r\n`;
      case "lines": {
        const same = code();
        return `${same}-One\r\n${same}-Two\r\n${same} Three\r\n`;
      }
      case "differing":
        return this.#random.pick([
          "554-No\r\n250 Or yes\r\n",
          "250-Yes\r\n554 Or no\r\n",
          `${code()}-One\r\n${code()} Two\r\n`,
        ]);
      case "twice":
        return (this.#sensible(command) ?? "") +
          (this.#random.chance(0.5) ? `${code()} Again\r\n` : "250 Ok\r\n");
      case "nothing":
        return "";
      case "silence":
        return undefined;
      case "half":
        this.#output += (this.#sensible(command) ?? "").slice(0, 1 + this.#random.below(6));
        return this.#random.pick(["end", "cut"]);
      case "end":
      case "cut":
        return kind;
      case "early":
        return `${code()} Early\r\n${this.#sensible(command) ?? ""}`;
      case "long":
        return `250 ${"x".repeat(this.#random.pick([2_000, 10_000, 200_000]))}\r\n`;
      case "many":
        return "250-Line\r\n".repeat(this.#random.pick([100, 300, 3_000])) + "250 Last\r\n";
    }
  }

  /** Lets what was said leave; `half` only a part of it. */
  async #flush(half = false): Promise<void> {
    let text = this.#output;
    this.#output = "";
    if (half) text = text.slice(0, this.#random.below(text.length + 1));
    if (this.#temper.writes !== "pieces") return await this.#leave(text);
    while (text !== "") {
      const size = 1 + this.#random.below(this.#random.pick([1, 4, 40]));
      await this.#leave(text.slice(0, size));
      text = text.slice(size);
      await this.#clock.sleep(this.#random.pick([0, 0.1, 0.3, 1]));
    }
  }

  async #leave(text: string): Promise<void> {
    if (text === "" || this.endedAt !== undefined) return;
    this.#log(`S: ${JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text)}`);
    this.#ledger.heard(text);
    await this.#writer.write(Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff)).catch(
      () => {},
    );
  }
}
