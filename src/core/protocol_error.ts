/**
 * The error for a peer that breaks the protocol.
 *
 * @module
 */

/**
 * The peer sent something that SMTP does not allow, or more than the limits permit. It is never the caller's fault,
 * and the connection cannot be used any more: where the next reply or command begins is unknown.
 */
export class ProtocolError extends Error {
  /** `"ProtocolError"`. */
  override name = "ProtocolError";
}
