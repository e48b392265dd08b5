/**
 * The session as handlers see it.
 *
 * @module
 */
import type { TlsInfo } from "../sockets/socket.ts";
import type { ServerEnvelope, ServerSession } from "./handlers.ts";
import type { SessionMachine } from "./session_machine.ts";

const NO_ENVELOPE: ServerEnvelope = Object.freeze({
  from: null,
  to: Object.freeze([]),
  parameters: Object.freeze({}),
  sender: Object.freeze({ address: null, mailbox: null, parameters: Object.freeze({}) }),
  recipients: Object.freeze([]),
});

/** A view of the state machine that handlers can read and not change. */
export class SessionView implements ServerSession {
  readonly id: string = crypto.randomUUID();
  remoteAddress: string | undefined;
  localAddress: string | undefined;
  tls: TlsInfo | undefined;
  readonly #machine: SessionMachine;

  /** @param machine The state machine. */
  constructor(machine: SessionMachine) {
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
