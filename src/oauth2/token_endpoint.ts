/**
 * One request to a token endpoint (RFC 6749, section 3.2), and what comes of it.
 *
 * @module
 */
import {
  allowInsecureRequests,
  customFetch,
  genericTokenEndpointRequest,
  processGenericTokenEndpointResponse,
  ResponseBodyError,
} from "oauth4webapi";
import type { AuthorizationServer, Client, ClientAuth } from "oauth4webapi";
import { printable } from "../sasl/printable.ts";
import type { Provider } from "./providers.ts";
import { readAnswer } from "./token_answer.ts";
import { TokenError } from "./token_error.ts";

/** Fetches, as the platform's `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** How the token endpoint is spoken to. */
export interface TokenEndpointOptions {
  /** The authorisation server: `google`, `microsoft()`, or one of your own. */
  provider: Provider;
  /** What the token is to be good for, words with spaces between them. Default: as the provider says. */
  scope?: string;
  /** More parameters of the request, such as `resource` or `audience`. */
  parameters?: Readonly<Record<string, string>>;
  /** What requests are made with, such as one that goes through a proxy. Default: the platform's `fetch`. */
  fetch?: Fetch;
  /**
   * Whether a token endpoint may be reached without TLS. Whoever listens then reads secrets and tokens: for a server on
   * the same machine, in tests. Default: `false`.
   */
  allowInsecureRequests?: boolean;
}

/** What a server may answer besides the token itself. */
export interface TokenResponse {
  /** The access token. */
  readonly accessToken: string;
  /** Its life in seconds. */
  readonly expiresIn: number | undefined;
  /** The refresh token for the next time, where there is a new one. */
  readonly refreshToken: string | undefined;
}

/** Asks for a token. */
export type RequestToken = (
  parameters: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
) => Promise<TokenResponse>;

/** The most that is shown of the server's own words. */
const MAX_DESCRIPTION = 300;

/** The longest registered error code has 31 characters. */
const MAX_ERROR = 60;

/** What stands in the place of a secret. */
const MASK = "********";

/** The parameters of a request that nobody else may see. */
const SECRETS = ["client_secret", "client_assertion", "assertion", "refresh_token"];

/** Codes that say that the server is not itself (RFC 6749, section 4.1.2.1; RFC 8628, section 3.5). */
const TEMPORARY: ReadonlySet<string> = new Set(["temporarily_unavailable", "server_error", "slow_down"]);

/**
 * Checks the address of a token endpoint.
 *
 * @param options How it is spoken to.
 * @returns The address.
 * @throws {TypeError} If it is none, or would let secrets travel in the clear.
 */
export function readEndpoint(
  { provider, allowInsecureRequests = false }: Pick<
    TokenEndpointOptions,
    "provider" | "allowInsecureRequests"
  >,
): string {
  const { tokenEndpoint } = provider;
  const url = URL.parse(tokenEndpoint);
  if (url === null) {
    throw new TypeError(
      `Cannot make a token source: tokenEndpoint must be a URL, it is ${JSON.stringify(tokenEndpoint)}`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError("Cannot make a token source: tokenEndpoint must hold no name and no password");
  }
  if (url.protocol === "https:" || (url.protocol === "http:" && allowInsecureRequests)) return url.href;
  throw new TypeError(
    `Cannot make a token source: tokenEndpoint must be https:, it is ${url.protocol}` +
      (url.protocol === "http:" ? " (allowInsecureRequests lets it be)" : ""),
  );
}

/**
 * Makes a function that asks for tokens.
 *
 * @param grantType What is given for the token.
 * @param options How the token endpoint is spoken to.
 * @param client Who asks, and how that is proved.
 * @returns The function.
 * @throws {TypeError} If the options make no sense.
 */
export function tokenRequest(
  grantType: string,
  options: TokenEndpointOptions,
  client: { id: string; authentication: ClientAuth; secrets: readonly (string | undefined)[] },
): RequestToken {
  const server: AuthorizationServer = { issuer: "unused", token_endpoint: readEndpoint(options) };
  const self: Client = { client_id: client.id };
  const { parameters: more, scope, fetch: own } = options;
  const send: Fetch = own ?? ((url, init) => fetch(url, init));

  return async (parameters, signal) => {
    const all = Object.entries({ ...more, scope, ...parameters }).filter(([, value]) => value !== undefined);
    const secrets = [...client.secrets];
    try {
      const response = await genericTokenEndpointRequest(
        server,
        self,
        client.authentication,
        grantType,
        new URLSearchParams(all as [string, string][]),
        {
          signal,
          [allowInsecureRequests]: options.allowInsecureRequests ?? false,
          [customFetch]: async (url, init) => {
            secrets.push(...secretsOf(init.body, init.headers));
            return await readAnswer(await reach(send, url, init as RequestInit), signal);
          },
        },
      );
      const { access_token, expires_in, refresh_token, token_type } =
        await processGenericTokenEndpointResponse(server, self, response);
      if (token_type !== "bearer") {
        // A DPoP token (RFC 9449) is worth nothing to a mail server.
        throw new TokenError("bad-response", "The authorisation server gives no bearer token");
      }
      return { accessToken: access_token, expiresIn: expires_in, refreshToken: refresh_token };
    } catch (error) {
      throw toTokenError(error, secrets);
    }
  };
}

async function reach(send: Fetch, url: string, init: RequestInit): Promise<Response> {
  try {
    return await send(url, init);
  } catch (cause) {
    if (cause instanceof TokenError) throw cause; // the signal's reason: time is over
    const host = new URL(url).host;
    throw new TokenError("network", `The authorisation server ${host} could not be reached`, {
      cause,
      temporary: true,
    });
  }
}

/** The library's errors hold the whole answer, tokens too: none of them gets out, not even as a cause. */
function toTokenError(error: unknown, secrets: readonly (string | undefined)[]): TokenError {
  if (error instanceof TokenError) return error;
  if (error instanceof ResponseBodyError) {
    const { status } = error;
    const code = printable(mask(error.error, secrets), MAX_ERROR);
    const words = error.error_description === undefined
      ? ""
      : `: ${printable(mask(String(error.error_description), secrets), MAX_DESCRIPTION)}`;
    return new TokenError("refused", `The authorisation server refuses a token: ${code}${words}`, {
      error: code,
      status,
      temporary: status === 429 || TEMPORARY.has(code),
    });
  }
  return new TokenError(
    "bad-response",
    "The answer of the authorisation server is not one of a token endpoint",
  );
}

function secretsOf(body: unknown, headers: unknown): string[] {
  const found = body instanceof URLSearchParams ? SECRETS.map((name) => body.get(name) ?? "") : [];
  const authorization = (headers as Record<string, string> | undefined)?.["authorization"];
  return authorization === undefined
    ? found
    : [...found, authorization, authorization.slice("Basic ".length)];
}

/** Servers repeat in their words what they were sent. */
function mask(text: string, secrets: readonly (string | undefined)[]): string {
  let masked = text;
  for (const secret of secrets) if (secret) masked = masked.replaceAll(secret, MASK);
  return masked;
}
