/**
 * The options of a client, and the complete values that the rest of the code goes by.
 *
 * @module
 */
import { isAddressLiteral, isDomain } from "../core/address.ts";
import { ReplyDecoder } from "../core/reply_decoder.ts";
import type { ReplyDecoderOptions } from "../core/reply_decoder.ts";
import type {
  AnonymousCredentials,
  ExternalCredentials,
  PasswordCredentials,
  SaslContext,
  SaslMechanism,
} from "../sasl/mechanism.ts";
import type { SocketSource } from "../sockets/to_socket.ts";
import type { SocketAddress, TlsOptions } from "../sockets/socket.ts";
import type { Logger } from "../logger.ts";
import type { Trace } from "../trace.ts";
import type { Awaited } from "./failure.ts";

/**
 * How the session is protected.
 *
 * - `"tls"`: TLS from the first byte (RFC 8314).
 * - `"starttls"`: the session goes over to TLS before anything of weight is said, or ends (RFC 3207).
 * - `"opportunistic"`: TLS where the server offers it. Keeps out those who only listen.
 * - `"none"`: in the clear, credentials too.
 */
export type Security = "tls" | "starttls" | "opportunistic" | "none";

/** Limits of time, in milliseconds. Those of RFC 5321 are from section 4.5.3.2. */
export interface Timeouts {
  /** To connect, and for the handshake of TLS. Default: 120,000. */
  connect?: number;
  /** For the greeting. Default: 300,000 (RFC 5321). */
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
  /** For the reply to the content. Default: 600,000 (RFC 5321): too short a limit leads to mail that comes twice. */
  end?: number;
  /** For the reply to QUIT. Default: 5,000: nothing hangs on it. */
  quit?: number;
}

/**
 * How the client proves who it is: a name and a password, a name and an OAuth 2.0 access token, what the server knows
 * already, nothing, or a mechanism of one's own.
 */
export type Auth = PasswordAuth | TokenAuth | ExternalAuth | AnonymousAuth | MechanismAuth;

/** How to log in with the mechanisms that come with the library. */
export interface AuthPreferences {
  /**
   * The mechanisms that may be used, most wanted first, such as `["SCRAM-SHA-256", "PLAIN"]`. Of these the first is taken
   * that the server offers. Default: all that the credentials allow, strongest first: each SCRAM with -PLUS, each
   * SCRAM, CRAM-MD5, PLAIN, LOGIN; OAUTHBEARER, XOAUTH2.
   *
   * Those with -PLUS bind the login to the TLS connection, so that nobody in between can use it. They are tried where the
   * runtime shows the server's certificate or exports keying material: on Bun and Node; on Deno where one of them is named
   * here, or `tls.peerCertificate` is set.
   */
  mechanisms?: readonly string[];
  /**
   * Whether a mechanism that may speak first does so in the AUTH command (RFC 4954, section 4). Set it to `false` for
   * servers that cannot read it there. Default: `true`.
   */
  initialResponse?: boolean;
}

/** A name and a password: SCRAM, CRAM-MD5, PLAIN or LOGIN. */
export interface PasswordAuth extends PasswordCredentials, AuthPreferences {}

/** A name and an OAuth 2.0 access token: OAUTHBEARER or XOAUTH2. */
export interface TokenAuth extends AuthPreferences {
  /** The name to authenticate as, mostly the mail address. */
  user: string;
  /**
   * The access token, or where it comes from. The function is called for each login; should the server refuse the token, it
   * is called once more and told which, and another token than that is tried at once.
   */
  accessToken: string | ((refused?: string) => string | Promise<string>);
}

/** What the server knows already, as from the client's certificate: EXTERNAL. */
export interface ExternalAuth extends ExternalCredentials, AuthPreferences {}

/** No login, only a word for the server's log: ANONYMOUS. */
export interface AnonymousAuth extends AnonymousCredentials, AuthPreferences {}

/** A SASL mechanism of one's own. */
export interface MechanismAuth {
  /** Makes the mechanism, anew for each attempt. */
  mechanism: (context: SaslContext) => SaslMechanism;
  /** As in {@linkcode AuthPreferences}. Default: `true`. */
  initialResponse?: boolean;
}

