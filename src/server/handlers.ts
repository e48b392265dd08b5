/**
 * The decisions that a server leaves to its owner, and what it tells about a session.
 *
 * @module
 */
import type { Mailbox } from "../core/address.ts";
import type { EsmtpParameters } from "../core/command.ts";
import type { Reply } from "../core/reply.ts";
import type { TlsInfo } from "../sockets/socket.ts";
import type { ClientCertificate } from "./client_certificate.ts";

/** The sender of a message, as `MAIL` names it. */
export interface ServerSender {
  /** The address, quoted if necessary; `null` for the null reverse-path `<>`, which bounces use. */
  readonly address: string | null;
  /** The address in its parts; `null` for `<>`. */
  readonly mailbox: Mailbox | null;
  /** The parameters of the command, such as `SIZE` and `BODY`, keywords in upper case. */
  readonly parameters: EsmtpParameters;
}

/** A recipient of a message, as `RCPT` names it. */
export interface ServerRecipient {
  /** The address, quoted if necessary; `"postmaster"` if the command names no domain. */
  readonly address: string;
  /** The address in its parts; the domain is empty for a bare `<Postmaster>` (RFC 5321, section 4.1.1.3). */
  readonly mailbox: Mailbox;
  /** The parameters of the command, keywords in upper case. */
  readonly parameters: EsmtpParameters;
}

/** The envelope of a mail transaction. */
export interface ServerEnvelope {
  /** The sender's address; `null` for the null reverse-path `<>`. */
  readonly from: string | null;
  /** The addresses of the recipients that were accepted. */
  readonly to: readonly string[];
  /** The parameters of `MAIL`, keywords in upper case. */
  readonly parameters: EsmtpParameters;
  /** The sender as `MAIL` named it. */
  readonly sender: ServerSender;
  /** The recipients that were accepted, as `RCPT` named them. */
  readonly recipients: readonly ServerRecipient[];
}

/** A client's session. Each property tells how things are when it is read. */
export interface ServerSession {
  /** A name for logs: random, and different for each session. */
  readonly id: string;
  /** The client's address and port, such as `"192.0.2.1:49152"`; `undefined` for a unix socket. */
  readonly remoteAddress: string | undefined;
  /** The server's address and port. */
  readonly localAddress: string | undefined;
  /** Whether TLS is on. */
  readonly secure: boolean;
  /** What the socket tells about TLS; `undefined` without TLS, and for a socket in memory. */
  readonly tls: TlsInfo | undefined;
  /**
   * The certificate that the client has shown and that was checked, with the option `tls.caCerts`; `undefined` without one. Over
   * a socket given to `serveSocket()`, the one that the socket tells.
   */
  readonly clientCertificate: ClientCertificate | undefined;
  /** The name that the client gave with EHLO or HELO; empty before. Nothing proves it. */
  readonly clientName: string;
  /** Whether the client sent EHLO, not HELO. */
  readonly esmtp: boolean;
  /** The user who is authenticated; `undefined` if nobody is. */
  readonly user: string | undefined;
  /** The envelope of the transaction. Outside of one it is from `null` to nobody. It does not change with the next one. */
  readonly envelope: ServerEnvelope;
  /**
   * Aborted when nobody waits for what a handler does any more, with a `SocketError` as its reason: the client has gone
   * (`"closed"`; while content is unread it turns out when it is read), `timeouts.shutdown` has passed (`"closed"`), or the session is over, however it
   * ended. Pass it to what may take long: `fetch(url, { signal: session.signal })`. A handler is not ended by it, and keeps its
   * place among `maxConnections` until it returns, or the server has shut down.
   */
  readonly signal: AbortSignal;
}

/** A user's name and password, from AUTH PLAIN or LOGIN. */
export interface AuthCredentials {
  /** `"PLAIN"` or `"LOGIN"`. */
  readonly mechanism: string;
  /** The user's name. */
  readonly user: string;
  /** The password. */
  readonly pass: string;
}

/**
 * What a handler decides. Nothing accepts with the usual reply; a `Reply` of 2xx accepts with that one; one of 4xx or
 * 5xx, returned or thrown, refuses; 421 also ends the session (RFC 5321, section 3.8). Any other error that is thrown
 * refuses with 451 4.3.0 and goes to `onError`, never to the client.
 */
export type Decision = Reply | void | Promise<Reply | void>;

/** A server's decisions. Each handler is optional; without it the server accepts. */
export interface ServerHandlers {
  /** A client has connected. A `Reply` of 220 is the greeting; 554 refuses to serve, and 421 hangs up. */
  connect?(session: ServerSession): Decision;
  /**
   * EHLO or HELO. The first line of a `Reply` of 250 replaces the server's name, and has to begin with it; further lines
   * are announced as extensions.
   */
  greet?(name: string, session: ServerSession): Decision;
  /**
   * AUTH. Only `true` or a `Reply` of 2xx lets the user in. Without this handler AUTH is not offered.
   */
  auth?(credentials: AuthCredentials, session: ServerSession): Reply | boolean | Promise<Reply | boolean>;
  /** MAIL: a transaction begins. */
  mail?(sender: ServerSender, session: ServerSession): Decision;
  /** RCPT: a recipient for the transaction. */
  rcpt?(recipient: ServerRecipient, session: ServerSession): Decision;
  /**
   * The content of the message, decoded. The server reads no more from the client than is read from the stream. The stream
   * ends only where the message does: if the connection is lost, or the message is too large or breaks the rules, it fails.
   * Content that is not read is thrown away. To accept is to take responsibility for the message (RFC 5321, section
   * 4.2.5).
   */
  message?(content: ReadableStream<Uint8Array>, session: ServerSession): Decision;
  /** The client has given up the open transaction. */
  reset?(session: ServerSession): void | Promise<void>;
  /** The session is over. */
  close?(session: ServerSession): void | Promise<void>;
}
