/**
 * A connection of a pool: a client, the mails that it has in hand, and when it was used.
 *
 * @module
 */
import type { SmtpError } from "../errors.ts";
import { abortable } from "../sockets/abortable.ts";
import { SmtpClient } from "../client/client.ts";
import type { Receipt } from "../client/receipt.ts";
import type { Host } from "./hosts.ts";
import type { Mail } from "./mail.ts";
import type { PoolSettings } from "./options.ts";

/**
 * With PIPELINING alone the envelope of the next mail leaves together with the content of the one before. When the content of the
 * second leaves, a third has to be there.
 */
const AHEAD = 3;

/** How long a connection that was idle may take to answer NOOP, in milliseconds. One that is well takes one round trip. */
const PROBE_LIMIT = 5_000;

/** So many turns of the event loop are enough for it to look at sockets at least once, on each runtime. */
const TURNS = 2;

/** After how long without anything to do a connection is looked at before it gets a mail, in milliseconds. */
const STALE_AFTER = 50;

/** The limits of a connection. */
type Limits = Pick<
  PoolSettings,
  "maxMessagesPerConnection" | "maxInFlight" | "maxAge" | "idleTimeout" | "probeAfter"
>;

/** One connection to one server. Times are milliseconds on the clock of `performance.now()`. */
export class PoolConnection {
  /** The server. */
  readonly host: Host;
  /** When it began to open. */
  readonly begunAt: number = performance.now();
  readonly #limits: Limits;
  readonly #abort: AbortController = new AbortController();
  #state: "opening" | "open" | "checking" | "leaving" = "opening";
  #client: SmtpClient | undefined;
  readonly #inHand: Set<Mail> = new Set();
  #capacity = 1;
  #maxMessages = Infinity;
  #handed = 0;
  #answered = 0;
  #usedAt = this.begunAt;
  #usedOn = Date.now();
  /** Whether it was looked at since it was used. */
  #isChecked = false;
  #lostWith: SmtpError | undefined;

  /**
   * @param host The server.
   * @param limits Its limits.
   */
  constructor(host: Host, limits: Limits) {
    this.host = host;
    this.#limits = limits;
  }

  /** Whether it is being opened. */
  get opening(): boolean {
    return this.#state === "opening";
  }

