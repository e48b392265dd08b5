/**
 * The error for an access token that could not be obtained.
 *
 * @module
 */

/**
 * Why an access token could not be obtained.
 *
 * - `"refused"`: the authorisation server refused; `error` is its error code, such as `"invalid_grant"`.
 * - `"bad-response"`: the server's response does not conform to RFC 6749, is too long, or has a token that cannot be sent.
 * - `"network"`: the server could not be reached, or the connection failed.
 * - `"timeout"`: the request took too long.
 * - `"aborted"`: the source was stopped by its `signal`.
 * - `"callback-failed"`: one of the caller's functions failed; `cause` is its error.
 * - `"key-unusable"`: the private key cannot make the signature.
 */
export type TokenErrorCode =
  | "refused"
  | "bad-response"
  | "network"
  | "timeout"
  | "aborted"
  | "callback-failed"
  | "key-unusable";

/** The details of a {@linkcode TokenError}. */
export interface TokenErrorInit extends ErrorOptions {
  /** The error code of the authorisation server (RFC 6749, section 5.2). */
  error?: string | undefined;
  /** The HTTP status of the response. */
  status?: number | undefined;
  /** Whether trying again later may help. Default: `false`. */
  temporary?: boolean | undefined;
}

/**
 * An access token could not be obtained. The message never contains a token, a secret or an assertion.
 *
 * A login that fails because of it rejects with an `SmtpError` that has this error as its `cause`.
 */
export class TokenError extends Error {
  /** `"TokenError"`. */
  override name = "TokenError";
  /** Why the token could not be obtained. */
  readonly code: TokenErrorCode;
  /**
   * The error code of the authorisation server (RFC 6749, section 5.2): after `"invalid_grant"` the user has to consent
   * again, after `"invalid_client"` the application's own credentials are wrong.
   */
  readonly error: string | undefined;
  /** The HTTP status of the response. */
  readonly status: number | undefined;
  /** Whether trying again later may help. */
  readonly temporary: boolean;

  /**
   * Makes an error.
   *
   * @param code Why the token could not be obtained.
   * @param message The same in words, for people.
   * @param init The details.
   */
  constructor(code: TokenErrorCode, message: string, init: TokenErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.error = init.error;
    this.status = init.status;
    this.temporary = init.temporary ?? false;
  }
}