/** The options of a client. */
export interface SmtpClientOptions extends ReplyDecoderOptions {
  /** The server's name or address. Default: `"localhost"`. */
  hostname?: string;
  /** The port. Default: 465 with `security: "tls"`, else 587. */
  port?: number;
  /** The path of a unix socket, in the place of `hostname` and `port`. */
  path?: string;
  /**
   * A connection of one's own: a `Socket`, a pair of streams, or a function that opens one of them, as through a proxy,
   * and is called for each connection. `hostname` and `port` then say who is at the other end: what a function is told,
   * and the name that the server's certificate must carry. Without `hostname`, TLS over a pair needs a `tls.serverName`. In
   * the place of `path`, `localAddress` and `keepAlive`.
   */
  socket?: SocketSource;
  /**
   * How the session is protected. Default: `"tls"` on port 465, else `"starttls"` with `auth` and `"opportunistic"`
   * without; `"none"` with `path` and without `auth`.
   */
  security?: Security;
  /** How TLS is spoken. */
  tls?: TlsOptions;
  /** Who to log in as. With it TLS is required, unless `security` is `"none"`. Default: no login. */
  auth?: Auth;
  /**
   * What the client calls itself in EHLO: a domain or an address literal (RFC 5321, section 4.1.1.1). Default: its own
   * address, `"[192.0.2.1]"`; `"localhost"` where that is not known.
   */
  clientName?: string;
  /** `"lmtp"` to hand mail to a delivery agent (RFC 2033). Default: `"smtp"`. */
  protocol?: "smtp" | "lmtp";
  /** Limits of time. */
  timeouts?: Timeouts;
  /**
   * How many messages may be in flight, where the server lets more than one be: those that were sent and whose outcome is
   * not known yet. If the connection breaks, the outcome of as many may stay unknown. Default: 128, which keeps a server
   * that takes 1,000 messages a second busy over a round trip of 100 ms.
   */
  maxInFlight?: number;
  /**
   * How many bytes may be in flight before the next message waits. One message may be larger. Default: 4,194,304, that
   * is 4 MiB: 300 Mbit/s over a round trip of 100 ms.
   */
  maxBytesInFlight?: number;
  /**
   * How the content of messages travels: `"bdat"` in chunks of announced size (RFC 3030), which lets whole messages be in
   * flight one behind the other; `"data"` up to a line with a dot, which costs a round trip for each. Default: `"auto"`,
   * `"bdat"` where the server offers PIPELINING and CHUNKING, but for LMTP.
   */
  transfer?: "auto" | "data" | "bdat";
  /** Gives up connecting, and later closes the client. */
  signal?: AbortSignal;
  /** Sees everything that happens in the session, secrets masked. */
  trace?: Trace;
  /**
   * Writes what happens in the session, secrets masked, to a logger: `console`, or one of pino or bunyan. See
   * {@linkcode loggerTrace} for what goes where. Default: none.
   */
  logger?: Logger;
  /** The local address to connect from. Default: the system's choice. */
  localAddress?: string;
  /** Whether the system probes an idle connection. Default: `true`. */
  keepAlive?: boolean;
}

/** Options, read once: complete and checked. */
export interface Settings {
  /** `undefined`: a socket of the caller's who did not say where it leads. */
  readonly address: SocketAddress | undefined;
  readonly socket: SocketSource | undefined;
  readonly security: Security;
  readonly tls: TlsOptions;
  readonly auth: Auth | undefined;
  readonly clientName: string | undefined;
  readonly protocol: "smtp" | "lmtp";
  readonly connectTimeout: number;
  readonly timeouts: Readonly<Record<Awaited, number>>;
  readonly maxInFlight: number;
  readonly maxBytesInFlight: number;
  readonly transfer: "auto" | "data" | "bdat";
  readonly signal: AbortSignal | undefined;
  readonly replyLimits: ReplyDecoderOptions;
  readonly trace: Trace | undefined;
  readonly logger: Logger | undefined;
  readonly localAddress: string | undefined;
  readonly keepAlive: boolean;
}

