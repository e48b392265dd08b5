/**
 * Reads a client's lines as commands: tolerant where old clients need it, in linear time, and with a reply to each line that
 * is not a command (RFC 5321, sections 4.1.1 and 4.2.4).
 *
 * @module
 */
import { type Mailbox, parsePath, pathEnd } from "../core/address.ts";
import {
  ESMTP_VALUE,
  every,
  is,
  isBase64,
  isDigit,
  isUnsafe,
  LET_DIG,
  MAX_MECHANISM_LENGTH,
  MECHANISM,
} from "../core/characters.ts";
import type { Command, EsmtpParameters } from "../core/command.ts";
import { Reply } from "../core/reply.ts";
import { isNormalDomain } from "./internationalized_domain.ts";
import { barePathEnd, quoteLocalPart } from "./lenient_path.ts";

const HYPHEN = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const LESS = 0x3c;

/** A client's line is not a command. */
export class CommandSyntaxError extends Error {
  override name = "CommandSyntaxError";
  /** The reply that says why. */
  readonly reply: Reply;

  /** @param reply The reply that says why. */
  constructor(reply: Reply) {
    super(reply.text);
    this.reply = reply;
  }
}

/**
 * Reads a client's line as a command. Verbs and keywords may be in lower case; white space is allowed around the colon of
 * MAIL and RCPT and at the end of the line, because some clients send it. Whether a parameter is supported, and whether
 * characters beyond ASCII are welcome, is for the session to decide.
 *
 * @param line The line, without its end.
 * @param lenientAddresses Whether paths are taken as some devices write them.
 * @returns The command: keywords and the mechanism of AUTH are in upper case.
 * @throws {CommandSyntaxError} If it is not a command, with a reply of 500 or 501.
 */
export function parseCommand(line: string, lenientAddresses = false): Command {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i);
    // Also what turns text around or ends a line where names and addresses are shown or logged (CVE-2021-42574).
    if (isUnsafe(code) && code !== TAB) {
      refuse(500, "5.5.2", "A control character has no place in a command");
    }
  }
  let verbEnd = 0;
  while (is(line.charCodeAt(verbEnd), LET_DIG)) verbEnd++;
  const verb = line.slice(0, verbEnd).toUpperCase();
  if (verbEnd < line.length && !isBlank(line.charCodeAt(verbEnd))) unknown();
  const argument = trim(line, verbEnd);
  switch (verb) {
    case "EHLO":
    case "HELO":
    case "LHLO":
      return { verb, domain: parseHello(verb, argument) };
    case "MAIL":
      return parseMail(argument, lenientAddresses);
    case "RCPT":
      return parseRcpt(argument, lenientAddresses);
    case "BDAT":
      return parseBdat(argument);
    case "AUTH":
      return parseAuth(argument);
    case "VRFY":
    case "EXPN":
    case "ETRN":
      if (argument === "") refuse(501, "5.5.4", `Syntax: ${verb} <string>`);
      return { verb, argument };
    case "HELP":
    case "NOOP":
      return argument === "" ? { verb } : { verb, argument };
    case "STARTTLS":
    case "DATA":
    case "RSET":
    case "QUIT":
      if (argument !== "") refuse(501, "5.5.4", `${verb} takes no parameters`);
      return { verb };
    default:
      unknown();
  }
}

function refuse(code: number, enhancedCode: string, text: string): never {
  throw new CommandSyntaxError(new Reply(code, text, { enhancedCode }));
}

