/**
 * The shape of a SASL mechanism (RFC 4422) on the server's side.
 *
 * @module
 */

/** What follows a client's response. */
export type ServerStep =
  /** Another challenge is due. */
  | { readonly kind: "challenge"; readonly challenge: Uint8Array }
  /** The client has given its name and password. */
  | { readonly kind: "credentials"; readonly user: string; readonly pass: string }
  /** The response does not follow the mechanism's grammar, or a name or password in it has control characters. */
  | { readonly kind: "malformed" }
  /** The response follows the grammar, and can let nobody in. */
  | { readonly kind: "refused" };

/** The server's half of a mechanism: one object for one attempt to authenticate. */
export interface ServerMechanism {
  /** The registered name in capitals. */
  readonly name: string;
  /**
   * Takes a response.
   *
   * @param response The response, decoded from base64; `undefined` if the client sent none with AUTH.
   * @returns What follows.
   */
  respond(response: Uint8Array | undefined): ServerStep;
}
