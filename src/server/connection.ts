/**
 * One client's connection: the session's state machine, driven over a socket.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { Deadline } from "../sockets/deadline.ts";
import { type Socket, SocketError, type SocketErrorCode, type TlsInfo } from "../sockets/socket.ts";
import { AuthAttempt } from "./auth.ts";
import { readClientCertificate } from "./client_certificate.ts";
import type { ContentEvent } from "./content_reader.ts";
import { report } from "./error_log.ts";
import { HandlerCaller, type MaybePromise } from "./handler_caller.ts";
import type { AuthCredentials, ServerHandlers } from "./handlers.ts";
import { ContentTime } from "./content_time.ts";
import { MessageContent } from "./message_content.ts";
import type { SessionSettings } from "./options.ts";
import * as replies from "./replies.ts";
import { type SessionEvent, SessionMachine } from "./session_machine.ts";
import { SessionView } from "./session_view.ts";
import { Transport } from "./transport.ts";

/** The errors of a client that goes away without a word. */
const EVERYDAY: ReadonlySet<SocketErrorCode> = new Set([
  "connection-reset",
  "timed-out",
  "closed",
  "aborted",
  "network",
]);

/** How long a client has to read its last reply before it is cut, in milliseconds. */
const LAST_WORD = 100;

/** How long a TLS handshake may still take when the server shuts down, in milliseconds. */
const LAST_HANDSHAKE = 100;

/** Serves one connection. */
export class ServerConnection {
  readonly #settings: SessionSettings;
  readonly #handlers: ServerHandlers;
  readonly #machine: SessionMachine;
  readonly #session: SessionView;
  readonly #caller: HandlerCaller;
  readonly #transport: Transport;
  readonly #deadline: Deadline = new Deadline(() => this.#onTimeout());
  #stopping = false;
  /** Cuts a client that was told so. */
  #lastWord: ReturnType<typeof setTimeout> | undefined;
  /** Whether the TLS handshake is under way, in which nobody can be told anything. */
  #handshaking: boolean;
  #auth: AuthAttempt | undefined;
  /** How many of the client's lines have ended when the time for a command began. */
  #lines = 0;
  #contentTime: ContentTime | undefined;
  /** Whether a handler works and nobody reads: only then is there something to watch for. */
  #working = false;
  #watching = false;
  /** Ends the session without the handlers that still work. */
  readonly #abandoned = Promise.withResolvers<void>();

  /**
   * @param socket The connection, open or about to be.
   * @param settings How to serve.
   * @param handlers The handlers.
   */
  constructor(socket: Socket, settings: SessionSettings, handlers: ServerHandlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#machine = new SessionMachine(settings, socket.secureTransport);
    this.#transport = new Transport(socket);
    this.#handshaking = socket.secureTransport === "on";
    this.#session = new SessionView(this.#machine.session, () => void this.#watch());
    this.#caller = new HandlerCaller((error) => report(settings.onError, error, this.#session));
  }

