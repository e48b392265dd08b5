/**
 * What goes wrong when a token is asked for.
 *
 * @module
 */

/**
 * What went wrong.
 *
 * - `"refused"`: the authorisation server says no; `error` has its word for it, such as `"invalid_grant"`.
 * - `"bad-response"`: its answer is not one that RFC 6749 knows, is too long, or holds a token that cannot be sent.
 * - `"network"`: it could not be reached, or the connection failed.
 * - `"timeout"`: it took too long.
 * - `"aborted"`: the source was stopped by its `signal`.
 * - `"callback-failed"`: a function of the caller's own has failed; `cause` has its error.
 * - `"key-unusable"`: the private key cannot sign what it has to.
 */
export type TokenErrorCode =
  | "refused"
  | "bad-response"
  | "network"
  | "timeout"
  | "aborted"
  | "callback-failed"
  | "key-unusable";

/** What a {@linkcode TokenError} knows. */
export interface TokenErrorInit extends ErrorOptions {
  /** The error code of the authorisation server (RFC 6749, section 5.2). */
  error?: string | undefined;
  /** The HTTP status of its answer. */
  status?: number | undefined;
  /** Whether trying again later may help. Default: `false`. */
  temporary?: boolean | undefined;
}

/**
 * A token that could not be had. No message of it shows a token, a secret or an assertion.
 *
 * A login that fails for want of a token rejects with an `SmtpError` whose `cause` is this.
 */
export class TokenError extends Error {
  /** `"TokenError"`. */
  override name = "TokenError";
  /** What went wrong. */
  readonly code: TokenErrorCode;
  /**
   * The error code of the authorisation server (RFC 6749, section 5.2): with `"invalid_grant"` the user has to consent
   * anew, with `"invalid_client"` the application's own credentials are wrong.
   */
  readonly error: string | undefined;
  /** The HTTP status of its answer. */
  readonly status: number | undefined;
  /** Whether trying again later may help. */
  readonly temporary: boolean;

  /**
   * Makes an error.
   *
   * @param code What went wrong.
   * @param message What to tell a person.
   * @param init What else is known.
   */
  constructor(code: TokenErrorCode, message: string, init: TokenErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.error = init.error;
    this.status = init.status;
    this.temporary = init.temporary ?? false;
  }
}
