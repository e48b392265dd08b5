/**
 * The beginning of a session: connection, greeting, EHLO, STARTTLS, AUTH.
 *
 * @module
 */
import { renderLine } from "../core/command.ts";
import { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import type { Transaction } from "../core/transaction.ts";
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";
import type { Socket, SocketInfo, TlsOptions } from "../sockets/socket.ts";
import { callback } from "../trace.ts";
import type { SessionState, Trace } from "../trace.ts";
import { Conversation } from "./conversation.ts";
import type { EnvelopeContext } from "./envelope.ts";
import { toSmtpError, unusable } from "./failure.ts";
import { recall, remember } from "./findings.ts";
import type { BrokenExtension } from "./findings.ts";
import { Link } from "./link.ts";
import type { Settings } from "./options.ts";
import { Pipeline } from "./pipeline.ts";
import { badSequence } from "./refusal.ts";

/** What a client calls itself that knows neither its name nor its address. */
const LOCAL_NAME = "localhost";

/** A connection and what both sides have agreed on. */
export class Session {
  readonly settings: Settings;
  readonly link: Link;
  readonly pipeline: Pipeline;
  readonly trace: Trace | undefined;
  extensions: Extensions = Extensions.none;
  greeting: Reply | undefined;
  info: SocketInfo = {};
  /** Whether the server has taken EHLO, HELO or LHLO. */
  greeted = false;
  authenticated = false;
  /** Whether the caller has ended the session. */
  quitting = false;
  /** How many transactions were begun. */
  transactions = 0;
  lastTransaction: Transaction | undefined = undefined;
  transactionOpen = false;
  pipeliningProven = false;
  resetRefusal: Reply | undefined = undefined;
  pipelinesBehindContent = true;
  #established = 0;
  /** Extensions that the server announces and fails at. */
  #broken: BrokenExtension[] = [];
  /** How TLS is spoken, or would be. */
  tls: TlsOptions;
  readonly #over: PromiseWithResolvers<void> = Promise.withResolvers();
  #closed = false;

  private constructor(settings: Settings, socket: Socket, trace: Trace | undefined) {
    this.settings = settings;
    this.tls = settings.tls;
    this.trace = trace;
    this.link = new Link(socket, settings.replyLimits);
    this.pipeline = new Pipeline(this.link, {
      timeouts: settings.timeouts,
      maxBytesInFlight: settings.maxBytesInFlight,
      trace,
      onFailure: (error) => this.#onFailure(error),
    });
    settings.signal?.addEventListener("abort", this.#onAbort);
  }

  /**
   * Opens a session.
   *
   * @param settings Where to and how.
   * @param extent How far: as the settings ask for, or to the greeting.
   * @returns The session.
   */
  static async open(settings: Settings, extent: "whole" | "greeting" = "whole"): Promise<Session> {
    if (settings.signal?.aborted) throw aborted(settings.signal, "connect");
    // Both at once, and the mechanisms of SASL only where one is needed.
    const sockets = import("./open_socket.ts");
    if (settings.auth !== undefined) (await import("./login.ts")).checkAuth(settings.auth);
    const log = settings.logger && (await import("../logger.ts")).loggerTrace(settings.logger);
    const { openSocket } = await sockets;
    if (settings.signal?.aborted) throw aborted(settings.signal, "connect");
    const session = new Session(settings, openSocket(settings), joinTraces(settings.trace, log));
    try {
      await session.#establish(extent);
    } catch (error) {
      const failure = unusable(toSmtpError(error, "connect"));
      session.end(failure);
      // Where the signal or a broken connection ended it, that is the reason, not what followed from it.
      throw session.pipeline.failure ?? failure;
    }
    return session;
  }

  async #establish(extent: "whole" | "greeting"): Promise<void> {
    const { settings, link } = this;
    this.state("connecting", describeAddress(settings));
    this.info = await this.within(link.opened, "connect");
    this.state("connected", this.info.remoteAddress ?? "");
    if (link.secure) this.state("secured");
    await this.converse(async (conversation) => {
      this.#established = performance.now();
      await this.#greet(conversation);
      if (extent === "greeting") return;
      await this.hello(conversation);
      await this.#secure(conversation);
      if (settings.auth !== undefined) {
        await (await import("./login.ts")).login(this, conversation, settings.auth);
      }
    });
  }

  /** Waits for a socket to open, no longer than is allowed. */
  async within(opened: Promise<SocketInfo>, phase: Phase): Promise<SocketInfo> {
    const { connectTimeout, signal } = this.settings;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let onAbort: (() => void) | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(
            new SmtpError("timeout", `No connection within ${connectTimeout} ms`, { phase, temporary: true }),
          ),
        Math.min(connectTimeout, 0x7fff_ffff),
      );
      onAbort = () => reject(aborted(signal!, phase));
      signal?.addEventListener("abort", onAbort);
    });
    try {
      return await Promise.race([opened, limit]);
    } catch (error) {
      throw toSmtpError(error, phase);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort!);
    }
  }

  async #greet(conversation: Conversation): Promise<void> {
    const reply = await conversation.listen("greeting");
    this.greeting = reply;
    if (reply.positive) return;
    if (reply.temporary || reply.permanent) {
      throw new SmtpError("service-unavailable", `The server does not want us: ${reply.toString()}`, {
        phase: "greeting",
        reply,
      });
    }
    throw new SmtpError("protocol-error", `Unexpected greeting: ${reply.code}`, { phase: "greeting", reply });
  }

  /** EHLO, or HELO where the server does not know EHLO (RFC 5321, section 3.2). LMTP has LHLO alone. */
  async hello(conversation: Conversation): Promise<void> {
    const verb = this.settings.protocol === "lmtp" ? "LHLO" : "EHLO";
    let reply = await this.sayHello(conversation, verb);
    if (verb === "EHLO" && reply.permanent) reply = await this.sayHello(conversation, "HELO");
    if (!reply.positive) throw refused("ehlo", reply, verb);
  }

  /**
   * Says EHLO, HELO or LHLO, and takes what the server offers from its reply.
   *
   * @param conversation Where to.
   * @param verb Which.
   * @param domain What the client calls itself. Default: as the settings say.
   * @returns The reply, whatever it is.
   */
  async sayHello(
    conversation: Conversation,
    verb: "EHLO" | "HELO" | "LHLO",
    domain: string = this.settings.clientName ?? localName(this.info),
  ): Promise<Reply> {
    const reply = await conversation.say(renderLine(`${verb} ${domain}`), "ehlo");
    // One that is refused changes nothing (RFC 5321, section 4.1.4).
    if (!reply.positive) return reply;
    this.extensions = verb !== "HELO" ? Extensions.parse(reply) : Extensions.none;
    this.greeted = true;
    // It is a reset, too (RFC 5321, section 4.1.4).
    this.transactionOpen = false;
    // Without PIPELINING nothing may be said before the last reply has come (RFC 2920).
    this.#broken = recall(serverOf(this.settings));
    for (const extension of this.#broken) {
      this.trace?.({ type: "finding", extension, detail: "the server failed at it before" });
    }
    this.pipelinesBehindContent = !this.#broken.includes("PIPELINING behind DATA");
    this.pipeline.maxInFlight = this.pipelining ? this.settings.maxInFlight : 1;
    return reply;
  }

  /** Throws where no message can be sent: not any more, or not yet. */
  mustBeReady(): void {
    this.mustBeUsable();
    if (!this.greeted) throw badSequence("Cannot send: the server was not greeted, say ehlo() first");
    if (this.settings.security === "starttls" && !this.link.secure) {
      throw badSequence('Cannot send: security is "starttls", say startTls() first');
    }
  }

  /** Counts a transaction. The server may have said how many it takes in a session (`MAILMAX`, RFC 9422). */
  admit(): void {
    if (this.exhausted) {
      throw new SmtpError(
        "client-closed",
        `Cannot send: the server takes ${this.transactions} messages in a session`,
        { phase: "mail", temporary: true },
      );
    }
    this.transactions++;
  }

  /** Whether the server takes no more messages in this session. */
  get exhausted(): boolean {
    return this.transactions >= (this.extensions.limits.mailMax ?? Infinity);
  }

  /** Whether the server may hold a transaction open, so that the next has to begin with RSET. */
  get needsReset(): boolean {
    return this.transactionOpen || (this.lastTransaction?.needsReset ?? false);
  }

  /** Whether the connection is new, so that it is not for idleness that a server would close it. */
  get fresh(): boolean {
    return performance.now() - this.#established < 30_000;
  }

  /** The server fails at an extension that it announces. */
  found(extension: BrokenExtension, detail: string): void {
    remember(serverOf(this.settings), extension);
    this.trace?.({ type: "finding", extension, detail });
  }

  /** Whether commands may leave before the replies to those ahead of them came. */
  get pipelining(): boolean {
    return this.extensions.pipelining && !this.#broken.includes("PIPELINING");
  }

  /** STARTTLS, where the settings ask for it or let it be. */
  async #secure(conversation: Conversation): Promise<void> {
    const { settings } = this;
    const { security } = settings;
    if (this.link.secure || security === "tls" || security === "none") return;
    const isRequired = security === "starttls";
    if (!isRequired && !(this.link.canStartTls && this.extensions.startTls)) return;
    const { startTls } = await import("./start_tls.ts");
    try {
      await startTls(this, conversation, settings.tls);
    } catch (error) {
      // A server that refuses is spoken to without; one that hangs up is not.
      const refused = error instanceof SmtpError && error.code === "starttls-unavailable" && error.usable;
      if (isRequired || !refused) throw error;
    }
  }

  /** How binary content travels: with BDAT or not at all (RFC 3030). */
  get binaryTransfer(): "bdat" {
    if (this.settings.transfer !== "data") return "bdat";
    throw new SmtpError("extension-missing", 'Cannot send: body is "binarymime" and transfer is "data"', {
      phase: "data",
      usable: true,
    });
  }

  /** How content travels on this connection. */
  get transfer(): "data" | "bdat" {
    const { transfer } = this.settings;
    const { chunking } = this.extensions;
    if (transfer === "auto") {
      // How many replies a refused BDAT LAST has over LMTP is not the same everywhere; DATA leaves no doubt.
      if (this.settings.protocol === "lmtp") return "data";
      return chunking && this.pipelining && !this.#broken.includes("CHUNKING") ? "bdat" : "data";
    }
    if (transfer === "data" || chunking) return transfer;
    throw new SmtpError(
      "extension-missing",
      'Cannot send: transfer is "bdat" and the server does not offer CHUNKING',
      {
        phase: "data",
        usable: true,
      },
    );
  }

  /** What the commands of an envelope go by. */
  get envelopeContext(): EnvelopeContext {
    const { verify = true } = this.tls;
    return { extensions: this.extensions, protected: this.link.secure && verify };
  }

  /** Throws where nothing can be sent any more. */
  mustBeUsable(): void {
    const { failure } = this.pipeline;
    if (failure === undefined && !this.quitting) return;
    const why = failure === undefined ? "it is saying QUIT" : failure.message;
    throw new SmtpError("client-closed", `Cannot send: the client is closed: ${why}`, {
      phase: "command",
      cause: failure,
      temporary: failure?.temporary,
    });
  }

  /** Holds a conversation once everything that was queued before has ended. */
  converse<T>(body: (conversation: Conversation) => Promise<T>): Promise<T> {
    return new Conversation(this.link, this.pipeline, { trace: this.trace }).hold(body);
  }

  /** Says one command, behind what is in flight. */
  command(
    line: string,
    phase: Phase,
    { transactionOpen }: { transactionOpen?: boolean | undefined } = {},
  ): Promise<Reply> {
    const conversation = new Conversation(this.link, this.pipeline, { trace: this.trace, exclusive: false });
    return conversation.hold(() => {
      // Only now: a message that goes before it may reset what was open until then.
      if (transactionOpen !== undefined) this.transactionOpen = transactionOpen;
      return conversation.say(line, phase);
    });
  }

  /** Resolves when the session is over. */
  get closed(): Promise<void> {
    return this.#over.promise;
  }

  /** Tells the trace of a new state. */
  state(state: SessionState, detail = ""): void {
    this.trace?.({ type: "state", state, detail });
  }

  /** Ends the session at once. What has no outcome yet fails with the reason. */
  end(reason: SmtpError): void {
    this.pipeline.fail(reason);
  }

  #onFailure(error: SmtpError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.settings.signal?.removeEventListener("abort", this.#onAbort);
    const failed = error.code === "client-closed" ? {} : { failed: true } as const;
    this.trace?.({ type: "state", state: "closed", detail: error.message, ...failed });
    this.#over.resolve();
  }

  readonly #onAbort = (): void => this.end(aborted(this.settings.signal!, "command"));
}