  /**
   * Serves the connection to its end, and that of its handlers, unless it is {@linkcode cut}. Never rejects: errors are
   * reported.
   */
  run(): Promise<void> {
    return Promise.race([this.#run(), this.#abandoned.promise]);
  }

  async #run(): Promise<void> {
    try {
      this.#deadline.start(this.#settings.timeouts.tls);
      const info = await this.#transport.opened;
      this.#handshaking = false;
      this.#deadline.renew();
      this.#session.remoteAddress = info.remoteAddress;
      this.#session.localAddress = info.localAddress;
      await this.#onTls(info.tls);
      try {
        await this.#serve();
      } finally {
        this.#machine.close();
        this.#session.abort(new SocketError("closed", "The session is over"));
        await this.#notify("close");
      }
      this.#deadline.stop();
      await this.#transport.finish();
    } catch (error) {
      this.#reportUnusual(error);
    } finally {
      this.#handshaking = false; // it may have failed: nothing is left to be cut
      this.#deadline.stop();
      await this.#transport.cut();
      clearTimeout(this.#lastWord);
    }
  }

  /**
   * Ends the session with 421: at once if no transaction is open, else after it. A TLS handshake is cut if it does not end
   * soon.
   */
  shutdown(): void {
    this.#stopping = true;
    this.#transport.hurry();
    if (this.#handshaking) {
      this.#deadline.renew();
      this.#deadline.start(this.#tlsLimit());
    } else if (this.#transport.reading && !this.#inTransaction()) {
      this.#interrupt(replies.SHUTTING_DOWN);
    }
  }

  /**
   * Closes the connection, whatever is under way. A client that the session is waiting for, even within a message, gets a
   * 421 first (RFC 5321, section 3.8), and a moment to read it. A moment later the session has ended, even for a handler that
   * never returns.
   */
  cut(): void {
    if (this.#transport.reading) this.#interrupt(replies.SHUTTING_DOWN);
    const told = this.#machine.closed;
    this.#machine.close();
    const reason = new SocketError("closed", "The server was shut down");
    this.#session.abort(reason);
    const cut = () => this.#transport.cut(reason);
    if (!told) void cut();
    this.#lastWord = setTimeout(() => void cut().then(this.#abandoned.resolve), LAST_WORD);
  }

  #tlsLimit(): number {
    const { tls } = this.#settings.timeouts;
    return this.#stopping ? Math.min(tls, LAST_HANDSHAKE) : tls;
  }

  #inTransaction(): boolean {
    return this.#machine.session.envelope !== undefined;
  }

  async #serve(): Promise<void> {
    const machine = this.#machine;
    for (;;) {
      const event = machine.next();
      // A line in pieces has the time of one command; so a client that drips is cut as well as one that is silent.
      if (event !== undefined || machine.lines !== this.#lines) this.#deadline.renew();
      this.#lines = machine.lines;
      if (event === undefined) {
        if (this.#stopping && !this.#inTransaction()) machine.close(replies.SHUTTING_DOWN);
        else if (!await this.#receive(this.#settings.timeouts.command)) machine.close();
        continue;
      }
      if (event.kind === "close") break;
      const done = this.#handle(event);
      if (done !== undefined) await done;
    }
    await this.#flush();
  }

  /** Sends the output, then waits for bytes. Returns how many have arrived. The time goes on until it is renewed. */
  async #receive(timeout: number): Promise<number> {
    this.#deadline.start(timeout);
    const bytes = this.#machine.takeOutput();
    if (bytes !== undefined) {
      const blocked = this.#transport.write(bytes);
      if (blocked !== undefined) await blocked;
    }
    const chunk = await this.#transport.read();
    if (chunk === undefined) return 0;
    this.#machine.receive(chunk);
    return chunk.length;
  }

  async #flush(): Promise<void> {
    const bytes = this.#machine.takeOutput();
    if (bytes === undefined) return;
    this.#deadline.start(this.#settings.timeouts.command);
    await this.#transport.write(bytes);
    await this.#transport.written();
    this.#deadline.renew();
  }

  #onTimeout(): void {
    if (this.#transport.reading) this.#interrupt(replies.TIMED_OUT);
    else void this.#transport.cut(new SocketError("timed-out", "The client took too long"));
  }

  /** Ends a session that waits for its client: the loop sees an end, and sends the reply. */
  #interrupt(reply: Reply): void {
    this.#machine.close(reply);
    this.#transport.stopReading();
  }

