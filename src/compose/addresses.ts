/**
 * The addresses of a header, taken apart and put together again, so that header and envelope can never differ.
 *
 * @module
 */
import addressparser from "nodemailer/lib/addressparser";
import { formatMailbox, parseMailbox } from "../core/address.ts";
import { headerText, nameOf, onlyKnown, wrong } from "./checks.ts";
import type { MailAddresses } from "./mail.ts";

/** An address or a group (RFC 5322, section 3.4), as the library takes it. */
export type ParsedAddress = { name: string; address: string } | { name: string; group: ParsedAddress[] };

/** What the library's parser gives. */
interface Found {
  name?: string | undefined;
  address?: string | undefined;
  group?: Found[] | undefined;
}

const ADDRESS_KEYS: ReadonlySet<string> = new Set(["name", "address"]);

/**
 * Parses addresses.
 *
 * @param what Which they are, for the error.
 * @param given The addresses.
 * @returns Their parts, each address checked and quoted anew.
 * @throws {TypeError} If one is no address.
 */
export function parseAddresses(what: string, given: MailAddresses | undefined): ParsedAddress[] {
  if (given === undefined) return [];
  const list = Array.isArray(given) ? given : [given];
  return list.flatMap((entry): ParsedAddress[] => {
    if (typeof entry === "string") {
      const found = addressparser(headerText(what, entry)) as Found[];
      if (found.length === 0) throw wrong(what, `must be an address, it is ${JSON.stringify(entry)}`);
      return found.map((one) => check(what, one));
    }
    if (typeof entry !== "object" || entry === null) {
      throw wrong(what, `must be addresses, one is ${nameOf(entry)}`);
    }
    onlyKnown(what, entry, ADDRESS_KEYS);
    return [check(what, { name: entry.name, address: headerText(`${what}.address`, entry.address) })];
  });
}

/**
 * Lists the bare addresses.
 *
 * @param parsed The addresses.
 * @returns Those in groups too.
 */
export function bareAddresses(parsed: readonly ParsedAddress[]): string[] {
  return parsed.flatMap((one) => "group" in one ? bareAddresses(one.group) : one.address);
}

function check(what: string, { name = "", address, group }: Found): ParsedAddress {
  const shown = headerText(`${what}.name`, name);
  if (group !== undefined) return { name: shown, group: group.map((member) => check(what, member)) };
  try {
    const mailbox = parseMailbox(address ?? "");
    // Quoted they may stand there, but the library takes them out of the header, whose addresses then differ from the envelope's.
    if (/[<>]/.test(mailbox.localPart)) {
      throw new SyntaxError(`${address} has angle brackets in its local part`);
    }
    return { name: shown, address: formatMailbox(mailbox) };
  } catch (cause) {
    throw new TypeError(
      `Cannot compose the mail: ${what} has no address in it that can be used: ${(cause as Error).message}`,
      { cause },
    );
  }
}
