/**
 * Access tokens for an assertion that a service account has signed (RFC 7523, section 2.1).
 *
 * @module
 */
import type { OptionNames } from "../core/option_names.ts";
import { assertionSigner } from "./assertion.ts";
import type { SigningAlgorithm } from "./assertion.ts";
import { google, GOOGLE_MAIL_SCOPE } from "./providers.ts";
import { checkSourceNames, ENDPOINT_NAMES, readEndpoint, tokenRequest } from "./token_endpoint.ts";
import type { TokenEndpointOptions } from "./token_endpoint.ts";
import { renewing, SOURCE_NAMES } from "./token_source.ts";
import type { TokenSource, TokenSourceOptions } from "./token_source.ts";

/** The members used of the key file that Google issues for a service account. */
export interface ServiceAccountKey {
  /** The account's address. */
  client_email: string;
  /** The account's private key, PEM (PKCS #8). */
  private_key: string;
  /** The key's name. */
  private_key_id?: string;
  /** The token endpoint. Default: Google's. */
  token_uri?: string;
}

/** The options of {@linkcode serviceAccount}: the account, and the user whose mail it sends. */
export interface ServiceAccountOptions extends Omit<TokenEndpointOptions, "provider">, TokenSourceOptions {
  /** The key: the text of the key file, or that text parsed as JSON. */
  key: string | ServiceAccountKey;
  /**
   * The mail address of the user to act for, the same as `user` in `auth`. The domain's administrator must have delegated the
   * scope to the account. Default: no user; Gmail then has no mailbox to send from.
   */
  subject?: string;
  /** The scope to request. Default: {@linkcode GOOGLE_MAIL_SCOPE}. */
  scope?: string;
  /** The signature algorithm. Default: the one that fits the key, `"RS256"` or `"ES256"`. */
  algorithm?: SigningAlgorithm;
}

const { provider: _, ...REQUEST_NAMES } = ENDPOINT_NAMES;

const NAMES: OptionNames<ServiceAccountOptions> = {
  ...REQUEST_NAMES,
  ...SOURCE_NAMES,
  key: true,
  subject: true,
  scope: true,
  algorithm: true,
};

/** How long an assertion is valid, in seconds: the most that Google accepts, and what its own libraries use. */
const ASSERTION_LIFE = 3600;

/**
 * Makes a source that gets access tokens for a JSON Web Token signed with a service account's key, to send mail for any user
 * of a Google Workspace domain without asking each of them.
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
 * @param options The account, and the user to act for.
 * @returns The source. It rejects with a {@linkcode TokenError}.
 * @throws {TypeError | RangeError} If an option is invalid.
 */
export function serviceAccount(options: ServiceAccountOptions): TokenSource {
  checkSourceNames(options, NAMES);
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
    authentication: () => {}, // the assertion names the client
    secrets: [],
  });
  return renewing(async ({ signal }) => {
    const seconds = Math.floor(now() / 1000);
    const claims = {
      iss: key.client_email,
      sub: subject, // without it the account acts for itself
      aud: key.token_uri ?? audience, // exactly as in the file
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
      // The parser's error would show the beginning of the file.
      throw new TypeError("Cannot create a token source: key must be JSON");
    }
  }
  const { client_email, private_key, private_key_id, token_uri } = (key ?? {}) as Partial<ServiceAccountKey>;
  if (typeof client_email !== "string" || client_email === "" || typeof private_key !== "string") {
    throw new TypeError(
      "Cannot create a token source: key must have client_email and private_key",
    );
  }
  return {
    client_email,
    private_key,
    ...private_key_id !== undefined && { private_key_id },
    ...token_uri !== undefined && { token_uri },
  };
}
