/**
 * The highest level: many sessions with one server or several.
 *
 * @module
 */
import { mustExist } from "../core/option_names.ts";
import { SmtpError } from "../errors.ts";
import { isWorkers } from "../sockets/runtime.ts";
import { SmtpClient } from "../client/client.ts";
import type { Verification } from "../client/client.ts";
import { discardMessage } from "../client/content.ts";
import type { Message } from "../client/content.ts";
import { checkEnvelopeNames } from "../client/envelope.ts";
import type { Envelope } from "../client/envelope.ts";
import { leadToCaller } from "../client/failure.ts";
import { mustHaveMessage } from "../client/send.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Shared } from "./dispatcher.ts";
import { Host } from "./hosts.ts";
import type { HostStats } from "./hosts.ts";
import { Mail } from "./mail.ts";
import { NO_OPTIONS, readPoolOptions, readSendOptions } from "./options.ts";
import type { PoolSendOptions, SmtpPoolOptions } from "./options.ts";
import { Rates } from "./rate.ts";
import { PoolError } from "./results.ts";
import type { PoolReceipt } from "./results.ts";
import { sendEach } from "./send_all.ts";
import type { PoolMail, PoolResult } from "./send_all.ts";

/** What a pool is doing, and what it has done so far. */
export interface PoolStats {
  /** How many connections are open, how many of them have nothing to do, and how many are being opened. */
  readonly connections: { readonly open: number; readonly idle: number; readonly opening: number };
  /** How many mails wait, those that wait to be tried again included. */
  readonly queued: number;
  /** How many mails were handed to a connection and have no answer yet. */
  readonly inFlight: number;
  /** How many mails a server has taken, for at least one recipient. */
  readonly sent: number;
  /** How many mails have failed. */
  readonly failed: number;
  /** How often a mail was tried again. */
  readonly retried: number;
  /** The servers, by preference. */
  readonly hosts: readonly HostStats[];
}

/**
 * Sends mails over as many connections as they need, to one server or several: the object to keep in a module and forget.
 *
 * `send()` is that of the client. The pool opens connections when mails need them, and closes them when they have nothing to do; it
 * sends what was certainly not sent over another connection; and it leaves a server alone that fails. It opens nothing before the
 * first `send()`, and keeps no process running that has nothing else to do.
 *
 * On Cloudflare Workers, where a connection belongs to the request that has opened it, the calls of `send()` of one turn share
 * connections, those of a `sendAll()` do, and no others. What the pool knows about its servers, its rates and its access token are
 * the same for all.
 *
 * @example In a module
 * ```ts
 * import { SmtpPool } from "@streams/smtp";
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" });
 * const { hostname, port } = await server.listening;
 *
 * await using pool = new SmtpPool({ hostname, port, maxConnections: 2 });
 * const receipt = await pool.send(
 *   { from: "me@example.com", to: "you@example.org" },
 *   "Subject: Hi\r\n\r\nHello",
 * );
 * console.log(receipt.accepted, receipt.tries.length);
 * ```
 */
export class SmtpPool implements AsyncDisposable {
  readonly #shared: Shared;
  readonly #dispatchers: Set<Dispatcher> = new Set();
  /** The one that gets the next mail; on Workers only until the end of the turn. */
  #dispatcher: Dispatcher | undefined;
  #order = 0;
  /** Why nothing more is sent. */
  #ended: PoolError | undefined;
  readonly #signal: AbortSignal | undefined;

  /**
   * Makes a pool. Nothing is opened.
   *
   * @param options Where to and how: those of a client, and how many connections there may be, how long they live, how fast it
   * sends, and what it does after a failure.
   * @throws {TypeError | RangeError} If an option makes no sense. The credentials are checked when the first connection opens, as
   * those of a client are.
   */
  constructor(options: SmtpPoolOptions = {}) {
    const settings = readPoolOptions(options);
    this.#shared = {
      settings,
      hosts: settings.hosts.map((host) => new Host(host, settings.retry)),
      rates: new Rates(settings.rateLimit, settings.domainRateLimit),
      totals: { sent: 0, failed: 0, retried: 0 },
    };
    this.#signal = settings.signal;
    if (this.#signal?.aborted) this.#onAbort();
    else this.#signal?.addEventListener("abort", this.#onAbort);
  }

