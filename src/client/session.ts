/**
 * The beginning of a session: connection, greeting, EHLO, STARTTLS, AUTH.
 *
 * @module
 */
import { renderCommand } from "../core/command.ts";
import { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import type { Transaction } from "../core/transaction.ts";
import { SmtpError } from "../errors.ts";
import type { Phase } from "../errors.ts";
import { connect } from "../sockets/connect.ts";
import type { Socket, SocketInfo, TlsOptions } from "../sockets/socket.ts";
import type { SessionState, Trace } from "../trace.ts";
import { authenticate } from "./authenticate.ts";
import { Conversation } from "./conversation.ts";
import { toSmtpError } from "./failure.ts";
import { recall, remember } from "./findings.ts";
import type { BrokenExtension } from "./findings.ts";
import { Link } from "./link.ts";
import type { Auth, Settings } from "./options.ts";
import { Pipeline } from "./pipeline.ts";

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
  authenticated = false;
  lastTransaction: Transaction | undefined = undefined;
  transactionOpen = false;
  pipeliningProven = false;
  resetRefusal: Reply | undefined = undefined;
  pipelinesBehindContent = true;
  #established = 0;
  /** Extensions that the server announces and fails at. */
  #broken: BrokenExtension[] = [];
  #closed = false;

  private constructor(settings: Settings, socket: Socket) {
    this.settings = settings;
    this.trace = settings.trace;
    this.link = new Link(socket);
    this.pipeline = new Pipeline(this.link, {
      timeouts: settings.timeouts,
      maxBytesInFlight: settings.maxBytesInFlight,
      trace: settings.trace,
      onFailure: (error) => this.#onFailure(error),
    });
    settings.signal?.addEventListener("abort", this.#onAbort);
  }

  /** Opens a session, as far as the settings ask for. */
  static async open(settings: Settings): Promise<Session> {
    if (settings.signal?.aborted) throw aborted(settings.signal, "connect");
    const session = new Session(settings, openSocket(settings));
    try {
      await session.#establish();
    } catch (error) {
      const failure = toSmtpError(error, "connect");
      session.end(failure);
      // Where the signal or a broken connection ended it, that is the reason, not what followed from it.
      throw session.pipeline.failure ?? failure;
    }
    return session;
  }

  async #establish(): Promise<void> {
    const { settings, link } = this;
    this.state("connecting", describeAddress(settings));
    this.info = await this.#opened(link.opened, "connect");
    this.state("connected", this.info.remoteAddress ?? "");
    if (link.secure) this.state("secured");
    await this.converse(async (conversation) => {
      this.#established = performance.now();
      await this.#greet(conversation);
      await this.#hello(conversation);
      await this.#secure(conversation);
      if (settings.auth !== undefined) await this.login(conversation, settings.auth);
    });
  }

  /** Waits for a socket to open, no longer than is allowed. */
  async #opened(opened: Promise<SocketInfo>, phase: Phase): Promise<SocketInfo> {
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
  async #hello(conversation: Conversation): Promise<void> {
    const domain = this.settings.clientName ?? localName(this.info);
    const verb = this.settings.protocol === "lmtp" ? "LHLO" : "EHLO";
    let reply = await conversation.say(renderCommand({ verb, domain }), "ehlo");
    if (reply.positive) {
      this.extensions = Extensions.parse(reply);
    } else {
      this.extensions = Extensions.none;
      if (verb === "EHLO" && reply.permanent) {
        reply = await conversation.say(renderCommand({ verb: "HELO", domain }), "ehlo");
      }
      if (!reply.positive) throw refused("ehlo", reply, verb);
    }
    // Without PIPELINING nothing may be said before the last reply has come (RFC 2920).
    this.#broken = recall(serverOf(this.settings));
    for (const extension of this.#broken) {
      this.trace?.({ type: "finding", extension, detail: "the server failed at it before" });
    }
    this.pipelinesBehindContent = !this.#broken.includes("PIPELINING behind DATA");
    this.pipeline.maxInFlight = this.pipelining ? this.settings.maxInFlight : 1;
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

  /** STARTTLS, where the settings ask for it or let it be (RFC 3207). */
  async #secure(conversation: Conversation): Promise<void> {
    const { security } = this.settings;
    if (this.link.secure || security === "tls" || security === "none") return;
    const required = security === "starttls";
    if (!this.extensions.startTls) {
      if (!required) return;
      throw new SmtpError("starttls-unavailable", "TLS is required and the server does not offer STARTTLS", {
        phase: "starttls",
      });
    }
    const reply = await conversation.say(renderCommand({ verb: "STARTTLS" }), "starttls");
    if (!reply.positive) {
      if (!required && reply.code !== 421) return;
      throw new SmtpError(
        "starttls-unavailable",
        `TLS is required and the server refuses STARTTLS: ${reply.toString()}`,
        { phase: "starttls", reply },
      );
    }
    await this.#startTls();
    // What was learnt in the clear may have been somebody else's words (RFC 3207, section 4.2).
    this.extensions = Extensions.none;
    await this.#hello(conversation);
  }

  async #startTls(): Promise<void> {
    // A socket that we have opened knows its options for TLS since then.
    const options = this.settings.socket === undefined ? {} : this.settings.tls;
    await this.#opened(this.#upgrade(options), "starttls");
    this.state("secured");
  }

  async #upgrade(options: TlsOptions): Promise<SocketInfo> {
    try {
      return await this.link.startTls(options);
    } catch (cause) {
      // A socket of the caller's that cannot do it. (A SocketError is a TypeError too, and says more.)
      if (!(cause instanceof TypeError) || cause.name === "SocketError") throw cause;
      throw new SmtpError("starttls-unavailable", cause.message, { phase: "starttls", cause });
    }
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

  /** AUTH. Credentials travel under TLS, or where the caller has said "none". */
  async login(conversation: Conversation, auth: Auth): Promise<void> {
    if (!this.link.secure && this.settings.security !== "none") {
      throw new SmtpError(
        "auth-insecure",
        'Cannot log in: the session is not protected by TLS, and security is not "none"',
        { phase: "auth" },
      );
    }
    const mechanism = await authenticate(conversation, this.extensions.auth, auth, this.#addressForSasl());
    this.authenticated = true;
    this.state("authenticated", mechanism);
  }

  /** OAUTHBEARER tells the server what it was called (RFC 7628, section 3.1). */
  #addressForSasl(): { hostname?: string; port?: number } {
    const { address, socket } = this.settings;
    return socket === undefined && "hostname" in address ? address : {};
  }

  /** Holds a conversation once everything that was queued before has ended. */
  converse<T>(body: (conversation: Conversation) => Promise<T>): Promise<T> {
    return new Conversation(this.link, this.pipeline, { trace: this.trace }).hold(body);
  }

  /** Says one command, behind what is in flight. */
  command(line: string, phase: Phase, options: { opensTransaction?: boolean } = {}): Promise<Reply> {
    const conversation = new Conversation(this.link, this.pipeline, { trace: this.trace, exclusive: false });
    return conversation.hold(() => {
      // Only now: a message that goes before it may reset what was open until then.
      if (options.opensTransaction) this.transactionOpen = true;
      return conversation.say(line, phase);
    });
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
    this.state("closed", error.message);
  }

  readonly #onAbort = (): void => this.end(aborted(this.settings.signal!, "command"));
}

function openSocket({ socket, address, security, tls, signal, localAddress, keepAlive }: Settings): Socket {
  if (socket !== undefined) {
    if (security === "tls" && socket.secureTransport !== "on") {
      throw new TypeError(
        `Cannot connect: security is "tls" and the secureTransport of the given socket is "${socket.secureTransport}"`,
      );
    }
    return socket;
  }
  return connect(address, {
    secureTransport: security === "tls" ? "on" : security === "none" ? "off" : "starttls",
    ...(security !== "none" && { tls }),
    ...(signal && { signal }),
    keepAlive,
    ...(localAddress !== undefined && { localAddress }),
  });
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
  return settings.socket === undefined ? describeAddress(settings) : undefined;
}

function describeAddress({ socket, address }: Settings): string {
  if (socket !== undefined) return "a socket of the caller's";
  return "path" in address ? address.path : `${address.hostname}:${address.port}`;
}
