/**
 * What was really said on a connection: which reply answers which command, and what became of each message because of it. The
 * ledger knows nothing of the client: it counts commands and replies, as RFC 2920 does, and the n-th reply answers the n-th
 * command.
 * @module
 */

/** A command that the client has sent. */
export interface Command {
  readonly verb: string;
  readonly line: string;
  /** The turn in which its last byte was written. */
  readonly turn: number;
  /** How many times the server had written before. */
  readonly after: number;
  /** Which of the client's writes it was in. */
  readonly write: number;
  /** The transaction that it belongs to. */
  readonly mail: Mail | undefined;
  /** Whether it is the end of a content, which LMTP answers once for each recipient. */
  readonly end: boolean;
}

/** A reply that the server has sent. */
export interface Heard {
  readonly code: number;
  /** The turn in which its last byte was written. */
  readonly turn: number;
  /** Which of the server's writes it ended in. */
  readonly write: number;
}

/** A transaction, as it went over the wire. */
export interface Mail {
  readonly from: string;
  readonly to: string[];
  /** The content that was sent whole, `undefined` before. */
  content: string | undefined;
}

/** What the replies have made of a transaction. */
export interface Verdict {
  readonly mail: Mail;
  /** The reply to MAIL, `undefined` if none has come. */
  sender: Heard | undefined;
  /** The reply to each RCPT. */
  readonly recipients: Map<string, Heard | undefined>;
  /** The reply to the content that counts for each recipient. */
  readonly finals: Map<string, Heard | undefined>;
  /** Whether a chunk of the content was refused: the server is of two minds then if it takes the last one. */
  chunkRefused: boolean;
  /** The turn in which the content was complete. */
  complete: number | undefined;
}

/** How a command was answered. */
export interface Answered {
  readonly command: Command;
  readonly replies: readonly Heard[];
}

