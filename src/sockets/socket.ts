/**
 * The seam between SMTP and the network, in the shape of the WinterTC Sockets API. On every runtime a thin adapter makes it of
 * the platform's own sockets.
 *
 * @module
 */

/** Where a socket connects to: a host and a port, or the path of a unix socket. */
export type SocketAddress =
  | {
    /** A host name or an IP address. */
    hostname: string;
    /** The TCP port, 1 to 65535. */
    port: number;
  }
  | {
    /** The path of a unix socket. */
    path: string;
  };

/**
 * How a connection is protected: `"off"` never, `"on"` with TLS from the first byte, `"starttls"` in the clear until
 * {@linkcode Socket.startTls} is called.
 */
export type SecureTransport = "off" | "on" | "starttls";

/** How to do TLS, and what the peer has to prove. An option that the runtime cannot honour is a `TypeError`. */
export interface TlsOptions {
  /**
   * The host name, or the IP address, that the server's certificate must be for. A name is also sent to the server (SNI).
   * Default: the host name of the address.
   *
   * The certificate's subjectAltName must have it, as a `dNSName` or an `iPAddress` (RFC 9525); the common name does not count.
   * `*.example.com` is for `a.example.com`, and neither for `example.com` nor for `a.b.example.com`; a `*` that is not the whole
   * first label, or stands over a whole top-level domain, is for nothing. The rule is the same on Deno, Bun and Node;
   * Cloudflare Workers have their own, which takes a common name where there is no other name.
   */
  serverName?: string;
  /**
   * Certificates to trust besides those of the system, PEM: of authorities, or a server's own that no authority has signed. A
   * text may hold several.
   *
   * Only a certificate with `CA:TRUE` is an authority's; any other is trusted as the server's own, and not for what its key signs.
   *
   * On Deno `node:tls` takes the place of its own TLS for a server's own certificate, whether it calls itself an authority's
   * (`CA:TRUE`, as `openssl req -x509` makes them) or not. There the system's authorities are trusted, too, only with
   * `--allow-sys=ca`.
   */
  caCerts?: string | readonly string[];
  /**
   * Certificates that are accepted as they are, and no others: SHA-256 of the DER, 64 hexadecimal digits, with or without
   * colons, as `openssl x509 -noout -fingerprint -sha256` prints them. For a server that signs its own certificate, such as
   * Proton Mail Bridge.
   *
   * The certificate that the server shows must be one of them, or the handshake fails with `"certificate-untrusted"` before
   * anything is sent over TLS but a client certificate. If it is, its issuer, its names and its dates do not matter; that the server has its key is
   * checked as always, and the connection counts as verified. A server whose certificate is replaced is refused until the new
   * fingerprint is given: two may be given at the same time. Excludes `caCerts` and `verify: false`.
   *
   * Node, Bun and Deno can do it; on Deno `node:tls` takes the place of its own TLS. Cloudflare Workers, and a socket of the
   * caller's that does TLS by itself, do not show the certificate: there it is a `TypeError`. Default: certificates are
   * checked by their issuer, name and dates.
   */
  fingerprints?: string | readonly string[];
  /** A client certificate with its chain, PEM. Needs `key`. */
  cert?: string;
  /** The private key of `cert`, PEM. */
  key?: string;
  /** Protocols to offer through ALPN, most wanted first. Default: none. */
  alpnProtocols?: readonly string[];
  /**
   * Whether the certificate and its name are checked. `false` accepts any: for tests, and for servers that are
   * authenticated in another way. Default: `true`.
   */
  verify?: boolean;
  /**
   * Whether {@linkcode TlsInfo.peerCertificate} is needed. Deno's own TLS does not show the certificate: with `true`,
   * `node:tls` takes its place, which takes longer to start and, with `caCerts`, trusts the system's authorities only with
   * `--allow-sys=ca`. Cloudflare Workers refuse. On Node and Bun the certificate is always there. Default: `false`.
   */
  peerCertificate?: boolean;
}

