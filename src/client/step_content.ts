/**
 * The content of a transaction that is said step by step, on its way to the server.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import type { Conversation } from "./conversation.ts";
import { toSmtpError } from "./failure.ts";
import type { Awaited } from "./failure.ts";
import type { Session } from "./session.ts";

/** Writes content within a conversation. While it does, the server may speak without having been asked. */
export class StepContent {
  readonly #session: Session;
  readonly #conversation: Conversation;
  #written = 0;
  /** Ends the wait for a socket that has not let go of a write when it was closed. */
  #onEnd: (() => void) | undefined;

  /**
   * @param session Where.
   * @param conversation The conversation that the content is a part of.
   */
  constructor(session: Session, conversation: Conversation) {
    this.#session = session;
    this.#conversation = conversation;
    conversation.watches = true;
    void session.closed.then(() => this.#onEnd?.());
    this.#awaits("source");
  }

  /** What the server has said before the content was complete: it wants no more of it then. */
  get early(): Reply | undefined {
    return this.#conversation.early;
  }

  /** Writes a part, as it is. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#awaits("block");
    this.#written += bytes.length;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#onEnd = resolve;
        this.#session.link.send(bytes).then(resolve, reject);
      });
    } catch (error) {
      throw this.#conversation.failure ?? toSmtpError(error, "content");
    }
    if (this.#conversation.failure !== undefined) throw this.#conversation.failure;
    this.#awaits("source");
  }

  /** Writes the end, and waits for the reply. */
  complete(end: Uint8Array): Promise<Reply> {
    this.#conversation.watches = false;
    this.#session.link.output.bytes(end);
    this.#session.trace?.({ type: "content", bytes: this.#written + end.length });
    return this.#conversation.listen("content");
  }

  #awaits(awaited: Awaited): void {
    this.#conversation.awaited = awaited;
    this.#session.pipeline.progress();
  }
}
