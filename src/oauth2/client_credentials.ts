/**
 * Access tokens for the credentials of an application (RFC 6749, section 4.4).
 *
 * @module
 */
import { clientAuthentication } from "./client_authentication.ts";
import type { ClientOptions } from "./client_authentication.ts";
import { readEndpoint, tokenRequest } from "./token_endpoint.ts";
import type { TokenEndpointOptions } from "./token_endpoint.ts";
import { tokenSource } from "./token_source.ts";
import type { TokenSource, TokenSourceOptions } from "./token_source.ts";

/** The application. It needs a secret or a private key. */
export interface ClientCredentialsOptions extends ClientOptions, TokenEndpointOptions, TokenSourceOptions {}

/**
 * A source that gets its access tokens for the credentials of an application alone: mail without a user, as with Microsoft
 * 365.
 *
 * @example Microsoft 365, with a certificate
 * ```ts ignore
 * import { SmtpPool } from "@streams/smtp";
 * import { clientCredentials, microsoft } from "@streams/smtp/oauth2";
 *
 * const accessToken = clientCredentials({
 *   provider: microsoft("contoso.onmicrosoft.com"),
 *   clientId: "00000000-0000-0000-0000-000000000000",
 *   privateKey: "-----BEGIN PRIVATE KEY-----…",
 *   certificate: "-----BEGIN CERTIFICATE-----…",
 * });
 * await using pool = new SmtpPool({
 *   hostname: "smtp.office365.com",
 *   auth: { user: "invoices@contoso.com", accessToken },
 * });
 * ```
 *
 * @param options The application.
 * @returns The source. It rejects with a {@linkcode TokenError}.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function clientCredentials(options: ClientCredentialsOptions): TokenSource {
  const { provider, clientId, clientSecret, privateKey } = options;
  if (clientSecret === undefined && privateKey === undefined) {
    throw new TypeError("Cannot make a token source: a client alone needs a clientSecret or a privateKey");
  }
  const scope = options.scope ?? provider.clientScope;
  const audience = provider.audience ?? readEndpoint(options);
  const request = tokenRequest("client_credentials", { ...options, ...scope !== undefined && { scope } }, {
    id: clientId,
    authentication: clientAuthentication(options, audience, options.now ?? Date.now),
    secrets: [clientSecret],
  });
  return tokenSource(({ signal }) => request({}, signal), options);
}
