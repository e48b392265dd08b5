/**
 * Commands as values, and the one gate that each line passes before it is sent: no control character gets through, whatever
 * argument it is in (RFC 5321, section 4.1).
 *
 * @module
 */
import { formatMailbox, isAddressLiteral, isDomain, type Mailbox } from "./address.ts";
import {
  ESMTP_VALUE,
  every,
  is,
  isBase64,
  isControl,
  LET_DIG,
  MAX_MECHANISM_LENGTH,
  MECHANISM,
} from "./characters.ts";
import { mustBe, show } from "./errors.ts";

/**
 * The parameters of MAIL and RCPT: keyword and value, or `true` for a keyword alone (RFC 5321, section
 * 4.1.2, `esmtp-param`).
 */
export type EsmtpParameters = Readonly<Record<string, string | true>>;

/** A command with arguments, which have to be checked before they are sent. */
export type CommandWithArguments =
  | {
    /** Opens the session; `LHLO` in LMTP (RFC 2033). */
    readonly verb: "EHLO" | "HELO" | "LHLO";
    /** The client's domain or address literal. */
    readonly domain: string;
  }
  | {
    /** Opens a transaction. */
    readonly verb: "MAIL";
    /** Where bounces go; `null` for the null path `<>`. */
    readonly reversePath: Mailbox | null;
    /** Parameters, such as `SIZE` and `BODY`. */
    readonly parameters?: EsmtpParameters | undefined;
  }
  | {
    /** Names a recipient. */
    readonly verb: "RCPT";
    /** The recipient. */
    readonly forwardPath: Mailbox;
    /** Parameters, such as `NOTIFY` and `ORCPT`. */
    readonly parameters?: EsmtpParameters | undefined;
  }
  | {
    /** Begins an authentication (RFC 4954). */
    readonly verb: "AUTH";
    /** The name of the SASL mechanism, in upper case. */
    readonly mechanism: string;
    /** The initial response in base64, `"="` for an empty one. */
    readonly initialResponse?: string | undefined;
  }
  | {
    /** Asks about an address, a list or a queue; `ETRN` is RFC 1985. */
    readonly verb: "VRFY" | "EXPN" | "ETRN";
    /** What it asks about. */
    readonly argument: string;
  }
  | {
    /** Asks for help, or for nothing. */
    readonly verb: "HELP" | "NOOP";
    /** Any text. */
    readonly argument?: string | undefined;
  };

/** A command of a client. */
export type Command =
  | CommandWithArguments
  | {
    /** Announces a chunk of content (RFC 3030). */
    readonly verb: "BDAT";
    /** Its length in bytes. */
    readonly size: number;
    /** Whether it is the last one. */
    readonly last: boolean;
  }
  | {
    /** A command without arguments. */
    readonly verb: "STARTTLS" | "DATA" | "RSET" | "QUIT";
  };

/** How a command line is written. */
export interface RenderOptions {
  /** Whether the server announced SMTPUTF8, so that characters beyond ASCII may be sent. Default: `false`. */
  smtpUtf8?: boolean | undefined;
}

/**
 * The most bytes in a command line, with its end. RFC 5321, section 4.5.3.1.4, says 512 and lets every extension add to
 * it; the largest addition is that of AUTH (RFC 4954, section 4).
 */
const MAX_COMMAND_LENGTH = 12_288;

/**
 * The most bytes of a command without the parameters of extensions, with its end (RFC 5321, section 4.5.3.1.4). Some servers take
 * what is behind that for another line, and an argument could have a command of its own there.
 */
const MAX_PLAIN_LENGTH = 512;

const HYPHEN = 0x2d;

/** One character class and no backtracking, so linear; on Deno 64 ns for a usual line, a loop takes 155. */
const NOT_PRINTABLE = /[^ -~]/;

/**
 * Writes a command.
 *
 * @param command The command. Those without arguments need no writing.
 * @param options Whether characters beyond ASCII may be sent.
 * @returns The command line with its CRLF.
 * @throws {TypeError} If an argument holds a control character, a character beyond ASCII that the server does not take, or
 * what the argument's grammar does not allow.
 * @throws {RangeError} If the line is longer than 12,288 bytes, or without parameters than 512.
 *
 * @example
 * ```ts
 * const forwardPath = { localPart: "jane", domain: "example.org" };
 * console.log(renderCommand({ verb: "RCPT", forwardPath, parameters: { NOTIFY: "NEVER" } }));
 * // "RCPT TO:<jane@example.org> NOTIFY=NEVER\r\n"
 * ```
 */