  #handle(event: SessionEvent): MaybePromise<void> | undefined {
    const { mail, rcpt, greet } = this.#handlers;
    const session = this.#session;
    switch (event.kind) {
      case "mail":
        return this.#answer(mail && (() => this.#handlers.mail!(event.sender, session)));
      case "rcpt":
        return this.#answer(rcpt && (() => this.#handlers.rcpt!(event.recipient, session)));
      case "content":
        return this.#onContent(event);
      case "connect":
        return this.#onConnect();
      case "greet":
        return this.#answer(greet && (() => this.#handlers.greet!(event.name, session)));
      case "auth":
        this.#auth = new AuthAttempt(event.mechanism);
        return this.#onAuth(event.response);
      case "auth-response":
        return this.#onAuth(event.response);
      case "auth-end":
        this.#auth = undefined;
        return;
      case "reset":
        return this.#notify("reset");
      case "starttls":
        return this.#startTls();
      case "close":
        return;
    }
  }

  #answer(call: (() => unknown) | undefined): MaybePromise<void> {
    if (call === undefined) return this.#machine.answer();
    const reply = this.#call(call);
    if (!(reply instanceof Promise)) return this.#machine.answer(reply);
    return reply.then((reply) => this.#giveAnswer(reply));
  }

  /** Calls a handler; meanwhile nobody reads. */
  #call(call: () => unknown): MaybePromise<Reply | undefined> {
    this.#beginWork();
    const reply = this.#caller.call(call);
    if (reply instanceof Promise) return reply.finally(() => this.#working = false);
    this.#working = false;
    return reply;
  }

  #beginWork(): void {
    this.#working = true;
    if (this.#session.watched) void this.#watch();
  }

  /** Notices that the client goes while a handler works, if a handler wants to know and the client has said no more. */
  async #watch(): Promise<void> {
    if (!this.#working || this.#watching || this.#machine.closed || this.#machine.hasMore) return;
    this.#watching = true;
    if (await this.#transport.gone()) {
      this.#session.abort(new SocketError("closed", "The client has hung up"));
    }
    this.#watching = false;
  }

  /** The connection may have ended while the handler was working. */
  #giveAnswer(reply: Reply | undefined): void {
    if (!this.#machine.closed) this.#machine.answer(reply);
  }

  /** A client that goes away is an everyday thing; a handshake that fails may be the fault of the server's certificate. */
  #reportUnusual(error: unknown): void {
    if (!(error instanceof SocketError) || !EVERYDAY.has(error.code)) this.#caller.report(error);
  }

  async #notify(kind: "reset" | "close"): Promise<void> {
    try {
      await this.#handlers[kind]?.(this.#session);
    } catch (error) {
      this.#caller.report(error);
    }
  }

  async #onConnect(): Promise<void> {
    const call = this.#handlers.connect && (() => this.#handlers.connect!(this.#session));
    let reply = call && this.#caller.call(call);
    const { greetDelay } = this.#settings;
    if (reply instanceof Promise || greetDelay > 0) {
      const timer = Promise.withResolvers<void>();
      const id = setTimeout(timer.resolve, greetDelay);
      const decided = Promise.all([reply, timer.promise]);
      const early = await Promise.race([this.#transport.peek(), decided.then(() => undefined)]);
      clearTimeout(id);
      if (this.#machine.closed) return;
      if (early === "end") return this.#machine.close();
      if (early === "bytes") return this.#machine.close(replies.EARLY_TALKER);
      reply = await reply;
    }
    if (reply === replies.LOCAL_ERROR) reply = replies.CANNOT_CONNECT;
    this.#giveAnswer(reply);
  }

  #onAuth(response: string | undefined): MaybePromise<void> {
    const step = this.#auth!.step(response);
    if (step.kind === "challenge") return this.#machine.challenge(step.text);
    this.#auth = undefined;
    if (step.kind === "refusal") return this.#machine.answer(step.reply);
    return this.#authenticate(step.credentials);
  }

  async #authenticate(credentials: AuthCredentials): Promise<void> {
    const reply = await this.#call(async () => {
      const decision = await this.#handlers.auth!(credentials, this.#session);
      // A handler that forgets to return something lets nobody in.
      return decision === true ? replies.AUTHENTICATED : decision || replies.BAD_CREDENTIALS;
    });
    if (this.#machine.closed) return;
    if (reply?.positive) this.#machine.authenticated(credentials.user, reply);
    else this.#machine.answer(reply);
  }

  async #onTls(tls: TlsInfo | undefined): Promise<void> {
    this.#session.tls = tls;
    const certificate = tls?.peerCertificate;
    if (certificate !== undefined) this.#session.clientCertificate = await readClientCertificate(certificate);
  }

  async #startTls(): Promise<void> {
    await this.#flush();
    this.#deadline.start(this.#tlsLimit());
    this.#handshaking = true;
    const info = await this.#transport.startTls();
    this.#handshaking = false;
    this.#deadline.renew();
    await this.#onTls(info.tls);
    this.#machine.secured();
  }

  #onContent(first: ContentEvent): MaybePromise<void> {
    if (this.#handlers.message === undefined && first.last) return this.#machine.answer();
    return this.#onMessage(first);
  }

  async #onMessage(first: ContentEvent): Promise<void> {
    this.#contentTime = new ContentTime(this.#settings.timeouts.data);
    const content = new MessageContent(first, () => this.#nextContent());
    let reply: Reply | undefined;
    if (first.last) this.#beginWork();
    if (this.#handlers.message !== undefined) {
      const { message } = this.#handlers;
      reply = await this.#caller.call(
        () => message.call(this.#handlers, content.readable, this.#session),
        // The stream's own error is known: the session has its reply.
        (error) => error === content.error,
      );
    }
    this.#working = false;
    await content.drain();
    this.#giveAnswer(reply);
  }

  /** The next piece of content, from the client. */
  async #nextContent(): Promise<ContentEvent | undefined> {
    for (;;) {
      if (this.#machine.closed) return undefined;
      const event = this.#machine.next();
      if (event === undefined) {
        if (!await this.#receiveContent()) return undefined;
      } else {
        if (event.kind !== "content") return undefined;
        if (event.last) this.#beginWork();
        return event;
      }
    }
  }

  async #receiveContent(): Promise<boolean> {
    const time = this.#contentTime!;
    const began = performance.now();
    try {
      const octets = await this.#receive(time.left);
      this.#deadline.renew(); // what the handler takes does not count
      time.count(performance.now() - began, octets);
      if (octets > 0) return true;
    } catch {
      // The connection is broken: for the message that is the same as its end.
    }
    this.#machine.close();
    this.#session.abort(new SocketError("closed", "The client has hung up"));
    return false;
  }
}
