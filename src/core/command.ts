/**
 * Commands as values.
 *
 * @module
 */
import { isAddressLiteral, isDomain, type Mailbox } from "./address.ts";
import { every, isBase64, MECHANISM, show } from "./characters.ts";
import {
  type EsmtpParameters,
  renderLine,
  renderMail,
  type RenderOptions,
  renderRcpt,
} from "./command_line.ts";

export { CommandSyntaxError, parseCommand } from "./command_parser.ts";

/** RFC 4422, section 3.1. */
const MAX_MECHANISM_LENGTH = 20;

/** A command of a client. */
export type Command =
  | {
    /** Opens the session; `LHLO` in LMTP (RFC 2033). */
    readonly verb: "EHLO" | "HELO" | "LHLO";
    /** The client's domain or address literal. */
    readonly domain: string;
  }
  | {
    /** Opens a transaction. */
    readonly verb: "MAIL";
    /** Where bounces go to; `null` for the null path `<>`. */
    readonly reversePath: Mailbox | null;
    /** Parameters, such as `SIZE` and `BODY`. */
    readonly parameters?: EsmtpParameters;
  }
  | {
    /** Names a recipient. */
    readonly verb: "RCPT";
    /** The recipient. */
    readonly forwardPath: Mailbox;
    /** Parameters, such as `NOTIFY` and `ORCPT`. */
    readonly parameters?: EsmtpParameters;
  }
  | {
    /** Announces a chunk of content (RFC 3030). */
    readonly verb: "BDAT";
    /** Its length in bytes. */
    readonly size: number;
    /** Whether it is the last one. */
    readonly last: boolean;
  }
  | {
    /** Begins an authentication (RFC 4954). */
    readonly verb: "AUTH";
    /** The name of the SASL mechanism, in upper case. */
    readonly mechanism: string;
    /** The initial response in base64, `"="` for an empty one. */
    readonly initialResponse?: string;
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
    readonly argument?: string;
  }
  | {
    /** A command without arguments. */
    readonly verb: "STARTTLS" | "DATA" | "RSET" | "QUIT";
  };

/**
 * Writes a command.
 *
 * @param command The command.
 * @param options Whether characters beyond ASCII may be sent.
 * @returns The command line with its CRLF.
 * @throws {TypeError} If an argument holds a control character, a character beyond ASCII where the server does not take
 * them, or what the grammar of the argument does not allow.
 * @throws {RangeError} If the line is longer than 12,288 bytes, or the size of a chunk is no size.
 *
 * @example
 * ```ts
 * const forwardPath = { localPart: "jane", domain: "example.org" };
 * console.log(renderCommand({ verb: "RCPT", forwardPath, parameters: { NOTIFY: "NEVER" } }));
 * // "RCPT TO:<jane@example.org> NOTIFY=NEVER\r\n"
 * ```
 */
export function renderCommand(command: Command, options?: RenderOptions): string {
  switch (command.verb) {
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
    case "MAIL":
      return renderMail(command.reversePath, command.parameters, options);
    case "RCPT":
      return renderRcpt(command.forwardPath, command.parameters, options);
    case "BDAT":
      if (!Number.isSafeInteger(command.size) || command.size < 0) {
        throw new RangeError(
          `Cannot send BDAT: the size must be a whole number of bytes, it is ${Number(command.size)}`,
        );
      }
      return `BDAT ${command.size}${command.last ? " LAST" : ""}\r\n`;
    case "AUTH":
      return renderAuth(command.mechanism, command.initialResponse);
    case "VRFY":
    case "EXPN":
    case "ETRN":
      if (!command.argument) throw new TypeError(`Cannot send ${command.verb}: it needs an argument`);
      return renderLine(`${command.verb} ${command.argument}`, options);
    case "HELP":
    case "NOOP":
      return renderLine(command.argument ? `${command.verb} ${command.argument}` : command.verb, options);
    case "STARTTLS":
    case "DATA":
    case "RSET":
    case "QUIT":
      return command.verb + "\r\n";
    default:
      throw new TypeError(
        `Cannot send a command: the verb ${show(String((command as Command).verb))} is not known`,
      );
  }
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
