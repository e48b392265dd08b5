/**
 * Why a message could not be made ASCII.
 *
 * @module
 */

/**
 * What stands in the way.
 *
 * - `"signed"`: what would have to change is signed (RFC 1847): the signature would be broken.
 * - `"encoding"`: a part has bytes above 127 that its own header rules out, or is of a type that must not be encoded.
 * - `"header"`: a field has characters that have no form in ASCII, such as an address that needs SMTPUTF8.
 * - `"structure"`: the message has more parts, or messages inside messages, than a message has, or parts that are not there.
 */
export type ConversionErrorCode = "signed" | "encoding" | "header" | "structure";

/** A message that could not be made ASCII. A `send()` that meets one rejects with an `SmtpError` whose `cause` is this. */
export class ConversionError extends Error {
  /** `"ConversionError"`. */
  override name = "ConversionError";
  /** What stands in the way. */
  readonly code: ConversionErrorCode;

  /**
   * Makes an error.
   *
   * @param code What stands in the way.
   * @param message What to tell a person.
   * @param options The cause.
   */
  constructor(code: ConversionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
