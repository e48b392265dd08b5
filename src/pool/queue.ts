/**
 * The mails that wait, and which of them goes next: by priority, by the order of the calls, and as the rates allow.
 *
 * Mails that need a token of a domain wait in a lane for each domain, so that a slow domain holds up nobody else. One to several
 * domains goes through one lane after the other and takes a token in each, so that it never waits for two at once. Lanes are
 * looked at only when a connection has room: tokens are not taken for mails that cannot go.
 *
 * ```
 * push() ──> lane of its next domain ──(token)──> … ──(rate of the pool)──> take()
 * rest() ──> until it is due ──> as push()
 * ```
 *
 * @module
 */
import { Heap } from "./heap.ts";
import type { Mail } from "./mail.ts";
import type { QueuePriority } from "./options.ts";
import type { Rates } from "./rate.ts";

/** In the order in which they go. */
const PRIORITIES: readonly QueuePriority[] = ["high", "normal", "low"];

/** One in so many mails is of a lower priority, so that none waits for ever. */
const SHARE_OF_LOWER = 8;

/** The mails of one priority that wait for a token of the same domain. */
interface Lane {
  readonly domain: string;
  readonly level: Level;
  /** By the order of the calls. */
  readonly mails: Heap<Mail>;
  /** Whether it waits for a token. */
  closed: boolean;
}

/** The mails of one priority. */
interface Level {
  /** Those that need no token, or have them all, by the order of the calls. */
  readonly free: Heap<Mail>;
  readonly lanes: Map<string, Lane>;
  /**
   * The lanes that are not closed, by their first mails. A lane is here again for each new first mail; an entry for a mail that
   * is no longer the first counts for nothing.
   */
  readonly open: Heap<Lane>;
}

