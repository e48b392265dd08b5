/**
 * Fuzzes addresses: mailboxes, paths, domains, address literals, and the lists in replies.
 *
 * - In ASCII a mailbox, a domain and an address literal are exactly what a grammar of regular expressions says they are, with the
 *   same parts.
 * - Whatever is accepted holds no control character and no lone surrogate, and is written as what reads as the same; the command that
 *   it is written into holds one path, and the server's parser reads the same address there.
 * - Any two parts are written as an address that reads as those parts, or not at all.
 * - What is refused is refused with a `SyntaxError` or a `TypeError` that a terminal can show.
 * @module
 */
import { parseAddressList } from "../../src/client/address_list.ts";
import {
  formatMailbox,
  isAddressLiteral,
  isAsciiMailbox,
  isDomain,
  type Mailbox,
  parseMailbox,
  parsePath,
  pathEnd,
  toAsciiDomain,
} from "../../src/core/address.ts";
import { renderCommand } from "../../src/core/command.ts";
import { Reply } from "../../src/core/reply.ts";
import { parseCommand } from "../../src/server/command_parser.ts";
import { isNormalDomain } from "../../src/server/internationalized_domain.ts";
import { ADDRESSES } from "./corpus.ts";
import * as grammar from "./grammar.ts";
import { CHARACTERS, mutate, noise } from "./mutate.ts";
import { hold, isFitToShow, must, mustEqual, type Target } from "./target.ts";

/** Addresses. */
export const addresses: Target = {
  name: "addresses",
  play(random, notes) {
    const address = random.chance(0.05)
      ? noise(random, CHARACTERS)
      : mutate(random, random.pick(ADDRESSES), CHARACTERS, ADDRESSES);
    notes.log(JSON.stringify(address));
    notes.count(read(address) === undefined ? "refused" : "accepted");
    hold(address, checkMailbox);
    const domain = address.slice(address.lastIndexOf("@") + 1);
    hold(random.chance(0.5) ? domain : mutate(random, domain, CHARACTERS, ADDRESSES), checkDomain);
    const at = random.below(address.length + 1);
    hold(address, (text) => checkParts(text.slice(0, at), text.slice(at + 1)));
    hold(address, (text) => checkParts(text, "example.org"));
    hold(`<${address}>${random.pick(["", " A=1", ">", " x>"])}`, checkPath);
    hold(
      `${random.pick(["", "Ada ", '"A, \\"B\\"" '])}<${address}>\n${address} is deliverable\n${address}`,
      checkList,
    );
  },
};

/** Reads an address; `undefined` if it is none. */
function read(text: string): Mailbox | undefined {
  return allowed(() => parseMailbox(text), SyntaxError);
}

/** What a call returns; `undefined` where it throws as it may. */
function allowed<T>(call: () => T, ...kinds: readonly (new (message: string) => Error)[]): T | undefined {
  try {
    return call();
  } catch (error) {
    must(kinds.some((kind) => error instanceof kind), `It throws ${error}`);
    const { message } = error as Error;
    must(
      isFitToShow(message),
      `The message is not fit to be shown: ${JSON.stringify(message)}`,
    );
    return undefined;
  }
}

function isSafe(text: string): boolean {
  return !/\p{Cc}/u.test(text) && text.isWellFormed();
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

function checkMailbox(text: string): void {
  const mailbox = read(text);
  if (isAscii(text)) mustEqual(mailbox, grammar.readMailbox(text), "It is read as");
  if (mailbox !== undefined) checkAccepted(mailbox);
}

function checkAccepted(mailbox: Mailbox): void {
  const { localPart, domain } = mailbox;
  must(isSafe(localPart) && isSafe(domain), "It holds what no address may hold");
  must(isAscii(domain) || grammar.isDomain(toAsciiDomain(mailbox).domain), `${domain} has no form in ASCII`);
  const text = formatMailbox(mailbox);
  mustEqual(read(text), mailbox, `Written as ${text} it is`);
  mustEqual(isAsciiMailbox(mailbox), isAscii(text), "It is ASCII");
  const inAscii = toAsciiDomain(mailbox);
  mustEqual([inAscii.localPart, isAscii(inAscii.domain)], [localPart, true], "Its form in ASCII has");
  mustEqual(read(formatMailbox(inAscii)), inAscii, "Its form in ASCII is");
  mustEqual(pathEnd(`<${text}> X>`), text.length + 2, "Its path ends at");
  mustEqual(parsePath(`<${text}>`), mailbox, "Its path is");
  for (const [verb, key] of [["MAIL", "reversePath"], ["RCPT", "forwardPath"]] as const) {
    const line = allowed(
      () => renderCommand({ verb, [key]: mailbox, parameters: { SIZE: "1" } } as never, { smtpUtf8: true }),
      RangeError,
    );
    if (line === undefined) {
      must(new TextEncoder().encode(text).length > 480, "It is too long for a command, and short");
      continue;
    }
    must(line.endsWith(" SIZE=1\r\n") && isSafe(line.slice(0, -2)), `It is sent as ${JSON.stringify(line)}`);
    // The client sends domains in ASCII; a server refuses one beyond it that is not in normal form.
    if (!isNormalDomain(mailbox.domain)) continue;
    mustEqual(
      parseCommand(line.slice(0, -2)),
      { verb, [key]: mailbox, parameters: { SIZE: "1" } },
      "A server reads",
    );
  }
}

function checkDomain(text: string): void {
  mustEqual(isDomain(text), isAscii(text) && grammar.isDomain(text), "It is a domain");
  mustEqual(
    isAddressLiteral(text),
    isAscii(text) && grammar.isLiteral(text),
    "It is an address literal",
  );
}

function checkParts(localPart: string, domain: string): void {
  const text = allowed(() => formatMailbox({ localPart, domain }), TypeError);
  if (text === undefined) return;
  if (domain === "") return must(localPart.toLowerCase() === "postmaster", `It is written as ${text}`);
  const mailbox = read(text);
  // Whether IDNA knows a domain is found when it is read.
  if (mailbox === undefined) return must(!isAscii(domain), `It is written as ${text}, which nobody can read`);
  mustEqual(mailbox, { localPart, domain }, `It is written as ${text}, which is`);
}

function checkPath(text: string): void {
  const mailbox = allowed(() => parsePath(text), SyntaxError);
  const end = pathEnd(text);
  must(end === -1 || text[end - 1] === ">", `It ends at ${end}`);
  if (mailbox === undefined) return;
  mustEqual(end, text.length, "It ends at");
  if (mailbox !== null && mailbox.domain !== "") checkAccepted(mailbox);
}

function checkList(text: string): void {
  const lines = text.split("\n");
  const reply = allowed(() => new Reply(250, lines), TypeError);
  if (reply === undefined) return;
  const list = parseAddressList(reply);
  must(list.length <= lines.length, "There are more addresses than lines");
  for (const { name, address } of list) {
    must(read(address) !== undefined, `${JSON.stringify(address)} is no address`);
    must(
      isSafe(name.replaceAll("\t", " ")) && isSafe(address),
      `${JSON.stringify(name)} has control characters`,
    );
  }
}
