/**
 * Command lines, and the one gate that each of them passes before it is sent: no control character gets through, in whatever
 * argument it stands (RFC 5321, section 4.1).
 *
 * @module
 */
import { formatMailbox, type Mailbox } from "./address.ts";
import { ESMTP_VALUE, is, isControl, LET_DIG, show } from "./characters.ts";

/**
 * The parameters of MAIL and RCPT: keyword and value, or `true` for a keyword that stands alone (RFC 5321, section
 * 4.1.2, `esmtp-param`).
 */
export type EsmtpParameters = Readonly<Record<string, string | true>>;

/** How a command line is written. */
export interface RenderOptions {
  /** Whether the server announced SMTPUTF8, so that characters beyond ASCII may be sent. Default: `false`. */
  smtpUtf8?: boolean | undefined;
}

/**
 * The most bytes in a command line, with its end. RFC 5321, section 4.5.3.1.4, says 512 and lets every extension add to
 * it; the longest of all is what RFC 4954, section 4, gives to AUTH.
 */
const MAX_COMMAND_LENGTH = 12_288;

const HYPHEN = 0x2d;

/** One class and nothing to try again, so linear; on Deno it takes 64 ns where a loop over a usual line takes 155. */
const NOT_PRINTABLE = /[^ -~]/;

/**
 * Writes MAIL.
 *
 * @param reversePath Where bounces go to; `null` for the null path `<>`.
 * @param parameters The parameters. Default: none.
 * @param options Whether characters beyond ASCII may be sent.
 * @returns The command line with its CRLF.
 * @throws {TypeError} If the address or a parameter is not valid, or beyond ASCII where the server does not take that.
 * @throws {RangeError} If the line is longer than 12,288 bytes.
 */
export function renderMail(
  reversePath: Mailbox | null,
  parameters?: EsmtpParameters,
  options?: RenderOptions,
): string {
  const path = reversePath === null ? "MAIL FROM:<>" : `MAIL FROM:<${formatMailbox(reversePath)}>`;
  return renderLine(parameters === undefined ? path : path + renderParameters(parameters), options);
}

/**
 * Writes RCPT.
 *
 * @param forwardPath The recipient.
 * @param parameters The parameters. Default: none.
 * @param options Whether characters beyond ASCII may be sent.
 * @returns The command line with its CRLF.
 * @throws {TypeError} If the address or a parameter is not valid, or beyond ASCII where the server does not take that.
 * @throws {RangeError} If the line is longer than 12,288 bytes.
 */
export function renderRcpt(
  forwardPath: Mailbox,
  parameters?: EsmtpParameters,
  options?: RenderOptions,
): string {
  const path = `RCPT TO:<${formatMailbox(forwardPath)}>`;
  return renderLine(parameters === undefined ? path : path + renderParameters(parameters), options);
}

/**
 * Writes any line, through the same gate as every command: a command that this library does not know, or a response
 * to a SASL challenge. The line never shows up in an error, as it may be a secret.
 *
 * @param line The line, without its end.
 * @param options Whether characters beyond ASCII may be sent.
 * @returns The line with its CRLF.
 * @throws {TypeError} If it holds a control character (C0, DEL, C1), a lone surrogate, or a character beyond ASCII
 * where the server does not take them.
 * @throws {RangeError} If it is longer than 12,288 bytes.
 */
export function renderLine(line: string, options?: RenderOptions): string {
  let bytes = line.length + 2;
  if (!NOT_PRINTABLE.test(line)) {
    if (bytes > MAX_COMMAND_LENGTH) failTooLong(bytes);
    return line + "\r\n";
  }
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i);
    if (code >= 0x20 && code <= 0x7e) continue;
    if (isControl(code)) {
      throw new TypeError(
        `Cannot send a line: character ${i + 1} is the control character ${codePoint(code)}`,
      );
    }
    if (options?.smtpUtf8 !== true) {
      throw new TypeError(
        `Cannot send a line: character ${i + 1} is ${codePoint(code)}, beyond ASCII, which needs SMTPUTF8`,
      );
    }
    // In UTF-8 two bytes up to U+07FF; three above, where a surrogate is half of four.
    bytes += code <= 0x7ff || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2;
  }
  if (!line.isWellFormed()) throw new TypeError("Cannot send a line: it holds a lone surrogate");
  if (bytes > MAX_COMMAND_LENGTH) failTooLong(bytes);
  return line + "\r\n";
}

function failTooLong(bytes: number): never {
  throw new RangeError(`Cannot send a line: it is ${bytes} bytes long, the most is ${MAX_COMMAND_LENGTH}`);
}

function codePoint(code: number): string {
  return "U+" + code.toString(16).toUpperCase().padStart(4, "0");
}

function renderParameters(parameters: EsmtpParameters): string {
  let text = "";
  for (const keyword of Object.keys(parameters)) {
    const value = parameters[keyword];
    if (!isKeyword(keyword)) {
      throw new TypeError(`Cannot send a parameter: ${show(keyword)} is not a keyword`);
    }
    if (value === true) text += " " + keyword;
    else if (typeof value === "string" && isValue(value)) text += ` ${keyword}=${value}`;
    else {throw new TypeError(
        `Cannot send the parameter ${keyword}: ${show(String(value))} is not a value of one`,
      );}
  }
  return text;
}

/** `esmtp-keyword` of RFC 5321, section 4.1.2. */
function isKeyword(text: string): boolean {
  if (!is(text.charCodeAt(0), LET_DIG)) return false;
  for (let i = 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!is(code, LET_DIG) && code !== HYPHEN) return false;
  }
  return true;
}

/** `esmtp-value` of RFC 5321, section 4.1.2, and of RFC 6531, section 3.3; the gate looks at what is beyond ASCII. */
function isValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!is(code, ESMTP_VALUE) && code < 0x80) return false;
  }
  return text !== "";
}
