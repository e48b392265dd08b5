/**
 * The options of a client and of each message, read once, and the complete values that the rest of the code uses.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";
import { isAddressLiteral, isDomain } from "../core/address.ts";
import { allWith, mustExist } from "../core/option_names.ts";
import type { OptionHints, OptionNames } from "../core/option_names.ts";
import { ReplyDecoder } from "../core/reply_decoder.ts";
import type { ReplyDecoderOptions } from "../core/reply_decoder.ts";
import type {
  AnonymousCredentials,
  ExternalCredentials,
  PasswordCredentials,
  SaslContext,
  SaslMechanism,
} from "../sasl/mechanism.ts";
import { assertTlsOptions, settleTls } from "../sockets/settings.ts";
import type { SocketSource } from "../sockets/to_socket.ts";
import type { SocketAddress, TlsOptions } from "../sockets/socket.ts";
import { assertLogger } from "../trace.ts";
import type { Logger, Trace } from "../trace.ts";
import type { ContentEncoder } from "./content_encoder.ts";
import type { Wait } from "./failure.ts";
import { CLIENT_HINTS, SEND_HINTS, TIMEOUT_HINTS } from "./foreign_options.ts";

/**
 * How the session is protected.
 *
 * - `"tls"`: TLS from the first byte (RFC 8314).
 * - `"starttls"`: the session switches to TLS before anything that matters is sent, or ends (RFC 3207).
 * - `"opportunistic"`: TLS if the server offers it. Protects against eavesdroppers, not against active attackers.
 * - `"none"`: in the clear, credentials too.
 */
export type Security = "tls" | "starttls" | "opportunistic" | "none";

/** Time limits, in milliseconds. Those of RFC 5321 are from section 4.5.3.2. */
export interface Timeouts {
  /** For the connection, and for the TLS handshake. Default: 120,000. */
  connect?: number;
  /**
   * For the greeting. Default: 60,000. RFC 5321 allows a server five minutes (section 4.5.3.2.1); those that delay their greeting
   * to put off spammers take less than one.
   */
  greeting?: number;
  /** For the reply to a command that is not named here. Default: 300,000. */
  command?: number;
  /** For the reply to MAIL. Default: 300,000 (RFC 5321). */
  mail?: number;
  /** For the reply to RCPT. Default: 300,000 (RFC 5321). */
  rcpt?: number;
  /** For the reply to DATA. Default: 120,000 (RFC 5321). */
  data?: number;
  /** For the server to take a piece of the content. Default: 180,000 (RFC 5321). */
  block?: number;
  /** For the reply to the content. Default: 600,000 (RFC 5321): a limit that is too short leads to duplicates. */
  end?: number;
  /** For the reply to QUIT. Default: 5,000: nothing depends on it. */
  quit?: number;
}

/**
 * How the client logs in: with a name and a password, a name and an OAuth 2.0 access token, an identity that the server knows
 * already, anonymously, or by a custom mechanism.
 */
export type Auth = PasswordAuth | TokenAuth | ExternalAuth | AnonymousAuth | MechanismAuth;

/** How to log in with the mechanisms that come with the library. */
export interface AuthPreferences {
  /**
   * The mechanisms that may be used, in order of preference, such as `["SCRAM-SHA-256", "PLAIN"]`. The first one that the
   * server offers is used. Default: all that the credentials allow. For a password the order depends on the connection:
   *
   * - TLS with a verified certificate: SCRAM with -PLUS, SCRAM, PLAIN, LOGIN, CRAM-MD5.
   * - TLS with `tls.verify: false`, or no TLS (`security: "none"`): SCRAM with -PLUS, SCRAM, CRAM-MD5, PLAIN, LOGIN.
   *
   * For an access token it is OAUTHBEARER, XOAUTH2.
   *
   * SCRAM costs two round trips more than PLAIN: three where PLAIN takes one. `["PLAIN"]` saves them. Under verified TLS
   * the password then reaches the right server only, but that server sees it.
   *
   * A server may offer SCRAM or CRAM-MD5 and have no secret of this user to check them with: it says 535. Under verified TLS,
   * and with `security: "none"`, one try of PLAIN or LOGIN follows in the same session if they are on offer. To rule that
   * out, name mechanisms without them. Over TLS that is not verified there is no such try, nor is there one if a mechanism with
   * -PLUS is named here.
   *
   * Those with -PLUS bind the login to the TLS connection, so that nobody in between can use it. They need the server's
   * certificate or exported keying material: Bun and Node provide it; Deno does if one of them is named here, or
   * `tls.peerCertificate` is set.
   */
  mechanisms?: readonly string[];
  /**
   * Whether a mechanism that may speak first does so in the AUTH command (RFC 4954, section 4). Set it to `false` for
   * servers that cannot parse it there. One that would make the command longer than 512 octets never does. Default: `true`.
   */
  initialResponse?: boolean;
}

