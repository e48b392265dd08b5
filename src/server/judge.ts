/**
 * Makes replies of what handlers decide.
 *
 * @module
 */
import { Reply } from "../core/reply.ts";
import { LOCAL_ERROR } from "../core/session_replies.ts";

/** A value now or later: what is there now is not waited for. */
export type MaybePromise<T> = T | Promise<T>;

/** Calls handlers and judges what comes of it. The client learns no more than a `Reply` says. */
export class Judge {
  readonly #onError: (error: unknown) => void;

  /** @param onError Gets what is no `Reply`. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /**
   * Calls a handler.
   *
   * @param call The call.
   * @param isKnown Tells errors that nobody has to be told of.
   * @returns Its reply; `undefined` if it has nothing against it.
   */
  decide(call: () => unknown, isKnown?: (error: unknown) => boolean): MaybePromise<Reply | undefined> {
    try {
      const result = call();
      if (!isThenable(result)) return this.#toReply(result);
      return Promise.resolve(result).then(
        (value) => this.#toReply(value),
        (error) => this.#toRefusal(error, isKnown),
      );
    } catch (error) {
      return this.#toRefusal(error, isKnown);
    }
  }

  /**
   * Tells the server's owner of an error.
   *
   * @param error What was thrown.
   */
  report(error: unknown): void {
    try {
      this.#onError(error);
    } catch (failure) {
      // Its owner's mistake, and no reason to leave a client without a reply.
      queueMicrotask(() => {
        throw failure;
      });
    }
  }

  #toReply(value: unknown): Reply | undefined {
    if (value === undefined) return undefined;
    if (value instanceof Reply && !value.intermediate) return value;
    // Not taken for a yes: `rcpt: (recipient) => isLocal(recipient)` would be an open relay.
    return this.#toRefusal(
      new TypeError(`A handler must give a Reply of 2xx, 4xx or 5xx, or nothing: ${value}`),
    );
  }

  #toRefusal(error: unknown, isKnown?: (error: unknown) => boolean): Reply {
    if (error instanceof Reply && !error.positive && !error.intermediate) return error;
    if (!isKnown?.(error)) this.report(error);
    return LOCAL_ERROR;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
