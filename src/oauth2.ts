/**
 * Sources of OAuth 2.0 access tokens that refresh themselves, for `auth.accessToken` of a client or a pool. On
 * `oauth4webapi`, which only this entry point loads.
 *
 * - {@linkcode refreshToken}: in the name of a user who has consented (Gmail, Outlook.com, Microsoft 365).
 * - {@linkcode clientCredentials}: in the name of an application (Microsoft 365).
 * - {@linkcode serviceAccount}: in the name of any user of a domain (Google Workspace).
 * - {@linkcode tokenSource}: from a function of your own.
 * - {@linkcode fixedToken}: one token and no other.
 *
 * A source has one token for all who ask. It asks for another shortly before the token expires, or when a server refuses it,
 * once for all connections that wait.
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
export { clientCredentials } from "./oauth2/client_credentials.ts";
export type { ClientCredentialsOptions } from "./oauth2/client_credentials.ts";
export type { AssertionKeyOptions } from "./oauth2/assertion.ts";
export type { ClientOptions } from "./oauth2/client_authentication.ts";
export type { SigningAlgorithm } from "./oauth2/private_key.ts";
export { google, GOOGLE_MAIL_SCOPE, microsoft } from "./oauth2/providers.ts";
export type { Provider } from "./oauth2/providers.ts";
export { refreshToken } from "./oauth2/refresh_token.ts";
export type { RefreshTokenOptions } from "./oauth2/refresh_token.ts";
export { serviceAccount } from "./oauth2/service_account.ts";
export type { ServiceAccountKey, ServiceAccountOptions } from "./oauth2/service_account.ts";
export type { TimeLimitOptions } from "./oauth2/time_limit.ts";
export type { Fetch, TokenEndpointOptions } from "./oauth2/token_endpoint.ts";
export { TokenError } from "./oauth2/token_error.ts";
export type { TokenErrorCode, TokenErrorInit } from "./oauth2/token_error.ts";
export { fixedToken, tokenSource } from "./oauth2/token_source.ts";
export type { IssueContext, IssuedToken, TokenSource, TokenSourceOptions } from "./oauth2/token_source.ts";