  /** Whether it takes mails, now or once it was looked at. */
  get alive(): boolean {
    return (this.#state === "open" || this.#state === "checking") && this.#client!.usable;
  }

  /** Whether it has ended, and the mails in hand do not know it yet. */
  get ending(): boolean {
    return !this.opening && !this.leaving && !this.alive && this.#inHand.size > 0;
  }

  /** Whether it is being opened or looked at. */
  get expected(): boolean {
    return this.opening || (this.#state === "checking" && this.alive);
  }

  /** Whether it takes no more mails, as it was told to. */
  get leaving(): boolean {
    return this.#state === "leaving";
  }

  /** Whether it is open and has nothing to do. */
  get idle(): boolean {
    return this.alive && this.#inHand.size === 0;
  }

  /** How many mails it has in hand. */
  get load(): number {
    return this.#inHand.size;
  }

  /** When it was used last. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** How many mails the server has answered on it. */
  get answered(): number {
    return this.#answered;
  }

  /** Why it was lost, if it was lost with mails in hand. */
  get lostWith(): SmtpError | undefined {
    return this.#lostWith;
  }

  /** How many mails it takes at a time, as the server's extensions have it. */
  get capacity(): number {
    return this.#capacity;
  }

  /** How many more mails it takes now. A server on trial gets one at a time. */
  get room(): number {
    if (this.#state !== "open" || !this.alive) return 0;
    const capacity = this.host.onTrial ? 1 : this.#capacity;
    return Math.min(capacity - this.#inHand.size, this.#maxMessages - this.#handed);
  }

  /** Whether it has taken as many mails as it may. */
  get exhausted(): boolean {
    return this.#handed >= this.#maxMessages;
  }

  /** Whether it was idle for so long that it has to be looked at before it gets a mail. */
  get stale(): boolean {
    return this.idle && !this.#isChecked && this.#idleFor() >= Math.min(STALE_AFTER, this.#limits.probeAfter);
  }

  /** Whether it is to be closed: too old, or idle for too long. */
  isSpare(now: number): boolean {
    if (this.#state !== "open" || !this.alive) return false;
    return this.begunAt + this.#limits.maxAge <= now ||
      (this.idle && this.#idleFor() >= this.#limits.idleTimeout);
  }

  /** When it is to be closed, as things are now; `Infinity` if something else comes first. */
  get spareAt(): number {
    if (this.#state !== "open" || !this.alive) return Infinity;
    const { maxAge, idleTimeout } = this.#limits;
    const agedAt = this.begunAt + maxAge;
    return this.#inHand.size > 0 ? agedAt : Math.min(agedAt, this.#usedAt + idleTimeout);
  }

  /**
   * Opens it.
   *
   * @throws As `SmtpClient.connect()`.
   */
  async open(): Promise<void> {
    this.#client = await SmtpClient.connect({ ...this.host.client, signal: this.#abort.signal });
    if (this.#state === "opening") this.#state = "open";
    this.#capacity = this.#readCapacity();
    // The server may have a limit of its own, and say so (RFC 9422).
    const { mailMax = Infinity } = this.#client.extensions.limits;
    this.#maxMessages = Math.min(this.#limits.maxMessagesPerConnection, mailMax);
    this.#use();
  }

  /** Resolves when it is over. */
  get closed(): Promise<void> {
    return this.#client!.closed;
  }

  /**
   * Sends a mail. Whoever calls this says {@linkcode onDone} afterwards.
   *
   * @param mail The mail.
   * @returns What the server says.
   * @throws As `SmtpClient.send()`.
   */
  send(mail: Mail): Promise<Receipt> {
    this.#inHand.add(mail);
    this.#handed++;
    this.#isChecked = false;
    return this.#client!.send(mail.envelope, mail.message, mail.options);
  }

  /** A mail is no longer in hand. */
  onDone(mail: Mail): void {
    this.#inHand.delete(mail);
    if (this.#inHand.size === 0) this.#use();
  }

  /** The server has answered a mail. */
  onAnswer(): void {
    this.#answered++;
  }

  /**
   * A mail was lost, and the connection with it. Mails are lost in the order in which they were sent.
   *
   * @param error Why.
   * @returns Whether it is the first: the one that the server had to do with. All others were only behind it.
   */
  onLoss(error: SmtpError): boolean {
    if (this.#lostWith !== undefined || this.#client!.usable) return false;
    this.#lostWith = error;
    return true;
  }

  /**
   * Looks whether it is still there, after it was idle. What the server has said or done meanwhile is known after some turns of the
   * event loop, if the program was too busy to see it. A server or a firewall that has forgotten it without a word does not answer
   * NOOP, and there a mail would have an outcome that nobody knows.
   */
  async check(): Promise<void> {
    const idle = this.#idleFor();
    this.#state = "checking";
    for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => void setTimeout(resolve, 0));
    if (idle >= this.#limits.probeAfter && this.alive) {
      try {
        await abortable(this.#client!.noop(), undefined, { timeout: PROBE_LIMIT });
      } catch (error) {
        if (!isRefusal(error)) await this.#client!.close();
      }
    }
    this.#use();
    this.#isChecked = true;
    if (this.#state === "checking") this.#state = "open";
  }

  /** Takes no more mails, and says QUIT after those in hand. Resolves when it is closed. */
  async leave(): Promise<void> {
    this.#state = "leaving";
    await this.#client!.quit();
  }

  /** Gives it up at once, open or not. */
  abort(reason: unknown): void {
    this.#abort.abort(reason);
  }

  #readCapacity(): number {
    const { pipelining, chunking } = this.#client!.extensions;
    const { transfer = "auto", protocol = "smtp" } = this.host.client;
    if (!pipelining) return 1;
    const whole = chunking && (transfer === "bdat" || (transfer === "auto" && protocol === "smtp"));
    return whole ? this.#limits.maxInFlight : Math.min(AHEAD, this.#limits.maxInFlight);
  }

  #use(): void {
    this.#usedAt = performance.now();
    this.#usedOn = Date.now();
  }

  /** By both clocks: while a machine or an isolate sleeps, one of them may stand still. */
  #idleFor(): number {
    return Math.max(performance.now() - this.#usedAt, Date.now() - this.#usedOn);
  }
}

/** A server that refuses NOOP is there. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && "outcome" in error && error.outcome === "refused";
}
