/**
 * One mail transaction as a state machine: which commands may leave together, what each reply means, when the content
 * may follow, and what became of it all.
 *
 * The states, and what the caller is asked to do in each:
 *
 * | state | meaning | leaves for |
 * |-|-|-|
 * | `start` | nothing was sent | `envelope`; `content` where BDAT follows RCPT without waiting |
 * | `envelope` | commands were sent, replies are awaited | `envelope`, `content`, `done` |
 * | `content` | the content is being handed over | `final` |
 * | `final` | the content is complete, its reply is awaited | `done` |
 * | `done` | nothing more will be sent; replies to what was sent may be missing | |
 *
 * @module
 */
import { ProtocolError } from "./protocol_error.ts";
import type { Reply } from "./reply.ts";

/** What a transaction is to do, with its commands rendered. */
export interface TransactionPlan {
  /** The MAIL command, with its line end. */
  readonly mail: string;
  /** The RCPT commands, with their line ends. */
  readonly rcpts: readonly string[];
  /** The recipients, as the caller wrote them, in the order of `rcpts`. */
  readonly recipients: readonly string[];
  /** Whether commands may leave before the replies to those ahead of them came (RFC 2920). */
  readonly pipelining: boolean;
  /** How the content travels: `DATA` (RFC 5321) or `BDAT` (RFC 3030). */
  readonly transfer: "data" | "bdat";
  /** Whether one refused recipient stops the message for all. */
  readonly recipientsPolicy: "some" | "all";
  /** With LMTP the content is answered once for each accepted recipient (RFC 2033, section 4.2). */
  readonly protocol: "smtp" | "lmtp";
}

/**
 * What the caller has to do next.
 *
 * - `"commands"`: write {@linkcode Transaction.commands}, then ask again.
 * - `"content"`: hand over the content, then call {@linkcode Transaction.contentSent}.
 * - `"nothing"`: the server wants content though it has refused every recipient: end it without a byte, so that no empty
 *   message reaches anybody, then call {@linkcode Transaction.contentSent}.
 * - `"wait"`: for a reply.
 * - `"done"`: nothing; every reply has come.
 */
export type Step = "commands" | "content" | "nothing" | "wait" | "done";

/** Who said no to a whole transaction. */
export interface Refusal {
  /** The command that was refused; `"content"` is the end of the content. */
  readonly command: "mail" | "rcpt" | "data" | "content";
  /** What the server said. */
  readonly reply: Reply;
}

/** A recipient that was refused. */
export interface Rejection {
  /** The recipient, as the caller wrote it. */
  readonly recipient: string;
  /** What the server said. */
  readonly reply: Reply;
}

/**
 * What giving up comes to: `"clean"`, the session goes on; `"cut"`, only cutting the connection keeps the server from
 * taking what was sent for a whole message; `"late"`, the content is complete and the server may deliver it.
 */
export type Abandonment = "clean" | "cut" | "late";

/** One mail transaction. It never waits: the caller asks for the next {@linkcode Step} and feeds it replies. */
export class Transaction {
  readonly #plan: TransactionPlan;
  #state: "start" | "envelope" | "content" | "final" | "done" = "start";
  /** Commands that were sent, the end of the content aside, and replies to them that came. */
  #sent = 0;
  #received = 0;
  #mailRefusal: Reply | undefined;
  #dataReply: Reply | undefined;
  #contentRefusal: Reply | undefined;
  #finalReplies = 0;
  #finalReply: Reply | undefined;
  #accepted: string[] = [];
  #rejected: Rejection[] = [];
  #delivered: string[] | undefined;

  /** The commands to write, where {@linkcode step} said `"commands"`. */
  commands = "";

  /** @param plan What to do. */
  constructor(plan: TransactionPlan) {
    this.#plan = plan;
  }

  /** Says what to do next. May be asked any number of times but after `"commands"`, which are given once. */
  step(): Step {
    switch (this.#state) {
      case "start":
        return this.#begin();
      case "envelope":
        return this.#received < this.#sent ? "wait" : this.#afterEnvelopeReplies();
      case "content":
        return this.#wanted ? "content" : "nothing";
      case "final":
      case "done":
        return this.awaitsReply ? "wait" : "done";
    }
  }

