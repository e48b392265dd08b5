/**
 * What a server's owner decides, and what he is told of a session.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import type { Recipient, Sender, ServerEnvelope } from "../core/session_events.ts";
import type { TlsInfo } from "../sockets/socket.ts";

/** A client's session, as it stands at the moment one looks. */
export interface Session {
  /** A name for it in logs: random, and different for each session. */
  readonly id: string;
  /** The client's address and port, such as `"192.0.2.1:49152"`; `undefined` for a unix socket. */
  readonly remoteAddress: string | undefined;
  /** The server's address and port. */
  readonly localAddress: string | undefined;
  /** Whether TLS is on. */
  readonly secure: boolean;
  /** What is known about the TLS; `undefined` without TLS, and for a socket in memory. */
  readonly tls: TlsInfo | undefined;
  /** The name that the client gave with EHLO or HELO; empty before. Nothing proves it. */
  readonly clientName: string;
  /** Whether the client said EHLO, not HELO. */
  readonly esmtp: boolean;
  /** Who is authenticated; `undefined`: nobody. */
  readonly user: string | undefined;
  /** The envelope of the transaction. Outside one it is from `null` to nobody. It does not change with the next one. */
  readonly envelope: ServerEnvelope;
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
 * 5xx, returned or thrown, refuses; 421 ends the session as well (RFC 5321, section 3.8). Anything else that is thrown
 * refuses with 451 4.3.0 and goes to `onError`, never to the client.
 */
export type Decision = Reply | void | Promise<Reply | void>;

/** What a server does. Each handler may be left out; the server then accepts. */
export interface ServerHandlers {
  /** A client has connected. A `Reply` of 220 is the greeting; 554 refuses to serve, and 421 hangs up. */
  connect?(session: Session): Decision;
  /**
   * EHLO or HELO. The first line of a `Reply` of 250 takes the place of the server's name, which it has to begin
   * with; further lines are announced as extensions.
   */
  greet?(name: string, session: Session): Decision;
  /**
   * AUTH. Only `true` or a `Reply` of 2xx lets the user in. Without this handler AUTH is not offered.
   */
  auth?(credentials: AuthCredentials, session: Session): Reply | boolean | Promise<Reply | boolean>;
  /** MAIL: a transaction begins. */
  mail?(sender: Sender, session: Session): Decision;
  /** RCPT: a recipient for the transaction. */
  rcpt?(recipient: Recipient, session: Session): Decision;
  /**
   * The content of the message, decoded. Nothing more is read from the client than is read from the stream. It ends
   * only where the message does: if the connection is cut, the message too large or against the rules, it errors. What
   * is not read is thrown away. To accept is to take responsibility for the message (RFC 5321, section 4.2.5).
   */
  message?(content: ReadableStream<Uint8Array>, session: Session): Decision;
  /** The open transaction was given up by the client. */
  reset?(session: Session): void | Promise<void>;
  /** The session is over. */
  close?(session: Session): void | Promise<void>;
}
