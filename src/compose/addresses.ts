/**
 * Parses the addresses of a mail and writes them anew, so that header and envelope always agree.
 *
 * @module
 */
import addressparser from "nodemailer/lib/addressparser";
import { formatMailbox, parseMailbox } from "../core/address.ts";
import { show } from "../core/errors.ts";
import { invalidOption, invalidValue } from "./errors.ts";
import type { MailAddresses } from "./mail.ts";
import { checkMembers, headerText, shownText } from "./validation.ts";

/** An address or a group (RFC 5322, section 3.4), as the library takes it. */
export type ParsedAddress = { name: string; address: string } | { name: string; group: ParsedAddress[] };

/** What the library's parser returns. */
interface ParserResult {
  name?: string | undefined;
  address?: string | undefined;
  group?: ParserResult[] | undefined;
}

/** The longest address that fits into a line of the header with all that may have to stand next to it. */
const MAX_OCTETS = 500;

const ADDRESS_KEYS: ReadonlySet<string> = new Set(["name", "address"]);

/**
 * Parses addresses.
 *
 * @param option The option, for the error.
 * @param given The addresses.
 * @returns Names and addresses, each address checked and written anew.
 * @throws {TypeError} If an address is invalid.
 */
export function parseAddresses(option: string, given: MailAddresses | undefined): ParsedAddress[] {
  if (given === undefined) return [];
  const list = Array.isArray(given) ? given : [given];
  return list.flatMap((entry): ParsedAddress[] => {
    if (typeof entry === "string") {
      const results = addressparser(headerText(option, entry)) as ParserResult[];
      if (results.length === 0) throw invalidValue(option, "an address", entry);
      return results.map((result) => check(option, result));
    }
    if (typeof entry !== "object" || entry === null) throw invalidValue(option, "addresses", entry);
    checkMembers(option, entry, ADDRESS_KEYS);
    return [check(option, { name: entry.name, address: headerText(`${option}.address`, entry.address) })];
  });
}

/**
 * Lists the bare addresses, those in groups too.
 *
 * @param parsed The addresses.
 * @returns The bare addresses.
 */
export function bareAddresses(parsed: readonly ParsedAddress[]): string[] {
  return parsed.flatMap((one) => "group" in one ? bareAddresses(one.group) : one.address);
}

function check(option: string, { name = "", address, group }: ParserResult): ParsedAddress {
  const shownName = shownText(`${option}.name`, name);
  if (group !== undefined) return { name: shownName, group: group.map((member) => check(option, member)) };
  try {
    const mailbox = parseMailbox(address ?? "");
    // In quotes they are allowed, but the library drops them from the header, which then differs from the envelope.
    if (/[<>]/.test(mailbox.localPart)) {
      throw new SyntaxError(`${address} has angle brackets in its local part`);
    }
    const written = formatMailbox(mailbox);
    // RFC 6531 allows it, no server has such an address, and the library drops some of it from the header.
    if (/[^\S ]/.test(written)) throw new SyntaxError(`${show(written)} has white space other than spaces`);
    if (new TextEncoder().encode(written).length > MAX_OCTETS) {
      throw new SyntaxError(`it has more than ${MAX_OCTETS} octets`);
    }
    return { name: shownName, address: written };
  } catch (cause) {
    throw invalidOption(option, `must be a valid address: ${(cause as Error).message}`, { cause });
  }
}