export function renderCommand(command: CommandWithArguments, options?: RenderOptions): string {
  switch (command.verb) {
    case "MAIL": {
      const { reversePath, parameters } = command;
      const path = reversePath === null ? "" : formatMailbox(reversePath);
      return renderLine(plain(`MAIL FROM:<${path}>`) + renderParameters(parameters), options);
    }
    case "RCPT": {
      const { forwardPath, parameters } = command;
      const path = plain(`RCPT TO:<${formatMailbox(forwardPath)}>`);
      return renderLine(path + renderParameters(parameters), options);
    }
    case "EHLO":
    case "HELO":
    case "LHLO":
      if (!isDomain(command.domain) && !isAddressLiteral(command.domain)) {
        throw new TypeError(
          `Cannot send ${command.verb}: ${
            show(command.domain)
          } is neither a domain in ASCII nor an address literal`,
        );
      }
      return renderLine(`${command.verb} ${command.domain}`, options);
    case "AUTH":
      return renderAuth(command.mechanism, command.initialResponse);
    case "VRFY":
    case "EXPN":
    case "ETRN":
      if (!command.argument) throw new TypeError(`Cannot send ${command.verb}: it needs an argument`);
      // Of these only ETRN has a word for its argument, and no text.
      if (command.verb === "ETRN" && command.argument.includes(" ")) {
        throw new TypeError(mustBe("send ETRN", "argument", "one word", command.argument));
      }
      return renderLine(plain(`${command.verb} ${command.argument}`), options);
    case "HELP":
    case "NOOP":
      return renderLine(
        command.argument ? plain(`${command.verb} ${command.argument}`) : command.verb,
        options,
      );
    default:
      throw new TypeError(
        `Cannot send a command: the verb ${show(String((command as Command).verb))} is not known`,
      );
  }
}

/**
 * Writes any line, through the same gate as every command: a command that this library does not know, or a response
 * to a SASL challenge. The line never shows up in an error, as it may be a secret.
 *
 * @param line The line, without its end.
 * @param options Whether characters beyond ASCII may be sent.
 * @returns The line with its CRLF.
 * @throws {TypeError} If it holds a control character (C0, DEL, C1), a lone surrogate, or a character beyond ASCII
 * that the server does not take.
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

/** A command up to its parameters; what is longer than 512 bytes is refused. */
function plain(line: string): string {
  // A character takes up to three bytes.
  if (line.length < MAX_PLAIN_LENGTH / 3) return line;
  const bytes = new TextEncoder().encode(line).length + 2;
  if (bytes > MAX_PLAIN_LENGTH) failTooLong(bytes, MAX_PLAIN_LENGTH);
  return line;
}

function failTooLong(bytes: number, most = MAX_COMMAND_LENGTH): never {
  throw new RangeError(`Cannot send a line: it is ${bytes} bytes long, the most is ${most}`);
}

function codePoint(code: number): string {
  return "U+" + code.toString(16).toUpperCase().padStart(4, "0");
}

function renderAuth(mechanism: string, initialResponse: string | undefined): string {
  if (!every(mechanism, MECHANISM) || mechanism.length > MAX_MECHANISM_LENGTH) {
    throw new TypeError(`Cannot send AUTH: ${show(mechanism)} is not the name of a SASL mechanism`);
  }
  if (initialResponse === undefined) return renderLine(`AUTH ${mechanism}`);
  // The response is a secret: no message shows it.
  if (!isBase64(initialResponse)) {
    throw new TypeError("Cannot send AUTH: the initial response is not base64");
  }
  return renderLine(`AUTH ${mechanism} ${initialResponse}`);
}

function renderParameters(parameters: EsmtpParameters | undefined): string {
  if (parameters === undefined) return "";
  let text = "";
  for (const keyword of Object.keys(parameters)) {
    const value = parameters[keyword];
    if (!isKeyword(keyword)) {
      throw new TypeError(`Cannot send a parameter: ${show(keyword)} is not a keyword`);
    }
    if (value === true) text += " " + keyword;
    else if (typeof value === "string" && isValue(value)) text += ` ${keyword}=${value}`;
    else {throw new TypeError(
        `Cannot send the parameter ${keyword}: ${show(String(value))} is not a parameter's value`,
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

/** `esmtp-value` of RFC 5321, section 4.1.2, and of RFC 6531, section 3.3; renderLine() checks what is beyond ASCII. */
function isValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!is(code, ESMTP_VALUE) && code < 0x80) return false;
  }
  return text !== "";
}