  /**
   * Resolves when the queue has room for another mail: at once, unless `maxQueue` mails wait or no server can be used for now. A
   * call of `send()` need not wait for it, but nobody has to hold more mails in memory than that.
   */
  get ready(): Promise<void> {
    return this.#current.ready;
  }

  /**
   * Sends a message: over a connection that is open or opened for it, at once or when its turn comes. What was certainly not sent
   * for a reason that will pass is tried again, as the options say.
   *
   * Bytes of up to 64 KiB are copied at once. More must stay as they are until the promise has settled, and nothing else is read or
   * opened before its turn.
   *
   * @param envelope Who it is from and who it is for.
   * @param message The message itself. A stream belongs to the call; it can be tried again only as long as nothing was read from
   * it. A function that opens a stream can always be.
   * @param options How.
   * @returns What the server said, with every try.
   * @throws {PoolError} If no server has taken it; `outcome` says what became of the message, and `tries` lists every try.
   * @throws {TypeError} If an argument has an option that does not exist.
   */
  async send(
    envelope: Envelope,
    message: Message,
    options: PoolSendOptions = NO_OPTIONS,
  ): Promise<PoolReceipt> {
    try {
      return await this.#send(this.#current, envelope, message, options);
    } catch (error) {
      throw leadToCaller(error);
    }
  }