/** The mails that wait. Times are milliseconds on the clock of `performance.now()`. */
export class MailQueue {
  readonly #rates: Rates;
  readonly #levels: readonly Level[] = PRIORITIES.map(() => ({
    free: new Heap(),
    lanes: new Map(),
    open: new Heap(),
  }));
  /** Lanes that wait for a token, by when they get it. */
  readonly #closed: Heap<Lane> = new Heap();
  /** Mails that were tried and have to wait, by when they are tried again. */
  readonly #resting: Heap<Mail> = new Heap();
  readonly #atRest: Set<Mail> = new Set();
  #size = 0;
  #taken = 0;

  /** @param rates What limits the mails. Several queues may share it. */
  constructor(rates: Rates) {
    this.#rates = rates;
  }

  /** How many mails wait. */
  get size(): number {
    return this.#size;
  }

  /** How many of them were tried and have to wait. */
  get atRest(): number {
    return this.#atRest.size;
  }

  /** Adds a mail. One that was tried before goes ahead of those that came later. */
  push(mail: Mail, now: number): void {
    this.#enter(mail, now);
    this.#size++;
  }

  /** Adds a mail that has to wait. */
  rest(mail: Mail, until: number): void {
    this.#size++;
    this.#atRest.add(mail);
    this.#resting.push(mail, until);
  }

  /** A mail that waits here is settled. It counts no longer, and is taken out when its turn comes. */
  forget(mail: Mail): void {
    this.#size--;
    this.#atRest.delete(mail);
  }

  /**
   * Takes the next mail that may go now.
   *
   * @param now The time.
   * @returns The mail; `undefined` if none may go.
   */
  take(now: number): Mail | undefined {
    if (this.#rates.all.opensAt > now) return undefined;
    this.#wake(now);
    for (const level of this.#order()) {
      const mail = this.#takeFrom(level, now);
      if (mail === undefined) continue;
      this.#rates.all.take(now);
      this.#size--;
      this.#taken++;
      return mail;
    }
    return undefined;
  }

  /**
   * When the next mail may go.
   *
   * @param now The time.
   * @returns The time, not later than now if one may go now; `Infinity` if none waits.
   */
  dueAt(now: number): number {
    this.#wake(now);
    const isOpen = this.#levels.some((level) =>
      firstOf(level.free) !== undefined || this.#firstLane(level, now) !== undefined
    );
    const due = isOpen ? now : Math.min(this.#closed.lowest, this.#resting.lowest);
    return Math.max(due, this.#rates.all.opensAt);
  }

  /** The mails that wait for a connection or for their rate. */
  *waiting(): IterableIterator<Mail> {
    for (const { free, lanes } of this.#levels) {
      yield* unsettled(free);
      for (const { mails } of lanes.values()) yield* unsettled(mails);
    }
  }

  /** The mails that are tried again later. */
  resting(): Iterable<Mail> {
    return this.#atRest;
  }

  /** What has waited long enough waits no longer. */
  #wake(now: number): void {
    while (this.#resting.lowest <= now) {
      const mail = this.#resting.pop()!;
      if (this.#atRest.delete(mail)) this.#enter(mail, now);
    }
    while (this.#closed.lowest <= now) {
      const lane = this.#closed.pop()!;
      lane.closed = false;
      this.#announce(lane);
    }
  }

  /** In which order the priorities have their turn. */
  #order(): readonly Level[] {
    const [high, normal, low] = this.#levels as [Level, Level, Level];
    const turn = this.#taken + 1;
    if (turn % SHARE_OF_LOWER !== 0) return this.#levels;
    return turn % SHARE_OF_LOWER ** 2 === 0 ? [low, normal, high] : [normal, low, high];
  }

  #takeFrom(level: Level, now: number): Mail | undefined {
    for (;;) {
      const first = firstOf(level.free);
      const lane = this.#firstLane(level, now);
      if (lane === undefined || (first !== undefined && first.order < lane.mails.lowest)) {
        return level.free.pop();
      }
      const mail = this.#shift(lane);
      this.#rates.of(lane.domain, now)?.take(now);
      mail.domains.shift();
      if (mail.domains.length === 0) return mail;
      this.#add(mail);
    }
  }

  /** The open lane whose first mail came first. */
  #firstLane({ open }: Level, now: number): Lane | undefined {
    for (;;) {
      const lane = open.peek();
      if (lane === undefined) return undefined;
      if (lane.closed || lane.mails.lowest !== open.lowest) open.pop();
      else if (lane.mails.peek()!.settled) this.#shift(lane);
      else {
        const opensAt = this.#rates.of(lane.domain, now)?.opensAt ?? now;
        if (opensAt <= now) return lane;
        lane.closed = true;
        this.#closed.push(lane, opensAt);
      }
    }
  }

  #enter(mail: Mail, now: number): void {
    if (this.#rates.byDomain) {
      mail.domains = mail.domainsOfRecipients().filter((domain) => this.#rates.of(domain, now) !== undefined);
    }
    this.#add(mail);
  }

  #add(mail: Mail): void {
    const level = this.#levels[PRIORITIES.indexOf(mail.priority)]!;
    const [domain] = mail.domains;
    if (domain === undefined) return level.free.push(mail, mail.order);
    let lane = level.lanes.get(domain);
    if (lane === undefined) {
      lane = { domain, level, mails: new Heap(), closed: false };
      level.lanes.set(domain, lane);
    }
    const isFirst = mail.order < lane.mails.lowest;
    lane.mails.push(mail, mail.order);
    if (isFirst && !lane.closed) this.#announce(lane);
  }

  #shift(lane: Lane): Mail {
    const mail = lane.mails.pop()!;
    this.#announce(lane);
    return mail;
  }

  /** A lane has another first mail, or is open again. */
  #announce(lane: Lane): void {
    const { level, domain, mails } = lane;
    if (mails.size > 0) level.open.push(lane, mails.lowest);
    else level.lanes.delete(domain);
  }
}

/** The first mail that was not settled meanwhile; those before it leave. */
function firstOf(mails: Heap<Mail>): Mail | undefined {
  while (mails.peek()?.settled) mails.pop();
  return mails.peek();
}

function* unsettled(mails: Iterable<Mail>): IterableIterator<Mail> {
  for (const mail of mails) if (!mail.settled) yield mail;
}
