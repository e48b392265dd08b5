/**
 * The options of a server: checked and completed once, at the edge.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";
import { allWith, mustExist } from "../core/option_names.ts";
import type { OptionHints, OptionNames } from "../core/option_names.ts";
import { isAddressLiteral, isDomain } from "../core/address.ts";
import { AUTH_MECHANISMS } from "./auth.ts";
import { logError, type OnError } from "./error_log.ts";
import { HANDLER_HINTS, SERVER_HINTS, TIMEOUT_HINTS, TLS_HINTS } from "./foreign_names.ts";
import type { ServerHandlers, ServerSession } from "./handlers.ts";

/** How long to wait, in milliseconds. `Infinity` waits forever. */
export interface ServerTimeouts {
  /**
   * For the client's next command, from the last reply to its end, in however many pieces it comes. Default: 300,000 (RFC
   * 5321, section 4.5.3.2.7).
   */
  command?: number;
  /**
   * For the next bytes of content. Bytes give back time at 500 a second, as with Postfix's `smtpd_min_data_rate`, up to this
   * limit: a client that is slower for long is cut too. Waiting for the handler does not count. Default: 180,000 (RFC
   * 5321, section 4.5.3.2.5).
   */
  data?: number;
  /** For the TLS handshake. Default: 30,000. */
  tls?: number;
  /**
   * For open transactions when the server shuts down; after it they are cut, and `session.signal` is aborted. Default:
   * 10,000.
   */
  shutdown?: number;
}

/** How a session is served, on any socket. */
export interface ServeSocketOptions {
  /** The protocol. Default: `"smtp"`. */
  protocol?: "smtp";
  /** The server's name in the greeting and the reply to EHLO: a domain name or an address literal. Default: `"localhost"`. */
  serverName?: string;
  /**
   * The most octets of a message, announced with SIZE (RFC 1870). `Infinity` for no limit. Default: 33,554,432 (32 MiB),
   * as in aiosmtpd.
   */
  maxMessageSize?: number;
  /** The most recipients of a message. Default: 1000, as in Postfix; RFC 5321, section 4.5.3.1.8 asks for 100. */
  maxRecipients?: number;
  /** The most octets of a command line, its line end included. At least 512. Default: 2048, as in Postfix. */
  maxLineLength?: number;
  /**
   * How many errors end the session: commands that are malformed, out of order or not permitted, and failed attempts
   * to authenticate. Not counted: what a handler refuses, and the rest of a pipelined group after a refused MAIL. An
   * accepted message resets the count. Default: 20, as in Postfix.
   */
  maxErrors?: number;
  /** How many commands that are not recognized end the session. Default: 10, as in smtp-server. */
  maxUnrecognized?: number;
  /** How many commands a client may send before AUTH, with `requireAuth`. Default: 10, as in smtp-server. */
  maxUnauthenticatedCommands?: number;
  /** Whether mail is only taken from authenticated clients. Needs the handler `auth`. Default: `false`. */
  requireAuth?: boolean;
  /** Whether mail is only taken under TLS. Default: `false`. */
  requireTls?: boolean;
  /** Whether AUTH is offered without TLS too, so that anybody on the path can read the password. Default: `false`. */
  allowInsecureAuth?: boolean;
  /**
   * Keywords of extensions that are neither announced nor accepted, in upper or lower case: to test a client without
   * them. `"EHLO"` refuses EHLO itself. Default: none.
   */
  hide?: readonly string[];
  /**
   * What happens to a bare CR or LF. `"reject"`: a message with one is refused with 550 5.6.0, a command line with 500,
   * up to its CR LF. `"allow"`: content is passed on as it is, and a bare LF ends a command line. Either way only CR LF . CR LF ends a
   * message. Default: `"reject"`: no client may send them (RFC 5321, section 2.3.8), and passed on to a server that ends
   * a message at LF . LF they smuggle messages.
   */
  bareLineEnds?: "allow" | "reject";
  /**
   * Whether addresses of `MAIL` and `RCPT` are taken as some devices and old clients write them: without angle brackets
   * (`MAIL FROM:a@example.com SIZE=100`), and with a local part that begins or ends with a dot or has several in a row
   * (`<local.@example.com>`, `<a..b@docomo.ne.jp>`). Handlers get such a local part in quotes, the only way to write it
   * to another server (RFC 5321, section 4.1.2). Everything else is as strict as without it. Default: `false`.
   */
  lenientAddresses?: boolean;
  /**
   * How long the greeting is delayed, in milliseconds; a client that sends anything before it is a spammer in a hurry
   * and gets 554. Default: 0.
   */
  greetDelay?: number;
  /** Time limits. */
  timeouts?: ServerTimeouts;
  /** Shuts the server down, gracefully, when it is aborted. */
  signal?: AbortSignal;
  /**
   * Called with each error that a handler throws and that is not a `Reply`, and with each error of the server itself, such as
   * a TLS handshake that fails: clients decide when. If it throws, or returns a promise that rejects, that is written to
   * the console, and does not end the process. Default: the error is written to the console, where control characters,
   * U+2028, U+2029 and bidirectional controls in it are escaped.
   */
  onError?: (error: unknown, session: ServerSession | undefined) => void;
}