/** All who want to see what happens. What they throw is theirs. */
function joinTraces(...traces: (Trace | undefined)[]): Trace | undefined {
  const wanted = traces.filter((trace) => trace !== undefined);
  if (wanted.length === 0) return undefined;
  return (event) => {
    for (const trace of wanted) callback(trace, event);
  };
}

function aborted(signal: AbortSignal, phase: Phase): SmtpError {
  return new SmtpError("aborted", "The session was aborted", { phase, cause: signal.reason });
}

function refused(phase: Phase, reply: Reply, command: string): SmtpError {
  if (!reply.temporary && !reply.permanent) {
    return new SmtpError("protocol-error", `Unexpected reply to ${command}: ${reply.code}`, { phase, reply });
  }
  return new SmtpError("command-refused", `The server refuses ${command}: ${reply.toString()}`, {
    phase,
    reply,
    command,
  });
}

/** A client without a name gives its address (RFC 5321, section 4.1.4). */
function localName({ localAddress }: SocketInfo): string {
  if (localAddress === undefined) return LOCAL_NAME;
  const ipv6 = localAddress.startsWith("[") ? localAddress.slice(1, localAddress.indexOf("]")) : undefined;
  if (ipv6 !== undefined) return `[IPv6:${ipv6.split("%")[0]}]`;
  const ipv4 = localAddress.slice(0, localAddress.lastIndexOf(":"));
  return ipv4.split(".").length === 4 ? `[${ipv4}]` : LOCAL_NAME;
}

/** What findings are kept under. */
function serverOf(settings: Settings): string | undefined {
  return settings.address && describeAddress(settings);
}

function describeAddress({ address }: Settings): string {
  if (address === undefined) return "a socket of the caller's";
  return "path" in address ? address.path : `${address.hostname}:${address.port}`;
}
