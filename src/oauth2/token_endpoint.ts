/**
 * Requests to a token endpoint (RFC 6749, section 3.2) and the responses to them.
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
import { printable } from "../core/characters.ts";
import { mustExist } from "../core/option_names.ts";
import type { OptionHints, OptionNames } from "../core/option_names.ts";
import { Secrets } from "../core/secrets.ts";
import type { Provider } from "./providers.ts";
import { TokenError } from "./token_error.ts";

/** Makes an HTTP request, as the platform's `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The authorisation server, and how to send requests to it. */
export interface TokenEndpointOptions {
  /** The authorisation server: `google`, `microsoft()`, or any other. */
  provider: Provider;
  /** The scope to request, words separated by spaces. Default: the provider's. */
  scope?: string;
  /** More parameters of the request, such as `resource` or `audience`. */
  parameters?: Readonly<Record<string, string>>;
  /** Makes the requests, for example through a proxy. Default: the platform's `fetch`. */
  fetch?: Fetch;
  /**
   * Whether to allow a token endpoint without TLS. Anyone on the network can then read secrets and tokens: only for a server on
   * the same machine, in tests. Default: `false`.
   */
  allowInsecureRequests?: boolean;
}

/** The names of the options of a request. */
export const ENDPOINT_NAMES: OptionNames<TokenEndpointOptions> = {
  provider: true,
  scope: true,
  parameters: true,
  fetch: true,
  allowInsecureRequests: true,
};

const PROVIDER_NAMES: OptionNames<Provider> = {
  tokenEndpoint: true,
  audience: true,
  refreshScope: true,
  clientScope: true,
};

/** For the options of nodemailer, and of OAuth 2.0 itself. */
const HINTS: OptionHints = {
  accessUrl: "use provider: { tokenEndpoint }",
  client_id: "use clientId",
  client_secret: "use clientSecret",
  private_key: "use privateKey",
  refresh_token: "use refreshToken",
  serviceClient: "use serviceAccount()",
  tenant: "use provider: microsoft(tenant)",
  tokenEndpoint: "use provider: { tokenEndpoint }",
  user: "use it in auth, beside accessToken",
};

/**
 * Refuses options of a source that do not exist.
 *
 * @param options The options.
 * @param names The names of those that exist.
 * @throws {TypeError} If there are others, in the provider too.
 */
export function checkSourceNames(options: object, names: Readonly<Record<string, true>>): void {
  mustExist("create a token source", options, names, { hints: HINTS });
  if (!names.provider) return;
  const { provider } = options as { provider?: unknown };
  mustExist("create a token source", provider, PROVIDER_NAMES, { within: "provider" });
}

/** The response to a request for a token. */
export interface TokenResponse {
  /** The access token. */
  readonly accessToken: string;
  /** How long the token is valid, in seconds. */
  readonly expiresIn: number | undefined;
  /** The refresh token for the next request, where the server issued a new one. */
  readonly refreshToken: string | undefined;
}

/** Requests a token. */
export type RequestToken = (
  parameters: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
) => Promise<TokenResponse>;

/**
 * The longest response, in bytes. A token from Microsoft has some 2 KiB, up to some 10 KiB with `groups`; no HTTP header could
 * carry 64 KiB.
 */
const MAX_RESPONSE = 64 * 1024;

/** How many characters of the server's own text an error shows. */
const MAX_DESCRIPTION = 300;

/** How many characters of the server's error code an error shows. The longest registered code has 31. */
const MAX_ERROR = 60;

/** The parameters of a request that are secret, those of other grant types that the caller may add among them. */
const SECRET_PARAMETERS = [
  ...["client_secret", "client_assertion", "assertion", "refresh_token", "code", "code_verifier"],
  ...["device_code", "password", "subject_token", "actor_token"],
];

/** The error codes of passing problems (RFC 6749, section 4.1.2.1; RFC 8628, section 3.5). */
const TEMPORARY: ReadonlySet<string> = new Set(["temporarily_unavailable", "server_error", "slow_down"]);

/** The error codes that are no secret, whatever the secret looks like: programs compare them. */
const ERROR_CODES: ReadonlySet<string> = new Set([
  ...TEMPORARY,
  ...[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "invalid_resource",
  ],
  ...[
    "unauthorized_client",
    "unsupported_grant_type",
    "access_denied",
    "expired_token",
    "authorization_pending",
  ],
  ...["interaction_required", "login_required", "consent_required", "invalid_token", "insufficient_scope"],
  ...["use_dpop_nonce", "invalid_dpop_proof", "admin_policy_enforced", "disabled_client", "org_internal"],
]);

/**
 * Checks the URL of a token endpoint.
 *
 * @param options The provider, and whether TLS may be missing.
 * @returns The URL.
 * @throws {TypeError} If it is not a URL, or would send secrets in the clear.
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
    // It may be one with a password that cannot be parsed.
    throw new TypeError(
      "Cannot create a token source: tokenEndpoint must be a URL, as in https://login.example.com/token",
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError("Cannot create a token source: tokenEndpoint must not contain a name or a password");
  }
  if (url.protocol === "https:" || (url.protocol === "http:" && allowInsecureRequests)) return url.href;
  throw new TypeError(
    `Cannot create a token source: tokenEndpoint must be an https: URL, the current value is ${url.protocol}` +
      (url.protocol === "http:" ? " (allowInsecureRequests allows it)" : ""),
  );
}

/**
 * Makes a function that requests tokens.
 *
 * @param grantType The grant type, `grant_type`.
 * @param options The authorisation server.
 * @param client The client, how it authenticates, and secrets that errors must not show.
 * @returns The function.
 * @throws {TypeError} If an option is invalid.
 */
