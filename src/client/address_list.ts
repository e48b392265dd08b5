/**
 * VRFY and EXPN, and the replies to them: names and addresses, one a line (RFC 5321, section 3.5.1).
 *
 * @module
 */
import { formatMailbox, parseMailbox, toAsciiDomain } from "../core/address.ts";
import { isAscii } from "../core/characters.ts";
import { renderCommand } from "../core/command.ts";
import { mustBe } from "../core/errors.ts";
import type { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";

/** A mailbox, as a server names it. */
export interface NamedAddress {
  /** The name beside the address, `""` if there is none. */
  readonly name: string;
  /** The address. */
  readonly address: string;
}

/**
 * Renders VRFY or EXPN.
 *
 * @param verb Which one.
 * @param argument The address or name to ask about.
 * @param extensions What the server offers.
 * @returns The command with its line end.
 * @throws {SmtpError} `"extension-missing"` if it needs SMTPUTF8.
 * @throws {TypeError} If it is empty, has control characters, or ends with the parameter of the command.
 * @throws {RangeError} If the command is longer than 512 bytes.
 */
export function renderQuery(verb: "VRFY" | "EXPN", argument: string, { smtpUtf8 }: Extensions): string {
  if (/ SMTPUTF8$/i.test(argument)) {
    throw new TypeError(mustBe(`say ${verb}`, "the argument", "without a parameter at its end", argument));
  }
  const line = renderCommand({ verb, argument: withAsciiDomain(argument) }, { smtpUtf8: true });
  if (isAscii(line)) return line;
  // RFC 6531, section 3.7.4.2: the reply may then be beyond ASCII, too.
  if (smtpUtf8) return `${line.slice(0, -2)} SMTPUTF8\r\n`;
  throw new SmtpError(
    "extension-missing",
    `Cannot say ${verb}: the argument is not ASCII and the server does not offer SMTPUTF8`,
    { phase: "command", usable: true },
  );
}

/** An address beyond ASCII with its domain as `send()` writes it; anything else is a name, and stays as it is. */
function withAsciiDomain(argument: string): string {
  if (typeof argument !== "string" || isAscii(argument)) return argument;
  try {
    return formatMailbox(toAsciiDomain(parseMailbox(argument)));
  } catch {
    return argument;
  }
}

/**
 * Reads the addresses in a reply. A line without one is skipped.
 *
 * @param reply The reply to VRFY or EXPN.
 * @returns The addresses, in the server's order.
 */
export function parseAddressList(reply: Reply): readonly NamedAddress[] {
  const list: NamedAddress[] = [];
  for (const line of reply.text.split("\n")) {
    const entry = parseLine(line.trim());
    if (entry !== undefined) list.push(entry);
  }
  return list;
}

/**
 * `Fred Foobar <fred@example.org>`, `<fred@example.org>` or `fred@example.org`; Sendmail quotes names, Exim adds
 * "is deliverable".
 */
function parseLine(line: string): NamedAddress | undefined {
  const open = line.lastIndexOf("<");
  const close = line.indexOf(">", open);
  if (open >= 0 && close >= 0) {
    const address = toAddress(line.slice(open + 1, close));
    return address === undefined ? undefined : { name: unquote(line.slice(0, open).trim()), address };
  }
  const address = toAddress(line);
  return address === undefined ? undefined : { name: "", address };
}

function toAddress(text: string): string | undefined {
  try {
    return formatMailbox(parseMailbox(text));
  } catch {
    return undefined;
  }
}

function unquote(name: string): string {
  if (name.length < 2 || !name.startsWith('"') || !name.endsWith('"')) return name;
  return name.slice(1, -1).replaceAll(/\\(.)/g, "$1");
}
