/**
 * The seam between SMTP and the network: the shape of the WinterTC Sockets API, which Workers have of their own and
 * which a thin adapter makes everywhere else.
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

/** How TLS is spoken and what the peer has to prove. An option that no adapter of the runtime can honour is a `TypeError`. */
export interface TlsOptions {
  /**
   * The name that the server's certificate must carry, also sent to it (SNI). Default: the host name that was
   * connected to.
   */
  serverName?: string;
  /** Certificate authorities to trust besides those of the system, PEM. */
  caCerts?: readonly string[];
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
   * Whether {@linkcode TlsInfo.peerCertificate} is needed. Deno's own TLS shows no certificate: with `true`, `node:tls` speaks
   * it there, which takes longer to start and, with `caCerts`, needs `--allow-sys=ca`. Elsewhere it is there anyway, but
   * for Cloudflare Workers, which refuse. Default: `false`.
   */
  peerCertificate?: boolean;
}

/** How to open a socket. */
export interface SocketOptions {
  /** Default: `"off"`. */
  secureTransport?: SecureTransport;
  /**
   * How TLS is spoken with `secureTransport: "on"`; with `"starttls"`, what {@linkcode Socket.startTls} takes where
   * it is not told otherwise.
   */
  tls?: TlsOptions;
  /**
   * Whether the writable side stays open when the peer has closed its own. With `false` the socket closes by itself.
   * Default: `false`.
   */
  allowHalfOpen?: boolean;
  /** Gives up: while connecting or in the handshake `opened` rejects, later the socket closes. */
  signal?: AbortSignal;
  /**
   * The local IP address to connect from. Of a host's addresses only those of its family are tried. Default: the system's
   * choice.
   */
  localAddress?: string;
  /**
   * Whether the system probes an idle connection (TCP keep-alive), as often as it is set up to: mostly every two hours.
   * Default: `true`.
   */
  keepAlive?: boolean;
}

/** What both sides of a TLS connection have agreed on, as far as the runtime tells. */
export interface TlsInfo {
  /** The version: `"TLSv1.3"`, `"TLSv1.2"`. */
  readonly protocol?: string;
  /** The cipher suite by its registered name, such as `"TLS_AES_256_GCM_SHA384"`. */
  readonly cipher?: string;
  /** The name that the client asked for (SNI). */
  readonly serverName?: string;
  /** The certificate that the peer has shown, DER. It was checked, unless `verify` is `false`. */
  readonly peerCertificate?: Uint8Array;
  /**
   * Derives keying material from the connection (RFC 5705; RFC 8446, section 7.5), for as long as it is open: both sides
   * get the same, nobody else does.
   *
   * @param length How many bytes.
   * @param label What for, as registered.
   * @param context What else has to be the same on both sides.
   */
  readonly exportKeyingMaterial?: (length: number, label: string, context: Uint8Array) => Uint8Array;
}

/** What is known about an open socket. */
export interface SocketInfo {
  /** The peer's address and port, `192.0.2.1:587` or `[2001:db8::1]:587`, or the path of a unix socket. */
  readonly remoteAddress?: string;
  /** One's own address and port. */
  readonly localAddress?: string;
  /** The protocol agreed on through ALPN. `null`: none. */
  readonly alpn?: string | null;
  /**
   * What TLS has agreed on. Node, Bun and `node:tls` on Deno tell all of it, but that Deno exports no keying material.
   * Deno's own TLS (see {@linkcode TlsOptions.peerCertificate}) and Cloudflare Workers tell nothing.
   */
  readonly tls?: TlsInfo;
}