/** How to open a socket. */
export interface SocketOptions {
  /** How the connection is protected. Default: `"off"`. */
  secureTransport?: SecureTransport;
  /** How to do TLS with `secureTransport: "on"`; with `"starttls"`, the defaults for {@linkcode Socket.startTls}. */
  tls?: TlsOptions;
  /**
   * Whether the writable side stays open when the peer has ended its side. With `false` the socket closes itself. Default:
   * `false`.
   */
  allowHalfOpen?: boolean;
  /** Gives up: while connecting or during the handshake `opened` rejects, later the socket closes. */
  signal?: AbortSignal;
  /**
   * The local IP address to connect from. Only the host's addresses of the same family are tried. Default: the system
   * chooses.
   */
  localAddress?: string;
  /**
   * Whether the system probes an idle connection (TCP keep-alive), at the interval that it is configured for, usually two
   * hours. Default: `true`.
   */
  keepAlive?: boolean;
}

/** What both sides of a TLS connection have agreed on, as far as the runtime reports it. */
export interface TlsInfo {
  /** The version: `"TLSv1.3"`, `"TLSv1.2"`. */
  readonly protocol?: string;
  /** The cipher suite by its registered name, such as `"TLS_AES_256_GCM_SHA384"`. */
  readonly cipher?: string;
  /** The name that the client asked for (SNI). */
  readonly serverName?: string;
  /** The certificate that the peer has shown, DER. What was checked about it says `verifiedBy`. */
  readonly peerCertificate?: Uint8Array;
  /**
   * What was checked about the server's certificate. `"name"`: an authority that is trusted has signed it, it is valid now, and
   * for the server's name; `"fingerprint"`: it is one of {@linkcode TlsOptions.fingerprints}; `"nothing"`: with `verify: false`.
   * Deno with `--unsafely-ignore-certificate-errors` checks neither issuer nor name, and does not tell: `"name"` says nothing then.
   * Not known on the server's side, and of TLS that the caller's own connection does.
   */
  readonly verifiedBy?: "name" | "fingerprint" | "nothing";
  /**
   * Derives keying material from the connection (RFC 5705; RFC 8446, section 7.5), as long as it is open: the same on both
   * sides, and known to nobody else.
   *
   * @param length How many bytes to derive.
   * @param label The registered label of the purpose.
   * @param context Data that is mixed in, the same on both sides.
   */
  readonly exportKeyingMaterial?: (length: number, label: string, context: Uint8Array) => Uint8Array;
}

/** The addresses of an open socket, and what TLS has agreed on. */
export interface SocketInfo {
  /** The peer's address and port, `192.0.2.1:587` or `[2001:db8::1]:587`, or the path of a unix socket. */
  readonly remoteAddress?: string;
  /** The local address and port. */
  readonly localAddress?: string;
  /** The protocol that ALPN has agreed on; `null` without one. */
  readonly alpn?: string | null;
  /**
   * What TLS has agreed on. Node, Bun and `node:tls` on Deno report all of it, except that Deno exports no keying material.
   * Deno's own TLS (see {@linkcode TlsOptions.peerCertificate}) and Cloudflare Workers report only
   * {@linkcode TlsInfo.verifiedBy}.
   */
  readonly tls?: TlsInfo;
}

