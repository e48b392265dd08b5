/**
 * Listens and serves, in the manner of `Deno.serve`.
 *
 * @module
 */
import { isControl } from "../core/characters.ts";
import { mustBe } from "../core/errors.ts";
import { mustNotBeUrl } from "../sockets/settings.ts";
import type { Socket } from "../sockets/socket.ts";
import { ServerConnection } from "./connection.ts";
import { report } from "./error_log.ts";
import { ClientPlaces } from "./client_places.ts";
import type { ServerHandlers } from "./handlers.ts";
import { listen, type Listener } from "./listener.ts";
import {
  assertNames,
  oneOf,
  optionalFunction,
  readOptions,
  type ServeOptions,
  type ServerAddress,
  type SessionSettings,
  wholeNumber,
} from "./options.ts";
import { createSecureServer } from "./tls.ts";

/** A server that listens, as {@linkcode serve} makes it. */
export interface SmtpServer extends AsyncDisposable {
  /**
   * The address that the server listens on.
   *
   * @throws {Error} Before it listens: taking a port is asynchronous on Node and Deno. Wait for `listening`.
   */
  readonly addr: ServerAddress;
  /**
   * Resolves when the server listens. Rejects with a `SocketError` if it cannot: its `code` is `"address-in-use"`,
   * `"not-permitted"`, `"host-not-found"`, `"unreachable"` for an address that this machine does not have, or `"network"`.
   * Marked as handled: the error goes to `onError` too.
   */
  readonly listening: Promise<ServerAddress>;
  /** Resolves when the server and all its sessions have ended; rejects if it could not listen. Marked as handled. */
  readonly finished: Promise<void>;
  /** The number of sessions now. */
  readonly connections: number;
  /**
   * Stops listening. Sessions without an open transaction end with 421 4.3.2 at once, the others after their transaction;
   * those that still run after `timeouts.shutdown` are cut, and TLS handshakes after a tenth of a second. A client that the
   * server is waiting for at that limit gets a 421 first, and a tenth of a second to read it. It does not wait until clients
   * hang up, only until they have been silent for a tenth of a second, because the system throws a reply away that is on its
   * way to a client that is still talking. Nor does it wait for handlers that still run a tenth of a second after they were
   * cut: `session.signal` tells them, and what they return then is lost. May be called any number of times.
   *
   * @returns Resolves when everything has ended.
   */
  shutdown(): Promise<void>;
  /** Like `shutdown()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a server. What can be known at once is thrown at once: options and handlers that do not exist or make no sense, a
 * certificate that cannot be read, a key of another certificate. Whether the address can be had turns out a moment later, on every
 * runtime: then `listening` and `finished` reject with a `SocketError`, and `onError` gets it.
 *
 * @param options Where to listen and how to serve.
 * @param handlers The decisions. Without any, every message is accepted and thrown away.
 * @returns The server, at once; see `listening`.
 * @throws {TypeError | RangeError} If an option or a handler does not exist or is not valid.
 *
 * @example Take mail for one domain
 * ```ts
 * import { Reply } from "@streams/smtp";
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" }, {
 *   rcpt(recipient) {
 *     if (recipient.mailbox.domain !== "example.org") throw new Reply(550, "No relaying", { enhancedCode: "5.7.1" });
 *   },
 *   async message(content, { envelope }) {
 *     let size = 0;
 *     for await (const chunk of content) size += chunk.length;
 *     console.log(`${size} bytes from ${envelope.from} to ${envelope.to.join(", ")}`);
 *   },
 * });
 * console.log("Listening on port", (await server.listening).port);
 * ```
 */
export function serve(options: ServeOptions = {}, handlers: ServerHandlers = {}): SmtpServer {
  return new ListeningServer(options, handlers);
}

class ListeningServer implements SmtpServer {
  readonly listening: Promise<ServerAddress>;
  readonly finished: Promise<void>;
  readonly #settings: SessionSettings;
  readonly #handlers: ServerHandlers;
  readonly #listener: Listener;
  /** Each connection and the end of its session. */
  readonly #running: Map<ServerConnection, Promise<void>> = new Map();
  readonly #stopped = Promise.withResolvers<void>();
  #addr: ServerAddress | undefined;
  #stopping = false;

