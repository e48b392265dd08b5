/**
 * What a server's session is told at its start.
 *
 * @module
 */

/** The settings of one session, complete: `src/server/options.ts` fills in what a user leaves out. */
export interface ServerSessionOptions {
  /** The server's name, in the greeting and the reply to EHLO. */
  readonly serverName: string;
  /** Whether TLS is on from the start. */
  readonly secure: boolean;
  /** Whether STARTTLS is offered. */
  readonly startTls: boolean;
  /** Whether mail is only taken under TLS. */
  readonly requireTls: boolean;
  /** The SASL mechanisms, upper case; none: no AUTH. */
  readonly authMechanisms: readonly string[];
  /** Whether mail is only taken from authenticated clients. */
  readonly requireAuth: boolean;
  /** Whether AUTH is offered without TLS. */
  readonly allowInsecureAuth: boolean;
  /** The most octets of a message (RFC 1870); `Infinity` for no limit. */
  readonly maxMessageSize: number;
  /** The most recipients of a message. */
  readonly maxRecipients: number;
  /** The most octets of a command line, its line end included. */
  readonly maxLineLength: number;
  /** How many errors end the session; a message that is accepted sets the count back. */
  readonly maxErrors: number;
  /** How many commands that are not recognized end the session. */
  readonly maxUnrecognized: number;
  /** How many commands a client may send before AUTH, where AUTH is required. */
  readonly maxUnauthenticatedCommands: number;
  /** Extension keywords, upper case, that are neither announced nor accepted. `EHLO` itself may be among them. */
  readonly hide: ReadonlySet<string>;
  /** Whether CR and LF may stand alone: in content as they are, in commands LF as the end of a line. */
  readonly bareLineEnds: "allow" | "reject";
}

/**
 * Finds the content of a message in a client's bytes. `DataDecoder` of `./streams` is one.
 */
export interface ContentDecoder {
  /** Decodes a chunk; stops at the end of the content. */
  decode(chunk: Uint8Array): Uint8Array;
  /** Whether the content is complete. */
  readonly ended: boolean;
  /** What stands in the last chunk behind the end of the content. */
  readonly rest: Uint8Array;
  /** Whether a CR or LF stood alone. */
  readonly bareLineEnds: boolean;
  /** Makes ready for the next message. */
  reset(): void;
}
