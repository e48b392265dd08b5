/**
 * The error of a peer that breaks the protocol.
 *
 * @module
 */

/**
 * The peer has sent something that SMTP does not allow, or more than the limits permit. It is never the caller's fault,
 * and the connection cannot be used any more: nobody knows where the next reply or command begins.
 */
export class ProtocolError extends Error {
  /** `"ProtocolError"`. */
  override name = "ProtocolError";
}
