/**
 * How an application proves to the authorisation server which one it is (RFC 6749, section 2.3).
 *
 * @module
 */
import { ClientSecretBasic, ClientSecretPost, None } from "oauth4webapi";
import type { ClientAuth } from "oauth4webapi";
import { assertionSigner } from "./assertion.ts";
import type { AssertionKeyOptions } from "./assertion.ts";

/** An application that is registered with the authorisation server. */
export interface ClientOptions extends Partial<AssertionKeyOptions> {
  /** Its identifier. */
  clientId: string;
  /** Its secret. Default: none; a client without a key either is a public one. */
  clientSecret?: string;
  /**
   * How the secret travels: in the header, as RFC 6749 prefers, or in the body, for servers that want it there. Default:
   * `"client_secret_basic"`.
   */
  clientSecretMethod?: "client_secret_basic" | "client_secret_post";
}

/** For how long an assertion of a client is good, in seconds: long enough for clocks that differ. */
const ASSERTION_LIFE = 300;

/**
 * Chooses how the client proves who it is: `private_key_jwt` with a private key (OpenID Connect Core 1.0, section 9),
 * `client_secret_basic` or `client_secret_post` with a secret, else `none`.
 *
 * @param options The application.
 * @param audience Whom an assertion is for.
 * @param now Tells the time, in milliseconds since 1970.
 * @returns What the library asks for.
 * @throws {TypeError} If the options make no sense.
 */
export function clientAuthentication(
  options: ClientOptions,
  audience: string,
  now: () => number,
): ClientAuth {
  const { clientId, clientSecret, clientSecretMethod = "client_secret_basic", privateKey } = options;
  if (typeof clientId !== "string" || clientId === "") {
    throw new TypeError("Cannot make a token source: clientId must be a string that is not empty");
  }
  if (clientSecret !== undefined && privateKey !== undefined) {
    throw new TypeError("Cannot make a token source: a client has a clientSecret or a privateKey, not both");
  }
  if (privateKey !== undefined) return privateKeyJwt(clientId, { ...options, privateKey }, audience, now);
  if (options.certificate !== undefined) {
    throw new TypeError(
      "Cannot make a token source: a certificate alone proves nothing, give its privateKey",
    );
  }
  if (clientSecret === undefined) return None();
  if (typeof clientSecret !== "string" || clientSecret === "") {
    throw new TypeError("Cannot make a token source: clientSecret must be a string that is not empty");
  }
  switch (clientSecretMethod) {
    case "client_secret_basic":
      return ClientSecretBasic(clientSecret);
    case "client_secret_post":
      return ClientSecretPost(clientSecret);
    default:
      throw new TypeError(
        "Cannot make a token source: clientSecretMethod must be client_secret_basic or client_secret_post, " +
          `it is ${clientSecretMethod}`,
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