/** A name and a password: SCRAM, CRAM-MD5, PLAIN or LOGIN. */
export interface PasswordAuth extends PasswordCredentials, AuthPreferences {}

/** A name and an OAuth 2.0 access token: OAUTHBEARER or XOAUTH2. */
export interface TokenAuth extends AuthPreferences {
  /** The name to authenticate as, usually the mail address. */
  user: string;
  /**
   * The access token, or a function that provides it. The function is called for each login; if the server refuses the
   * token, it is called once more with that token, and a different token is tried at once.
   */
  accessToken: string | ((refused?: string) => string | Promise<string>);
}

/** An identity that the server knows already, such as from the client's certificate: EXTERNAL. */
export interface ExternalAuth extends ExternalCredentials, AuthPreferences {}

/** No login, only a text for the server's log: ANONYMOUS. */
export interface AnonymousAuth extends AnonymousCredentials, AuthPreferences {}

/** A custom SASL mechanism. */
export interface MechanismAuth {
  /** Makes the mechanism, anew for each attempt. */
  mechanism: (context: SaslContext) => SaslMechanism;
  /** As in {@linkcode AuthPreferences}. Default: `true`. */
  initialResponse?: boolean;
}

/** How to send one message. */
export interface SendOptions {
  /**
   * What to do if some of the recipients are refused, by the server or because their address is not valid: `"some"` delivers
   * to the others, `"all"` to nobody. Default: `"some"`.
   */
  recipients?: "some" | "all";
  /** Gives up. The error's `outcome` then says what became of the message. */
  signal?: AbortSignal;
  /**
   * Called as the content leaves. If the message goes in several transactions, all of them count. What it throws aborts the
   * send, as the signal does.
   */
  onProgress?: (progress: Progress) => void;
  /**
   * What to do with a message that the server cannot take as it is: one with bytes above 127 without 8BITMIME, or a binary one
   * without BINARYMIME. `"never"`: it is an error. A function turns it into ASCII: `toSevenBit` of
   * `./compose`, which `"auto"` also stands for once `./compose` is imported. Default: `"never"`.
   */
  encode?: "never" | "auto" | ContentEncoder;
  /**
   * What to do with lines of more than 998 octets, which SMTP does not allow (RFC 5321, section 4.5.3.1.6) and many servers
   * cut: `"error"`, or `"allow"` to send them as they are. In a message that comes as a stream they are found on the
   * way: the session is then lost, unless the content goes with BDAT. Default: `"error"`.
   */
  lineLength?: "error" | "allow";
  /**
   * What to do with a message that does not begin with a header field (RFC 5322, section 2.2), usually the text of a mail
   * without its header: `"error"`, or `"allow"` to send it as it is, as a relay may have to. In a stream that is found on the
   * way, as with `lineLength`. Default: `"error"`.
   */
  missingHeader?: "error" | "allow";
}

/** How far a message has got. */
export interface Progress {
  /** How many bytes of the message were handed over to the socket, before encoding. */
  readonly sent: number;
  /** How many there are, if that is known. */
  readonly total: number | undefined;
}

/** How to open a connection: the options that a channel and a client share. */
export interface SmtpChannelOptions extends ReplyDecoderOptions {
  /** The server's name or address. Default: `"localhost"`. */
  hostname?: string;
  /** The port. Default: 465 with `security: "tls"`, else 587. */
  port?: number;
  /** The path of a unix socket, instead of `hostname` and `port`. */
  path?: string;
  /**
   * A connection that is already there, or a way to open one: a `Socket`, a pair of streams, or a function that opens one of
   * them, for example through a proxy, and is called for each connection. `hostname` and `port` then say who is at the other
   * end: they are passed to the function, and the server's certificate must carry the name. Without `hostname`, TLS over a
   * pair needs `tls.serverName`. Excludes `path`, `localAddress` and `keepAlive`.
   */
  socket?: SocketSource;
  /**
   * How the session is protected. Default: `"tls"` on port 465; `"starttls"` for a client with `auth`; `"none"` with `path`
   * and without `auth`; else `"opportunistic"`. On a channel, `"starttls"` and `"opportunistic"` both mean that `startTls()` may
   * be called.
   */
  security?: Security;
  /** How TLS is spoken. */
  tls?: TlsOptions;
  /** Time limits. */
  timeouts?: Pick<Timeouts, "connect">;
  /** Gives up connecting, and later closes the connection. */
  signal?: AbortSignal;
  /** The local address to connect from. Default: the system's choice. */
  localAddress?: string;
  /** Whether the system probes an idle connection. Default: `true`. */
  keepAlive?: boolean;
}

