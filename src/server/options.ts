/**
 * How a server is set up.
 *
 * @module
 */
import { isAddressLiteral, isDomain } from "../core/address.ts";
import type { ServerSessionOptions } from "../core/session_options.ts";
import type { ServerHandlers, Session } from "./handlers.ts";

/** How long to wait, in milliseconds. `Infinity` waits for ever. */
export interface ServerTimeouts {
  /** For the client's next command. Default: 300,000 (RFC 5321, section 4.5.3.2.7). */
  command?: number;
  /** For the next bytes of content. Default: 180,000 (RFC 5321, section 4.5.3.2.5). */
  data?: number;
  /** For the TLS handshake. Default: 30,000. */
  tls?: number;
  /** For transactions that run when the server shuts down; then they are cut. Default: 10,000. */
  shutdown?: number;
}

/** How a session is served, on whatever socket. */
export interface SessionOptions {
  /** What is spoken. Default: `"smtp"`. */
  protocol?: "smtp";
  /** The server's name in the greeting and the reply to EHLO: a domain name or an address literal. Default: `"localhost"`. */
  serverName?: string;
  /**
   * The most octets of a message, announced with SIZE (RFC 1870). `Infinity` for no limit. Default: 33,554,432, that is
   * 32 MiB, as aiosmtpd has it.
   */
  maxMessageSize?: number;
  /** The most recipients of a message. Default: 1000, as Postfix has it; RFC 5321, section 4.5.3.1.8 asks for 100. */
  maxRecipients?: number;
  /** The most octets of a command line, its line end included. At least 512. Default: 2048, as Postfix has it. */
  maxLineLength?: number;
  /**
   * How many errors end the session: commands that are malformed, out of order or not permitted, and failed attempts
   * to authenticate. Not counted: what a handler refuses, and what stands in a pipelined group behind a refused MAIL. An
   * accepted message sets the count back. Default: 20, as Postfix has it.
   */
  maxErrors?: number;
  /** How many commands that are not recognized end the session. Default: 10, as smtp-server has it. */
  maxUnrecognized?: number;
  /** How many commands may come before AUTH, with `requireAuth`. Default: 10, as smtp-server has it. */
  maxUnauthenticatedCommands?: number;
  /** Whether mail is only taken from authenticated clients. Needs the handler `auth`. Default: `false`. */
  requireAuth?: boolean;
  /** Whether mail is only taken under TLS. Default: `false`. */
  requireTls?: boolean;
  /** Whether AUTH is offered in the clear too, where anybody on the way can read the password. Default: `false`. */
  allowInsecureAuth?: boolean;
  /**
   * Keywords of extensions that are neither announced nor accepted, in any case: to see how a client gets on without.
   * `"EHLO"` refuses EHLO itself. Default: none.
   */
  hide?: readonly string[];
  /**
   * What becomes of a CR or LF that stands alone. `"reject"`: the message is refused with 550 5.6.0, a command line
   * with 500. `"allow"`: content is handed on as it is, and a lone LF ends a command line. Either way only CR LF . CR LF
   * ends a message. Default: `"reject"`: no client may send them (RFC 5321, section 2.3.8), and handed on to a
   * server that takes LF . LF for an end they smuggle messages.
   */
  bareLineEnds?: "allow" | "reject";
  /**
   * How long the greeting is held back, in milliseconds; a client that speaks before it is a spammer in a hurry and
   * gets 554. Default: 0.
   */
  greetDelay?: number;
  /** Time limits. */
  timeouts?: ServerTimeouts;
  /** Shuts down, gracefully, when it is aborted. */
  signal?: AbortSignal;
  /**
   * Gets what handlers throw that is no `Reply`, and what goes wrong with the server itself. Default: the error is
   * written to the console.
   */
  onError?: (error: unknown, session: Session | undefined) => void;
}

/** A server's certificate. */
export interface ServerTlsOptions {
  /** The certificate with its chain, PEM. */
  cert: string;
  /** Its private key, PEM. */
  key: string;
  /** Authorities that client certificates must be signed by, PEM. Default: clients are not asked for one. */
  caCerts?: readonly string[];
}

/** Where a server listens. */
export interface ServerAddress {
  /** The IP address. Empty for a unix socket. */
  readonly hostname: string;
  /** The port. 0 for a unix socket. */
  readonly port: number;
  /** The path of the unix socket. */
  readonly path: string | undefined;
}

