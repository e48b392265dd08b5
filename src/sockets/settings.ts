/**
 * The options of a socket are read once, here, before anything is opened, into complete and frozen values.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";
import { mustExist, type OptionHints, type OptionNames } from "../core/option_names.ts";
import { assertCertificates, assertPrivateKey } from "./pem.ts";
import type { SecureTransport, SocketAddress, SocketOptions, TlsInfo, TlsOptions } from "./socket.ts";

/** {@linkcode TlsOptions}, checked and complete. */
export interface TlsSettings {
  /**
   * The name that the certificate must carry. `undefined` only if the peer has no name (a unix socket) and it is not checked, or
   * if a socket of the caller's knows it.
   */
  readonly serverName: string | undefined;
  /** See {@linkcode TlsOptions.caCerts}. */
  readonly caCerts: readonly string[];
  /** See {@linkcode TlsOptions.fingerprints}; lower case, without colons. */
  readonly fingerprints: readonly string[];
  /** See {@linkcode TlsOptions.cert}. */
  readonly cert: string | undefined;
  /** See {@linkcode TlsOptions.key}. */
  readonly key: string | undefined;
  /** See {@linkcode TlsOptions.alpnProtocols}. */
  readonly alpnProtocols: readonly string[];
  /** Whether issuer, name and dates of the certificate are checked: not with {@linkcode fingerprints}. */
  readonly verify: boolean;
  /** Whether `verify: true` was said by name: a socket of the caller's may have been told otherwise before. */
  readonly insists: boolean;
  /** What a handshake that succeeds has checked, see {@linkcode TlsInfo.verifiedBy}. */
  readonly verifiedBy: TlsInfo["verifiedBy"];
  /** See {@linkcode TlsOptions.peerCertificate}. */
  readonly peerCertificate: boolean;
}

/** {@linkcode SocketOptions} and the address, checked and complete. */
export interface SocketSettings {
  /** Where to connect. A host name is in ASCII, an IPv6 address has no brackets. */
  readonly address: SocketAddress;
  /** The name of the peer in messages: `mx.test:25` or the path. */
  readonly target: string;
  /** See {@linkcode SocketOptions.secureTransport}. */
  readonly secureTransport: SecureTransport;
  /** See {@linkcode SocketOptions.tls}; `undefined` with `"off"`. */
  readonly tls: TlsSettings | undefined;
  /** Completes the options of `startTls()`; those of `connect()` are the defaults. */
  readonly startTls: (options?: TlsOptions) => TlsSettings;
  /** See {@linkcode SocketOptions.allowHalfOpen}. */
  readonly allowHalfOpen: boolean;
  /** See {@linkcode SocketOptions.signal}. */
  readonly signal: AbortSignal | undefined;
  /** See {@linkcode SocketOptions.localAddress}. */
  readonly localAddress: string | undefined;
  /** See {@linkcode SocketOptions.keepAlive}. */
  readonly keepAlive: boolean;
}

const SOCKET_NAMES: OptionNames<SocketOptions> = {
  secureTransport: true,
  tls: true,
  allowHalfOpen: true,
  signal: true,
  localAddress: true,
  keepAlive: true,
};

const TLS_NAMES: OptionNames<TlsOptions> = {
  serverName: true,
  caCerts: true,
  fingerprints: true,
  cert: true,
  key: true,
  alpnProtocols: true,
  verify: true,
  peerCertificate: true,
};

/** A `Deno.Addr` has `transport`, too: `"tcp"` or `"unix"`, which the others tell. */
const ADDRESS_NAMES = { hostname: true, port: true, path: true, transport: true } as const;

const ADDRESS_HINTS: OptionHints = {
  address: "use hostname",
  host: "use hostname",
  secureTransport: "use it in the second argument",
  tls: "use it in the second argument",
};

/** For the options of `node:net`, `node:tls`, `Deno.connect` and `Bun.connect`. */
const SOCKET_HINTS: OptionHints = {
  ca: "use tls.caCerts",
  caCerts: "use tls.caCerts",
  hostname: "use it in the first argument",
  port: "use it in the first argument",
  rejectUnauthorized: "use tls.verify",
  secure: 'use secureTransport: "on"',
  security: "use secureTransport",
  servername: "use tls.serverName",
};

const TLS_HINTS: OptionHints = {
  ALPNProtocols: "use alpnProtocols",
  ca: "use caCerts",
  checkServerIdentity: "use serverName, or fingerprints",
  host: "use serverName",
  hostname: "use serverName",
  minVersion: "leave it out: the runtime chooses the version of TLS",
  passphrase: "decrypt the key, and use key",
  pfx: "use cert and key, in PEM",
  rejectUnauthorized: "use verify",
  unsafelyDisableHostnameVerification: "use serverName, or fingerprints",
};

const HOST_NAME = "a host name or an IP address";

/**
 * Checks and completes the options of `connect()`.
 *
 * @param address Where to connect.
 * @param given How to connect.
 * @returns The settings, frozen.
 * @throws {TypeError} If an option is not valid, or contradicts another.
 * @throws {RangeError} If the port is out of range.
 */
