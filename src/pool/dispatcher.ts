/**
 * Brings the mails that wait and the connections that there are together.
 *
 * Whatever happens, {@linkcode Dispatcher} looks at everything once, at the end of the turn, and does what can be done. So there is
 * one place that decides, and nobody has to know whom to wake:
 *
 * ```
 *  a mail is added ─────────┐            ┌─> hands mails to connections with room, best server first
 *  a mail has its answer ───┤            ├─> opens connections, if mails may go and none has room
 *  a connection is open ────┼─> #look() ─┼─> gives mails up, if all servers are given up
 *  a connection has ended ──┤            ├─> closes connections that nobody needs
 *  an alarm rings ──────────┘            └─> sets the alarms, and tells those who wait for room or for the end
 * ```
 *
 * Only a mail that comes when a connection has room does not wait for that: most do not.
 *
 * A mail is in the queue, in hand of a connection, or settled. A connection is opening, open, being checked, leaving, or gone.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import { messageOf } from "../client/failure.ts";
import { Receipt } from "../client/receipt.ts";
import { Alarm } from "./alarm.ts";
import { PoolConnection } from "./connection.ts";
import { dateOf } from "./hosts.ts";
import type { Host } from "./hosts.ts";
import type { Mail } from "./mail.ts";
import type { PoolSettings } from "./options.ts";
import { MailQueue } from "./queue.ts";
import type { Rates } from "./rate.ts";
import { PoolError, recordTry } from "./results.ts";
import { judge } from "./retry.ts";

/** A better server that takes longer than this to open a connection, in milliseconds, keeps mails from the next one no longer. */
const PATIENCE = 5_000;

/** A connection that ends after it was idle for this long, in milliseconds, does not show that its server has failed. */
const UNUSED = 5_000;

/** A connection that was lost with a mail may be that mail's fault, so it weighs half: mails are given up before their server. */
const LOSS_WEIGHT = 0.5;

/** A mail that waits to be tried again fills the queue a tenth as much as one that is to go. */
const RESTING_WEIGHT = 0.1;

/** What the dispatchers of a pool have in common. */
export interface Shared {
  /** The options. */
  readonly settings: PoolSettings;
  /** The servers, by preference. */
  readonly hosts: readonly Host[];
  /** What limits the mails. */
  readonly rates: Rates;
  /** What was done so far. */
  readonly totals: { sent: number; failed: number; retried: number };
}

/** The connections to a server, counted. */
interface Counts {
  readonly all: number;
  readonly alive: number;
  readonly opening: number;
  readonly ending: number;
  /** Those that are being opened or looked at. */
  readonly expected: number;
  /** How many mails one takes at a time. */
  readonly capacity: number;
  readonly hasRoom: boolean;
}

/** Brings mails and connections together. */
export class Dispatcher {
  readonly #shared: Shared;
  readonly #keepsConnections: boolean;
  readonly #queue: MailQueue;
  readonly #connections: Set<PoolConnection> = new Set();
  /** When the next mail may go, or a server be tried for it. */
  readonly #alarm: Alarm = new Alarm(() => this.lookSoon(), true);
  /** When a connection has been idle for long enough. */
  readonly #upkeep: Alarm = new Alarm(() => this.lookSoon(), false);
  /** When it is to be looked for connections that nobody needs. */
  #spareAt = Infinity;
  #isLooking = false;
  /** Why no more mails are taken. */
  #ended: PoolError | undefined;
  /** Those who wait until there is room in the queue, until no mail is left, until no connection is left. */
  #room: PromiseWithResolvers<void> | undefined;
  #empty: PromiseWithResolvers<void> | undefined;
  #gone: PromiseWithResolvers<void> | undefined;

  /**
   * @param shared What it has in common with others.
   * @param keepsConnections Whether connections stay open for later mails.
   */
  constructor(shared: Shared, keepsConnections: boolean) {
    this.#shared = shared;
    this.#keepsConnections = keepsConnections;
    this.#queue = new MailQueue(shared.rates);
  }

  /** How many mails wait. */
  get queued(): number {
    return this.#queue.size;
  }

  /** The connections. */
  get connections(): Iterable<PoolConnection> {
    return this.#connections;
  }

