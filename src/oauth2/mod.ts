/**
 * Sources of OAuth 2.0 access tokens that renew themselves, for `auth.accessToken` of a client. Install `oauth4webapi` to use
 * this entry point.
 *
 * - {@linkcode refreshToken}: for a user who has consented (Gmail, Outlook.com, Microsoft 365).
 * - {@linkcode clientCredentials}: for an application (Microsoft 365).
 * - {@linkcode serviceAccount}: for any user of a domain (Google Workspace).
 * - {@linkcode tokenSource}: from your own function.
 * - {@linkcode fixedToken}: always the same token.
 *
 * A source holds one token for all connections. It requests a new one shortly before the token expires, or when a server
 * refuses it: one request, however many connections wait for it.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@streams/smtp";
 * import { microsoft, refreshToken } from "@streams/smtp/oauth2";
 *
 * async function connect(user: string, stored: { read(): Promise<string>; write(token: string): Promise<void> }) {
 *   const accessToken = refreshToken({
 *     provider: microsoft(),
 *     clientId: "00000000-0000-0000-0000-000000000000",
 *     refreshToken: () => stored.read(),
 *     onRefreshToken: (token) => stored.write(token),
 *   });
 *   return await SmtpClient.connect({ hostname: "smtp.office365.com", auth: { user, accessToken } });
 * }
 * ```
 *
 * @module
 */
export type { AssertionKeyOptions, SigningAlgorithm } from "./assertion.ts";
export { clientCredentials } from "./client_credentials.ts";
export type { ClientCredentialsOptions, ClientOptions } from "./client_credentials.ts";
export { google, GOOGLE_MAIL_SCOPE, microsoft } from "./providers.ts";
export type { Provider } from "./providers.ts";
export { refreshToken } from "./refresh_token.ts";
export type { RefreshTokenOptions } from "./refresh_token.ts";
export { serviceAccount } from "./service_account.ts";
export type { ServiceAccountKey, ServiceAccountOptions } from "./service_account.ts";
export type { Fetch, TokenEndpointOptions } from "./token_endpoint.ts";
export { TokenError } from "./token_error.ts";
export type { TokenErrorCode, TokenErrorInit } from "./token_error.ts";
export { fixedToken, tokenSource } from "./token_source.ts";
export type {
  IssueContext,
  IssuedToken,
  TimeLimitOptions,
  TokenSource,
  TokenSourceOptions,
} from "./token_source.ts";
