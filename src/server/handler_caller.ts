/**
 * Turns what handlers decide into replies.
 *
 * @module
 */
import { Reply } from "../core/reply.ts";
import { LOCAL_ERROR } from "./replies.ts";

/** A value now or later: the caller does not wait for one that is there now. */
export type MaybePromise<T> = T | Promise<T>;

/** Calls handlers and makes replies of their decisions. The client learns no more than a `Reply` says. */
export class HandlerCaller {
  /** Reports an error to the server's owner. It does not throw. */
  readonly report: (error: unknown) => void;

  /** @param report Gets each error that is not a `Reply`. It must not throw. */
  constructor(report: (error: unknown) => void) {
    this.report = report;
  }

  /**
   * Calls a handler.
   *
   * @param call The call.
   * @param isKnown Tells whether an error has been reported already.
   * @returns The handler's reply; `undefined` if it accepts without one.
   */
  call(call: () => unknown, isKnown?: (error: unknown) => boolean): MaybePromise<Reply | undefined> {
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

  #toReply(value: unknown): Reply | undefined {
    if (value === undefined) return undefined;
    if (value instanceof Reply && !value.intermediate) return value;
    // Not taken for a yes: `rcpt: (recipient) => isLocal(recipient)` would be an open relay.
    return this.#toRefusal(
      // Of another object only what it is: the handler of AUTH may give an account, with its password.
      new TypeError(
        `A handler must give a Reply of 2xx, 4xx or 5xx, or nothing: ${
          value instanceof Reply ? value : typeof value
        }`,
      ),
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