  /** How many mails have no answer yet. */
  get inFlight(): number {
    let count = 0;
    for (const { load } of this.#connections) count += load;
    return count;
  }

  /**
   * Adds a mail. Its promise tells what becomes of it.
   *
   * @param mail The mail.
   */
  add(mail: Mail): void {
    if (this.#ended !== undefined) return this.#fail(mail, this.#ended);
    const now = performance.now();
    try {
      this.#wait(mail, 0, now);
    } catch (error) {
      this.#fail(mail, error as Error); // a function of the caller's has thrown
    }
    this.#handOut(now);
    if (this.#queue.size > 0) this.lookSoon();
  }

  /** Resolves when the queue has room. */
  get ready(): Promise<void> {
    if (this.#hasRoom(performance.now())) return Promise.resolve();
    this.#room ??= Promise.withResolvers();
    this.lookSoon(); // the alarm has to ring for whoever waits
    return this.#room.promise;
  }

  /**
   * As {@linkcode ready}, for somebody who has many more mails.
   *
   * @throws {PoolError} If all servers are given up, for a reason that will not pass by itself.
   */
  async readyToPull(): Promise<void> {
    await this.ready;
    const error = this.#ended ?? this.#whyGivenUp(performance.now());
    if (error !== undefined) throw error;
  }

  /** Resolves when no mail waits or is on its way. */
  drain(): Promise<void> {
    if (this.#isEmpty) return Promise.resolve();
    return (this.#empty ??= Promise.withResolvers()).promise;
  }

  /**
   * Takes no more mails. Those that wait fail, those on their way get their answers, then the connections are closed.
   *
   * @param reason What the others fail with.
   * @returns Resolves when the last connection is closed.
   */
  async end(reason: PoolError): Promise<void> {
    if (this.#ended === undefined) {
      this.#ended = reason;
      for (const mail of [...this.#queue.waiting(), ...this.#queue.resting()]) this.#giveUp(mail, reason);
      for (const connection of this.#connections) {
        if (connection.opening) connection.abort(reason);
        else if (connection.alive) this.#retire(connection);
      }
      this.lookSoon();
    }
    if (this.#connections.size > 0) await (this.#gone ??= Promise.withResolvers()).promise;
  }

  /**
   * Gives everything up at once.
   *
   * @param reason What mails fail with that were not begun.
   */
  abort(reason: PoolError): void {
    void this.end(reason);
    for (const connection of this.#connections) connection.abort(reason.cause ?? reason);
  }

  /** Something has changed, here or with a server: looks at everything at the end of this turn. */
  lookSoon(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    queueMicrotask(this.#onTurnEnd);
  }

  readonly #onTurnEnd = (): void => {
    this.#isLooking = false;
    try {
      this.#look();
    } catch (error) {
      // A mistake, ours or that of a function of the caller's, must not keep anybody waiting.
      const cause = new PoolError("aborted", `The pool has failed: ${messageOf(error)}`, {
        phase: "command",
        cause: error,
      });
      for (const mail of [...this.#queue.waiting()]) this.#giveUp(mail, cause);
    }
  };

  #look(): void {
    const now = performance.now();
    if (this.#queue.size > 0) {
      this.#handOut(now);
      if (this.#queue.size > 0) this.#openConnections(now);
      if (this.#queue.size > 0) this.#giveUpMails(now);
    }
    if (this.#looksAtConnections || now >= this.#spareAt) this.#closeSpare(now);
    this.#tellWaiting(now);
    this.#setAlarm(now);
  }

  #handOut(now: number): void {
    while (this.#queue.size > 0) {
      const connection = this.#roomiest();
      if (connection === undefined) return;
      if (connection.stale) {
        // Those that are looked at already may be enough.
        if (this.#queue.dueAt(now) > now) return;
        if (this.#expected(connection.host) * connection.capacity >= this.#queue.size) return;
        void this.#check(connection);
        continue;
      }
      const mail = this.#queue.take(now);
      if (mail === undefined) return;
      void this.#deliver(mail, connection);
    }
  }

  /**
   * The connection for the next mail: to the best server, with the fewest mails in hand, and of several the one that was used
   * last, so that those that are not needed become idle.
   */
  #roomiest(): PoolConnection | undefined {
    for (const host of this.#shared.hosts) {
      let best: PoolConnection | undefined;
      let isUsed = false;
      for (const connection of this.#connections) {
        if (connection.host !== host) continue;
        if (connection.room <= 0) {
          isUsed ||= connection.alive;
          continue;
        }
        isUsed = true;
        const { load, usedAt } = connection;
        if (best === undefined || load < best.load || (load === best.load && usedAt > best.usedAt)) {
          best = connection;
        }
      }
      // A server on trial gets one mail; meanwhile the next one gets the others.
      if (best !== undefined || (isUsed && !host.onTrial)) return best;
    }
    return undefined;
  }

  async #deliver(mail: Mail, connection: PoolConnection): Promise<void> {
    const at = new Date();
    mail.unwatch();
    let result: Receipt | Error;
    try {
      const sent = connection.send(mail);
      if (connection.exhausted) this.#retire(connection);
      result = await sent;
    } catch (error) {
      result = error as Error;
    }
    connection.onDone(mail);
    this.#onResult(mail, connection, result, at);
    if (connection.load === 0) this.#onIdle(connection);
    const isAwaited = this.#queue.size > 0 || this.#room !== undefined || this.#empty !== undefined;
    if (isAwaited || this.#looksAtConnections || !connection.alive) this.lookSoon();
  }

  #onResult(mail: Mail, connection: PoolConnection, result: Receipt | Error, at: Date): void {
    const { settings, totals } = this.#shared;
    const { host } = connection;
    const isError = result instanceof SmtpError;
    if (isError || result instanceof Receipt) mail.tries.push(recordTry(at, host.name, result));
    else return this.#fail(mail, result);
    if (!isError || result.outcome === "refused") {
      connection.onAnswer();
      host.worked();
    } else if (!isRefusedByUs(result)) {
      const isFirst = connection.onLoss(result);
      if (isFirst && connection.answered === 0) this.#onFailure(host, result, LOSS_WEIGHT);
      // Those behind the first were only in bad company.
      if (isFirst || result.outcome === "unknown") mail.failures++;
    }
    const again = this.#ended === undefined ? judge(mail, result, settings) : undefined;
    if (again !== undefined) {
      totals.retried++;
      mail.narrow(result, again);
      return this.#wait(mail, again.wait, performance.now());
    }
    mail.finish(result);
    if (isError) totals.failed++;
    else totals.sent++;
  }

  /** A server has failed, unless it works for other connections. */
  #onFailure(host: Host, error: SmtpError, weight: number): boolean {
    const now = performance.now();
    for (const connection of this.#connections) {
      if (connection.host !== host || !connection.alive) continue;
      host.refusedFurther(now);
      return false;
    }
    // Those that failed together count once.
    if (host.notBefore <= now) host.failed(error, now, weight);
    return true;
  }

  #openConnections(now: number): void {
    if (this.#queue.dueAt(now) > now) return;
    for (const host of this.#shared.hosts) {
      const own = this.#countOf(host);
      if (own.ending > 0) return; // it will turn out in this turn what that means for the server
      const isUsed = own.alive > 0;
      if (!isUsed && host.notBefore > now) continue;
      for (let count = this.#wanted(host, own, now); count > 0; count--) void this.#open(host);
      // A better server that is tried keeps nobody from the one that is used, nor for long from the next.
      if (isUsed && !host.onTrial) return;
      if (!isUsed && !this.#isUsedAfter(host) && !this.#isLate(host, now)) return;
    }
  }

  #countOf(host: Host): Counts {
    const counts = { all: 0, alive: 0, opening: 0, ending: 0, expected: 0, capacity: 1, hasRoom: false };
    for (const connection of this.#connections) {
      if (connection.host !== host) continue;
      counts.all++;
      if (connection.expected) counts.expected++;
      if (connection.opening) counts.opening++;
      else if (connection.ending) counts.ending++;
      else if (connection.alive) {
        counts.alive++;
        counts.capacity = connection.capacity;
        counts.hasRoom ||= connection.room > 0;
      }
    }
    return counts;
  }

  /** How many connections to open to a server. */
  #wanted(host: Host, own: Counts, now: number): number {
    const free = this.#shared.settings.maxConnections - own.all;
    // One shows whether the server is there at all, and what it offers; only then the others follow.
    if (own.alive === 0) return own.opening > 0 ? 0 : Math.min(1, free);
    if (host.onTrial || host.furtherNotBefore > now || own.hasRoom) return 0;
    return Math.min(Math.ceil(this.#queue.size / own.capacity) - own.expected, free);
  }

  /** How many connections to a server will soon take mails. */
  #expected(host: Host): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.host === host && connection.expected) count++;
    return count;
  }

  /** Whether a server that is less preferred is in use. */
  #isUsedAfter(host: Host): boolean {
    const { hosts } = this.#shared;
    const index = hosts.indexOf(host);
    return [...this.#connections].some((connection) =>
      connection.alive && hosts.indexOf(connection.host) > index
    );
  }

  #isLate(host: Host, now: number): boolean {
    return [...this.#connections].some((connection) =>
      connection.host === host && connection.opening && now - connection.begunAt >= PATIENCE
    );
  }

  async #open(host: Host): Promise<void> {
    const at = new Date();
    const connection = new PoolConnection(host, this.#shared.settings);
    this.#connections.add(connection);
    try {
      await connection.open();
    } catch (error) {
      this.#connections.delete(connection);
      this.#onUnopened(host, error as Error, at);
      return this.lookSoon();
    }
    host.opened();
    this.#onIdle(connection);
    if (this.#ended !== undefined) this.#retire(connection);
    this.lookSoon();
    await connection.closed;
    this.#onClosed(connection);
  }

  #onUnopened(host: Host, error: Error, at: Date): void {
    if (this.#ended !== undefined) return;
    if (!(error instanceof SmtpError)) {
      // An option makes no sense, and would make none the next time.
      for (const mail of [...this.#queue.waiting()]) this.#giveUp(mail, error);
    } else if (this.#onFailure(host, error, 1)) {
      const failed = recordTry(at, host.name, error);
      for (const mail of this.#queue.waiting()) mail.tries.push(failed);
    }
  }

  async #check(connection: PoolConnection): Promise<void> {
    await connection.check();
    this.#onIdle(connection);
    this.lookSoon();
  }

  /** A connection takes no more mails, and is closed after those that it has. */
  #retire(connection: PoolConnection): void {
    void connection.leave().then(() => this.#remove(connection));
  }

  #onClosed(connection: PoolConnection): void {
    if (connection.leaving) return;
    const { host, answered, lostWith, load, usedAt } = connection;
    if (load > 0) return; // the last of its mails removes it
    this.#remove(connection);
    if (answered > 0 || lostWith !== undefined || performance.now() - usedAt >= UNUSED) return;
    const message = "The server has closed the connection before it was used";
    this.#onFailure(
      host,
      new SmtpError("connection-lost", message, { phase: "mail", temporary: true }),
      LOSS_WEIGHT,
    );
  }

  #remove(connection: PoolConnection): void {
    this.#connections.delete(connection);
    this.lookSoon();
  }

  /** If all servers are given up, nobody waits for them. */
  #giveUpMails(now: number): void {
    const error = this.#whyGivenUp(now);
    if (error === undefined) return;
    for (const mail of [...this.#queue.waiting()]) this.#giveUp(mail, error);
  }

  #whyGivenUp(now: number): PoolError | undefined {
    const { hosts } = this.#shared;
    if ([...this.#connections].some(({ opening, alive }) => opening || alive)) return undefined;
    if (hosts.some((host) => host.givenUpFor === undefined || host.notBefore <= now)) return undefined;
    const error = hosts[0]!.givenUpFor!;
    const retryAt = dateOf(Math.min(...hosts.map(({ notBefore }) => notBefore)), now);
    return PoolError.of(error, {
      message: `${error.message}; the pool tries again at ${retryAt.toISOString()}`,
      retryAt,
      usable: true,
    });
  }

  /**
   * Whether it has to be looked at connections each time: they are closed after the last mail, or when a better server works. Else
   * only their ages count, which {@linkcode Dispatcher.#spareAt} knows.
   */
  get #looksAtConnections(): boolean {
    return !this.#keepsConnections || this.#shared.hosts.length > 1;
  }

  #closeSpare(now: number): void {
    let isBetterUsed = false;
    let spareAt = Infinity;
    for (const host of this.#shared.hosts) {
      let isUsed = false;
      for (const connection of this.#connections) {
        if (connection.host !== host || !connection.alive) continue;
        isUsed ||= !host.onTrial;
        const isDone = !this.#keepsConnections && this.#queue.size === 0;
        if (isBetterUsed || isDone || connection.isSpare(now)) this.#retire(connection);
        else spareAt = Math.min(spareAt, connection.spareAt);
      }
      isBetterUsed ||= isUsed;
    }
    this.#setUpkeep(spareAt, now);
  }

  /** A connection has nothing to do: it was opened, or looked at, or has its last reply. */
  #onIdle(connection: PoolConnection): void {
    const { alive, leaving, load, spareAt } = connection;
    if (!alive && !leaving && load === 0) return this.#remove(connection);
    if (spareAt < this.#spareAt) this.#setUpkeep(spareAt, performance.now());
  }

  /** One that is used meanwhile is spare later, never earlier. */
  #setUpkeep(spareAt: number, now: number): void {
    this.#spareAt = spareAt;
    this.#upkeep.set(spareAt, now);
  }

  #tellWaiting(now: number): void {
    if (this.#room !== undefined && this.#hasRoom(now)) {
      this.#room.resolve();
      this.#room = undefined;
    }
    if (this.#empty !== undefined && this.#isEmpty) {
      this.#empty.resolve();
      this.#empty = undefined;
    }
    if (this.#connections.size > 0) return;
    this.#upkeep.clear();
    this.#gone?.resolve();
  }

  get #isEmpty(): boolean {
    return this.#queue.size === 0 && this.inFlight === 0;
  }

  #hasRoom(now: number): boolean {
    if (this.#ended !== undefined) return true;
    const { settings: { maxQueue }, hosts } = this.#shared;
    // While all servers are on trial, one mail tries them; one that is given up for good fails at once.
    const error = this.#whyGivenUp(now);
    if (error !== undefined) return !error.temporary;
    const limit = hosts.every(({ onTrial }) => onTrial) ? 1 : maxQueue;
    return this.#queue.size - (1 - RESTING_WEIGHT) * this.#queue.atRest < limit;
  }

  #setAlarm(now: number): void {
    let next = Infinity;
    if (this.#queue.size > 0 || this.#room !== undefined) {
      const due = this.#queue.dueAt(now);
      if (due > now) next = due;
      for (const { notBefore, furtherNotBefore } of this.#shared.hosts) {
        if (notBefore > now) next = Math.min(next, notBefore);
        if (furtherNotBefore > now) next = Math.min(next, furtherNotBefore);
      }
      for (const { opening, begunAt } of this.#connections) {
        const late = begunAt + PATIENCE;
        if (opening && late > now) next = Math.min(next, late);
      }
    }
    this.#alarm.set(next, now);
  }

  /** Puts a mail into the queue. */
  #wait(mail: Mail, time: number, now: number): void {
    if (mail.aborted !== undefined) return this.#fail(mail, aborted(mail.aborted.reason));
    mail.watch((reason) => {
      this.#giveUp(mail, aborted(reason));
      this.lookSoon();
    });
    if (time > 0) this.#queue.rest(mail, now + time);
    else this.#queue.push(mail, now);
  }

  /** A mail that is in the queue fails. */
  #giveUp(mail: Mail, error: Error): void {
    this.#queue.forget(mail);
    this.#fail(mail, error);
  }

  #fail(mail: Mail, error: Error): void {
    mail.fail(error);
    this.#shared.totals.failed++;
  }
}

function aborted(cause: unknown): SmtpError {
  return new SmtpError("aborted", "The send was aborted before it began", {
    phase: "mail",
    cause,
    usable: true,
  });
}

/** The session takes no more messages, as was agreed (`MAILMAX`, RFC 9422): nobody is at fault. */
function isRefusedByUs({ code, temporary }: SmtpError): boolean {
  return code === "client-closed" && temporary;
}