/** The options of a client. */
export interface SmtpClientOptions extends SmtpChannelOptions {
  /** The credentials. With them TLS is required, unless `security` is `"none"`. Default: no login. */
  auth?: Auth;
  /**
   * The client's name in EHLO: a domain or an address literal (RFC 5321, section 4.1.1.1). Default: its own address,
   * `"[192.0.2.1]"`; `"localhost"` if that is not known.
   */
  clientName?: string;
  /** `"lmtp"` to hand mail to a delivery agent (RFC 2033). Default: `"smtp"`. */
  protocol?: "smtp" | "lmtp";
  /** Time limits. */
  timeouts?: Timeouts;
  /**
   * How many messages may be in flight at most, if the server allows more than one: those that were sent and whose outcome is
   * not known yet. What this costs: if the connection breaks, the outcome of as many as are in flight stays unknown.
   *
   * Up to 128 leave at once. More do only where the server is so far away that this keeps it waiting: then as many as it takes
   * in two round trips, both measured. Default: 1,024, which keeps a server that takes 5,000 messages a second busy over 100 ms.
   */
  maxInFlight?: number;
  /**
   * How many bytes may be in flight before the next message waits. One message may be larger. Default: 4,194,304, which
   * is 4 MiB: 300 Mbit/s over a round trip of 100 ms.
   */
  maxBytesInFlight?: number;
  /**
   * How the content of messages travels: `"bdat"` in chunks of announced size (RFC 3030), which lets whole messages be in
   * flight one after the other; `"data"` up to a line with a dot, which costs a round trip for each. Default: `"auto"`,
   * `"bdat"` if the server offers PIPELINING and CHUNKING, except for LMTP.
   */
  transfer?: "auto" | "data" | "bdat";
  /** Sees everything that happens in the session, secrets masked. */
  trace?: Trace;
  /**
   * Writes what happens in the session, secrets masked, to a logger: `console`, or one of pino or bunyan. See
   * {@linkcode loggerTrace} for the levels. Default: none.
   */
  logger?: Logger;
}

/** The options of a connection, read once: complete and checked. */
export interface ConnectionSettings {
  /** `undefined`: a socket of the caller's whose other end is not named. */
  readonly address: SocketAddress | undefined;
  readonly socket: SocketSource | undefined;
  readonly security: Security;
  readonly tls: TlsOptions;
  readonly connectTimeout: number;
  readonly signal: AbortSignal | undefined;
  readonly replyLimits: ReplyDecoderOptions;
  readonly localAddress: string | undefined;
  readonly keepAlive: boolean;
}

/** The options of a client, read once: complete and checked. */
export interface Settings extends ConnectionSettings {
  readonly auth: Auth | undefined;
  readonly clientName: string | undefined;
  readonly protocol: "smtp" | "lmtp";
  readonly timeouts: Readonly<Record<Wait, number>>;
  readonly maxInFlight: number;
  readonly maxBytesInFlight: number;
  readonly transfer: "auto" | "data" | "bdat";
  readonly trace: Trace | undefined;
  readonly logger: Logger | undefined;
}

const TIMEOUT_NAMES: OptionNames<Timeouts> = {
  connect: true,
  greeting: true,
  command: true,
  mail: true,
  rcpt: true,
  data: true,
  block: true,
  end: true,
  quit: true,
};

const SEND_NAMES: OptionNames<SendOptions> = {
  recipients: true,
  signal: true,
  onProgress: true,
  encode: true,
  lineLength: true,
  missingHeader: true,
};

const CHANNEL_NAMES: OptionNames<SmtpChannelOptions> = {
  hostname: true,
  port: true,
  path: true,
  socket: true,
  security: true,
  tls: true,
  timeouts: true,
  signal: true,
  localAddress: true,
  keepAlive: true,
  maxLineLength: true,
  maxReplyLength: true,
};

/** The names of all options of a client. */
export const CLIENT_NAMES: OptionNames<SmtpClientOptions> = {
  ...CHANNEL_NAMES,
  auth: true,
  clientName: true,
  protocol: true,
  maxInFlight: true,
  maxBytesInFlight: true,
  transfer: true,
  trace: true,
  logger: true,
};

const CONNECT_HINTS: OptionHints = { ...allWith(SEND_NAMES, "use it in send()"), ...CLIENT_HINTS };

