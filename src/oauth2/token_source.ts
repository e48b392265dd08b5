/**
 * Sources of access tokens: one token for all connections, renewed when it expires or a server refuses it.
 *
 * @module
 */
import { mustExist } from "../core/option_names.ts";
import type { OptionNames } from "../core/option_names.ts";
import { checkToken } from "../sasl/bearer.ts";
import { TokenError } from "./token_error.ts";

/**
 * A source of access tokens, for `auth.accessToken` of a client. The client calls it for each login and, if the server
 * refuses the token, once more with the refused token.
 *
 * One source serves any number of clients: pass the same one to all of them.
 *
 * @param refused The token that a server has just refused.
 * @returns The token to log in with.
 */
export interface TokenSource {
  (refused?: string): Promise<string>;
  /** Whether it keeps its token until that expires, so that it may be asked for each login. `SmtpPool` keeps other tokens itself. */
  readonly keepsToken?: true;
}

/** A token, and how long it is valid. */
export interface IssuedToken {
  /** The access token. */
  accessToken: string;
  /** How long the token is valid from now, in seconds (RFC 6749, section 5.1). Default: until a server refuses it. */
  expiresIn?: number | undefined;
}

/** The context in which a function issues a token. */
export interface IssueContext {
  /** Aborted when no login waits for the token any longer. */
  readonly signal: AbortSignal;
  /** The token that a server has refused, if that is why a new one is needed. */
  readonly refused: string | undefined;
}

/** The limits of a request for a token. */
export interface TimeLimitOptions {
  /** How long a request may take, in milliseconds. `Infinity` means no limit. Default: 30,000. */
  timeout?: number;
  /** Stops the source for good: a request in progress is cancelled, and every later call fails. */
  signal?: AbortSignal;
}

/** How a source renews its token. */
export interface TokenSourceOptions extends TimeLimitOptions {
  /**
   * How long before its expiry a token is renewed, in milliseconds: long enough for a login, and for clocks that differ. Never
   * more than half of the token's lifetime. Default: 60,000.
   */
  margin?: number;
  /** Returns the time, in milliseconds since 1970. Default: `Date.now`. */
  now?: () => number;
}

/** The names of the options of every source. */
export const SOURCE_NAMES: OptionNames<TokenSourceOptions> = {
  timeout: true,
  signal: true,
  margin: true,
  now: true,
};

/** What issues tokens, as {@linkcode tokenSource} takes it. */
type Issue = (context: IssueContext) => string | IssuedToken | Promise<string | IssuedToken>;

/** The token that a source has, and its times, in milliseconds since 1970. */
interface CurrentToken {
  readonly accessToken: string;
  /** When a new token is requested. */
  readonly renewAt: number;
  readonly expiresAt: number;
}

/**
 * Makes a source from a function that issues tokens, for example with a library or a service of yours.
 *
 * The source keeps a token until shortly before it expires, or until a server refuses it. It calls the function once,
 * however many logins wait for the new token. If the function fails, those logins fail too, unless the old token is still
 * valid; the next login tries again.
 *
 * @example One token for many logins
 * ```ts
 * import { tokenSource } from "@streams/smtp/oauth2";
 *
 * let issued = 0;
 * const accessToken = tokenSource(() => ({ accessToken: `token-${++issued}`, expiresIn: 3600 }));
 *
 * await Promise.all([accessToken(), accessToken()]); // both "token-1"
 * await accessToken("token-1"); // refused by a server: "token-2"
 * await accessToken("token-1"); // refused on a slower connection: still "token-2"
 * ```
 *
 * @param issue Issues a token: the token alone, or with its lifetime.
 * @param options How the token is renewed.
 * @returns The source.
 * @throws {TypeError | RangeError} If an option is invalid.
 */
export function tokenSource(
  issue: (context: IssueContext) => string | IssuedToken | Promise<string | IssuedToken>,
  options: TokenSourceOptions = {},
): TokenSource {
  mustExist("create a token source", options, SOURCE_NAMES);
  return renewing(issue, options);
}

/**
 * Makes a source, as {@linkcode tokenSource} does, whose options are among others.
 *
 * @param issue Issues a token.
 * @param options How the token is renewed.
 * @returns The source.
 * @throws {TypeError | RangeError} If an option is invalid.
 */