/** A server's certificate. */
export interface ServerTlsOptions {
  /** The certificate with its chain, PEM. */
  cert: string;
  /** Its private key, PEM. */
  key: string;
  /**
   * Certificate authorities, PEM, one text or several: clients are asked for a certificate that one of them has signed, for
   * clients (`clientAuth`) and within its dates. Whose it is, `session.clientCertificate` tells. One that is anything else
   * is refused in the handshake, before a greeting or a command; a TLS 1.3 client learns of that only after its own side of the
   * handshake. The names of the authorities are sent to clients. Resumed sessions prove nothing: on Node and Bun there are
   * none then. On Deno, which cannot do without, one counts only with a certificate that was accepted before.
   *
   * Default: none is asked for.
   */
  caCerts?: string | readonly string[];
  /**
   * Whether a client without a certificate is refused, too: `"required"`, or served: `"optional"`, where a handler can look
   * at `session.clientCertificate`. A certificate that is not good is refused either way. Needs `caCerts`. Default:
   * `"required"`.
   */
  clientCertificate?: "required" | "optional";
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
export interface ServeOptions extends ServeSocketOptions {
  /**
   * The IP address or host name to listen on. Default: `"127.0.0.1"`. To take mail from the world, ask for it by name:
   * `"0.0.0.0"` or `"::"`.
   */
  hostname?: string;
  /** The port. Default: 0, any free port; see `addr`. */
  port?: number;
  /**
   * The path of a unix socket to listen on instead. On shutdown the file is removed if it is still the same (device and
   * inode), and left alone if another process has put its own in its place. After a crash it stays: `serve()` does not
   * remove files that it has not made, and rejects with `"address-in-use"`.
   */
  path?: string;
  /** The server's certificate. Needed by `security`. */
  tls?: ServerTlsOptions;
  /**
   * `"tls"`: TLS from the first byte. `"starttls"`: STARTTLS is offered. `"none"`: no TLS. Default: `"starttls"` with
   * `tls`, else `"none"`.
   */
  security?: "tls" | "starttls" | "none";
  /** The most sessions at a time; others get 421. Default: 500, half of the open files that systems usually permit. */
  maxConnections?: number;
  /**
   * The most sessions at a time of one client: of an IPv4 address, or of the first 64 bits of an IPv6 address, within which a
   * host picks its own. Others get 421; under `security: "tls"`, where a handshake would come first, nothing. Clients of a unix
   * socket are not counted. `Infinity` where all come from one address, as behind a proxy. Default: 50, as in Postfix, or
   * half of `maxConnections` if that is less.
   */
  maxConnectionsPerClient?: number;
  /** Called when the server listens. */
  onListen?: (address: ServerAddress) => void;
}

const TIMEOUT_NAMES: OptionNames<ServerTimeouts> = { command: true, data: true, tls: true, shutdown: true };

const TLS_NAMES: OptionNames<ServerTlsOptions> = {
  cert: true,
  key: true,
  caCerts: true,
  clientCertificate: true,
};

const SESSION_NAMES: OptionNames<ServeSocketOptions> = {
  protocol: true,
  serverName: true,
  maxMessageSize: true,
  maxRecipients: true,
  maxLineLength: true,
  maxErrors: true,
  maxUnrecognized: true,
  maxUnauthenticatedCommands: true,
  requireAuth: true,
  requireTls: true,
  allowInsecureAuth: true,
  hide: true,
  bareLineEnds: true,
  lenientAddresses: true,
  greetDelay: true,
  timeouts: true,
  signal: true,
  onError: true,
};

const SERVER_NAMES: OptionNames<ServeOptions> = {
  ...SESSION_NAMES,
  hostname: true,
  port: true,
  path: true,
  tls: true,
  security: true,
  maxConnections: true,
  maxConnectionsPerClient: true,
  onListen: true,
};

const HANDLER_NAMES: OptionNames<ServerHandlers> = {
  connect: true,
  greet: true,
  auth: true,
  mail: true,
  rcpt: true,
  message: true,
  reset: true,
  close: true,
};

/** A handler among the options. */
const MISPLACED: OptionHints = Object.fromEntries(
  [...Object.keys(HANDLER_NAMES).map((name) => [name, name]), ...Object.entries(HANDLER_HINTS)].map(
    (
      [name, hint],
    ) => [name, `${hint!.startsWith("use ") ? hint : `use ${hint}`}, in the second argument: a handler`],
  ),
);

const SERVE_HINTS: OptionHints = { ...MISPLACED, ...SERVER_HINTS };

const SERVE_SOCKET_HINTS: OptionHints = {
  ...SERVE_HINTS,
  ...allWith(SERVER_NAMES, "only serve() has it"),
  tls: "the socket does TLS, as it is told when it is made",
  security: 'the socket decides: "on", "starttls" or "off" in its secureTransport',
};

const ALL_HANDLER_HINTS: OptionHints = {
  ...allWith(SERVER_NAMES, "an option: use it in the first argument"),
  ...HANDLER_HINTS,
};

/**
 * Refuses options and handlers that do not exist.
 *
 * @param options What should be the options.
 * @param handlers What should be the handlers.
 * @param kind Whose they are.
 * @returns The options' own, see {@linkcode mustExist}.
 * @throws {TypeError} If one does not exist; the message names the right one.
 */
export function assertNames(
  options: ServeOptions | ServeSocketOptions,
  handlers: unknown,
  kind: "serve" | "serveSocket",
): ServeOptions {
  const own: ServeOptions = kind === "serve"
    ? mustExist("serve", options, SERVER_NAMES, { hints: SERVE_HINTS })
    : mustExist("serve", options, SESSION_NAMES, { hints: SERVE_SOCKET_HINTS });
  const { timeouts, tls } = own;
  if (timeouts !== undefined) {
    own.timeouts = mustExist("serve", timeouts, TIMEOUT_NAMES, { within: "timeouts", hints: TIMEOUT_HINTS });
  }
  if (tls !== undefined) {
    own.tls = mustExist("serve", tls, TLS_NAMES, { within: "tls", hints: TLS_HINTS });
  }
  assertHandlers(handlers);
  return own;
}

function assertHandlers(handlers: unknown): void {
  const isObject = typeof handlers === "object" && handlers !== null;
  const prototype: unknown = isObject ? Object.getPrototypeOf(handlers) : null;
  if (prototype === null || prototype === Object.prototype || Array.isArray(handlers)) {
    mustExist("serve", handlers, HANDLER_NAMES, { within: "handlers", hints: ALL_HANDLER_HINTS });
  }
  const given = handlers as Readonly<Record<string, unknown>>;
  // An object of a class may have fields and methods of its own, but none that it believes to be called.
  for (const [name, hint] of Object.entries(HANDLER_HINTS)) {
    if (/^on[A-Z]|^handle_/.test(name) && typeof given[name] === "function") {
      throw new TypeError(`Cannot serve: there is no handler "${name}", ${hint}`);
    }
  }
  for (const name of Object.keys(HANDLER_NAMES)) optionalFunction(`handlers.${name}`, given[name]);
}

/** {@linkcode ServeSocketOptions}, checked and complete. They do not change any more. */
export interface SessionSettings {
  readonly serverName: string;
  readonly maxMessageSize: number;
  readonly maxRecipients: number;
  readonly maxLineLength: number;
  readonly maxErrors: number;
  readonly maxUnrecognized: number;
  readonly maxUnauthenticatedCommands: number;
  /** The SASL mechanisms, upper case; without any, AUTH is not offered. */
  readonly authMechanisms: readonly string[];
  readonly requireAuth: boolean;
  readonly requireTls: boolean;
  readonly allowInsecureAuth: boolean;
  /** In upper case. */
  readonly hide: ReadonlySet<string>;
  readonly bareLineEnds: "allow" | "reject";
  readonly lenientAddresses: boolean;
  readonly greetDelay: number;
  readonly timeouts: Readonly<Required<ServerTimeouts>>;
  readonly signal: AbortSignal | undefined;
  readonly onError: OnError;
}

/**
 * Checks and completes the options of sessions.
 *
 * @param options The options.
 * @param handlers The handlers: with `auth`, AUTH is offered.
 * @returns The settings.
 * @throws {TypeError | RangeError} If an option is not valid.
 */
export function readOptions(options: ServeSocketOptions, handlers: ServerHandlers): SessionSettings {
  const { serverName = "localhost", requireAuth = false, timeouts = {} } = options;
  if (typeof serverName !== "string" || !isDomain(serverName) && !isAddressLiteral(serverName)) {
    throw invalid("serverName", "a domain name or an address literal", serverName);
  }
  if (requireAuth && handlers.auth === undefined) {
    throw new TypeError(`Cannot serve: requireAuth needs the handler "auth"`);
  }
  oneOf("protocol", options.protocol ?? "smtp", ["smtp"]);
  optionalFunction("onError", options.onError);
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    throw invalid("signal", "an AbortSignal", options.signal);
  }
  return Object.freeze({
    serverName,
    maxMessageSize: wholeNumber("maxMessageSize", options.maxMessageSize ?? 32 * 1024 * 1024, 1),
    maxRecipients: wholeNumber("maxRecipients", options.maxRecipients ?? 1000, 1),
    maxLineLength: wholeNumber("maxLineLength", options.maxLineLength ?? 2048, 512, 1024 * 1024),
    maxErrors: wholeNumber("maxErrors", options.maxErrors ?? 20, 1),
    maxUnrecognized: wholeNumber("maxUnrecognized", options.maxUnrecognized ?? 10, 1),
    maxUnauthenticatedCommands: wholeNumber(
      "maxUnauthenticatedCommands",
      options.maxUnauthenticatedCommands ?? 10,
      1,
    ),
    authMechanisms: handlers.auth === undefined ? [] : AUTH_MECHANISMS,
    requireAuth: trueOrFalse("requireAuth", requireAuth),
    requireTls: trueOrFalse("requireTls", options.requireTls ?? false),
    allowInsecureAuth: trueOrFalse("allowInsecureAuth", options.allowInsecureAuth ?? false),
    hide: new Set(listOf("hide", options.hide ?? []).map((keyword) => keyword.toUpperCase())),
    bareLineEnds: oneOf("bareLineEnds", options.bareLineEnds ?? "reject", ["allow", "reject"]),
    lenientAddresses: trueOrFalse("lenientAddresses", options.lenientAddresses ?? false),
    greetDelay: milliseconds("greetDelay", options.greetDelay ?? 0),
    timeouts: Object.freeze({
      command: milliseconds("timeouts.command", timeouts.command ?? 300_000),
      data: milliseconds("timeouts.data", timeouts.data ?? 180_000),
      tls: milliseconds("timeouts.tls", timeouts.tls ?? 30_000),
      shutdown: milliseconds("timeouts.shutdown", timeouts.shutdown ?? 10_000),
    }),
    signal: options.signal,
    onError: options.onError ?? logError,
  });
}

