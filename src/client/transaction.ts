/**
 * The mail transaction as a state machine, without I/O. It grows by one command at a time, takes the replies in order, and
 * holds every rule about what became of the message: who was accepted, who refused it, whether a RSET is due, whether the
 * server may have taken it although nobody knows.
 *
 * Two drivers push commands into it: `automatic_delivery.ts` as many at once as the server's extensions allow,
 * `manual_delivery.ts` one for each call of `mail()`, `rcpt()`, `data()` or `bdat()`.
 *
 * | state | meaning | leaves for |
 * |-|-|-|
 * | `envelope` | MAIL and RCPT, or nothing yet | `data`, `bdat`, `complete`, `over` |
 * | `data` | DATA was sent: only content may follow | `complete`; `envelope` if DATA is refused |
 * | `bdat` | a chunk was sent that is not the last | `complete`, `refused`, `over` |
 * | `refused` | the server has refused a chunk | `over` |
 * | `complete` | the content was sent whole | `over` |
 * | `over` | nothing more will be sent; replies to what was sent may be missing | |
 *
 * {@linkcode ALLOWED} says which commands each state allows.
 *
 * @module
 */
import { ProtocolError } from "../core/errors.ts";
import type { Reply } from "../core/reply.ts";
import type { Outcome, RefusedRecipient, SmtpErrorCode } from "../errors.ts";

/** The rules that differ from one transaction to another. */
export interface TransactionRules {
  /** With LMTP the content is answered once for each accepted recipient (RFC 2033, section 4.2). */
  readonly protocol: "smtp" | "lmtp";
  /** Whether one refused recipient stops the message for all. */
  readonly recipientsPolicy: "some" | "all";
}

/** The states of a transaction. */
export type TransactionState = "envelope" | "data" | "bdat" | "refused" | "complete" | "over";

/** A command that a transaction may be asked to send after MAIL; `"command"` is one that changes nothing, such as NOOP. */
export type TransactionCommand = "rcpt" | "data" | "bdat" | "reset" | "command";

/** The commands that may be sent in each state. */
const ALLOWED: Readonly<Record<TransactionState, readonly TransactionCommand[]>> = {
  envelope: ["rcpt", "data", "bdat", "reset", "command"],
  data: [],
  bdat: ["bdat", "reset", "command"],
  refused: ["reset", "command"],
  complete: [],
  over: [],
};

/**
 * What was sent: `"reset"` is the RSET ahead of MAIL, `"forget"` the one that ends this transaction, `"end"` the end of the
 * content, `"command"` one that changes nothing, such as NOOP.
 */
type Sent = "reset" | "mail" | "rcpt" | "data" | "chunk" | "end" | "forget" | "command";

/** What each of them is called in an error. */
const NAMES: Readonly<Record<Sent, string>> = {
  reset: "RSET",
  mail: "MAIL",
  rcpt: "RCPT",
  data: "DATA",
  chunk: "BDAT",
  end: "the content",
  forget: "RSET",
  command: "a command",
};

/** What a reply answers, in the words of a {@linkcode Phase}. */
export type AwaitedCommand = "reset" | "mail" | "rcpt" | "data" | "content" | "command";

/** The reply that refused the message for everybody. */
export interface Refusal {
  /** The command that was refused; `"chunk"` is any content that is not complete, `"end"` its end. */
  readonly command: "mail" | "rcpt" | "data" | "chunk" | "end";
  /** The server's reply. */
  readonly reply: Reply;
}

/** The result of giving up. */
export interface Abandonment {
  /** What became of the message. Content that is complete leaves all the same: the server may deliver it. */
  readonly outcome: Outcome;
  /** Whether only cutting the connection keeps the server from taking a part of the message for the whole. */
  readonly cut: boolean;
}

/** One mail transaction. It never waits: drivers tell it what was sent and what came back. */
export class Transaction {
  readonly #rules: TransactionRules;
  #state: TransactionState = "envelope";
  /** The commands that were sent, and how many of them have their reply. */
  readonly #sent: Sent[] = [];
  #replied = 0;
  /** Whether a reply has come, RSET's aside. */
  #answered = false;
  readonly #recipients: string[] = [];
  #recipientsAnswered = 0;
  readonly #accepted: string[] = [];
  readonly #rejected: RefusedRecipient[] = [];
  /** Over LMTP, the recipients for whom the server has taken the message. */
  #delivered: string[] | undefined;
  #begun = false;
  #mailRefusal: Reply | undefined;
  #dataRefusal: Reply | undefined;
  #contentRefusal: Reply | undefined;
  /** Whether the server waits for content, after its 354. */
  #goAhead = false;
  /** How the content was sent, once some of it was. */
  #transfer: "data" | "bdat" | undefined;
  /** Whether the server has taken a chunk. */
  #chunkTaken = false;
  /** Where in the output the content ends, once it does. */
  #end: number | undefined;
  #endReplies = 0;
  #endReply: Reply | undefined;
  /** Whether the server has forgotten the transaction because it was told to. */
  #forgotten = false;
  #resetRefusal: Reply | undefined;
  /** The refusal of a RSET after a message that was taken: it means nothing, if the server takes the next MAIL. */
  #resetDoubt: Reply | undefined;
  /** The transaction that the first RSET puts an end to, until that is answered. */
  #previous: Transaction | undefined;