export function renewing(issue: Issue, options: TokenSourceOptions): TokenSource {
  if (typeof issue !== "function") {
    throw new TypeError(
      `Cannot create a token source: issue must be a function, the current type is ${typeof issue}`,
    );
  }
  const { margin = 60_000, now = Date.now, signal } = options;
  if (typeof margin !== "number" || !(margin >= 0)) {
    throw new RangeError(
      `Cannot create a token source: margin must be 0 or more milliseconds, the current value is ${margin}`,
    );
  }
  const timeout = readTimeout(options);
  let current: CurrentToken | undefined;
  let pending: Promise<string> | undefined;

  const renew = async (refused: string | undefined): Promise<string> => {
    const requestedAt = now(); // the token's lifetime may begin here
    try {
      const issued = await withTimeLimit(async (signal) => await issue({ signal, refused }), {
        timeout,
        signal,
      });
      current = checkIssued(issued, margin, requestedAt);
      return current.accessToken;
    } catch (error) {
      if (current !== undefined && now() < current.expiresAt && !signal?.aborted) return current.accessToken;
      if (error instanceof TokenError) throw error;
      throw new TokenError("callback-failed", "The function that issues access tokens failed", {
        cause: error,
      });
    } finally {
      pending = undefined;
    }
  };

  const source = (refused?: string): Promise<string> => {
    // If the same token was refused on many connections, only the first of them finds it here.
    if (refused !== undefined && refused === current?.accessToken) current = undefined;
    if (current !== undefined && now() < current.renewAt) return Promise.resolve(current.accessToken);
    return pending ??= renew(refused);
  };
  return Object.assign(source, { keepsToken: true } as const);
}

/**
 * Makes a source with one fixed token. If a server refuses the token, the login fails.
 *
 * @param accessToken The token.
 * @returns The source.
 * @throws {TypeError} If the token has characters that cannot be sent. The message does not show it.
 */
export function fixedToken(accessToken: string): TokenSource {
  if (typeof accessToken !== "string") {
    throw new TypeError(
      `Cannot create a token source: accessToken must be a string, the current type is ${typeof accessToken}`,
    );
  }
  checkToken("OAuth 2.0", accessToken);
  return () => Promise.resolve(accessToken);
}

function checkIssued(issued: string | IssuedToken, margin: number, requestedAt: number): CurrentToken {
  const { accessToken, expiresIn = Infinity } = typeof issued === "string"
    ? { accessToken: issued }
    : issued ?? {} as Partial<IssuedToken>;
  if (typeof accessToken !== "string") {
    throw new TokenError(
      "bad-response",
      `The access token must be a string, the current type is ${typeof accessToken}`,
    );
  }
  try {
    checkToken("OAuth 2.0", accessToken);
  } catch {
    // 0x01 separates the parts of the response to AUTH: a token with it could add parts.
    throw new TokenError("bad-response", "The access token has characters that cannot be sent");
  }
  if (typeof expiresIn !== "number" || !(expiresIn >= 0)) {
    throw new TokenError(
      "bad-response",
      "The lifetime of the access token must be 0 or more seconds",
    );
  }
  const lifetime = expiresIn * 1000;
  // Without the half, a lifetime shorter than the margin would mean a request for each login.
  const renewAt = requestedAt + lifetime - Math.min(margin, lifetime / 2);
  return { accessToken, renewAt, expiresAt: requestedAt + lifetime };
}

/** The longest time that a timer can wait. A longer limit sets no timer. */
const MAX_TIMER = 2 ** 31 - 1;

function readTimeout({ timeout = 30_000 }: TimeLimitOptions): number {
  if (typeof timeout === "number" && timeout > 0) return timeout;
  throw new RangeError(
    `Cannot create a token source: timeout must be more than 0 milliseconds, the current value is ${timeout}`,
  );
}

/**
 * Runs a function with a time limit.
 *
 * @param run The function. When the time is over, its signal is aborted and its result no longer awaited.
 * @param options The limits, checked.
 * @returns The function's result.
 * @throws {TokenError} `"timeout"` or `"aborted"`.
 */
async function withTimeLimit<T>(
  run: (signal: AbortSignal) => Promise<T>,
  { timeout, signal }: { timeout: number; signal: AbortSignal | undefined },
): Promise<T> {
  const controller = new AbortController();
  const stopped = Promise.withResolvers<never>();
  const stop = (error: TokenError) => {
    stopped.reject(error);
    controller.abort(error);
  };
  const onAbort = () => stop(aborted(signal!));
  if (signal?.aborted) throw aborted(signal);
  signal?.addEventListener("abort", onAbort);
  const timer = timeout > MAX_TIMER ? undefined : setTimeout(() => {
    stop(
      new TokenError("timeout", `Could not obtain the access token within ${timeout} ms`, {
        temporary: true,
      }),
    );
  }, timeout);
  try {
    return await Promise.race([stopped.promise, run(controller.signal)]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function aborted(signal: AbortSignal): TokenError {
  return new TokenError("aborted", "The token source was stopped", { cause: signal.reason });
}