/**
 * Checks an option that is one of some words.
 *
 * @param name The option's name.
 * @param value Its value.
 * @param words The words.
 * @returns The value.
 * @throws {TypeError} If it is something else.
 */
export function oneOf<T extends string>(name: string, value: T, words: readonly T[]): T {
  if (words.includes(value)) return value;
  throw invalid(
    name,
    words.map((word) => `"${word}"`).join(", ").replace(/, (?=[^,]*$)/, " or "),
    value,
  );
}

/**
 * Checks an option that is a whole number.
 *
 * @param name The option's name.
 * @param value Its value.
 * @param min The smallest allowed value.
 * @param max The largest allowed value. Default: none, and `Infinity` is allowed too.
 * @returns The value.
 * @throws {RangeError} If it is out of range.
 */
export function wholeNumber(name: string, value: number, min: number, max = Infinity): number {
  const whole = Number.isSafeInteger(value) || value === Infinity;
  if (whole && value >= min && value <= max) return value;
  const range = max === Infinity ? `a whole number from ${min} up` : `a whole number from ${min} to ${max}`;
  throw invalid(name, range, value, RangeError);
}

/**
 * Checks an option that is a function, or left out.
 *
 * @param name The option's name.
 * @param value Its value.
 * @throws {TypeError} If it is something else.
 */
export function optionalFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") throw invalid(name, "a function", value);
}

function listOf(name: string, value: readonly string[]): readonly string[] {
  if (Array.isArray(value) && value.every((word) => typeof word === "string")) return value;
  throw invalid(name, "an array of strings", value);
}

function trueOrFalse(name: string, value: boolean): boolean {
  if (typeof value === "boolean") return value;
  throw invalid(name, "true or false", value);
}

function milliseconds(name: string, value: number): number {
  if (typeof value === "number" && value >= 0) return value;
  throw invalid(name, "a number of milliseconds from 0 up", value, RangeError);
}

function invalid(name: string, rule: string, value: unknown, Kind: ErrorConstructor = TypeError): Error {
  return new Kind(mustBe("serve", name, rule, value));
}