export function tokenRequest(
  grantType: string,
  options: TokenEndpointOptions,
  client: { id: string; authentication: ClientAuth; secrets: readonly (string | undefined)[] },
): RequestToken {
  const server: AuthorizationServer = { issuer: "unused", token_endpoint: readEndpoint(options) };
  const self: Client = { client_id: client.id };
  const { parameters: more, scope, fetch: customFetcher } = options;
  const send: Fetch = customFetcher ?? ((url, init) => fetch(url, init));

  return async (parameters, signal) => {
    const all = Object.entries({ ...more, scope, ...parameters }).filter(([, value]) => value !== undefined);
    const secrets = new Secrets();
    for (const secret of client.secrets) if (secret !== undefined) secrets.add(secret);
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
            learn(secrets, init.body, init.headers);
            return await readResponse(await sendRequest(send, url, init as RequestInit), signal);
          },
        },
      );
      const { access_token, expires_in, refresh_token, token_type } =
        await processGenericTokenEndpointResponse(server, self, response);
      if (token_type !== "bearer") {
        // A mail server cannot use a DPoP token (RFC 9449).
        throw new TokenError(
          "bad-response",
          "The authorisation server issued a token that is not a bearer token",
        );
      }
      return { accessToken: access_token, expiresIn: expires_in, refreshToken: refresh_token };
    } catch (error) {
      throw toTokenError(error, secrets);
    }
  };
}

async function sendRequest(send: Fetch, url: string, init: RequestInit): Promise<Response> {
  try {
    return await send(url, init);
  } catch (cause) {
    if (cause instanceof TokenError) throw cause; // the signal's reason: the time limit
    const host = new URL(url).host;
    throw new TokenError("network", `Could not reach the authorisation server ${host}`, {
      cause,
      temporary: true,
    });
  }
}

/** The library's errors hold the whole response with its tokens: none of them is passed on, not even as a cause. */
function toTokenError(error: unknown, secrets: Secrets): TokenError {
  if (error instanceof TokenError) return error;
  if (error instanceof ResponseBodyError) {
    const { status } = error;
    const code = ERROR_CODES.has(error.error) ? error.error : printable(secrets.mask(error.error), MAX_ERROR);
    const words = error.error_description === undefined
      ? ""
      : `: ${printable(secrets.mask(String(error.error_description)), MAX_DESCRIPTION)}`;
    return new TokenError("refused", `The authorisation server refused to issue a token: ${code}${words}`, {
      error: code,
      status,
      temporary: status === 429 || TEMPORARY.has(code),
    });
  }
  return new TokenError(
    "bad-response",
    "The response of the authorisation server is not that of a token endpoint",
  );
}

/** Servers repeat in their errors what they were sent. */
function learn(secrets: Secrets, body: unknown, headers: unknown): void {
  for (const name of SECRET_PARAMETERS) {
    const value = body instanceof URLSearchParams ? body.get(name) : null;
    if (value !== null) secrets.add(value);
  }
  const authorization = (headers as Record<string, string> | undefined)?.["authorization"];
  if (authorization !== undefined) secrets.add(authorization.slice("Basic ".length));
}

/**
 * Reads the whole response, up to a limit, and removes what the library must not see.
 *
 * @param response The response.
 * @param signal Stops reading.
 * @returns A response with the same status and members.
 * @throws {TokenError} If the response is too long, or its status is not that of a token endpoint's response.
 */
async function readResponse(response: Response, signal: AbortSignal): Promise<Response> {
  const { status } = response;
  const body = await readBounded(response, signal);
  const refusal = status >= 400 && status < 500 && hasError(body);
  if (status !== 200 && !refusal) {
    throw new TokenError("bad-response", `The authorisation server answered with HTTP status ${status}`, {
      status,
      temporary: status >= 500 || status === 429,
    });
  }
  return new Response(withoutIdToken(body), { status, headers: { "content-type": "application/json" } });
}

/** Removes the ID token: it is not needed here, and the library would have to know the issuer to verify it. */
function withoutIdToken(body: string): string {
  const members = parse(body);
  if (members === undefined) return body;
  const kept = Object.entries(members).filter(([name, value]) => name !== "id_token" && value !== null);
  return JSON.stringify(Object.fromEntries(kept));
}

function hasError(body: string): boolean {
  const error = parse(body)?.["error"];
  return typeof error === "string" && error !== "";
}

function parse(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined; // the parser's error would show the beginning of the text, which may be a token
  }
}

async function readBounded(response: Response, signal: AbortSignal): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      length += value.length;
      if (length > MAX_RESPONSE) {
        await reader.cancel();
        throw new TokenError(
          "bad-response",
          `The response of the authorisation server is longer than ${MAX_RESPONSE} bytes`,
        );
      }
      text += decoder.decode(value, { stream: true });
    }
  } catch (cause) {
    if (cause instanceof TokenError) throw cause;
    if (signal.reason instanceof TokenError) throw signal.reason;
    throw new TokenError("network", "The connection to the authorisation server failed", {
      cause,
      temporary: true,
    });
  }
}
