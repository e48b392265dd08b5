/**
 * An authorisation server on loopback that takes nothing on trust. Clients prove who they are, signatures are
 * verified, refresh tokens work once, and tokens can be revoked.
 *
 * `POST /token` is the token endpoint, `GET /introspect?token=…` tells Dovecot who a token belongs to.
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { JwtError, verifyJwt } from "./oauth_jwt.ts";

/** A client that the server knows. */
export interface KnownClient {
  /** Its secret. */
  secret?: string;
  /** How it has to send it, or prove who it is. */
  method: "client_secret_basic" | "client_secret_post" | "private_key_jwt" | "none";
  /** What verifies its assertions. */
  publicKey?: CryptoKey;
  /** What its assertions must say about its certificate. */
  thumbprint?: string;
}

/** A request that reached the token endpoint, or that Dovecot made. */
export interface TokenRequest {
  readonly body: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** The claims of the assertion that was verified. */
  claims?: Record<string, unknown>;
  /** The header of it. */
  jwtHeader?: Record<string, unknown>;
}

/** What it answers instead of the right thing. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body: string | Record<string, unknown>;
}

/** A token that it has issued. */
interface Issued {
  user: string;
  expiresAt: number;
}

/** A running authorisation server. */
export class OAuthServer implements AsyncDisposable {
  /** Clients by their identifiers. */
  readonly clients: Map<string, KnownClient> = new Map();
  /** Service accounts by their addresses, with the key that verifies what they sign. */
  readonly accounts: Map<string, CryptoKey> = new Map();
  /** Valid refresh tokens, and who they belong to. */
  readonly refreshTokens: Map<string, string> = new Map();
  /** What reached the token endpoint. */
  readonly requests: TokenRequest[] = [];
  /** The tokens that Dovecot has asked about. */
  readonly introspected: string[] = [];
  /** What the next requests are answered with, in order, instead of the right thing. */
  readonly answers: Answer[] = [];
  /** The lifetime of the next tokens in seconds; with `undefined` the server does not say it, and they last. */
  expiresIn: number | undefined = 3600;
  /** Whether a refresh token works once, and a new one comes with the access token. */
  rotates = true;
  /** The server's clock. */
  now: () => number = Date.now;
  /** Holds answers back until it resolves. */
  gate: Promise<void> = Promise.resolve();