/** A duplex connection, in the shape of the WinterTC Sockets API. */
export interface Socket {
  /**
   * What the peer sends. Nothing is read from the network before it is asked for; each chunk is the reader's own.
   * A connection that ends without TLS's close_notify just ends: SMTP says itself where its texts end.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * What is sent to the peer. A write resolves once the system has taken the bytes, and their memory may be used again;
   * closing it ends one's own side; aborting it closes the socket. A write that fails leaves the readable alone: the
   * peer's last words may be waiting there.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the connection stands, TLS included. Marked as handled. */
  readonly opened: Promise<SocketInfo>;
  /**
   * Resolves when the connection is closed, by either side. Rejects when it broke, never stood or was given up by the
   * signal. Marked as handled.
   */
  readonly closed: Promise<void>;
  /** Whether this socket was made by `startTls()`. */
  readonly upgraded: boolean;
  /** How the connection is protected. */
  readonly secureTransport: SecureTransport;
  /**
   * Closes both directions, at once. May be called at any time and any number of times. A read under way ends, or, with
   * a reason, fails with it; a write fails with the reason or with `"closed"`. After {@linkcode Socket.startTls} it does
   * nothing: the connection is the new socket's.
   *
   * @param reason Why, if not in good order.
   * @returns `closed`.
   */
  close(reason?: unknown): Promise<void>;
  /**
   * Goes over to TLS. Both streams must be unlocked, with no read under way; they are dead afterwards, and the new
   * socket's take their place. Writes that are still queued leave first.
   *
   * @param options How, where it is not to be as `connect()` was told.
   * @returns The new socket, whose `opened` waits for the handshake. The signal is still in force.
   * @throws {TypeError} If the socket was not opened with `secureTransport: "starttls"`, is TLS already, or has a
   * stream that is locked, ended, or not read to where it stands.
   */
  startTls(options?: TlsOptions): Socket;
}

/** What went wrong with a socket, the same words on every runtime. */
export type SocketErrorCode =
  /** The address is not listening, a firewall said no, or the unix socket is not there. */
  | "connection-refused"
  /** The peer cut the connection, or closed it when there was more to say. */
  | "connection-reset"
  /** The system gave up waiting. */
  | "timed-out"
  /** The host name has no address, or the resolver no answer. */
  | "host-not-found"
  /** No route to the host or the network. */
  | "unreachable"
  /** The certificate's issuer is not trusted. */
  | "certificate-untrusted"
  /** The certificate is for another name. */
  | "certificate-name"
  /** The certificate is no longer, or not yet, valid. */
  | "certificate-expired"
  /** Any other failure of TLS. */
  | "tls-failed"
  /** The caller's signal was aborted. */
  | "aborted"
  /** The socket was closed by its owner. */
  | "closed"
  /** The runtime does not permit it (Deno's `--allow-net`, a file mode). */
  | "not-permitted"
  /** Anything else; `cause` has the runtime's own error. */
  | "network";

/** An address of the host, and why it could not be connected to. */
export interface SocketAttempt {
  /** The IP address. */
  readonly address: string;
  /** What went wrong. */
  readonly error: SocketError;
}

/** What a {@linkcode SocketError} has besides code and message. */
export interface SocketErrorOptions extends ErrorOptions {
  /** See {@linkcode SocketError.attempts}. Default: none. */
  attempts?: readonly SocketAttempt[];
}

/** A failed socket. The runtime's own error is the `cause`. A `TypeError`, as the Sockets API has it. */
export class SocketError extends TypeError {
  /** `"SocketError"`. */
  override name = "SocketError";
  /** What went wrong. */
  readonly code: SocketErrorCode;
  /**
   * The addresses of the host that were tried, in that order, each with its own failure; the `cause` is an
   * `AggregateError` where there are several. Empty where no connecting has failed, where an address was asked for and not
   * a name, and where the runtime does not tell them: Cloudflare Workers never do, nor does Deno without
   * `--allow-net` for the host on every port.
   */
  readonly attempts: readonly SocketAttempt[];

  /**
   * Makes a socket error.
   *
   * @param code What went wrong.
   * @param message What to tell a person. A capital, no full stop.
   * @param options The runtime's own error as `cause`, and what was tried.
   */
  constructor(code: SocketErrorCode, message: string, options: SocketErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.attempts = options.attempts ?? [];
  }
}