  /**
   * Sends all mails of a source, and yields what became of each as soon as it is known. It takes a mail from the source only if
   * there is room for it, and none while results wait to be taken, so that memory stays flat however many there are.
   *
   * While no server can be used for a reason that will pass, it waits. If the reason will not pass, such as a refused login, it takes
   * no more from the source, and rejects after the last result.
   *
   * Whoever leaves the loop early gives up the mails that wait; those on their way are waited for.
   *
   * @example A report
   * ```ts
   * import { SmtpPool } from "@streams/smtp";
   * import { serve } from "@streams/smtp/server";
   *
   * await using server = serve({ serverName: "mx.example.org" });
   * const { hostname, port } = await server.listening;
   *
   * async function* mails() {
   *   for (const to of ["you@example.org", "her@example.org"]) {
   *     yield { envelope: { from: "me@example.com", to }, message: `To: ${to}\r\nSubject: News\r\n\r\nHello` };
   *   }
   * }
   * await using pool = new SmtpPool({ hostname, port });
   * for await (const { mail, receipt, error } of pool.sendAll(mails())) {
   *   console.log(mail.envelope.to, receipt?.reply.text ?? error?.message);
   * }
   * ```
   *
   * @param source The mails, such as those of `compose()`. A mail may have more properties: the result has the mail itself.
   * @returns The results, in the order in which they are known.
   * @throws {PoolError} If no server can be used, for a reason that will not pass.
   */
  async *sendAll<M extends PoolMail>(
    source: AsyncIterable<M> | Iterable<M>,
  ): AsyncGenerator<PoolResult<M>, void, undefined> {
    const dispatcher = isWorkers() ? this.#newDispatcher(true) : this.#current;
    try {
      yield* sendEach(source, {
        send: async ({ envelope, message, options = NO_OPTIONS }, withdrawal) =>
          await this.#send(dispatcher, envelope, message, options, withdrawal),
        ready: () => dispatcher.readyToPull(),
        maxResults: this.#shared.settings.maxQueue,
      });
    } finally {
      if (dispatcher !== this.#dispatcher) await this.#endOne(dispatcher, closed());
    }
  }

  /** What the pool is doing, and what it has done so far. */
  stats(): PoolStats {
    const now = performance.now();
    const { hosts, totals } = this.#shared;
    const connections = { open: 0, idle: 0, opening: 0 };
    let queued = 0;
    let inFlight = 0;
    for (const dispatcher of this.#dispatchers) {
      queued += dispatcher.queued;
      inFlight += dispatcher.inFlight;
      for (const { opening, alive, idle } of dispatcher.connections) {
        if (opening) connections.opening++;
        if (alive) connections.open++;
        if (idle) connections.idle++;
      }
    }
    return { connections, queued, inFlight, ...totals, hosts: hosts.map((host) => host.stats(now)) };
  }

  /**
   * Waits until no mail waits or is on its way. The pool goes on, and takes more mails meanwhile.
   *
   * @returns Resolves when every `send()` so far has ended. Never rejects.
   */
  async drain(): Promise<void> {
    await Promise.all([...this.#dispatchers].map((dispatcher) => dispatcher.drain()));
  }

  /**
   * Checks that a server can be reached, that TLS works as the options ask for it, and that the server accepts the login, as
   * {@linkcode SmtpClient.verify} does, over a connection of its own. Servers are tried by preference; what is found out about
   * them counts for the pool.
   *
   * @returns What was found at the first server that can be used.
   * @throws {PoolError} If none can be: why the first one cannot.
   */
  async verify(): Promise<Verification> {
    if (this.#ended !== undefined) throw leadToCaller(PoolError.of(this.#ended, {}));
    const { hosts } = this.#shared;
    let first: SmtpError | undefined;
    for (const host of hosts) {
      try {
        const verification = await SmtpClient.verify({
          ...host.client,
          ...(this.#signal !== undefined && { signal: this.#signal }),
        });
        host.worked();
        for (const dispatcher of this.#dispatchers) dispatcher.lookSoon();
        return verification;
      } catch (error) {
        if (!(error instanceof SmtpError)) throw error;
        if (error.code !== "aborted") host.failed(error, performance.now());
        first ??= error;
      }
    }
    throw leadToCaller(PoolError.of(first!, {}));
  }

  /**
   * Ends the pool: it takes no more mails, those that wait fail with the code `"client-closed"` and were not sent, those on their
   * way get their answers, and every connection is closed as RFC 5321 asks. To send all that waits before, call `drain()`.
   *
   * @param options `force`: whether connections are cut, and mails on their way fail, with the outcome that is true for each.
   * Default: `false`.
   * @returns Resolves when the last connection is closed. Never rejects.
   */
  async close(options: { force?: boolean } = {}): Promise<void> {
    mustExist("close the pool", options, { force: true });
    this.#ended ??= closed();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    await Promise.all([...this.#dispatchers].map((dispatcher) => {
      if (options.force) dispatcher.abort(this.#ended!);
      return this.#endOne(dispatcher, this.#ended!);
    }));
  }

  /** Sends all that waits, and ends the pool. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    await this.close();
  }

  #send(
    dispatcher: Dispatcher,
    envelope: Envelope,
    message: Message,
    options: PoolSendOptions,
    withdrawal?: AbortSignal,
  ): Promise<PoolReceipt> {
    const mail = this.#read(envelope, message, options, withdrawal);
    dispatcher.add(mail);
    return mail.result;
  }

  /** Everything that can be wrong whatever the server offers is found here. */
  #read(
    envelope: Envelope,
    message: Message,
    options: PoolSendOptions,
    withdrawal: AbortSignal | undefined,
  ): Mail {
    try {
      mustHaveMessage(envelope, message);
      checkEnvelopeNames(envelope);
      const { priority, client } = readSendOptions(options);
      return new Mail(this.#order++, priority, envelope, message, client, withdrawal);
    } catch (error) {
      discardMessage(message, error);
      throw error;
    }
  }

  get #current(): Dispatcher {
    if (this.#dispatcher !== undefined) return this.#dispatcher;
    if (!isWorkers()) return this.#dispatcher = this.#newDispatcher(true);
    // Whatever is called before this turn ends belongs to the same request.
    const dispatcher = this.#dispatcher = this.#newDispatcher(false);
    queueMicrotask(() => {
      this.#dispatcher = undefined;
      void dispatcher.drain().then(() => this.#endOne(dispatcher, closed()));
    });
    return dispatcher;
  }

  #newDispatcher(keepsConnections: boolean): Dispatcher {
    const dispatcher = new Dispatcher(this.#shared, keepsConnections);
    if (this.#ended !== undefined) void dispatcher.end(this.#ended);
    this.#dispatchers.add(dispatcher);
    return dispatcher;
  }

  async #endOne(dispatcher: Dispatcher, reason: PoolError): Promise<void> {
    await dispatcher.end(reason);
    this.#dispatchers.delete(dispatcher);
  }

  readonly #onAbort = (): void => {
    const init = { phase: "command", cause: this.#signal!.reason } as const;
    this.#ended ??= new PoolError("aborted", "The pool was aborted", init);
    for (const dispatcher of this.#dispatchers) dispatcher.abort(this.#ended);
  };
}

function closed(): PoolError {
  return new PoolError("client-closed", "The pool was closed", { phase: "command" });
}
