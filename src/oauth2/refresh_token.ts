/**
 * Access tokens for a refresh token (RFC 6749, section 6).
 *
 * @module
 */
import { clientAuthentication } from "./client_authentication.ts";
import type { ClientOptions } from "./client_authentication.ts";
import { readEndpoint, tokenRequest } from "./token_endpoint.ts";
import type { TokenEndpointOptions, TokenResponse } from "./token_endpoint.ts";
import { TokenError } from "./token_error.ts";
import { tokenSource } from "./token_source.ts";
import type { TokenSource, TokenSourceOptions } from "./token_source.ts";

/** What a user has consented to, and who asks for it. */
export interface RefreshTokenOptions extends ClientOptions, TokenEndpointOptions, TokenSourceOptions {
  /**
   * The refresh token, or where it is stored. The function is called for each request; use it where several processes share
   * one refresh token.
   */
  refreshToken: string | (() => string | Promise<string>);
  /**
   * Called with a new refresh token whenever the server gives one (Microsoft always, Google hardly ever), before the access
   * token that came with it is used. Store it: the old one may be good for nothing from then on. If it fails, the logins that wait
   * for the token fail, and it is called again for the next.
   */
  onRefreshToken?: (refreshToken: string) => void | Promise<void>;
}

/**
 * A source that gets its access tokens for a refresh token: mail in the name of a user who has once consented.
 *
 * @example Gmail
 * ```ts ignore
 * import { SmtpClient } from "@streams/smtp";
 * import { google, refreshToken } from "@streams/smtp/oauth2";
 *
 * const accessToken = refreshToken({
 *   provider: google,
 *   clientId: "….apps.googleusercontent.com",
 *   clientSecret: "…",
 *   refreshToken: "1//…",
 * });
 * await using client = await SmtpClient.connect({
 *   hostname: "smtp.gmail.com",
 *   auth: { user: "me@gmail.com", accessToken },
 * });
 * ```
 *
 * @param options The refresh token, and who asks.
 * @returns The source. It rejects with a {@linkcode TokenError}.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function refreshToken(options: RefreshTokenOptions): TokenSource {
  const { provider, clientId, clientSecret, onRefreshToken } = options;
  const scope = options.scope ?? provider.refreshScope;
  const audience = provider.audience ?? readEndpoint(options);
  const request = tokenRequest("refresh_token", { ...options, ...scope !== undefined && { scope } }, {
    id: clientId,
    authentication: clientAuthentication(options, audience, options.now ?? Date.now),
    secrets: [clientSecret],
  });
  const stored = options.refreshToken;
  if (typeof stored !== "function") checkRefreshToken(stored);
  let latest = typeof stored === "function" ? undefined : stored;
  /** What came with a refresh token that could not be stored. */
  let unstored: TokenResponse | undefined;

  return tokenSource(async ({ signal, refused }) => {
    let response = unstored;
    if (response === undefined || response.accessToken === refused) {
      const refresh_token = typeof stored === "function"
        ? await callback("The refresh token could not be read", stored)
        : latest!;
      checkRefreshToken(refresh_token);
      response = await request({ refresh_token }, signal);
      if (response.refreshToken === undefined || response.refreshToken === refresh_token) return response;
      latest = response.refreshToken;
    }
    unstored = response;
    await callback(
      "The new refresh token could not be stored",
      () => onRefreshToken?.(response.refreshToken!),
    );
    unstored = undefined;
    return response;
  }, options);
}

/** Calls a function of the caller's own. */
async function callback<T>(failure: string, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw new TokenError("callback-failed", failure, { cause });
  }
}

function checkRefreshToken(token: unknown): asserts token is string {
  if (typeof token === "string" && token !== "") return;
  throw new TypeError("Cannot ask for a token: refreshToken must be a string that is not empty");
}