  constructor(given: ServeOptions, handlers: ServerHandlers) {
    const options = assertNames(given, handlers, "serve");
    const { hostname = "127.0.0.1", path, tls, security = tls === undefined ? "none" : "starttls" } = options;
    oneOf("security", security, ["tls", "starttls", "none"]);
    // An empty one would listen on all addresses.
    assertText("hostname", hostname);
    mustNotBeUrl("serve", "hostname", hostname);
    if (path !== undefined) {
      mustNotBeUrl("serve", "path", path);
      assertText("path", path);
      if (options.hostname !== undefined || options.port !== undefined) {
        throw new TypeError(
          "Cannot serve: path and hostname or port contradict each other, give one of them",
        );
      }
    }
    optionalFunction("onListen", options.onListen);
    if (security !== "none" && tls === undefined) {
      throw new TypeError(`Cannot serve: security "${security}" needs a certificate in tls`);
    }
    const port = wholeNumber("port", options.port ?? 0, 0, 65_535);
    this.#settings = readOptions(options, handlers);
    assertReachable(this.#settings, security);
    this.#handlers = handlers;
    const maxConnections = wholeNumber("maxConnections", options.maxConnections ?? 500, 1);
    const maxPerClient = wholeNumber(
      "maxConnectionsPerClient",
      options.maxConnectionsPerClient ?? Math.min(50, Math.ceil(maxConnections / 2)),
      1,
    );
    this.#listener = listen({
      hostname,
      port,
      path,
      security,
      secure: security === "none" ? undefined : createSecureServer(tls!),
      places: new ClientPlaces(maxConnections, maxPerClient),
      accept: (socket, giveBack) => this.#accept(socket, giveBack),
      onError: (error) => this.#report(error),
    });
    this.listening = this.#listen(options.onListen);
    this.finished = this.#finish();
    this.listening.catch(() => {});
    this.finished.catch(() => {});
    const { signal } = this.#settings;
    if (signal?.aborted) void this.shutdown();
    else signal?.addEventListener("abort", this.#onAbort);
  }

  get addr(): ServerAddress {
    if (this.#addr === undefined) throw new Error("Cannot read addr: the server does not listen yet");
    return this.#addr;
  }

  get connections(): number {
    return this.#running.size;
  }

  shutdown(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.#settings.signal?.removeEventListener("abort", this.#onAbort);
      void this.#stop();
    }
    return this.finished.catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  readonly #onAbort = (): void => void this.shutdown();

  async #listen(onListen: ServeOptions["onListen"]): Promise<ServerAddress> {
    try {
      this.#addr = await this.#listener.listening;
    } catch (error) {
      this.#settings.signal?.removeEventListener("abort", this.#onAbort);
      this.#report(error);
      throw error;
    }
    try {
      onListen?.(this.#addr);
    } catch (error) {
      this.#report(error);
    }
    return this.#addr;
  }

  async #finish(): Promise<void> {
    await this.#listener.listening;
    await this.#stopped.promise;
  }

  async #stop(): Promise<void> {
    const closed = this.#listener.close();
    const limit = this.#settings.timeouts.shutdown;
    const timer = limit === Infinity ? undefined : setTimeout(() => this.#cut(), limit);
    for (const connection of this.#running.keys()) connection.shutdown();
    await closed;
    while (this.#running.size > 0) await Promise.all(this.#running.values());
    clearTimeout(timer);
    this.#stopped.resolve();
  }

  #cut(): void {
    for (const connection of this.#running.keys()) connection.cut();
  }

  #report(error: unknown): void {
    report(this.#settings.onError, error, undefined);
  }

  #accept(socket: Socket, giveBack: () => void): void {
    const connection = new ServerConnection(socket, this.#settings, this.#handlers);
    const end = connection.run().then(() => {
      this.#running.delete(connection);
      giveBack();
    });
    this.#running.set(connection, end);
    if (this.#stopping) connection.shutdown();
  }
}

function assertText(name: string, value: string): void {
  const valid = typeof value === "string" && value !== "" &&
    ![...value].some((char) => isControl(char.charCodeAt(0)));
  if (!valid) {
    throw new TypeError(
      mustBe("serve", name, "a text that is not empty and has no control characters", value),
    );
  }
}

/** Refuses a server that would refuse every message. */
function assertReachable(
  { requireTls, requireAuth, allowInsecureAuth, hide }: SessionSettings,
  security: string,
): void {
  const tls = security === "tls" || (security === "starttls" && !hide.has("STARTTLS"));
  if (requireTls && !tls) {
    throw new TypeError("Cannot serve: requireTls needs TLS, give a certificate in tls");
  }
  if (requireAuth && !tls && !allowInsecureAuth) {
    throw new TypeError(
      "Cannot serve: requireAuth needs TLS, give a certificate in tls, or allowInsecureAuth",
    );
  }
}
