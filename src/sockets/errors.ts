/**
 * Turns the runtimes' own errors into a {@linkcode SocketError}: where a failure gets its {@linkcode SocketErrorCode}.
 *
 * @module
 */
import { readable } from "../core/errors.ts";
import { AttemptsError } from "./happy_eyeballs.ts";
import { SocketError, type SocketErrorCode } from "./socket.ts";

/** What was under way when the error came. */
export interface ErrorContext {
  /**
   * The TLS handshake, if it was that: an unknown error is then `"tls-failed"`. `"first"`: a client's before anything else was
   * said; `"later"`: any other.
   */
  handshake?: "first" | "later";
  /** The peer, for the message. */
  target?: string | undefined;
  /** Who the peer is, for the message: whose certificate it is about. Default: `"server"`. */
  peer?: "server" | "client";
}

/** Codes of libuv, the resolver and OpenSSL's verification, as Node, Bun and Deno's `node:` modules report them. */
const CODES: Readonly<Record<string, SocketErrorCode>> = {
  ECONNREFUSED: "connection-refused",
  ENOENT: "connection-refused", // a unix socket that is not there
  ENOTSOCK: "connection-refused",
  ECONNRESET: "connection-reset",
  ECONNABORTED: "connection-reset",
  EPIPE: "connection-reset",
  ENOTCONN: "connection-reset",
  ESHUTDOWN: "connection-reset",
  ERR_STREAM_DESTROYED: "connection-reset",
  ERR_STREAM_WRITE_AFTER_END: "connection-reset",
  ERR_SOCKET_CLOSED: "connection-reset",
  EBADF: "connection-reset", // Bun, once the peer has ended TLS over a stream
  ETIMEDOUT: "timed-out",
  ENOTFOUND: "host-not-found",
  EAI_AGAIN: "host-not-found", // the resolver gave no answer: no name server, or none that could be reached
  EAI_NODATA: "host-not-found",
  EAI_NONAME: "host-not-found",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EACCES: "not-permitted",
  EPERM: "not-permitted",
  ERR_ACCESS_DENIED: "not-permitted",
  ABORT_ERR: "aborted",
  CERT_HAS_EXPIRED: "certificate-expired",
  CERT_NOT_YET_VALID: "certificate-expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "certificate-name",
  HOSTNAME_MISMATCH: "certificate-name",
  UNABLE_TO_GET_ISSUER_CERT: "certificate-untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "certificate-untrusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "certificate-untrusted",
  DEPTH_ZERO_SELF_SIGNED_CERT: "certificate-untrusted",
  SELF_SIGNED_CERT_IN_CHAIN: "certificate-untrusted",
  CERT_UNTRUSTED: "certificate-untrusted",
  CERT_REJECTED: "certificate-untrusted",
  CERT_REVOKED: "certificate-untrusted",
  CERT_SIGNATURE_FAILURE: "certificate-untrusted",
  CERT_CHAIN_TOO_LONG: "certificate-untrusted",
  INVALID_CA: "certificate-untrusted",
  INVALID_PURPOSE: "certificate-untrusted",
  PATH_LENGTH_EXCEEDED: "certificate-untrusted",
};

/** Names of Deno's error classes. */
const NAMES: Readonly<Record<string, SocketErrorCode>> = {
  ConnectionRefused: "connection-refused",
  NotFound: "connection-refused",
  ConnectionReset: "connection-reset",
  ConnectionAborted: "connection-reset",
  BrokenPipe: "connection-reset",
  NotConnected: "connection-reset",
  UnexpectedEof: "connection-reset",
  TimedOut: "timed-out",
  HostUnreachable: "unreachable",
  NetworkUnreachable: "unreachable",
  NetworkDown: "unreachable",
  AddrNotAvailable: "unreachable",
  PermissionDenied: "not-permitted",
  NotCapable: "not-permitted",
};

/**
 * rustls (Deno) has no codes, only messages; Bun and Deno's `node:tls` pass them on. The order matters: a message may
 * mention both the certificate's names and its issuer.
 */
const MESSAGES: readonly (readonly [RegExp, SocketErrorCode])[] = [
  [/lookup address|name or service not known|nodename nor servname|no such host is known/i, "host-not-found"],
  [/not valid for name|NotValidForName|altname|hostname mismatch/i, "certificate-name"],
  [
    /certificate (has )?expired|CertExpired|not valid yet|NotValidYet|certificate is not yet valid/i,
    "certificate-expired",
  ],
  [
    /UnknownIssuer|CaUsedAsEndEntity|self[- ]signed certificate|unable to (get|verify)|subtree violation|name constraint|CERTIFICATE_VERIFY_FAILED/i,
    "certificate-untrusted",
  ],
  [/invalid peer certificate/i, "certificate-untrusted"],
];

