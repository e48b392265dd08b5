/**
 * The errors of `compose()` and `toSevenBit()`.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";

/**
 * Why a message cannot be converted.
 *
 * - `"signed"`: the part that needs converting is signed (RFC 1847); converting it would break the signature.
 * - `"encoding"`: a part has bytes above 127 that its own header rules out, or has a type that must not be encoded.
 * - `"header"`: a field has characters that ASCII cannot express, such as an address that needs SMTPUTF8.
 * - `"structure"`: the message has too many parts or too many nested messages, or a multipart has no parts.
 */
export type ConversionErrorCode = "signed" | "encoding" | "header" | "structure";

/**
 * A message that cannot be converted to ASCII. Where `send()` was to convert it, the `SmtpError` that it rejects with has
 * this as its `cause`.
 */
export class ConversionError extends Error {
  /** `"ConversionError"`. */
  override name = "ConversionError";
  /** Why the message cannot be converted. */
  readonly code: ConversionErrorCode;

  /**
   * Makes an error.
   *
   * @param code Why the message cannot be converted.
   * @param message The same in words.
   * @param options The error that caused this one.
   */
  constructor(code: ConversionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Makes the error for a mail with an invalid option.
 *
 * @param option The option, such as `attachments[0].cid`.
 * @param problem What is wrong with it, as in "must be a string".
 * @param options The error that caused this one.
 */
export function invalidOption(option: string, problem: string, options?: ErrorOptions): TypeError {
  return new TypeError(`Cannot compose the mail: ${option} ${problem}`, options);
}

/**
 * Makes the error for an option with a value of the wrong kind.
 *
 * @param option The option, such as `attachments[0].cid`.
 * @param expected What it must be, as in "a string".
 * @param value What it is.
 */
export function invalidValue(option: string, expected: string, value: unknown): TypeError {
  return new TypeError(mustBe("compose the mail", option, expected, value));
}
