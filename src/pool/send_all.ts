/**
 * Many mails from a source, with their results as they come.
 *
 * @module
 */
import type { Message } from "../client/content.ts";
import type { Envelope } from "../client/envelope.ts";
import type { PoolSendOptions } from "./options.ts";
import type { PoolReceipt } from "./results.ts";

/** A mail for `sendAll()`. It may have more properties, such as the row that it was made of: the result has the mail itself. */
export interface PoolMail {
  /** Who it is from and who it is for. */
  envelope: Envelope;
  /** The message itself. */
  message: Message;
  /** How to send it. */
  options?: PoolSendOptions;
}

/** What has become of a mail of `sendAll()`: it has either a `receipt` or an `error`. */
export type PoolResult<M extends PoolMail = PoolMail> =
  & {
    /** The mail, as the source gave it. */
    readonly mail: M;
    /** Its place in the source, from 0: results come in the order in which they are known. */
    readonly index: number;
  }
  & (
    | {
      /** What the server said, if it has taken the mail for somebody. */
      readonly receipt: PoolReceipt;
      /** Nothing. */
      readonly error?: undefined;
    }
    | {
      /** Nothing. */
      readonly receipt?: undefined;
      /** Why the mail was not sent: a `PoolError`, or a `TypeError` if its arguments make no sense. */
      readonly error: Error;
    }
  );

/** What it takes to send: a pool, or a part of it. */
export interface SendAllTarget<M extends PoolMail> {
  /** Sends a mail. The signal gives it up if it is not on its way yet. */
  send(mail: M, withdrawal: AbortSignal): Promise<PoolReceipt>;
  /** Resolves when the next mail may be taken from the source; rejects if there is no sense in it. */
  ready(): Promise<void>;
  /** How many results may wait to be taken. */
  readonly maxResults: number;
}

/**
 * Sends what a source gives. It takes no more from the source than there is room for, and none while results wait to be taken.
 *
 * @param source The mails.
 * @param target What sends them.
 * @returns The results, in the order in which they are known. Whoever leaves the loop early gives up the mails that wait.
 */
export async function* sendEach<M extends PoolMail>(
  source: AsyncIterable<M> | Iterable<M>,
  { send, ready, maxResults }: SendAllTarget<M>,
): AsyncGenerator<PoolResult<M>, void, undefined> {
  const results: PoolResult<M>[] = [];
  const under = new Set<Promise<void>>();
  const stop = new AbortController();
  let change = Promise.withResolvers<void>();
  const changed = () => {
    change.resolve();
    change = Promise.withResolvers();
  };
  let taken = Promise.withResolvers<void>();
  let isPulling = true;
  let failure: { reason: unknown } | undefined;

  const sendOne = async (mail: M, index: number): Promise<void> => {
    try {
      results.push({ mail, index, receipt: await send(mail, stop.signal) });
    } catch (error) {
      results.push({ mail, index, error: error as Error });
    }
    changed();
  };
  const pull = async (): Promise<void> => {
    const iterator = Symbol.asyncIterator in source
      ? source[Symbol.asyncIterator]()
      : source[Symbol.iterator]();
    try {
      for (let index = 0;; index++) {
        while (results.length >= maxResults && !stop.signal.aborted) await taken.promise;
        await ready();
        if (stop.signal.aborted) break;
        const { value, done } = await iterator.next();
        if (done) return;
        const sent = sendOne(value, index);
        under.add(sent);
        void sent.then(() => under.delete(sent));
      }
    } catch (error) {
      failure = { reason: error };
    }
    await iterator.return?.();
  };

  // What the source says when it is closed changes nothing.
  void pull().catch(() => {}).then(() => {
    isPulling = false;
    changed();
  });
  try {
    while (isPulling || under.size > 0 || results.length > 0) {
      const next = results.shift();
      if (next === undefined) {
        await change.promise;
        continue;
      }
      taken.resolve();
      taken = Promise.withResolvers();
      yield next;
    }
    if (failure !== undefined) throw failure.reason;
  } finally {
    stop.abort(new DOMException("The results are no longer wanted", "AbortError"));
    taken.resolve();
    await Promise.all(under);
  }
}