const SECURITIES: readonly string[] = ["tls", "starttls", "opportunistic", "none"];

/**
 * Reads the options.
 *
 * @param options What the caller wants.
 * @returns The settings.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function readOptions(options: SmtpClientOptions): Settings {
  const { path, socket, auth, clientName, protocol = "smtp", transfer = "auto" } = options;
  const security = options.security ?? (options.port === 465 ? "tls" : auth ? "starttls" : path !== undefined // it does not leave the machine, and has no name that a certificate could carry
    ? "none"
    : "opportunistic");
  if (!SECURITIES.includes(security)) {
    throw new TypeError(
      `Cannot connect: security must be one of ${SECURITIES.join(", ")}, it is "${security}"`,
    );
  }
  if (protocol !== "smtp" && protocol !== "lmtp") {
    throw new TypeError(`Cannot connect: protocol must be "smtp" or "lmtp", it is "${protocol}"`);
  }
  if (!["auto", "data", "bdat"].includes(transfer)) {
    throw new TypeError(`Cannot connect: transfer must be "auto", "data" or "bdat", it is "${transfer}"`);
  }
  if (clientName !== undefined && !isDomain(clientName) && !isAddressLiteral(clientName)) {
    throw new TypeError(
      `Cannot connect: clientName must be a domain or an address literal, it is ${
        JSON.stringify(clientName)
      }`,
    );
  }
  if (options.tls !== undefined && security === "none") {
    throw new TypeError('Cannot connect: tls has no meaning with security "none"');
  }
  new ReplyDecoder(options); // throws where its limits make no sense
  for (const name of ["path", "localAddress", "keepAlive"] as const) {
    if (socket === undefined || options[name] === undefined) continue;
    throw new TypeError(`Cannot connect: ${name} has no meaning with a socket of one's own`);
  }
  const unknown = socket !== undefined && typeof socket !== "function" && options.hostname === undefined;
  const { hostname = "localhost", port = security === "tls" ? 465 : 587 } = options;
  return {
    address: path !== undefined ? { path } : unknown ? undefined : { hostname, port },
    socket,
    security,
    tls: { ...(bindsToTls(auth) && { peerCertificate: true }), ...options.tls },
    auth,
    clientName,
    protocol,
    connectTimeout: readTimeout("connect", options.timeouts?.connect, 120_000),
    timeouts: readTimeouts(options.timeouts ?? {}),
    maxInFlight: readWindow("maxInFlight", options.maxInFlight, 128),
    maxBytesInFlight: readWindow("maxBytesInFlight", options.maxBytesInFlight, 4 * 1024 * 1024),
    transfer,
    signal: options.signal,
    replyLimits: { maxLineLength: options.maxLineLength, maxReplyLength: options.maxReplyLength },
    trace: options.trace,
    logger: options.logger,
    localAddress: options.localAddress,
    keepAlive: options.keepAlive ?? true,
  };
}

/** Whether a mechanism with -PLUS is asked for by name: then the certificate has to be seen. */
function bindsToTls(auth: Auth | undefined): boolean {
  const names = auth !== undefined && "mechanisms" in auth ? auth.mechanisms : undefined;
  return names?.some((name) => name.toUpperCase().endsWith("-PLUS")) ?? false;
}

function readWindow(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (value === Infinity || (Number.isInteger(value) && value >= 1)) return value;
  throw new RangeError(`Cannot connect: ${name} must be a whole number from 1, it is ${value}`);
}

function readTimeouts(timeouts: Timeouts): Settings["timeouts"] {
  const command = readTimeout("command", timeouts.command, 300_000);
  return {
    connect: command,
    greeting: readTimeout("greeting", timeouts.greeting, 300_000),
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
    source: Infinity, // the caller's own affair: there is the signal
  };
}

function readTimeout(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value > 0) return value;
  throw new RangeError(
    `Cannot connect: timeouts.${name} must be a number of milliseconds above 0, it is ${value}`,
  );
}