  #begin(): Step {
    const { mail, rcpts, pipelining, transfer, recipientsPolicy, protocol } = this.#plan;
    if (!pipelining) return this.#give(mail, 1, "envelope");
    const group = rcpts.length === 1 ? mail + rcpts[0] : mail + rcpts.join("");
    // With "all", a refused recipient must be able to stop the message: the content waits for the replies. So it does
    // for BDAT over LMTP: with nobody to deliver to, RFC 2033 leaves open whether BDAT LAST has a reply.
    const waits = recipientsPolicy === "all" || (protocol === "lmtp" && transfer === "bdat");
    if (waits) return this.#give(group, 1 + rcpts.length, "envelope");
    return transfer === "data"
      ? this.#give(group + "DATA\r\n", 2 + rcpts.length, "envelope")
      : this.#give(group, 1 + rcpts.length, "content");
  }

  /** Every command sent so far has its reply. */
  #afterEnvelopeReplies(): Step {
    const { rcpts, transfer, recipientsPolicy } = this.#plan;
    if (this.#dataReply !== undefined) {
      // Also where every recipient was refused: a server that wants content gets its end, see "nothing".
      this.#state = this.#dataReply.intermediate ? "content" : "done";
      return this.step();
    }
    const rcptsSent = this.#sent - 1;
    if (this.#mailRefusal !== undefined || (recipientsPolicy === "all" && this.#rejected.length > 0)) {
      return this.#finish();
    }
    if (rcptsSent < rcpts.length) return this.#give(rcpts[rcptsSent]!, 1, "envelope");
    if (this.#accepted.length === 0) return this.#finish();
    if (transfer === "data") return this.#give("DATA\r\n", 1, "envelope");
    this.#state = "content";
    return "content";
  }

  #give(commands: string, count: number, next: "envelope" | "content"): Step {
    this.commands = commands;
    this.#sent += count;
    this.#state = next;
    return "commands";
  }

  #finish(): Step {
    this.#state = "done";
    return this.step();
  }

  /** Whether somebody may still get the message, as far as replies have come. */
  get #wanted(): boolean {
    if (this.#mailRefusal !== undefined) return false;
    return this.#accepted.length > 0 || this.#received <= this.#plan.rcpts.length;
  }

  /** How the content travels. */
  get transfer(): "data" | "bdat" {
    return this.#plan.transfer;
  }

  /** Whether commands may leave before the replies to those ahead of them came. */
  get pipelining(): boolean {
    return this.#plan.pipelining;
  }

  /**
   * Whether a chunk may leave before the reply to the one before it came. Not over LMTP: how many replies BDAT LAST has
   * behind a chunk that was refused is left open by RFC 2033.
   */
  get pipelinesChunks(): boolean {
    return this.#plan.pipelining && this.#plan.protocol === "smtp";
  }

  /** Whether going on with the content is of no use: the server has refused the message or everybody it is for. */
  get hopeless(): boolean {
    return this.#contentRefusal !== undefined || !this.#wanted;
  }

  /** Under `BDAT`: a chunk that is not the last has left. */
  chunkSent(): void {
    this.#sent++;
  }

  /** The content has left whole, with the mark of its end. */
  contentSent(): void {
    this.#state = "final";
  }

  /**
   * Takes the reply to the oldest command that has none.
   *
   * @param reply The reply.
   * @throws {ProtocolError} If no reply was due, or the reply makes no sense there.
   */
  receive(reply: Reply): void {
    if (this.#received < this.#sent) {
      const index = this.#received++;
      const { rcpts, transfer } = this.#plan;
      if (index === 0) this.#onMail(reply);
      else if (index <= rcpts.length) this.#onRcpt(reply, index - 1);
      else if (transfer === "data") this.#onData(reply);
      else if (!reply.positive) this.#contentRefusal ??= this.#negative(reply, "BDAT");
    } else if (this.#state === "final" && this.#finalReplies < this.#finalRepliesDue) {
      this.#onFinal(reply);
    } else if (this.#state === "content" && this.#plan.transfer === "data") {
      // Some servers do not wait for the end of a content that they will not take.
      this.#contentRefusal = this.#negative(reply, "a content that is not complete");
    } else {
      throw new ProtocolError(`Unexpected reply, no command is waiting for one: ${reply.code}`);
    }
  }

  #onMail(reply: Reply): void {
    if (!reply.positive) this.#mailRefusal = this.#negative(reply, "MAIL");
  }

  #onRcpt(reply: Reply, index: number): void {
    // Behind a refused MAIL every RCPT is "503 need MAIL command": no word about the recipient.
    if (this.#mailRefusal !== undefined) return;
    const recipient = this.#plan.recipients[index]!;
    if (reply.positive) this.#accepted.push(recipient);
    else this.#rejected.push({ recipient, reply: this.#negative(reply, "RCPT") });
  }

  #onData(reply: Reply): void {
    // A 2xx would leave open whether content is awaited.
    if (!reply.intermediate) this.#negative(reply, "DATA");
    this.#dataReply = reply;
  }

  #onFinal(reply: Reply): void {
    const index = this.#finalReplies++;
    this.#finalReply = reply;
    const refused = !reply.positive && this.#negative(reply, "the content");
    if (this.#plan.protocol === "lmtp" && this.#accepted.length > 0) {
      this.#delivered ??= [];
      if (!refused) this.#delivered.push(this.#accepted[index]!);
      else this.#rejected.push({ recipient: this.#accepted[index]!, reply });
      // Nothing comes behind 421: it is the reply for all that are left.
      while (reply.code === 421 && this.#finalReplies < this.#accepted.length) {
        this.#rejected.push({ recipient: this.#accepted[this.#finalReplies++]!, reply });
      }
      const last = this.#finalReplies === this.#accepted.length;
      if (last && this.#delivered.length === 0) this.#contentRefusal = reply;
    } else if (refused) {
      this.#contentRefusal ??= reply;
    }
  }

  #negative(reply: Reply, where: string): Reply {
    if (reply.temporary || reply.permanent) return reply;
    throw new ProtocolError(`Unexpected reply to ${where}: ${reply.code}`);
  }

  /** How many replies the end of the content has. */
  get #finalRepliesDue(): number {
    if (this.#plan.protocol === "smtp") return 1;
    // The replies to RCPT come before, so the number is known by the time it matters. With nobody to deliver to, the "."
    // after a 354 that should not have been has none (RFC 2033, section 4.2).
    return this.#accepted.length;
  }

  /** Whether a reply to something that was sent is missing. */
  get awaitsReply(): boolean {
    if (this.#received < this.#sent) return true;
    return this.#state === "final" && this.#finalReplies < this.#finalRepliesDue;
  }

  /** Whether the transaction will write no more. */
  get finishedWriting(): boolean {
    return this.#state === "final" || this.#state === "done";
  }

  /** Whether the transaction is over: nothing more will be written, and every reply has come. */
  get finished(): boolean {
    return this.finishedWriting && !this.awaitsReply;
  }

  /** Whether the content has left whole. */
  get complete(): boolean {
    return this.#state === "final" && this.#wanted;
  }

  /** Whether commands have left together, and not one was answered. */
  get groupUnanswered(): boolean {
    return this.#received === 0 && this.#sent > 1;
  }

  /** Whether the server, which has taken the envelope, does not know what BDAT is. It then takes content for commands. */
  get bdatUnknown(): boolean {
    const code = this.#contentRefusal?.code;
    return this.#plan.transfer === "bdat" && this.#accepted.length > 0 && (code === 500 || code === 502);
  }

  /** What the oldest command without a reply is. */
  get awaited(): "mail" | "rcpt" | "data" | "content" {
    if (this.#received >= this.#sent) return "content";
    if (this.#received === 0) return "mail";
    if (this.#received <= this.#plan.rcpts.length) return "rcpt";
    return this.#plan.transfer === "data" ? "data" : "content";
  }

  /**
   * Whether the server may hold the transaction open, so that the next one has to begin with RSET.
   *
   * Behind a refused BDAT or refused recipients Dovecot answers 503 until RSET, be it that MAIL was refused already, and
   * Exim takes the next transaction's recipients into this one. The end of data closes a transaction whatever its reply
   * is (RFC 5321, section 4.1.1.4).
   */
  get needsReset(): boolean {
    if (this.#sent === 0) return false;
    if (this.#mailRefusal !== undefined) return this.#plan.transfer === "bdat" && this.#bdatSent;
    if (this.#state !== "final") return true;
    if (this.#plan.transfer === "data") return false;
    return !(this.#finalReply !== undefined && !this.awaitsReply && this.refusal === undefined);
  }

  get #bdatSent(): boolean {
    return this.#state === "final" || this.#sent > 1 + this.#plan.rcpts.length;
  }

  /** Gives up, at the caller's wish or because the content cannot be had. */
  abandon(): Abandonment {
    switch (this.#state) {
      case "start":
        this.#state = "done";
        return "clean";
      case "envelope":
      case "content": {
        // Behind a DATA the server waits for content, and the end of it would be an empty or a cut message.
        const dataSent = this.#plan.transfer === "data" && this.#sent === 2 + this.#plan.rcpts.length;
        if (dataSent) return "cut";
        this.#state = "done";
        return "clean";
      }
      case "final":
        return "late";
      case "done":
        return "clean";
    }
  }

  /** The recipients that will get the message, once it is done and not refused. */
  get accepted(): readonly string[] {
    return this.#delivered ?? this.#accepted;
  }

  /** Over LMTP, the recipients for whom the server has taken the message, as far as replies have come. */
  get delivered(): readonly string[] {
    return this.#delivered ?? [];
  }

  /** The recipients that were refused. */
  get rejected(): readonly Rejection[] {
    return this.#rejected;
  }

  /** The last reply to the content. */
  get finalReply(): Reply | undefined {
    return this.#finalReply;
  }

  /** Who refused the message for everybody, as far as replies have come. */
  get refusal(): Refusal | undefined {
    if (this.#mailRefusal !== undefined) return { command: "mail", reply: this.#mailRefusal };
    const { rcpts, recipientsPolicy } = this.#plan;
    const answered = this.#received > rcpts.length;
    const stopped = recipientsPolicy === "all" && this.#state === "done" && this.#rejected.length > 0;
    if (stopped || (answered && this.#accepted.length === 0)) {
      return { command: "rcpt", reply: this.#rejected[0]!.reply };
    }
    if (this.#dataReply !== undefined && !this.#dataReply.intermediate) {
      return { command: "data", reply: this.#dataReply };
    }
    if (this.#contentRefusal !== undefined) return { command: "content", reply: this.#contentRefusal };
    return undefined;
  }
}