/** How a server listens and serves. */
export interface ServeOptions extends SessionOptions {
  /**
   * The IP address or host name to listen on. Default: `"127.0.0.1"`: to take mail from the world is something to ask
   * for by name, `"0.0.0.0"` or `"::"`.
   */
  hostname?: string;
  /** The port. Default: 0, any that is free; see `addr`. */
  port?: number;
  /** The path of a unix socket to listen on instead. */
  path?: string;
  /** The server's certificate. Needed by `security`. */
  tls?: ServerTlsOptions;
  /**
   * `"tls"`: from the first byte. `"starttls"`: offered. `"none"`: not at all. Default: `"starttls"` with `tls`, else
   * `"none"`.
   */
  security?: "tls" | "starttls" | "none";
  /** The most sessions at a time; others get 421. Default: 500, half of the open files that systems usually permit. */
  maxConnections?: number;
  /** Is told when the server listens. */
  onListen?: (address: ServerAddress) => void;
}

/** {@linkcode SessionOptions} with nothing left out, read once and not changed any more. */
export interface SessionSettings {
  readonly session: Omit<ServerSessionOptions, "secure" | "startTls">;
  readonly greetDelay: number;
  readonly timeouts: Readonly<Required<ServerTimeouts>>;
  readonly signal: AbortSignal | undefined;
  readonly onError: (error: unknown, session: Session | undefined) => void;
}

/**
 * Fills in and checks the options of sessions.
 *
 * @param options The options.
 * @param handlers The handlers: with `auth`, AUTH is offered.
 * @returns The settings.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function resolveSessionOptions(options: SessionOptions, handlers: ServerHandlers): SessionSettings {
  const { protocol = "smtp", serverName = "localhost", requireAuth = false, bareLineEnds = "reject" } =
    options;
  if (protocol !== "smtp") {
    throw new TypeError(`Cannot serve: "protocol" must be "smtp", it is "${protocol}"`);
  }
  if (!isDomain(serverName) && !isAddressLiteral(serverName)) {
    throw new TypeError(`Cannot serve: "serverName" is not a domain name: ${JSON.stringify(serverName)}`);
  }
  if (bareLineEnds !== "allow" && bareLineEnds !== "reject") {
    throw new TypeError(`Cannot serve: "bareLineEnds" must be "allow" or "reject", it is "${bareLineEnds}"`);
  }
  if (requireAuth && handlers.auth === undefined) {
    throw new TypeError(`Cannot serve: "requireAuth" needs the handler "auth"`);
  }
  const { command = 300_000, data = 180_000, tls = 30_000, shutdown = 10_000 } = options.timeouts ?? {};
  return Object.freeze({
    session: Object.freeze({
      serverName,
      requireAuth,
      bareLineEnds,
      requireTls: options.requireTls ?? false,
      allowInsecureAuth: options.allowInsecureAuth ?? false,
      authMechanisms: Object.freeze(handlers.auth === undefined ? [] : ["PLAIN", "LOGIN"]),
      maxMessageSize: limit("maxMessageSize", options.maxMessageSize, 32 * 1024 * 1024, 1),
      maxRecipients: limit("maxRecipients", options.maxRecipients, 1000, 1),
      maxLineLength: limit("maxLineLength", options.maxLineLength, 2048, 512, 1024 * 1024),
      maxErrors: limit("maxErrors", options.maxErrors, 20, 1),
      maxUnrecognized: limit("maxUnrecognized", options.maxUnrecognized, 10, 1),
      maxUnauthenticatedCommands: limit(
        "maxUnauthenticatedCommands",
        options.maxUnauthenticatedCommands,
        10,
        1,
      ),
      hide: new Set((options.hide ?? []).map((keyword) => keyword.toUpperCase())),
    }),
    greetDelay: milliseconds("greetDelay", options.greetDelay ?? 0),
    timeouts: Object.freeze({
      command: milliseconds("timeouts.command", command),
      data: milliseconds("timeouts.data", data),
      tls: milliseconds("timeouts.tls", tls),
      shutdown: milliseconds("timeouts.shutdown", shutdown),
    }),
    signal: options.signal,
    onError: options.onError ?? ((error) => console.error(error)),
  });
}

/**
 * Checks an option that is a whole number.
 *
 * @param name The option's name.
 * @param value Its value.
 * @param fallback What it is where it was left out.
 * @param min The least it may be.
 * @param max The most it may be.
 * @returns The value.
 * @throws {RangeError} If it is out of range.
 */
export function limit(
  name: string,
  value: number | undefined,
  fallback: number,
  min: number,
  max = Infinity,
): number {
  if (value === undefined) return fallback;
  const whole = Number.isSafeInteger(value) || value === Infinity;
  if (!whole || value < min || value > max) {
    throw new RangeError(
      `Cannot serve: "${name}" must be a whole number from ${min} to ${max}, it is ${value}`,
    );
  }
  return value;
}

function milliseconds(name: string, value: number): number {
  if (typeof value === "number" && value >= 0) return value;
  throw new RangeError(`Cannot serve: "${name}" must be a number of milliseconds, it is ${value}`);
}