/** A duplex connection, in the shape of the WinterTC Sockets API. */
export interface Socket {
  /**
   * Bytes from the peer. Nothing is read from the network before somebody reads here; each chunk belongs to the reader. A
   * TLS connection that ends without close_notify counts as ended: SMTP itself marks where its texts end.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * Bytes to the peer. A write resolves once the system has taken the bytes, and their memory may be used again. Closing it
   * ends this side; aborting it closes the socket. A failed write does not end the readable: the peer's last words may be
   * waiting there.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the connection is open, after the TLS handshake if there is one. Marked as handled. */
  readonly opened: Promise<SocketInfo>;
  /**
   * Resolves when the connection is closed, by either side. Rejects if it broke, never opened or was given up by the signal.
   * Marked as handled.
   */
  readonly closed: Promise<void>;
  /** Whether this socket was made by `startTls()`. */
  readonly upgraded: boolean;
  /** How the connection is protected. */
  readonly secureTransport: SecureTransport;
  /**
   * Closes both directions at once. May be called at any time, and more than once. A read under way ends, or fails with the
   * reason if there is one; a write fails with the reason or with `"closed"`. After {@linkcode Socket.startTls} it does
   * nothing: the connection belongs to the new socket.
   *
   * @param reason Why, if not in good order.
   * @returns `closed`.
   */
  close(reason?: unknown): Promise<void>;
  /**
   * Goes over to TLS. Both streams must be unlocked, with no read under way; the streams of the new socket take their place.
   * Queued writes are sent first.
   *
   * @param options How to do TLS. Default for each option: as `connect()` was told.
   * @returns The new socket, whose `opened` waits for the handshake. The signal still applies.
   * @throws {TypeError} If the socket was not opened with `secureTransport: "starttls"`, is TLS already, or has a
   * stream that is locked, has ended, or holds unread bytes.
   */
  startTls(options?: TlsOptions): Socket;
  /**
   * Lets the connection keep the process running again, as it does from the start. This and {@linkcode Socket.unref} work
   * on Deno, Node and Bun, for the sockets of `connect()`, a server's, and those that a function has opened with it.
   * Elsewhere there is neither, or they do nothing.
   */
  ref?(): void;
  /**
   * Lets the process end although the connection is open, even with a read under way: for a read that only watches. It may
   * be called at any time: while the connection is opening, in a handshake and while it is closing the process goes on;
   * after that it applies, and a socket made by `startTls()` takes it over.
   */
  unref?(): void;
}

/** What went wrong with a socket, the same words on every runtime. */
export type SocketErrorCode =
  /** Nobody listens at the address, a firewall refused, or the unix socket does not exist. */
  | "connection-refused"
  /** The peer cut the connection, or closed it before everything was sent. */
  | "connection-reset"
  /** The system gave up waiting. */
  | "timed-out"
  /** The host name has no address, or the resolver did not answer. */
  | "host-not-found"
  /** No route to the host or the network. */
  | "unreachable"
  /** The certificate's issuer is not trusted, or it is not among {@linkcode TlsOptions.fingerprints}. */
  | "certificate-untrusted"
  /** The certificate is for another name. */
  | "certificate-name"
  /** The certificate has expired, or is not yet valid. */
  | "certificate-expired"
  /** Any other failure of TLS. */
  | "tls-failed"
  /** The caller's signal was aborted. */
  | "aborted"
  /** The socket was closed by its owner. */
  | "closed"
  /** Only where a server listens: another program listens at the address already. */
  | "address-in-use"
  /** The runtime or the system does not permit it (Deno's `--allow-net`, a file mode). */
  | "not-permitted"
  /** Any other failure; `cause` has the runtime's own error. */
  | "network";

/** An address of the host, and why connecting to it failed. */
export interface SocketAttempt {
  /** The IP address. */
  readonly address: string;
  /** What went wrong. */
  readonly error: SocketError;
}

/** The rest of a {@linkcode SocketError}, besides code and message. */
export interface SocketErrorOptions extends ErrorOptions {
  /** See {@linkcode SocketError.attempts}. Default: none. */
  attempts?: readonly SocketAttempt[];
}

/** A socket has failed. The runtime's own error is the `cause`. A `TypeError`, as in the Sockets API. */
export class SocketError extends TypeError {
  /** `"SocketError"`. */
  override name = "SocketError";
  /** What went wrong. */
  readonly code: SocketErrorCode;
  /**
   * The addresses of the host that were tried, in that order, each with its own failure; if there are several, the `cause` is
   * an `AggregateError`. Empty if something other than connecting failed, if an address was given instead of a name, and if
   * the runtime does not tell the addresses: Cloudflare Workers never do, nor does Deno without `--allow-net` for the host on
   * every port.
   */
  readonly attempts: readonly SocketAttempt[];

  /**
   * Makes a socket error.
   *
   * @param code What went wrong.
   * @param message The message, with a capital and no full stop.
   * @param options The runtime's own error as `cause`, and the addresses that were tried.
   */
  constructor(code: SocketErrorCode, message: string, options: SocketErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.attempts = options.attempts ?? [];
  }
}
