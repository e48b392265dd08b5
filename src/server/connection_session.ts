/**
 * The session as handlers see it.
 *
 * @module
 */
import type { ServerSession } from "../core/session.ts";
import type { ServerEnvelope } from "../core/session_events.ts";
import type { TlsInfo } from "../sockets/socket.ts";
import type { Session } from "./handlers.ts";

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
  tls: TlsInfo | undefined;
  readonly #machine: ServerSession;

  /** @param machine The state machine. */
  constructor(machine: ServerSession) {
    this.#machine = machine;
  }

  get secure(): boolean {
    return this.#machine.secure;
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