export function settle(address: SocketAddress, given: SocketOptions = {}): SocketSettings {
  const place = settleAddress(address);
  const options = mustExist("connect", given, SOCKET_NAMES, { hints: SOCKET_HINTS });
  const tls = options.tls && assertTlsOptions(options.tls);
  const { secureTransport = "off", allowHalfOpen = false, signal, localAddress, keepAlive = true } = options;
  if (secureTransport !== "off" && secureTransport !== "on" && secureTransport !== "starttls") {
    throw new TypeError(mustBe("connect", "secureTransport", '"off", "on" or "starttls"', secureTransport));
  }
  if (secureTransport === "off" && options.tls !== undefined) {
    throw new TypeError('Cannot connect: tls has no meaning with secureTransport "off"');
  }
  if (localAddress !== undefined) {
    if ("path" in place) {
      throw new TypeError("Cannot connect: localAddress has no meaning with a unix socket");
    }
    if (typeof localAddress !== "string" || !isIpAddress(localAddress)) {
      throw new TypeError(mustBe("connect", "localAddress", "an IP address", localAddress));
    }
  }
  const hostname = "path" in place ? undefined : place.hostname;
  const startTls = (later?: TlsOptions) =>
    settleTls({ ...tls, ...later && assertTlsOptions(later) }, hostname);
  return Object.freeze({
    address: place,
    target: targetOf(place),
    secureTransport,
    tls: secureTransport === "off"
      ? undefined
      : secureTransport === "on" || options.tls !== undefined
      ? startTls()
      : undefined,
    startTls,
    allowHalfOpen,
    signal,
    localAddress,
    keepAlive,
  });
}

/**
 * Checks and completes the options of TLS.
 *
 * @param given The options.
 * @param hostname The host to connect to; `undefined` if it has no name (a unix socket).
 * @param more `isNamed`: whether the settings are for a socket that knows its name, so that they need none. Default: `false`.
 * @returns The settings, frozen.
 * @throws {TypeError} If an option does not exist, a certificate or key is not PEM, one of the two is missing, two exclude each
 * other, or there is no name to check.
 */
export function settleTls(
  given: TlsOptions,
  hostname: string | undefined,
  { isNamed = false }: { isNamed?: boolean } = {},
): TlsSettings {
  const options = assertTlsOptions(given);
  const { serverName, cert, key, alpnProtocols = [], peerCertificate = false } = options;
  const caCerts = settleCertificates(options.caCerts);
  const fingerprints = settleFingerprints(options.fingerprints);
  const isPinned = fingerprints.length > 0;
  if (isPinned && (caCerts.length > 0 || options.verify === false)) {
    const other = caCerts.length > 0 ? "caCerts" : "verify: false";
    throw new TypeError(
      `Cannot use TLS: ${other} has no meaning with fingerprints, which say what to accept`,
    );
  }
  const verify = !isPinned && (options.verify ?? true);
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? "cert" : "key";
    throw new TypeError(`Cannot use TLS: ${missing} is missing, a client certificate needs cert and key`);
  }
  if (cert !== undefined) assertCertificates(cert, "cert");
  if (key !== undefined) assertPrivateKey(key, "key");
  for (const protocol of alpnProtocols) {
    // RFC 7301, section 3.1: 1 to 255 bytes.
    if (typeof protocol !== "string" || !/^[\x21-\x7e]{1,255}$/.test(protocol)) {
      const what = "of 1 to 255 printable ASCII characters each";
      throw new TypeError(mustBe("use TLS", "alpnProtocols", what, protocol));
    }
  }
  const name = serverName ?? hostname;
  if (name === undefined && verify && !isNamed) {
    throw new TypeError(
      "Cannot use TLS: tls.serverName is missing, and there is no host name to check the certificate for",
    );
  }
  return Object.freeze({
    // A certificate never has the final dot of an absolute name.
    serverName: name === undefined
      ? undefined
      : settleHostname(name, "serverName", "use TLS").replace(/\.$/, ""),
    caCerts,
    fingerprints,
    cert,
    key,
    alpnProtocols,
    verify,
    insists: options.verify === true,
    verifiedBy: verify ? "name" : isPinned ? "fingerprint" : "nothing",
    peerCertificate,
  });
}

/**
 * Checks that options of TLS exist.
 *
 * @param options The options.
 * @returns Their own, see {@linkcode mustExist}.
 * @throws {TypeError} If one does not, or if it is no object.
 */
export function assertTlsOptions(options: TlsOptions): TlsOptions {
  return mustExist("use TLS", options, TLS_NAMES, { hints: TLS_HINTS });
}

/**
 * Checks certificates to trust.
 *
 * @param given One text or several, each with one or more certificates in PEM.
 * @param option The name of the option in the message.
 * @returns Each certificate.
 * @throws {TypeError} If one is not PEM.
 */
export function settleCertificates(
  given: string | readonly string[] = [],
  option: string = "caCerts",
): readonly string[] {
  if (!Array.isArray(given)) return assertCertificates(given as string, option);
  const all: string[] = [];
  // A loop, whose errors still lead to the caller: V8 shows ten frames of a stack.
  for (const [index, pem] of given.entries()) all.push(...assertCertificates(pem, `${option}[${index}]`));
  return all;
}

