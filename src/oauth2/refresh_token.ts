/**
 * Access tokens for a refresh token (RFC 6749, section 6).
 *
 * @module
 */
import type { OptionNames } from "../core/option_names.ts";
import { CLIENT_NAMES, clientAuthentication } from "./client_credentials.ts";
import type { ClientOptions } from "./client_credentials.ts";
import { checkSourceNames, ENDPOINT_NAMES, readEndpoint, tokenRequest } from "./token_endpoint.ts";
import type { TokenEndpointOptions, TokenResponse } from "./token_endpoint.ts";
import { TokenError } from "./token_error.ts";
import { renewing, SOURCE_NAMES } from "./token_source.ts";
import type { TokenSource, TokenSourceOptions } from "./token_source.ts";

/** The options of {@linkcode refreshToken}: a user's consent, and the application that has it. */
export interface RefreshTokenOptions extends ClientOptions, TokenEndpointOptions, TokenSourceOptions {
  /**
   * The refresh token, or a function that reads it from where it is stored. The function is called for each request: use one
   * where several processes share a refresh token.
   */
  refreshToken: string | (() => string | Promise<string>);
  /**
   * Called with each new refresh token that the server issues (Microsoft always does, Google hardly ever), before the access
   * token that came with it is used. Store it: the old refresh token may no longer work. If the callback fails, the logins
   * that wait for the access token fail, and the next login calls it again.
   */
  onRefreshToken?: (refreshToken: string) => void | Promise<void>;
}

const NAMES: OptionNames<RefreshTokenOptions> = {
  ...CLIENT_NAMES,
  ...ENDPOINT_NAMES,
  ...SOURCE_NAMES,
  refreshToken: true,
  onRefreshToken: true,
};

/**
 * Makes a source that gets access tokens for a refresh token, to send mail in the name of a user who has consented once.
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
 * @param options The refresh token, the application and its authorisation server.
 * @returns The source. It rejects with a {@linkcode TokenError}.
 * @throws {TypeError | RangeError} If an option is invalid.
 */
export function refreshToken(options: RefreshTokenOptions): TokenSource {
  checkSourceNames(options, NAMES);
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
  /** The response with a refresh token that could not be stored yet. */
  let unstored: TokenResponse | undefined;

  return renewing(async ({ signal, refused }) => {
    let response = unstored;
    if (response === undefined || response.accessToken === refused) {
      const refresh_token = typeof stored === "function"
        ? await callback("Could not read the refresh token", stored)
        : latest!;
      checkRefreshToken(refresh_token);
      response = await request({ refresh_token }, signal);
      if (response.refreshToken === undefined || response.refreshToken === refresh_token) return response;
      latest = response.refreshToken;
    }
    unstored = response;
    await callback(
      "Could not store the new refresh token",
      () => onRefreshToken?.(response.refreshToken!),
    );
    unstored = undefined;
    return response;
  }, options);
}

/** Calls one of the caller's functions. */
async function callback<T>(failure: string, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw new TokenError("callback-failed", failure, { cause });
  }
}

function checkRefreshToken(token: unknown): asserts token is string {
  if (typeof token === "string" && token !== "") return;
  throw new TypeError("Cannot request a token: refreshToken must be a string that is not empty");
}
