/**
 * The credentials of an application: how it proves its identity to the authorisation server (RFC 6749, section 2.3), and
 * access tokens for these credentials alone (section 4.4).
 *
 * @module
 */
import { ClientSecretBasic, ClientSecretPost, None } from "oauth4webapi";
import type { ClientAuth } from "oauth4webapi";
import type { OptionNames } from "../core/option_names.ts";
import { assertionSigner } from "./assertion.ts";
import type { AssertionKeyOptions } from "./assertion.ts";
import { checkSourceNames, ENDPOINT_NAMES, readEndpoint, tokenRequest } from "./token_endpoint.ts";
import type { TokenEndpointOptions } from "./token_endpoint.ts";
import { renewing, SOURCE_NAMES } from "./token_source.ts";
import type { TokenSource, TokenSourceOptions } from "./token_source.ts";

/** An application that is registered at the authorisation server. */
export interface ClientOptions extends Partial<AssertionKeyOptions> {
  /** The application's identifier. */
  clientId: string;
  /** The application's secret. Default: no secret; an application that has no private key either is a public client. */
  clientSecret?: string;
  /**
   * Where requests carry the secret: in the header, as RFC 6749 prefers, or in the body, for servers that require it there.
   * Default: `"client_secret_basic"`, the header.
   */
  clientSecretMethod?: "client_secret_basic" | "client_secret_post";
}

/** The names of the options of an application. */
export const CLIENT_NAMES: OptionNames<ClientOptions> = {
  clientId: true,
  clientSecret: true,
  clientSecretMethod: true,
  privateKey: true,
  keyId: true,
  certificate: true,
  algorithm: true,
};

/** The options of {@linkcode clientCredentials}. The application needs a secret or a private key. */
export interface ClientCredentialsOptions extends ClientOptions, TokenEndpointOptions, TokenSourceOptions {}

const NAMES: OptionNames<ClientCredentialsOptions> = { ...CLIENT_NAMES, ...ENDPOINT_NAMES, ...SOURCE_NAMES };

/**
 * Makes a source that gets access tokens for the credentials of an application alone, as an application sends mail through
 * Microsoft 365 without a user.
 *
 * @example Microsoft 365, with a certificate
 * ```ts ignore
 * import { SmtpClient } from "@streams/smtp";
 * import { clientCredentials, microsoft } from "@streams/smtp/oauth2";
 *
 * const accessToken = clientCredentials({
 *   provider: microsoft("contoso.onmicrosoft.com"),
 *   clientId: "00000000-0000-0000-0000-000000000000",
 *   privateKey: "-----BEGIN PRIVATE KEY-----…",
 *   certificate: "-----BEGIN CERTIFICATE-----…",
 * });
 * await using client = await SmtpClient.connect({
 *   hostname: "smtp.office365.com",
 *   auth: { user: "invoices@contoso.com", accessToken },
 * });
 * ```
 *
 * @param options The application and its authorisation server.
 * @returns The source. It rejects with a {@linkcode TokenError}.
 * @throws {TypeError | RangeError} If an option is invalid.
 */
export function clientCredentials(options: ClientCredentialsOptions): TokenSource {
  checkSourceNames(options, NAMES);
  const { provider, clientId, clientSecret, privateKey } = options;
  if (clientSecret === undefined && privateKey === undefined) {
    throw new TypeError(
      "Cannot create a token source: client credentials need a clientSecret or a privateKey",
    );
  }
  const scope = options.scope ?? provider.clientScope;
  const audience = provider.audience ?? readEndpoint(options);
  const request = tokenRequest("client_credentials", { ...options, ...scope !== undefined && { scope } }, {
    id: clientId,
    authentication: clientAuthentication(options, audience, options.now ?? Date.now),
    secrets: [clientSecret],
  });
  return renewing(({ signal }) => request({}, signal), options);
}

/** How long an assertion is valid, in seconds: long enough for clocks that differ. */
const ASSERTION_LIFE = 300;

/**
 * Chooses how an application authenticates: `private_key_jwt` with a private key (OpenID Connect Core 1.0, section 9),
 * `client_secret_basic` or `client_secret_post` with a secret, else `none`.
 *
 * @param options The application.
 * @param audience The audience of assertions.
 * @param now Returns the time, in milliseconds since 1970.
 * @returns The authentication, in the library's form.
 * @throws {TypeError} If an option is invalid.
 */
export function clientAuthentication(
  options: ClientOptions,
  audience: string,
  now: () => number,
): ClientAuth {
  const { clientId, clientSecret, clientSecretMethod = "client_secret_basic", privateKey } = options;
  if (typeof clientId !== "string" || clientId === "") {
    throw new TypeError("Cannot create a token source: clientId must be a string that is not empty");
  }
  if (clientSecret !== undefined && privateKey !== undefined) {
    throw new TypeError("Cannot create a token source: clientSecret and privateKey must not both be given");
  }
  if (privateKey !== undefined) return privateKeyJwt(clientId, { ...options, privateKey }, audience, now);
  if (options.certificate !== undefined) {
    throw new TypeError(
      "Cannot create a token source: privateKey must be given with a certificate",
    );
  }
  if (clientSecret === undefined) return None();
  if (typeof clientSecret !== "string" || clientSecret === "") {
    throw new TypeError("Cannot create a token source: clientSecret must be a string that is not empty");
  }
  switch (clientSecretMethod) {
    case "client_secret_basic":
      return ClientSecretBasic(clientSecret);
    case "client_secret_post":
      return ClientSecretPost(clientSecret);
    default:
      throw new TypeError(
        'Cannot create a token source: clientSecretMethod must be "client_secret_basic" or "client_secret_post"',
      );
  }
}

function privateKeyJwt(
  clientId: string,
  key: AssertionKeyOptions,
  audience: string,
  now: () => number,
): ClientAuth {
  const sign = assertionSigner(key);
  return async (_server, _client, body) => {
    const seconds = Math.floor(now() / 1000);
    body.set("client_id", clientId);
    body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    body.set(
      "client_assertion",
      await sign({
        aud: audience,
        iss: clientId,
        sub: clientId,
        iat: seconds,
        nbf: seconds,
        exp: seconds + ASSERTION_LIFE,
      }),
    );
  };
}
