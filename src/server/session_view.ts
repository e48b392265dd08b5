/**
 * The data of a session, and the view of it that handlers get.
 *
 * @module
 */
import type { SecureTransport, TlsInfo } from "../sockets/socket.ts";
import type { ClientCertificate } from "./client_certificate.ts";
import type { ServerEnvelope, ServerRecipient, ServerSession } from "./handlers.ts";

/** What client and server have agreed on so far. Only the state machine changes it. */
export interface SessionData {
  /** How the connection is protected now. */
  secureTransport: SecureTransport;
  /** The name that the client gave with EHLO or HELO; empty before. */
  clientName: string;
  /** Whether the client sent EHLO, not HELO. */
  esmtp: boolean;
  /** The user who is authenticated. */
  user: string | undefined;
  /** The envelope of the open transaction. */
  envelope: OpenEnvelope | undefined;
}

/** An envelope that still takes recipients. */
export interface OpenEnvelope extends ServerEnvelope {
  readonly to: string[];
  readonly recipients: ServerRecipient[];
}

const NO_ENVELOPE: ServerEnvelope = Object.freeze({
  from: null,
  to: Object.freeze([]),
  parameters: Object.freeze({}),
  sender: Object.freeze({ address: null, mailbox: null, parameters: Object.freeze({}) }),
  recipients: Object.freeze([]),
});

/** The session as handlers see it: they can read it and not change it. */
export class SessionView implements ServerSession {
  readonly id: string = crypto.randomUUID();
  remoteAddress: string | undefined;
  localAddress: string | undefined;
  tls: TlsInfo | undefined;
  clientCertificate: ClientCertificate | undefined;
  readonly #data: Readonly<SessionData>;
  readonly #onSignal: () => void;
  readonly #controller: AbortController = new AbortController();
  #watched = false;

  /**
   * @param data The session's data.
   * @param onSignal Called when a handler asks for the signal: to notice that a client goes while nothing is read costs a read.
   */
  constructor(data: Readonly<SessionData>, onSignal: () => void) {
    this.#data = data;
    this.#onSignal = onSignal;
  }

  get signal(): AbortSignal {
    this.#watched = true;
    this.#onSignal();
    return this.#controller.signal;
  }

  /** Whether a handler has asked for the signal. */
  get watched(): boolean {
    return this.#watched;
  }

  /** Aborts the signal; the first reason counts. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  get secure(): boolean {
    return this.#data.secureTransport === "on";
  }

  get clientName(): string {
    return this.#data.clientName;
  }

  get esmtp(): boolean {
    return this.#data.esmtp;
  }

  get user(): string | undefined {
    return this.#data.user;
  }

  get envelope(): ServerEnvelope {
    return this.#data.envelope ?? NO_ENVELOPE;
  }
}
