/**
 * One access token for all connections.
 *
 * @module
 */
import { checkToken } from "../sasl/bearer.ts";
import { readTimeout, withTimeLimit } from "./time_limit.ts";
import type { TimeLimitOptions } from "./time_limit.ts";
import { TokenError } from "./token_error.ts";

/**
 * Where access tokens come from: what `auth.accessToken` of a client or a pool takes. It is called for each login and,
 * should the server refuse the token, once more with the token that was refused.
 *
 * One source serves any number of clients: give all of them the same one.
 *
 * @param refused The token that a server has just refused.
 * @returns The token to log in with.
 */
export type TokenSource = (refused?: string) => Promise<string>;

/** A token and how long it is good for. */
export interface IssuedToken {
  /** The access token. */
  accessToken: string;
  /** For how many seconds from now it is good (RFC 6749, section 5.1). Default: until a server refuses it. */
  expiresIn?: number | undefined;
}

/** What a function that issues tokens is told. */
export interface IssueContext {
  /** Aborted when nobody waits for the token any longer. */
  readonly signal: AbortSignal;
  /** The token that a server has refused, where that is why another is needed. */
  readonly refused: string | undefined;
}

/** How a source keeps its token. */
export interface TokenSourceOptions extends TimeLimitOptions {
  /**
   * How long before it expires a token is replaced, in milliseconds: long enough for a login, and for clocks that differ.
   * Never more than half of a token's life. Default: 60,000.
   */
  margin?: number;
  /** Tells the time, in milliseconds since 1970. Default: `Date.now`. */
  now?: () => number;
}

/** The token that a source has, and until when. */
interface Kept {
  readonly accessToken: string;
  /** From when on another is wanted. */
  readonly renewAt: number;
  readonly expiresAt: number;
}

/**
 * Makes a source of a function that issues tokens, such as one that asks a library or a service of your own.
 *
 * The token is kept until shortly before it expires, or until a server refuses it. However many logins wait for another,
 * the function is called once for all of them. If it fails they fail with it, unless the token at hand is still good; the
 * next login tries anew.
 *
 * @example One token for a pool
 * ```ts
 * import { tokenSource } from "@streams/smtp/oauth2";
 *
 * let issued = 0;
 * const accessToken = tokenSource(() => ({ accessToken: `token-${++issued}`, expiresIn: 3600 }));
 *
 * await Promise.all([accessToken(), accessToken()]); // both "token-1"
 * await accessToken("token-1"); // refused by a server: "token-2"
 * await accessToken("token-1"); // refused to a slower connection: "token-2" all the same
 * ```
 *
 * @param issue Issues a token: the token alone, or with its life.
 * @param options How the token is kept.
 * @returns The source.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function tokenSource(
  issue: (context: IssueContext) => string | IssuedToken | Promise<string | IssuedToken>,
  options: TokenSourceOptions = {},
): TokenSource {
  if (typeof issue !== "function") {
    throw new TypeError(
      `Cannot make a token source: what issues tokens must be a function, it is ${typeof issue}`,
    );
  }
  const { margin = 60_000, now = Date.now, signal } = options;
  if (typeof margin !== "number" || !(margin >= 0)) {
    throw new RangeError(
      `Cannot make a token source: margin must be a number of milliseconds from 0, it is ${margin}`,
    );
  }
  const timeout = readTimeout(options);
  let kept: Kept | undefined;
  let pending: Promise<string> | undefined;

  const renew = async (refused: string | undefined): Promise<string> => {
    const asked = now(); // the token's life may have begun then
    try {
      const issued = await withTimeLimit(async (signal) => await issue({ signal, refused }), {
        timeout,
        signal,
      });
      kept = keep(issued, margin, asked);
      return kept.accessToken;
    } catch (error) {
      if (kept !== undefined && now() < kept.expiresAt && !signal?.aborted) return kept.accessToken;
      throw error instanceof TokenError ? error : failed(error);
    } finally {
      pending = undefined;
    }
  };

  return (refused) => {
    // Of many connections that were refused the same token, the first gets here while it is kept.
    if (refused !== undefined && refused === kept?.accessToken) kept = undefined;
    if (kept !== undefined && now() < kept.renewAt) return Promise.resolve(kept.accessToken);
    return pending ??= renew(refused);
  };
}

/**
 * A source that has one token and no other. A server that refuses it has refused it.
 *
 * @param accessToken The token.
 * @returns The source.
 * @throws {TypeError} If the token has characters that cannot be sent. The message does not show it.
 */
export function fixedToken(accessToken: string): TokenSource {
  if (typeof accessToken !== "string") {
    throw new TypeError(
      `Cannot make a token source: the token must be a string, it is ${typeof accessToken}`,
    );
  }
  checkToken("OAuth 2.0", accessToken);
  return () => Promise.resolve(accessToken);
}

function keep(issued: string | IssuedToken, margin: number, asked: number): Kept {
  const { accessToken, expiresIn = Infinity } = typeof issued === "string"
    ? { accessToken: issued }
    : issued ?? {} as Partial<IssuedToken>;
  if (typeof accessToken !== "string") {
    throw new TokenError("bad-response", `The access token must be a string, it is ${typeof accessToken}`);
  }
  try {
    checkToken("OAuth 2.0", accessToken);
  } catch {
    // In the response to AUTH, 0x01 separates the parts: such a token could say anything there.
    throw new TokenError("bad-response", "The access token has characters that cannot be sent");
  }
  if (typeof expiresIn !== "number" || !(expiresIn >= 0)) {
    throw new TokenError(
      "bad-response",
      "The life of the access token must be a number of seconds from 0",
    );
  }
  const life = expiresIn * 1000;
  // A life shorter than the margin would otherwise mean a request for each login.
  return { accessToken, renewAt: asked + life - Math.min(margin, life / 2), expiresAt: asked + life };
}

function failed(cause: unknown): TokenError {
  return new TokenError("callback-failed", "The function that issues access tokens has failed", { cause });
}
