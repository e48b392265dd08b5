/**
 * Access tokens for an assertion that a service account has signed (RFC 7523, section 2.1).
 *
 * @module
 */
import { assertionSigner } from "./assertion.ts";
import type { SigningAlgorithm } from "./private_key.ts";
import { google, GOOGLE_MAIL_SCOPE } from "./providers.ts";
import { readEndpoint, tokenRequest } from "./token_endpoint.ts";
import type { TokenEndpointOptions } from "./token_endpoint.ts";
import { tokenSource } from "./token_source.ts";
import type { TokenSource, TokenSourceOptions } from "./token_source.ts";

/** What is needed of the key file that Google gives for a service account. */
export interface ServiceAccountKey {
  /** The address of the account. */
  client_email: string;
  /** Its private key, PEM (PKCS #8). */
  private_key: string;
  /** The key's name. */
  private_key_id?: string;
  /** The token endpoint. Default: Google's. */
  token_uri?: string;
}

/** A service account and whose mail it sends. */
export interface ServiceAccountOptions extends Omit<TokenEndpointOptions, "provider">, TokenSourceOptions {
  /** The key: the JSON text of its file, or what that holds. */
  key: string | ServiceAccountKey;
  /**
   * The user to act for, a mail address: the `user` to log in as. The administrator of the domain must have delegated the
   * scope to the account. Default: nobody; Gmail then has no mailbox to send from.
   */
  subject?: string;
  /** What the token is to be good for. Default: {@linkcode GOOGLE_MAIL_SCOPE}. */
  scope?: string;
  /** How to sign. Default: as the key is, `"RS256"` or `"ES256"`. */
  algorithm?: SigningAlgorithm;
}

/** For how long an assertion is good, in seconds: the most that Google takes, and what its own libraries ask for. */
const ASSERTION_LIFE = 3600;

/**
 * A source that gets its access tokens for a JSON Web Token signed with the key of a service account: mail for any user of a
 * Google Workspace domain, without asking each.
 *
 * @example Google Workspace
 * ```ts ignore
 * import { SmtpClient } from "@streams/smtp";
 * import { serviceAccount } from "@streams/smtp/oauth2";
 *
 * const user = "invoices@example.com";
 * const accessToken = serviceAccount({ key: await Deno.readTextFile("key.json"), subject: user });
 * await using client = await SmtpClient.connect({ hostname: "smtp.gmail.com", auth: { user, accessToken } });
 * ```
 *
 * @param options The account.
 * @returns The source. It rejects with a {@linkcode TokenError}.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function serviceAccount(options: ServiceAccountOptions): TokenSource {
  const { subject, scope = GOOGLE_MAIL_SCOPE, now = Date.now, algorithm } = options;
  const key = readKey(options.key);
  const provider = { tokenEndpoint: key.token_uri ?? google.tokenEndpoint };
  const audience = readEndpoint({ ...options, provider });
  const sign = assertionSigner({
    privateKey: key.private_key,
    ...key.private_key_id !== undefined && { keyId: key.private_key_id },
    ...algorithm !== undefined && { algorithm },
  });
  const { scope: _, ...endpoint } = options;
  const request = tokenRequest("urn:ietf:params:oauth:grant-type:jwt-bearer", { ...endpoint, provider }, {
    id: key.client_email,
    authentication: () => {}, // the assertion says who asks
    secrets: [],
  });
  return tokenSource(async ({ signal }) => {
    const seconds = Math.floor(now() / 1000);
    const claims = {
      iss: key.client_email,
      sub: subject, // where it is not said, no user is meant
      aud: key.token_uri ?? audience, // as the file has it, to the letter
      scope,
      iat: seconds,
      exp: seconds + ASSERTION_LIFE,
    };
    return await request({ assertion: await sign(claims) }, signal);
  }, options);
}

function readKey(given: string | ServiceAccountKey): ServiceAccountKey {
  let key: unknown = given;
  if (typeof given === "string") {
    try {
      key = JSON.parse(given);
    } catch {
      // The error would show the beginning of the file.
      throw new TypeError("Cannot make a token source: the key of the service account is not JSON");
    }
  }
  const { client_email, private_key, private_key_id, token_uri } = (key ?? {}) as Partial<ServiceAccountKey>;
  if (typeof client_email !== "string" || client_email === "" || typeof private_key !== "string") {
    throw new TypeError(
      "Cannot make a token source: the key of the service account must have client_email and private_key",
    );
  }
  return {
    client_email,
    private_key,
    ...private_key_id !== undefined && { private_key_id },
    ...token_uri !== undefined && { token_uri },
  };
}