const ONLY_CLIENT = "only SmtpClient has it";

const CHANNEL_HINTS: OptionHints = { ...allWith(CLIENT_NAMES, ONLY_CLIENT), ...CLIENT_HINTS };

const CHANNEL_TIMEOUT_HINTS: OptionHints = allWith(TIMEOUT_NAMES, ONLY_CLIENT);

const SECURITIES: readonly string[] = ["tls", "starttls", "opportunistic", "none"];

/**
 * Reads the options of a client.
 *
 * @param given The options.
 * @returns The settings.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function readOptions(given: SmtpClientOptions): Settings {
  const options = mustExist("connect", given, CLIENT_NAMES, { hints: CONNECT_HINTS });
  const { auth, clientName, protocol = "smtp", transfer = "auto", trace } = options;
  const timeouts = mustExist("connect", options.timeouts ?? {}, TIMEOUT_NAMES, {
    within: "timeouts",
    hints: TIMEOUT_HINTS,
  });
  const connection = readConnection(options, auth);
  if (protocol !== "smtp" && protocol !== "lmtp") {
    throw new TypeError(mustBe("connect", "protocol", '"smtp" or "lmtp"', protocol));
  }
  if (!["auto", "data", "bdat"].includes(transfer)) {
    throw new TypeError(mustBe("connect", "transfer", '"auto", "data" or "bdat"', transfer));
  }
  const isName = typeof clientName === "string" && (isDomain(clientName) || isAddressLiteral(clientName));
  if (clientName !== undefined && !isName) {
    throw new TypeError(mustBe("connect", "clientName", "a domain or an address literal", clientName));
  }
  if (trace !== undefined && typeof trace !== "function") {
    throw new TypeError(mustBe("connect", "trace", "a function, such as consoleTrace()", trace));
  }
  if (options.logger !== undefined) assertLogger(options.logger);
  return {
    ...connection,
    auth,
    clientName,
    protocol,
    timeouts: readTimeouts(timeouts),
    maxInFlight: readWindow("maxInFlight", options.maxInFlight, 1_024),
    maxBytesInFlight: readWindow("maxBytesInFlight", options.maxBytesInFlight, 4 * 1024 * 1024),
    transfer,
    trace,
    logger: options.logger,
  };
}

/**
 * Reads the options of a channel.
 *
 * @param given The options.
 * @returns The settings.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function readChannelOptions(given: SmtpChannelOptions): ConnectionSettings {
  const options = mustExist("connect", given, CHANNEL_NAMES, { hints: CHANNEL_HINTS });
  const { timeouts = {} } = options;
  mustExist("connect", timeouts, { connect: true }, { within: "timeouts", hints: CHANNEL_TIMEOUT_HINTS });
  return readConnection(options, undefined);
}

/**
 * Reads the first argument of `sendMail()`, which has the options of a client and those of a message.
 *
 * @param options The options.
 * @returns Those of the client, and those of the message.
 * @throws {TypeError} If there are others.
 */
export function divideOptions(
  options: SmtpClientOptions & SendOptions,
): [client: SmtpClientOptions, message: SendOptions] {
  const own = mustExist("send", options, { ...CLIENT_NAMES, ...SEND_NAMES }, { hints: CLIENT_HINTS });
  return [pick(own, CLIENT_NAMES), pick(own, SEND_NAMES)];
}

function pick<Options extends object>(options: Options, names: OptionNames<Options>): Options {
  const some: Partial<Options> = {};
  for (const name in names) if (options[name] !== undefined) some[name] = options[name];
  return some as Options;
}

/**
 * Checks the options of a message, except `encode`.
 *
 * @param options The options.
 * @throws {TypeError} If there are others, or one makes no sense.
 */
export function checkSendOptions(options: SendOptions): void {
  mustExist("send", options, SEND_NAMES, { hints: SEND_HINTS });
  const { recipients = "some", lineLength = "error", missingHeader = "error", onProgress, signal } = options;
  if (recipients !== "some" && recipients !== "all") {
    throw new TypeError(mustBe("send", "recipients", '"some" or "all"', recipients));
  }
  if (lineLength !== "error" && lineLength !== "allow") {
    throw new TypeError(mustBe("send", "lineLength", '"error" or "allow"', lineLength));
  }
  if (missingHeader !== "error" && missingHeader !== "allow") {
    throw new TypeError(mustBe("send", "missingHeader", '"error" or "allow"', missingHeader));
  }
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new TypeError(mustBe("send", "onProgress", "a function", onProgress));
  }
  checkSignal("send", signal);
}