  /** @param rules The rules that it follows. */
  constructor(rules: TransactionRules) {
    this.#rules = rules;
  }

  /** The state. */
  get state(): TransactionState {
    return this.#state;
  }

  /** Whether a command may be sent now. */
  allows(command: TransactionCommand): boolean {
    return ALLOWED[this.#state].includes(command);
  }

  /**
   * RSET was sent: before MAIL to end what the server may still hold, later to end this transaction.
   *
   * @param previous Before MAIL, the transaction that may still be open on the server, if it was one of ours.
   */
  reset(previous?: Transaction): void {
    this.#previous = previous;
    this.#sent.push(this.#begun ? "forget" : "reset");
  }

  /** MAIL was sent. */
  mail(): void {
    this.#begun = true;
    this.#sent.push("mail");
  }

  /**
   * RCPT was sent.
   *
   * @param recipient The recipient, as the caller wrote it.
   */
  rcpt(recipient: string): void {
    this.#recipients.push(recipient);
    this.#sent.push("rcpt");
  }

  /** DATA was sent. */
  data(): void {
    this.#transfer = "data";
    this.#dataRefusal = undefined;
    this.#state = "data";
    this.#sent.push("data");
  }

  /** A BDAT chunk that is not the last was sent. One that was under way when the transaction was given up changes nothing. */
  chunk(): void {
    this.#transfer = "bdat";
    this.#dataRefusal = undefined;
    if (this.#state !== "over") this.#state = "bdat";
    this.#sent.push("chunk");
  }

  /**
   * The content is complete: the last dot, or the last BDAT chunk, was written.
   *
   * @param position Where in the output it ends.
   */
  end(position: number): void {
    if (this.#state !== "data") this.#transfer = "bdat";
    this.#dataRefusal = undefined;
    this.#end = position;
    this.#state = "complete";
    this.#sent.push("end");
  }

  /** Another command was sent, such as NOOP. */
  command(): void {
    this.#sent.push("command");
  }

  /** Nothing more will be sent: the message is of no use to anybody. */
  stop(): void {
    this.#state = "over";
  }

  /**
   * Takes the reply to the oldest command that has none.
   *
   * @param reply The reply.
   * @throws {ProtocolError} If the reply makes no sense there. Nothing has changed then.
   */
  receive(reply: Reply): void {
    const command = this.#sent[this.#replied]!;
    // A 2xx to DATA would leave open whether the server waits for content.
    const isData = command === "data";
    if (hasNoPlace(reply, isData) || (isData && reply.positive)) {
      throw unexpected(reply, NAMES[command]);
    }
    if (command !== "end") this.#replied++;
    if (command !== "reset") this.#answered = true;
    switch (command) {
      case "reset":
        this.#onReset(reply);
        break;
      case "forget":
        this.#forgotten = reply.positive;
        this.#state = "over";
        break;
      case "mail":
        if (!reply.positive) this.#mailRefusal = reply;
        if (reply.code === 503) this.#resetRefusal ??= this.#resetDoubt; // a nested MAIL
        break;
      case "rcpt":
        this.#onRcpt(reply);
        break;
      case "data":
        this.#onData(reply);
        break;
      case "chunk":
        if (reply.positive) {
          this.#chunkTaken = true;
          break;
        }
        this.#contentRefusal ??= reply;
        if (this.#state === "bdat") this.#state = "refused";
        break;
      case "end":
        this.#onEnd(reply);
        break;
      case "command":
        break;
    }
  }

  /**
   * Takes a reply that comes before the content is complete: under DATA, some servers do not wait for the end of one that they
   * will not take.
   *
   * @param reply The reply.
   * @returns Whether it refuses the message. If not, it makes no sense, and nothing has changed.
   */
  refuseEarly(reply: Reply): boolean {
    const isOver = this.#endReply !== undefined || this.refusal !== undefined;
    if (!this.#goAhead || isOver || reply.positive || reply.intermediate) return false;
    this.#contentRefusal = reply;
    return true;
  }

  /** RSET cannot be refused (RFC 5321, section 4.1.1.5), yet it is: see {@linkcode resetRefusal}. */
  #onReset(reply: Reply): void {
    const previous = this.#previous;
    this.#previous = undefined;
    if (reply.positive || reply.code === 421) return; // a 421 ends the session anyway
    if (previous?.taken === true) this.#resetDoubt = reply;
    else this.#resetRefusal = reply;
  }

  #onRcpt(reply: Reply): void {
    const recipient = this.#recipients[this.#recipientsAnswered++]!;
    // After a refused MAIL every RCPT is "503 need MAIL command", which says nothing about the recipient.
    if (this.#mailRefusal !== undefined) return;
    if (reply.positive) this.#accepted.push(recipient);
    else this.#rejected.push({ recipient, reply });
  }

  #onData(reply: Reply): void {
    if (reply.intermediate) {
      this.#goAhead = true;
      return;
    }
    this.#dataRefusal = reply;
    if (this.#state === "data") this.#state = "envelope";
  }

  #onEnd(reply: Reply): void {
    const index = this.#endReplies++;
    this.#endReply = reply;
    if (this.#transfer === "bdat" && reply.positive) this.#chunkTaken = true;
    if (this.#rules.protocol === "lmtp" && this.#accepted.length > 0) this.#onLmtpEnd(reply, index);
    else if (!reply.positive) this.#contentRefusal ??= reply;
    if (this.#endReplies < this.#endRepliesDue) return;
    this.#replied++;
    this.#state = "over";
  }

  /** One reply for each accepted recipient, in their order (RFC 2033, section 4.2). */
  #onLmtpEnd(reply: Reply, index: number): void {
    this.#delivered ??= [];
    if (reply.positive) this.#delivered.push(this.#accepted[index]!);
    else this.#rejected.push({ recipient: this.#accepted[index]!, reply });
    // Nothing follows a 421: it is the reply for all that are left.
    while (reply.code === 421 && this.#endReplies < this.#accepted.length) {
      this.#rejected.push({ recipient: this.#accepted[this.#endReplies++]!, reply });
    }
    const last = this.#endReplies === this.#accepted.length;
    if (last && this.#delivered.length === 0) this.#contentRefusal = reply;
  }

  /** How many replies the end of the content has. Replies to RCPT come first, so this is known by the time it matters. */
  get #endRepliesDue(): number {
    // With nobody to deliver to, the "." after a 354 that should not have been has no reply (RFC 2033, section 4.2).
    return this.#rules.protocol === "smtp" ? 1 : this.#accepted.length;
  }

  /** Whether a reply to something that was sent is missing. */
  get awaitsReply(): boolean {
    if (this.#replied === this.#sent.length) return false;
    return this.#sent[this.#replied] !== "end" || this.#endReplies < this.#endRepliesDue;
  }

  /** What the oldest command without a reply is; `"content"` if there is none. */
  get awaited(): AwaitedCommand {
    const command = this.#sent[this.#replied];
    if (command === undefined || command === "chunk" || command === "end") return "content";
    return command === "forget" ? "reset" : command;
  }

  /** Whether nothing more will be written. */
  get finishedWriting(): boolean {
    return this.#state === "complete" || this.#state === "over";
  }

  /** Whether nothing more will be written and every reply has come. */
  get finished(): boolean {
    return this.finishedWriting && !this.awaitsReply;
  }

  /** Whether several commands have left together, and not one was answered. */
  get groupUnanswered(): boolean {
    return !this.#answered && this.#sent.length - this.#replied > 1;
  }

  /** Whether somebody may still get the message, as far as replies have come. */
  get wanted(): boolean {
    if (this.#mailRefusal !== undefined) return false;
    return this.#accepted.length > 0 || this.#recipientsAnswered < this.#recipients.length ||
      this.#recipients.length === 0;
  }

  /** Whether the rest of the content is of no use: the server has refused the message, or everybody it is for. */
  get hopeless(): boolean {
    return this.#contentRefusal !== undefined || !this.wanted;
  }

  /** Whether the server has taken the message, for at least one recipient. */
  get taken(): boolean {
    return this.#endReply !== undefined && !this.awaitsReply && this.refusal === undefined;
  }

  /** Whether the content went by DATA, and its reply is missing. */
  get awaitsDataEnd(): boolean {
    return this.#transfer === "data" && !this.finished;
  }

  /** Whether the server has answered a BDAT with 250: it knows the command. */
  get bdatKnown(): boolean {
    return this.#chunkTaken;
  }

  /**
   * Whether the server accepted the envelope and does not know BDAT. It then reads the content as commands. Where it has
   * not announced CHUNKING itself, Exim answers "503 BDAT command used when CHUNKING not advertised".
   *
   * @param proven Whether it has taken a chunk before: then it takes more to tell that it knows none.
   */
  isBdatUnknown(proven: boolean): boolean {
    const refusal = this.#contentRefusal;
    if (this.#transfer !== "bdat" || this.#accepted.length === 0 || refusal === undefined) return false;
    const { code, text } = refusal;
    if (code === 500 || code === 502) return true;
    return !proven && (code === 501 || code === 504 || (code === 503 && text.includes("BDAT")));
  }

  /**
   * The server's reply, if it has refused the RSET ahead of this transaction and has not taken the message before it. The
   * recipients of that one may then still be there and would get this message: the connection is of no more use.
   */
  get resetRefusal(): Reply | undefined {
    return this.#resetRefusal;
  }

  /**
   * Whether the server may hold the transaction open, so that the next one has to begin with RSET.
   *
   * After a refused BDAT or refused recipients Dovecot answers 503 until RSET, even if MAIL was refused already, and Exim
   * adds the next transaction's recipients to this one. The end of DATA closes a transaction whatever its reply is (RFC
   * 5321, section 4.1.1.4).
   */
  get needsReset(): boolean {
    if (!this.#begun || this.#forgotten) return false;
    if (this.#mailRefusal !== undefined) return this.#transfer === "bdat";
    if (this.#end === undefined) return true;
    return this.#transfer === "bdat" && !this.taken;
  }

  /**
   * Gives up, because the caller wishes to or the content cannot be read.
   *
   * @returns What that comes to.
   */
  abandon(): Abandonment {
    switch (this.#state) {
      case "data":
        // The server waits for content, and any end of it would be an empty or a cut message.
        return { outcome: "not-sent", cut: true };
      case "complete":
        return { outcome: this.#outcome(true), cut: false };
      default:
        this.#state = "over";
        return {
          outcome: this.refusal !== undefined && !this.awaitsReply ? "refused" : "not-sent",
          cut: false,
        };
    }
  }

  /**
   * What became of the message if the session ends now.
   *
   * @param handedOver How much of the output was handed to the socket.
   * @param code Why the session ends. After a 421 in the place of an earlier reply the server has done nothing (RFC 5321,
   * section 3.8).
   * @returns The outcome.
   */
  outcomeIfLost(handedOver: number, code: SmtpErrorCode): Outcome {
    const left = this.#end !== undefined && this.#end <= handedOver;
    return this.#outcome(left && code !== "service-unavailable");
  }

  /**
   * The one place that decides on `"unknown"`.
   *
   * @param left Whether the content has left whole, and the server may have read it to its end.
   */
  #outcome(left: boolean): Outcome {
    if (this.refusal !== undefined) return "refused";
    return left && this.wanted ? "unknown" : "not-sent";
  }

  /** The recipients that will get the message, once it is over and not refused. */
  get accepted(): readonly string[] {
    return this.#delivered ?? this.#accepted;
  }

  /** Over LMTP, the recipients for whom the server has taken the message, as far as replies have come. */
  get delivered(): readonly string[] {
    return this.#delivered ?? [];
  }

  /** The recipients that were refused. */
  get rejected(): readonly RefusedRecipient[] {
    return this.#rejected;
  }

  /** The last reply to the content's end. */
  get endReply(): Reply | undefined {
    return this.#endReply;
  }

  /** The reply that refused the message for everybody, as far as replies have come. */
  get refusal(): Refusal | undefined {
    if (this.#mailRefusal !== undefined) return { command: "mail", reply: this.#mailRefusal };
    if (this.#stoppedByRecipients) return { command: "rcpt", reply: this.#rejected[0]!.reply };
    if (this.#dataRefusal !== undefined) return { command: "data", reply: this.#dataRefusal };
    if (this.#contentRefusal === undefined) return undefined;
    const command = this.#contentRefusal === this.#endReply ? "end" : "chunk";
    return { command, reply: this.#contentRefusal };
  }

  /** Whether every recipient was refused, or with `"all"` one of them. */
  get #stoppedByRecipients(): boolean {
    const [first] = this.#rejected;
    if (first === undefined || this.#state === "envelope") return false;
    if (this.#rules.recipientsPolicy === "all" && this.#state === "over" && this.#end === undefined) {
      return true;
    }
    return this.#recipientsAnswered === this.#recipients.length && this.#accepted.length === 0;
  }
}

/**
 * The protocol has no place for a reply: a 3xx says that the server waits for content, which only some commands lead to (RFC 5321,
 * section 4.3.2), and 221 answers QUIT and nothing else, so that it must not pass for another command's success.
 *
 * @param reply The reply to anything but QUIT.
 * @param mayContinue Whether the command is one that more may follow: DATA, or a step of AUTH.
 */
export function hasNoPlace(reply: Reply, mayContinue: boolean): boolean {
  return reply.code === 221 || (reply.intermediate && !mayContinue);
}

function unexpected(reply: Reply, what: string): ProtocolError {
  return new ProtocolError(`Unexpected reply to ${what}: ${reply.code}`);
}