/** Follows both directions of a connection. */
export class Ledger {
  readonly #protocol: "smtp" | "lmtp";
  readonly commands: Command[] = [];
  readonly replies: Heard[] = [];
  /** The replies of the server cannot be told apart from here on, or count no more: after a 421, or bytes that are no reply. */
  poisoned = false;
  /** The server has said 421: it does nothing of what was sent after the command that it answers. */
  closing = false;
  /** Called for each command, and for each content that is complete. */
  onCommand: (command: Command) => void = () => {};
  #input = "";
  #mode: "line" | "after data" | "data" | {
    readonly bdat: number;
    readonly last: boolean;
    readonly line: string;
  } = "line";
  #output = "";
  #writes = 0;
  #lines: number[] = [];
  #mail: Mail | undefined;
  readonly #turn: () => number;

  /**
   * @param protocol SMTP, or LMTP.
   * @param turn Tells the time.
   */
  constructor(protocol: "smtp" | "lmtp", turn: () => number) {
    this.#protocol = protocol;
    this.#turn = turn;
    this.commands.push({
      verb: "greeting",
      line: "",
      turn: 0,
      after: 0,
      write: 0,
      mail: undefined,
      end: false,
    });
  }

  /** The turns in which the client's writes began, and ended. */
  readonly #began: number[] = [];
  readonly #ended: number[] = [];

  /** The client writes. */
  beginWrite(): void {
    this.#began.push(this.#turn());
  }

  /** The socket has taken what the client has written. */
  endWrite(): void {
    this.#ended.push(this.#turn());
  }

  /** The write of the client's that has not ended. What the client says meanwhile waits behind it, and nobody sees it. */
  get underWay(): number | undefined {
    return this.#began.length > this.#ended.length ? this.#began.length : undefined;
  }

  /**
   * Whether a command waited behind a write: it left in the next one, in the turn in which that could begin. A reply that comes
   * meanwhile, and that nobody has asked for, is its reply for all that a client can know.
   *
   * @param command The number of the command.
   * @param write The write that was under way.
   */
  wasOnItsWay(command: number, write: number | undefined): boolean {
    const next = this.commands[command];
    if (write === undefined || next === undefined) return false;
    // A content that waits, too, may be in between.
    for (let later = write; later < next.write; later++) {
      if (this.#ended[later - 1] === undefined || this.#began[later] !== this.#ended[later - 1]) return false;
    }
    return true;
  }

  /** Takes what the client has written, one character a byte. */
  sent(text: string): void {
    this.#input += text;
    while (this.#take());
  }

  #take(): boolean {
    if (this.#input === "") return false;
    if (this.#mode === "after data") {
      // The client waits for the reply to DATA, and its code decides what the next bytes are.
      const answered = this.answers().findLast(({ command }) => command.verb === "DATA");
      const code = answered?.replies[0]?.code ?? 0;
      this.#mode = code >= 300 && code < 400 ? "data" : "line";
    }
    if (this.#mode === "data") return this.#takeData();
    if (this.#mode !== "line") return this.#takeChunk(this.#mode);
    const end = this.#input.indexOf("\r\n");
    if (end < 0) return false;
    const line = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 2);
    this.#line(line);
    return true;
  }

  #line(line: string): void {
    const verb = line.split(" ", 1)[0]!.toUpperCase();
    const bdat = /^BDAT (\d+)( LAST)?$/i.exec(line);
    if (bdat !== null) {
      this.#mode = { bdat: Number(bdat[1]), last: bdat[2] !== undefined, line };
      if (bdat[1] === "0") this.#takeChunk(this.#mode);
      return;
    }
    const path = /<([^>]*)>/.exec(line)?.[1] ?? "";
    if (verb === "MAIL") this.#mail = { from: path, to: [], content: undefined };
    if (verb === "RCPT") this.#mail?.to.push(path);
    if (verb === "DATA") this.#mode = "after data";
    this.#said(verb, line, false);
    if (verb === "RSET") this.#mail = undefined;
  }

  #takeData(): boolean {
    const end = `\r\n${this.#input}`.indexOf("\r\n.\r\n");
    if (end < 0) return false;
    const content = this.#input.slice(0, end).replaceAll(/^\./gm, "");
    this.#input = this.#input.slice(end + 3);
    this.#mode = "line";
    this.#end(".", content);
    return true;
  }

  #takeChunk({ bdat, last, line }: { bdat: number; last: boolean; line: string }): boolean {
    if (this.#input.length < bdat) return false;
    const chunk = this.#input.slice(0, bdat);
    this.#input = this.#input.slice(bdat);
    this.#mode = "line";
    const whole = (this.#chunks.get(this.#mail) ?? "") + chunk;
    this.#chunks.set(this.#mail, whole);
    if (last) this.#end(line, whole);
    else this.#said("BDAT", line, false);
    return true;
  }

  readonly #chunks = new Map<Mail | undefined, string>();

  #end(line: string, content: string): void {
    if (this.#mail !== undefined) this.#mail.content = content;
    this.#said("end", line, true);
    this.#mail = undefined;
  }

  #said(verb: string, line: string, end: boolean): void {
    const command = {
      verb,
      line,
      turn: this.#turn(),
      after: this.#writes,
      write: this.#began.length,
      mail: this.#mail,
      end,
    };
    this.commands.push(command);
    this.onCommand(command);
  }

  /** Takes what the server has written, one character a byte. */
  heard(text: string): void {
    this.#output += text;
    this.#writes++;
    for (let end; (end = this.#output.indexOf("\n")) >= 0;) {
      const line = this.#output.slice(0, end);
      this.#output = this.#output.slice(end + 1);
      this.#heardLine(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
  }

  #heardLine(line: string): void {
    if (this.poisoned) return;
    const code = Number(/^[2-5]\d\d/.exec(line)?.[0] ?? 0);
    // The lines of a reply agree in their first digit at least: anything else says two things at once.
    if (code === 0 || this.#lines.some((other) => Math.floor(other / 100) !== Math.floor(code / 100))) {
      this.poisoned = true;
      return;
    }
    this.#lines.push(code);
    if (line[3] === "-") return;
    this.#lines = [];
    this.replies.push({ code, turn: this.#turn(), write: this.#writes });
    if (code === 421) this.poisoned = this.closing = true;
  }

  /** TLS begins: whatever the server has said until now and nobody has asked for is of no value. */
  upgrade(): void {
    if (this.#output !== "" || this.surplus > 0) this.poisoned = true;
  }

  /**
   * Whether the server has said what must end the session. A reply that has come in part may still become one that says why;
   * one that comes while content leaves may refuse that content; and nobody reads replies while TLS begins.
   */
  get over(): boolean {
    if (this.commands.at(-1)!.verb === "STARTTLS") return false;
    return this.poisoned || (this.#mode === "line" && this.surplus > 0);
  }

  /** Whether the server has refused to forget a transaction. */
  get resetRefused(): boolean {
    return this.answers().some(({ command: { verb }, replies }) =>
      verb === "RSET" && replies[0] !== undefined && !isPositive(replies[0])
    );
  }

  /** How many replies there are that nobody has asked for; below 0, how many are due. */
  get surplus(): number {
    if (this.#protocol === "smtp") return this.replies.length - this.commands.length;
    const answers: Answered[] = [];
    let due = 0;
    for (const answered of this.answers()) {
      due += this.#repliesDue(answered.command, answers);
      answers.push(answered);
    }
    return this.replies.length - due;
  }

  /** Each command with its replies. */
  answers(): Answered[] {
    const answers: Answered[] = [];
    let next = 0;
    for (const command of this.commands) {
      const count = this.#repliesDue(command, answers);
      const replies = this.replies.slice(next, next + count);
      next += replies.length;
      answers.push({ command, replies });
    }
    return answers;
  }

  #repliesDue({ end, mail }: Command, before: readonly Answered[]): number {
    if (!end || this.#protocol === "smtp") return 1;
    return before.filter(({ command, replies }) =>
      command.verb === "RCPT" && command.mail === mail && isPositive(replies[0])
    ).length;
  }

  /**
   * The commands of the dialogue before mail whose reply came in one write with the reply to the command before, and so before
   * they were sent. Only for a ledger that learns of commands at once.
   */
  get answeredEarly(): Command[] {
    return this.answers().filter(({ command: { verb, after }, replies: [reply] }, index, answers) => {
      const previous = answers[index - 1]?.replies.at(-1);
      return reply !== undefined && previous?.write === reply.write && after >= reply.write &&
        /^(?:EHLO|LHLO|STARTTLS|AUTH)$/.test(verb);
    }).map(({ command }) => command);
  }

  /** What became of each transaction. */
  verdicts(): Verdict[] {
    const verdicts = new Map<Mail, Verdict>();
    for (const { command: { verb, mail, line, turn }, replies } of this.answers()) {
      if (mail === undefined) continue;
      const verdict = verdicts.get(mail) ??
        {
          mail,
          sender: undefined,
          recipients: new Map(),
          finals: new Map(),
          chunkRefused: false,
          complete: undefined,
        };
      verdicts.set(mail, verdict);
      if (verb === "MAIL") verdict.sender = replies[0];
      if (verb === "BDAT" && replies[0] !== undefined && !isPositive(replies[0])) verdict.chunkRefused = true;
      if (verb === "RCPT") verdict.recipients.set(/<([^>]*)>/.exec(line)![1]!, replies[0]);
      if (verb !== "end") continue;
      verdict.complete = turn;
      const accepted = [...verdict.recipients].filter(([, reply]) => isPositive(reply));
      accepted.forEach(([address], index) => {
        verdict.finals.set(address, replies[this.#protocol === "smtp" ? 0 : index]);
      });
    }
    return [...verdicts.values()];
  }
}

/** Whether it is a 2xx. */
export function isPositive(reply: Heard | undefined): boolean {
  return reply !== undefined && reply.code >= 200 && reply.code < 300;
}