/** Not with `instanceof`: one of a polyfill is fine. */
function checkSignal(action: string, signal: AbortSignal | undefined): void {
  if (signal === undefined || typeof signal?.addEventListener === "function") return;
  throw new TypeError(mustBe(action, "signal", "an AbortSignal", signal));
}

function readConnection(options: SmtpChannelOptions, auth: Auth | undefined): ConnectionSettings {
  const { path, socket, signal, maxLineLength, maxReplyLength } = options;
  const replyLimits = { maxLineLength, maxReplyLength };
  const { security = defaultSecurity(options, auth), keepAlive = true } = options;
  if (!SECURITIES.includes(security)) {
    throw new TypeError(mustBe("connect", "security", `one of ${SECURITIES.join(", ")}`, security));
  }
  let tls: TlsOptions = {};
  if (options.tls !== undefined) {
    if (typeof options.tls === "boolean") {
      throw new TypeError(mustBe("connect", "tls", 'an object (security: "tls" turns it on)', options.tls));
    }
    // Here, and not only when the socket opens, so that the stack of an error leads to the caller.
    settleTls(options.tls, "localhost");
    tls = assertTlsOptions(options.tls);
  }
  if (options.tls !== undefined && security === "none") {
    throw new TypeError('Cannot connect: tls has no meaning with security "none"');
  }
  checkSignal("connect", signal);
  if (typeof keepAlive !== "boolean") {
    throw new TypeError(mustBe("connect", "keepAlive", "a boolean", keepAlive));
  }
  new ReplyDecoder(replyLimits); // throws if they make no sense
  if (path !== undefined && (options.hostname ?? options.port) !== undefined) {
    throw new TypeError("Cannot connect: hostname and port have no meaning with the option path");
  }
  for (const name of ["path", "localAddress", "keepAlive"] as const) {
    if (socket === undefined || options[name] === undefined) continue;
    throw new TypeError(`Cannot connect: ${name} has no meaning with the option socket`);
  }
  const isUnknown = socket !== undefined && typeof socket !== "function" && options.hostname === undefined;
  const { hostname = "localhost", port = security === "tls" ? 465 : 587 } = options;
  return {
    address: path !== undefined ? { path } : isUnknown ? undefined : { hostname, port },
    socket,
    security,
    tls: { ...(bindsToTls(auth) && { peerCertificate: true }), ...tls },
    connectTimeout: readTimeout("connect", options.timeouts?.connect, 120_000),
    signal,
    replyLimits,
    localAddress: options.localAddress,
    keepAlive,
  };
}

function defaultSecurity({ port, path }: SmtpChannelOptions, auth: Auth | undefined): Security {
  if (port === 465) return "tls";
  if (auth !== undefined) return "starttls";
  // A unix socket does not leave the machine, and has no name that a certificate could carry.
  return path !== undefined ? "none" : "opportunistic";
}

/** Whether a mechanism with -PLUS is asked for by name: it needs the server's certificate. The rest is checked for a login. */
function bindsToTls(auth: Auth | undefined): boolean {
  const names = (auth as AuthPreferences | null | undefined)?.mechanisms;
  return Array.isArray(names) && names.some((name) => /-PLUS$/i.test(name));
}

/** Where a connection leads to, for people and as a key. */
export function describeAddress({ address }: ConnectionSettings): string {
  if (address === undefined) return "a socket of the caller's";
  return "path" in address ? address.path : `${address.hostname}:${address.port}`;
}

function readWindow(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (value === Infinity || (Number.isInteger(value) && value >= 1)) return value;
  throw new RangeError(mustBe("connect", name, "a whole number from 1", value));
}

function readTimeouts(timeouts: Timeouts): Settings["timeouts"] {
  const command = readTimeout("command", timeouts.command, 300_000);
  return {
    connect: command,
    greeting: readTimeout("greeting", timeouts.greeting, 60_000),
    ehlo: command,
    starttls: command,
    auth: command,
    mail: readTimeout("mail", timeouts.mail, 300_000),
    rcpt: readTimeout("rcpt", timeouts.rcpt, 300_000),
    data: readTimeout("data", timeouts.data, 120_000),
    content: readTimeout("end", timeouts.end, 600_000),
    reset: command,
    command,
    quit: readTimeout("quit", timeouts.quit, 5_000),
    block: readTimeout("block", timeouts.block, 180_000),
    end: readTimeout("end", timeouts.end, 600_000),
    source: Infinity, // the caller has the signal
  };
}

function readTimeout(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value > 0) return value;
  throw new RangeError(mustBe("connect", `timeouts.${name}`, "a number of milliseconds above 0", value));
}
