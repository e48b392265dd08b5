/**
 * What a SASL mechanism is (RFC 4422), and what it is told about the session.
 *
 * @module
 */

/** A SASL mechanism in use: one object for one attempt to authenticate. */
export interface SaslMechanism {
  /** The registered name, such as `"PLAIN"`. */
  readonly name: string;
  /** The initial response, where the mechanism lets the client speak first. */
  readonly initialResponse?: Uint8Array;
  /**
   * Answers a challenge.
   *
   * @param challenge What the server sent, decoded from base64.
   * @returns The response, before base64.
   * @throws {Error} If the challenge makes no sense or the server could not prove who it is; the exchange is cancelled.
   */
  respond(challenge: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** A user's name and password. */
export interface PasswordCredentials {
  /** The name to authenticate as. */
  user: string;
  /** The password. */
  pass: string;
}