  readonly #tokens = new Map<string, Issued>();
  readonly #assertions = new Set<string>();
  readonly #server: Server;
  #count = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error) => {
        response.writeHead(500, { connection: "close" }).end(String(error));
      });
    });
  }

  /** Starts one. */
  static async start(): Promise<OAuthServer> {
    const server = new OAuthServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  /** Where it is. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Its token endpoint. */
  get tokenEndpoint(): string {
    return `${this.origin}/token`;
  }

  /** Where Dovecot asks about a token, which it adds to the end. */
  get introspectionUrl(): string {
    return `${this.origin}/introspect?token=`;
  }

  /** The valid tokens. */
  get tokens(): string[] {
    return [...this.#tokens].filter(([, { expiresAt }]) => expiresAt > this.now()).map(([token]) => token);
  }

  /** Makes all access tokens invalid at once, as when a user changes the password. */
  revokeAll(): void {
    this.#tokens.clear();
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = new URLSearchParams(
      new TextDecoder().decode(await new Blob(chunks as BlobPart[]).arrayBuffer()),
    );
    const { pathname, searchParams } = new URL(request.url!, this.origin);
    let answer: Answer;
    if (request.method === "POST" && pathname === "/token") answer = await this.#token(request, body);
    else if (request.method === "GET" && pathname === "/introspect") {
      answer = this.#introspect(searchParams.get("token") ?? "");
    } else answer = { status: 404, body: "Not here" };
    const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    response.writeHead(answer.status ?? 200, {
      "content-type": "application/json",
      "cache-control": "no-store",
      connection: "close", // nothing is left open when a test is over
      ...answer.headers,
    }).end(text);
  }

  #introspect(token: string): Answer {
    this.introspected.push(token);
    const issued = this.#tokens.get(token);
    if (issued === undefined || issued.expiresAt <= this.now()) return { body: { active: false } };
    return { body: { active: true, sub: issued.user } };
  }

  async #token({ headers }: IncomingMessage, body: URLSearchParams): Promise<Answer> {
    const request: TokenRequest = { headers, body };
    this.requests.push(request);
    await this.gate;
    const forced = this.answers.shift();
    if (forced !== undefined) return forced;
    try {
      return { body: await this.#grant(request) };
    } catch (error) {
      if (!(error instanceof OAuthError) && !(error instanceof JwtError)) throw error;
      const invalidClient = error instanceof OAuthError && error.code === "invalid_client";
      return {
        status: invalidClient ? 401 : 400,
        ...invalidClient && { headers: { "www-authenticate": 'Basic realm="test"' } },
        body: {
          error: error instanceof OAuthError ? error.code : "invalid_grant",
          error_description: error.message,
        },
      };
    }
  }

  async #grant(request: TokenRequest): Promise<Record<string, unknown>> {
    const { body } = request;
    switch (body.get("grant_type")) {
      case "refresh_token": {
        await this.#authenticate(request);
        const token = body.get("refresh_token") ?? "";
        const user = this.refreshTokens.get(token);
        if (user === undefined) throw new OAuthError("invalid_grant", `There is no refresh token ${token}`);
        if (!this.rotates) return this.#issue(user);
        this.refreshTokens.delete(token);
        const next = `refresh-${++this.#count}`;
        this.refreshTokens.set(next, user);
        return { ...this.#issue(user), refresh_token: next };
      }
      case "client_credentials":
        return this.#issue(await this.#authenticate(request));
      case "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return this.#issue(await this.#account(request));
      default:
        throw new OAuthError("unsupported_grant_type", `There is no ${body.get("grant_type")}`);
    }
  }

  #issue(user: string): Record<string, unknown> {
    const access_token = `access-${++this.#count}.${crypto.randomUUID()}`;
    const life = this.expiresIn ?? Infinity;
    this.#tokens.set(access_token, { user, expiresAt: this.now() + life * 1000 });
    return { access_token, token_type: "Bearer", expires_in: this.expiresIn };
  }

  /** Whether the client is the one it says it is (RFC 6749, section 2.3). */
  async #authenticate(request: TokenRequest): Promise<string> {
    const { body, headers } = request;
    let id = body.get("client_id");
    let secret = body.get("client_secret");
    let method: KnownClient["method"] = secret === null ? "none" : "client_secret_post";
    if (headers.authorization?.startsWith("Basic ")) {
      const pair = atob(headers.authorization.slice(6)).split(":").map((part) =>
        decodeURIComponent(part.replaceAll("+", " "))
      );
      [id, secret] = [pair[0]!, pair[1]!];
      method = "client_secret_basic";
    }
    const assertion = body.get("client_assertion");
    if (assertion !== null) method = "private_key_jwt";
    const client = this.clients.get(id ?? "");
    if (id === null || client?.method !== method) {
      throw new OAuthError("invalid_client", `${id} has not come by ${client?.method}`);
    }
    if (assertion !== null) {
      const type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
      if (body.get("client_assertion_type") !== type) throw new OAuthError("invalid_client", "Which type?");
      await this.#verify(request, assertion, client.publicKey!);
      const { iss, sub } = request.claims!;
      if (iss !== id || sub !== id) throw new OAuthError("invalid_client", "The assertion is another's");
      if (request.jwtHeader!["x5t#S256"] !== client.thumbprint) {
        throw new OAuthError("invalid_client", "The certificate is another's");
      }
    } else if (client.secret !== undefined && client.secret !== secret) {
      throw new OAuthError("invalid_client", `The secret ${secret} is wrong`); // some servers do say it
    }
    return id;
  }

  async #account(request: TokenRequest): Promise<string> {
    const assertion = request.body.get("assertion") ?? "";
    const { iss } = JSON.parse(atob(assertion.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")));
    const publicKey = this.accounts.get(iss);
    if (publicKey === undefined) throw new OAuthError("invalid_grant", `There is no account ${iss}`);
    await this.#verify(request, assertion, publicKey);
    const { scope, sub = iss } = request.claims!;
    if (scope !== "https://mail.google.com/") throw new OAuthError("invalid_scope", `What is ${scope}`);
    return sub as string;
  }

  async #verify(request: TokenRequest, assertion: string, publicKey: CryptoKey): Promise<void> {
    const { header, claims } = await verifyJwt(assertion, publicKey, {
      audience: this.tokenEndpoint,
      now: this.now(),
    });
    if (this.#assertions.has(assertion)) throw new OAuthError("invalid_grant", "The assertion was used");
    this.#assertions.add(assertion);
    request.claims = claims;
    request.jwtHeader = header;
  }
}

class OAuthError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
