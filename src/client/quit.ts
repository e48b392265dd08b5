/**
 * How a session ends: QUIT, in the group of the last message where the server can stand that.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import { LOST, markBroken } from "./broken_extensions.ts";
import { isLost } from "./failure.ts";
import { NOT_BEGUN } from "./pipeline.ts";
import type { Exchange } from "./pipeline.ts";
import type { Session } from "./session.ts";
import type { Transaction } from "./transaction.ts";

/** Replies to a content that speak of the commands after it: unknown, not implemented, out of order. */
const MISREAD: ReadonlySet<number> = new Set([500, 502, 503]);

/** How to end a session. */
export interface QuitOptions {
  /** Why it ends, as the trace and later calls tell it. Default: that it was asked to. */
  readonly reason?: SmtpError;
  /** How long to wait for all of it, in milliseconds. Default: as long as `timeouts` allow for each reply. */
  readonly limit?: number;
}

/**
 * Says QUIT after what waits and what is in flight, and closes the connection once that has ended. Nothing else may be sent
 * afterwards.
 *
 * @param session The session.
 * @param options Why, and for how long.
 * @returns Resolves when the connection is closed. Never rejects: the answer to QUIT changes nothing.
 */
export async function sayQuit(session: Session, options: QuitOptions = {}): Promise<void> {
  const { pipeline, link } = session;
  const { reason = new SmtpError("client-closed", "The session has ended", { phase: "quit" }), limit } =
    options;
  session.quitting = true;
  const quit = new Quit(session, reason);
  const timer = limit && setTimeout(() => pipeline.run(() => pipeline.fail(reason)), limit);
  pipeline.enqueue(quit);
  await quit.ended;
  clearTimeout(timer);
  // What came first is the reason: if the connection was lost, it has ended already.
  pipeline.fail(reason);
  await link.close().catch(() => {});
}

/**
 * QUIT and its reply. It leaves in one group with the content ahead of it (RFC 2920, section 3.1: QUIT may be the last command
 * of a group), which saves a round trip. Replies come in order, so the reply to the content is still the one that decides.
 */
class Quit implements Exchange {
  readonly #session: Session;
  readonly #reason: SmtpError;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  /** The transaction whose content had no reply when QUIT left. */
  #follows: Transaction | undefined;

  readonly awaited = "quit";
  awaitsReply = false;
  finished = false;
  end: SmtpError | undefined;
  position = NOT_BEGUN;

  constructor(session: Session, reason: SmtpError) {
    this.#session = session;
    this.#reason = reason;
  }

  /** Resolves when the server has answered, or the connection is gone. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** A server that cannot stand it right after a content gets it alone. Without PIPELINING the pipeline sees to that. */
  get exclusive(): boolean {
    const { broken } = this.#session.quirks;
    return broken.has("PIPELINING of QUIT") || broken.has("PIPELINING after DATA");
  }

  begin(): void {
    const { held, link, trace } = this.#session;
    if (typeof held !== "string" && !held.finished) this.#follows = held;
    this.awaitsReply = true;
    link.output.text("QUIT\r\n");
    trace?.({ type: "command", line: "QUIT" });
  }

  receive(reply: Reply): void {
    this.awaitsReply = false;
    this.finished = true;
    const refusal = this.#follows?.refusal;
    if (refusal?.command === "end" && isMisread(refusal.reply)) {
      this.#mark(`the server answers the content ahead of it with ${refusal.reply.toString()}`);
    } else if (this.#follows !== undefined && reply.permanent) {
      // Haraka 3.3 says 503 here, after it has taken the message.
      this.#mark(`the server answers it after a content with ${reply.toString()}`);
    }
    this.end = this.#reason; // at once: nothing may be sent after QUIT
  }

  /** All that goes before it was answered: a server that hangs up now leaves nothing open. */
  explain(error: SmtpError): SmtpError {
    return isLost(error) ? this.#reason : error;
  }

  fail(error: SmtpError): void {
    const follows = this.#follows;
    // A server that answers the content and just hangs up has done its work. One that says nothing would cost a wait each time.
    const lost = LOST.has(error.code) || error.code === "protocol-error";
    if (lost && follows !== undefined && (!follows.finished || error.code === "timeout")) {
      this.#mark(`it was not answered after a content: ${error.message}`);
    }
    this.#ended.resolve();
  }

  /**
   * The next sessions say QUIT alone. One sign is enough, as there is little to lose by it, one round trip for each session, and
   * much by another message whose outcome nobody knows.
   */
  #mark(detail: string): void {
    markBroken(this.#session, "PIPELINING of QUIT", detail);
  }
}

/** Whether a reply to a content is about the commands after it, and not about the message. */
export function isMisread({ code, text }: Reply): boolean {
  return MISREAD.has(code) || (code >= 500 && /pipelin|synchroni[sz]/i.test(text));
}