function unknown(): never {
  refuse(500, "5.5.1", "Command not recognized");
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** The text from an index on, without white space at its ends. */
function trim(text: string, start: number): string {
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function blankAt(text: string): number {
  for (let i = 0; i < text.length; i++) {
    if (isBlank(text.charCodeAt(i))) return i;
  }
  return -1;
}

/** Any word will do: refusing a client for its name alone loses mail, and Windows hosts have names of all kinds. */
function parseHello(verb: string, argument: string): string {
  if (argument === "" || blankAt(argument) >= 0) refuse(501, "5.5.4", `Syntax: ${verb} hostname`);
  return argument;
}

function parseMail(argument: string, lenient: boolean): Command {
  const [path, rest] = splitPath("FROM", argument, lenient);
  let reversePath: Mailbox | null;
  try {
    reversePath = parseNormalPath(path);
  } catch {
    refuse(501, "5.1.7", "Bad sender address syntax");
  }
  if (reversePath?.domain === "") refuse(501, "5.1.7", "Bad sender address syntax");
  const parameters = parseParameters(rest);
  return parameters === undefined ? { verb: "MAIL", reversePath } : { verb: "MAIL", reversePath, parameters };
}

function parseRcpt(argument: string, lenient: boolean): Command {
  const [path, rest] = splitPath("TO", argument, lenient);
  let forwardPath: Mailbox | null;
  try {
    forwardPath = parseNormalPath(path);
  } catch {
    forwardPath = null;
  }
  if (forwardPath === null) refuse(501, "5.1.3", "Bad recipient address syntax");
  const parameters = parseParameters(rest);
  return parameters === undefined ? { verb: "RCPT", forwardPath } : { verb: "RCPT", forwardPath, parameters };
}

function parseNormalPath(path: string): Mailbox | null {
  const mailbox = parsePath(path);
  if (mailbox !== null && !isNormalDomain(mailbox.domain)) {
    throw new SyntaxError("The domain has another spelling");
  }
  return mailbox;
}

/** Splits `FROM:<path> parameters`. A lenient path comes back in the strict spelling. */
function splitPath(
  keyword: "FROM" | "TO",
  argument: string,
  lenient: boolean,
): [path: string, rest: string] {
  const { length } = keyword;
  const given = argument.slice(0, length);
  const colon = trim(argument, length);
  const known = given === keyword || (every(given, LET_DIG) && given.toUpperCase() === keyword);
  if (!known || colon[0] !== ":") syntax(keyword);
  const text = trim(colon, 1);
  const bare = text.charCodeAt(0) !== LESS;
  if (bare && !lenient) syntax(keyword);
  const end = bare ? barePathEnd(text) : pathEnd(text);
  // Nothing at all is not the null path.
  if (end <= 0 || (end < text.length && !isBlank(text.charCodeAt(end)))) syntax(keyword);
  const path = text.slice(0, end);
  return [lenient ? quoteLocalPart(bare ? `<${path}>` : path) : path, text.slice(end)];
}

function syntax(keyword: "FROM" | "TO"): never {
  refuse(501, "5.5.4", keyword === "FROM" ? "Syntax: MAIL FROM:<address>" : "Syntax: RCPT TO:<address>");
}

function parseParameters(text: string): EsmtpParameters | undefined {
  let parameters: Record<string, string | true> | undefined;
  let i = 0;
  for (;;) {
    while (isBlank(text.charCodeAt(i))) i++;
    if (i >= text.length) return parameters;
    const start = i;
    while (is(text.charCodeAt(i), LET_DIG) || (i > start && text.charCodeAt(i) === HYPHEN)) i++;
    // Upper case also keeps a keyword such as "constructor" off the properties that every object has.
    const keyword = text.slice(start, i).toUpperCase();
    let value: string | true = true;
    if (text[i] === "=") {
      const valueStart = ++i;
      while (i < text.length && (is(text.charCodeAt(i), ESMTP_VALUE) || text.charCodeAt(i) > 0x7f)) i++;
      value = text.slice(valueStart, i);
    }
    const bad = keyword === "" || value === "" || (i < text.length && !isBlank(text.charCodeAt(i)));
    parameters ??= {};
    if (bad || keyword in parameters) refuse(501, "5.5.4", "Bad parameter syntax");
    parameters[keyword] = value;
  }
}

function parseBdat(argument: string): Command {
  let i = 0;
  while (isDigit(argument.charCodeAt(i))) i++;
  const size = Number(argument.slice(0, i));
  const rest = trim(argument, i);
  const last = rest.length === 4 && every(rest, LET_DIG) && rest.toUpperCase() === "LAST";
  const separated = i === argument.length || isBlank(argument.charCodeAt(i));
  if (i === 0 || !Number.isSafeInteger(size) || !separated || (rest !== "" && !last)) {
    refuse(501, "5.5.4", "Syntax: BDAT <size> [LAST]");
  }
  return { verb: "BDAT", size, last };
}

function parseAuth(argument: string): Command {
  const blank = blankAt(argument);
  const name = blank < 0 ? argument : argument.slice(0, blank);
  if (!every(name, LET_DIG | MECHANISM) || name.length > MAX_MECHANISM_LENGTH) {
    refuse(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]");
  }
  const mechanism = name.toUpperCase();
  if (blank < 0) return { verb: "AUTH", mechanism };
  const initialResponse = trim(argument, blank);
  // RFC 4954, section 4: 501 for what is not base64, and 5.5.2 for what cannot be read.
  if (!isBase64(initialResponse)) refuse(501, "5.5.2", "The initial response is not base64");
  return { verb: "AUTH", mechanism, initialResponse };
}

/**
 * Tells whether a line begins with a verb that content follows.
 *
 * @param line A line that is refused, or its first five characters.
 * @param verb The verb.
 * @returns Whether it does.
 */
export function hasVerb(line: string, verb: "BDAT" | "DATA"): boolean {
  return line.slice(0, 4).toUpperCase() === verb && !is(line.charCodeAt(4), LET_DIG);
}

/** The methods that a browser, or somebody who abuses one, begins a request with. */
const HTTP_METHODS: ReadonlySet<string> = new Set(
  ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PRI"],
);

/** What ends the first line of a request, whatever its method. */
const HTTP_VERSION = /[ \t]HTTP\/\d(?:\.\d)?[ \t]*$/i;

/**
 * Tells whether a line is of an HTTP request, or of anything else with a header: a web page can make a browser send mail by
 * posting a form whose body is SMTP commands, and whoever can choose a URL, and its method, can make a server do so, unless
 * the session ends at the first such line. As in Postfix (`smtpd_forbidden_commands`), which ends it at methods and at what
 * looks like `Label:`.
 *
 * @param line A line, before it is read as a command.
 * @returns Whether its first word is a method of HTTP or ends with a colon, or its last one is a version of HTTP.
 */
export function isHttp(line: string): boolean {
  let end = 0;
  while (is(line.charCodeAt(end), LET_DIG) || line.charCodeAt(end) === HYPHEN) end++;
  if (end > 0 && line.charCodeAt(end) === COLON) return true;
  if (line.charCodeAt(end) === SPACE && HTTP_METHODS.has(line.slice(0, end).toUpperCase())) return true;
  const last = line.charCodeAt(line.length - 1);
  return (isDigit(last) || isBlank(last)) && HTTP_VERSION.test(line);
}