/** Fingerprints as the adapters compare them: lower case, without colons. */
function settleFingerprints(given: string | readonly string[] = []): readonly string[] {
  const all: readonly unknown[] = Array.isArray(given) ? given : [given];
  return all.map((fingerprint, index) => {
    const hex = typeof fingerprint === "string" ? fingerprint.trim().replaceAll(":", "").toLowerCase() : "";
    if (/^[0-9a-f]{64}$/.test(hex)) return hex;
    const option = Array.isArray(given) ? `fingerprints[${index}]` : "fingerprints";
    throw new TypeError(mustBe("use TLS", option, "SHA-256 in 64 hexadecimal digits", fingerprint));
  });
}

/**
 * Writes a host and a port as one word.
 *
 * @returns `192.0.2.1:587`, `[2001:db8::1]:587`, `mx.test:587`.
 */
export function formatAddress(hostname: string, port: number): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The name of a peer in messages: `mx.test:25` or the path. */
export function targetOf(address: SocketAddress): string {
  return "path" in address ? address.path : formatAddress(address.hostname, address.port);
}

/** Whether `text` is an IPv4 or IPv6 address, without brackets. A number with a leading zero is none: some take it for octal. */
export function isIpAddress(text: string): boolean {
  if (/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) {
    return text.split(".").every((part) => Number(part) < 256);
  }
  return text.includes(":") && URL.canParse(`http://[${text.replace(/%.*$/, "")}]/`);
}

/**
 * Checks an address.
 *
 * @returns The address, frozen. A host name is in ASCII, an IPv6 address has no brackets.
 * @throws {TypeError} If the host name or the path is not valid.
 * @throws {RangeError} If the port is out of range.
 */
export function settleAddress(given: SocketAddress): SocketAddress {
  const address: SocketAddress = mustExist("connect", given, ADDRESS_NAMES, {
    within: "address",
    hints: ADDRESS_HINTS,
  });
  if ("path" in address && address.path !== undefined) {
    const { path } = address;
    mustNotBeUrl("connect", "path", path);
    if (typeof path !== "string" || path === "" || path.includes("\0")) {
      throw new TypeError(mustBe("connect", "path", "a non-empty string without NUL", path));
    }
    return Object.freeze({ path });
  }
  const { hostname, port } = address as { hostname: string; port: number };
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new RangeError(mustBe("connect", "port", "a whole number from 1 to 65535", port));
  }
  return Object.freeze({ hostname: settleHostname(hostname, "hostname", "connect"), port });
}

/**
 * Refuses a URL. It may hold a password, and messages and traces show where a connection leads: so it is not shown.
 *
 * @param action What cannot be done: "connect", "use TLS" or "serve".
 * @param option The name of the option: "path", or one for a host name. A path may have an `@`.
 * @param value What it is.
 * @throws {TypeError} If it is a URL.
 */
export function mustNotBeUrl(action: string, option: string, value: unknown): void {
  const isPath = option === "path";
  if (typeof value !== "string" || !(value.includes("://") || (!isPath && value.includes("@")))) return;
  const rule = isPath ? "a path" : HOST_NAME;
  const parts = action === "serve" ? "hostname, port and security" : "hostname, port, security and auth";
  throw new TypeError(`Cannot ${action}: ${option} must be ${rule}, not a URL: use ${parts}`);
}

/**
 * Labels of 1 to 63 characters, with the underscore that hosts in the wild have, and perhaps the final dot of an absolute name
 * (RFC 1123, section 2.1). The last label is no number: resolvers take `127.1` and `0x7f000001` for IP addresses, for which the
 * certificate would be checked in another way.
 */
const NAME = /^(?:[a-z\d_-]{1,63}\.)*(?!(?:\d+|0x[\da-f]*)\.?$)[a-z\d_-]{1,63}\.?$/i;

function settleHostname(hostname: string, option: string, verb: string): string {
  mustNotBeUrl(verb, option, hostname);
  const refuse = () => new TypeError(mustBe(verb, option, HOST_NAME, hostname));
  // Characters that could make it mean something else to the resolver, in a message or in a URL.
  // deno-lint-ignore no-control-regex
  if (typeof hostname !== "string" || hostname === "" || /[\x00-\x20\x7f/\\?#@"<>]/.test(hostname)) {
    throw refuse();
  }
  const bare = hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
  if (bare.includes(":")) {
    if (!isIpAddress(bare)) throw refuse();
    return bare;
  }
  // RFC 5891: a name that is not ASCII becomes its A-label, as the resolver and the certificate have it.
  // deno-lint-ignore no-control-regex
  const name = /^[\x00-\x7f]*$/.test(bare) ? bare : URL.parse(`http://${bare}/`)?.hostname ?? "";
  if (isIpAddress(name)) return name;
  if (bare.includes("%") || !NAME.test(name) || name.replace(/\.$/, "").length > 253) throw refuse();
  return name;
}