const WORDS: Readonly<Record<SocketErrorCode, string>> = {
  "connection-refused": "Connection refused",
  "connection-reset": "The peer cut the connection",
  "timed-out": "The system gave up waiting for the peer",
  "host-not-found": "The host name has no address",
  "unreachable": "There is no route to the host",
  "certificate-untrusted": "The issuer of the server's certificate is not trusted",
  "certificate-name": "The server's certificate is for another name",
  "certificate-expired": "The server's certificate has expired, or is not yet valid",
  "tls-failed": "TLS failed",
  "aborted": "The socket was aborted",
  "closed": "The socket was closed",
  "address-in-use": "The address is in use",
  "not-permitted": "Not permitted",
  "network": "The connection failed",
};

/** What to do about it. */
const ADVICE: Partial<Record<SocketErrorCode, string>> = {
  "certificate-name": "connect to a name that it is for, or give that name as tls.serverName",
  "certificate-expired":
    "the server needs a new one, unless the clock here is wrong; tls.fingerprints accepts it as it is",
};

/** What the runtimes say if the peer answers the handshake with something that is not TLS. */
const NOT_TLS = /InvalidContentType|wrong.version.number/i;

/** What they say if no authority has signed the certificate, or, on Deno, perhaps none. */
const SELF_SIGNED = /self[- ]signed|UnknownIssuer|CaUsedAsEndEntity/i;

/**
 * Describes a failure in the same words on every runtime.
 *
 * @param thrown The runtime's error, which becomes the `cause`. A `SocketError` is returned as it is.
 * @param context What was under way.
 */
export function normalizeError(thrown: unknown, context: ErrorContext = {}): SocketError {
  const error = readable(thrown);
  if (error instanceof SocketError) return error;
  if (error instanceof AttemptsError) return normalizeAttempts(error, context);
  const code = tryClassify(error) ?? (context.handshake ? "tls-failed" : "network");
  const at = context.target === undefined ? "" : ` (${context.target})`;
  const message = error instanceof Error ? error.message.trim() : "";
  const detail = code === "tls-failed" && context.handshake && NOT_TLS.test(message)
    ? NO_TLS[context.handshake]
    : message;
  const advice = context.peer === "client"
    ? undefined // it is for clients
    : code === "certificate-untrusted"
    ? adviseTrust(message)
    : ADVICE[code];
  const words = context.peer === "client" ? WORDS[code].replace("server", "client") : WORDS[code];
  const text = `${words}${at}${detail && `: ${detail}`}${advice ? `; ${advice}` : ""}`;
  return new SocketError(code, text, { cause: error });
}

const NO_TLS = {
  first: 'the server does not begin with TLS here, use security: "starttls" (of a socket: secureTransport)',
  later: "the peer answered with something that is not TLS",
} as const;

function adviseTrust(message: string): string {
  const own = SELF_SIGNED.test(message)
    ? ", or the SHA-256 of the server's own, if it signs that itself, as tls.fingerprints"
    : "";
  return `if it should be, give its certificate as tls.caCerts${own}`;
}

/** One failure for all addresses of a host: the first that is not just an address family that this machine cannot reach. */
function normalizeAttempts(cause: AttemptsError, { target = "" }: ErrorContext): SocketError {
  const attempts = cause.failures.map(({ address, error }) => ({ address, error: normalizeError(error) }));
  const [first] = attempts;
  if (first === undefined) {
    return new SocketError("host-not-found", `${WORDS["host-not-found"]} (${target})`, { cause });
  }
  if (attempts.length === 1) {
    const { code, message, cause } = first.error;
    const detail = message.slice(WORDS[code].length);
    return new SocketError(code, `${WORDS[code]} (${target} at ${first.address})${detail}`, {
      cause,
      attempts,
    });
  }
  const { code } = attempts.find(({ error }) => error.code !== "unreachable")?.error ?? first.error;
  const each = attempts.map(({ address, error }) => `${address}: ${WORDS[error.code]}`);
  return new SocketError(code, `${WORDS[code]} (${target}), at ${each.join("; ")}`, { cause, attempts });
}

function tryClassify(error: unknown): SocketErrorCode | undefined {
  try {
    return classify(error);
  } catch {
    return undefined; // what is read of it throws
  }
}

function classify(error: unknown): SocketErrorCode | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { name, code, message, errors } = error as {
    name?: string;
    code?: unknown;
    message?: string;
    errors?: unknown;
  };
  if (typeof code === "string") {
    if (Object.hasOwn(CODES, code)) return CODES[code];
    if (code.startsWith("DNS_")) return "host-not-found"; // Bun
    if (code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_") || code === "EPROTO") {
      return classifyMessage(message) ?? "tls-failed";
    }
  }
  // Node tries all addresses of a name; the failure of the first one says the most.
  if (Array.isArray(errors) && errors.length > 0) return classify(errors[0]);
  const known = classifyMessage(message);
  if (known !== undefined) return known;
  return name !== undefined && Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
}

function classifyMessage(message: string | undefined): SocketErrorCode | undefined {
  if (message === undefined) return undefined;
  return MESSAGES.find(([pattern]) => pattern.test(message))?.[1];
}
