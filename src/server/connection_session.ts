/**
 * The session as handlers see it.
 *
 * @module
 */
import type { ServerSession } from "../core/session.ts";
import type { ServerEnvelope } from "../core/session_events.ts";
import type { Session, TlsInfo } from "./handlers.ts";

const NO_ENVELOPE: ServerEnvelope = Object.freeze({
  from: null,
  to: Object.freeze([]),
  parameters: Object.freeze({}),
  sender: Object.freeze({ address: null, mailbox: null, parameters: Object.freeze({}) }),
  recipients: Object.freeze([]),
});

/** A view of the state machine, which handlers cannot get at. */
export class ConnectionSession implements Session {
  readonly id: string = crypto.randomUUID();
  remoteAddress: string | undefined;
  localAddress: string | undefined;
  readonly #machine: ServerSession;
  readonly #tlsInfo: (() => TlsInfo | undefined) | undefined;

  /**
   * @param machine The state machine.
   * @param tlsInfo Tells what is known about the TLS.
   */
  constructor(machine: ServerSession, tlsInfo: (() => TlsInfo | undefined) | undefined) {
    this.#machine = machine;
    this.#tlsInfo = tlsInfo;
  }

  get secure(): boolean {
    return this.#machine.secure;
  }

  get tls(): TlsInfo | undefined {
    return this.#machine.secure ? this.#tlsInfo?.() : undefined;
  }

  get clientName(): string {
    return this.#machine.clientName;
  }

  get esmtp(): boolean {
    return this.#machine.esmtp;
  }

  get user(): string | undefined {
    return this.#machine.user;
  }

  get envelope(): ServerEnvelope {
    return this.#machine.envelope ?? NO_ENVELOPE;
  }
}
