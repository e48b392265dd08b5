/**
 * The replies to VRFY and EXPN: names and addresses, one a line (RFC 5321, section 3.5.1).
 *
 * @module
 */
import { formatMailbox, parseMailbox } from "../core/address.ts";
import type { Reply } from "../core/reply.ts";

/** A mailbox, as a server names it. */
export interface NamedAddress {
  /** The name beside the address, `""` if there is none. */
  readonly name: string;
  /** The address. */
  readonly address: string;
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
