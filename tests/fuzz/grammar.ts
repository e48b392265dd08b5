/**
 * The grammar of RFC 5321 once more, as regular expressions that follow its text: what the parsers of `src/` are compared with. In
 * ASCII only; what is beyond it is judged by other means.
 * @module
 */

const atom = "[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~]+";
const dotString = `${atom}(?:\\.${atom})*`;
const quotedString = '"(?:[ !#-\\[\\]-~]|\\\\[ -~])*"';
const letDig = "[A-Za-z0-9_]"; // with the underscore of real hosts
const label = `${letDig}(?:[A-Za-z0-9_-]{0,61}${letDig})?`;
const domain = `(?:${label}(?:\\.${label})*)`;
const ipv4 = "(?:(?:25[0-5]|2[0-4]\\d|[01]?\\d?\\d)(?:\\.(?:25[0-5]|2[0-4]\\d|[01]?\\d?\\d)){3})";
const literal = `\\[(?:[Ii][Pp][Vv]6:[^\\]]*|${ipv4}|[A-Za-z0-9-]*[A-Za-z0-9]:[!-Z^-~]+)\\]`;
const mailbox = `(${dotString}|${quotedString})@(${domain}|${literal})`;
const route = `(?:@(?:${domain}|${literal})(?:,@(?:${domain}|${literal}))*:)`;

const DOMAIN = new RegExp(`^${domain}$`);
const MAILBOX = new RegExp(`^${mailbox}$`);
const IPV4 = new RegExp(`^${ipv4}$`);
const LITERAL = new RegExp(`^${literal}$`);
const IPV6 = /\[[Ii][Pp][Vv]6:([^\]]*)\]/g;

/** An address in its parts. */
export interface Parts {
  readonly localPart: string;
  readonly domain: string;
}

/** `Domain`, up to 255 octets. */
export function isDomain(text: string): boolean {
  return text.length <= 255 && DOMAIN.test(text);
}

/** `address-literal`, of any length. */
export function isLiteral(text: string): boolean {
  return LITERAL.test(text) && literalsAreValid(text);
}

/** `IPv6-addr`: eight groups, or fewer and one `::` that stands for two groups or more; an IPv4 address counts as two. */
export function isIPv6(text: string): boolean {
  let rest = text;
  let groups = 0;
  const last = /(?:^|:)([\d.]*\.[\d.]*)$/.exec(text)?.[1];
  if (last !== undefined) {
    if (!IPV4.test(last)) return false;
    rest = text.slice(0, text.length - last.length) + "0:0";
  }
  const halves = rest.split("::");
  if (halves.length > 2) return false;
  for (const half of halves) {
    if (half === "") {
      if (halves.length === 1) return false;
      continue;
    }
    for (const group of half.split(":")) {
      if (!/^[0-9A-Fa-f]{1,4}$/.test(group)) return false;
      groups++;
    }
  }
  return halves.length === 2 ? groups <= 6 : groups === 8;
}

function literalsAreValid(text: string): boolean {
  // A tag that only begins like one of IPv6 is a tag.
  return [...text.matchAll(IPV6)].every(([, address]) => isIPv6(address!));
}

/** `Mailbox`; `undefined` if it is none. */
export function readMailbox(text: string): Parts | undefined {
  const [, local, domain] = MAILBOX.exec(text) ?? [];
  if (local === undefined || domain!.length > 255 || domain!.startsWith("[") && !isLiteral(domain!)) {
    return undefined;
  }
  return { localPart: unquote(local), domain: domain! };
}

function unquote(local: string): string {
  return local.startsWith('"') ? local.slice(1, -1).replaceAll(/\\(.)/g, "$1") : local;
}

/** Writes a mailbox, with quotes only where they are needed. */
export function writeMailbox({ localPart, domain }: Parts): string {
  const isPlain = new RegExp(`^${dotString}$`).test(localPart);
  return `${isPlain ? localPart : `"${localPart.replaceAll(/["\\]/g, "\\$&")}"`}@${domain}`;
}

/** A command, as far as it is compared. */
export interface ModelCommand {
  readonly verb: string;
  /** Of MAIL and RCPT; `null` for `<>`. */
  readonly path?: Parts | null;
  /** Of MAIL and RCPT: `KEYWORD=value` or `KEYWORD`, sorted. */
  readonly parameters?: readonly string[];
  /** Of all others: what follows the verb. */
  readonly argument?: string;
}

const COMMAND = /^([A-Za-z0-9]+)(?:[ \t]+(.*))?$/;
const PATH = new RegExp(
  `^[ \\t]*:[ \\t]*(<(?:(${route})?${mailbox}|([Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr])|)>)((?:[ \\t].*)?)$`,
);
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?$/;
const NO_ARGUMENT = /^(?:STARTTLS|DATA|RSET|QUIT)$/;
const ONE_ARGUMENT = /^(?:VRFY|EXPN|ETRN)$/;
const BASE64 = /^(?:=|(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

/** Reads a line, in ASCII, as a command; `undefined` if it is none. */
export function readCommand(line: string): ModelCommand | undefined {
  if (/(?!\t)\p{Cc}/u.test(line)) return undefined;
  const match = COMMAND.exec(line.replace(/[ \t]+$/, ""));
  if (match === null) return undefined;
  const verb = match[1]!.toUpperCase();
  const argument = match[2] ?? "";
  if (verb === "MAIL") return readPath(verb, /^FROM/i, argument);
  if (verb === "RCPT") return readPath(verb, /^TO/i, argument);
  const isRight = /^(?:EHLO|HELO|LHLO)$/.test(verb)
    ? /^[^ \t]+$/.test(argument)
    : NO_ARGUMENT.test(verb)
    ? argument === ""
    : ONE_ARGUMENT.test(verb)
    ? argument !== ""
    : verb === "BDAT"
    ? /^\d+(?:[ \t]+LAST)?$/i.test(argument) && Number.isSafeInteger(Number.parseInt(argument, 10))
    : verb === "AUTH"
    ? isAuth(argument)
    : verb === "HELP" || verb === "NOOP";
  return isRight ? { verb, argument: normal(verb, argument) } : undefined;
}

/** The argument with one spelling for what may be spelt in several ways. */
function normal(verb: string, argument: string): string {
  const words = argument.split(/[ \t]+/);
  if (verb === "BDAT") return [String(Number(words[0])), ...words.slice(1)].join(" ").toUpperCase();
  if (verb === "AUTH") return [words[0]!.toUpperCase(), ...words.slice(1)].join(" ");
  return argument;
}

function isAuth(argument: string): boolean {
  const [, name, response] = /^([A-Za-z0-9_-]{1,20})(?:[ \t]+(.*))?$/.exec(argument) ?? [];
  return name !== undefined && (response === undefined || BASE64.test(response));
}

function readPath(verb: "MAIL" | "RCPT", keyword: RegExp, argument: string): ModelCommand | undefined {
  const [, path, sourceRoute = "", local, domain, postmaster, rest] =
    PATH.exec(argument.replace(keyword, "")) ?? [];
  if (path === undefined || !keyword.test(argument)) return undefined;
  if (!literalsAreValid(sourceRoute) || !hopsAreShort(sourceRoute)) return undefined;
  if (domain !== undefined && (domain.length > 255 || domain.startsWith("[") && !isLiteral(domain))) {
    return undefined;
  }
  if (verb === "MAIL" && postmaster !== undefined || verb === "RCPT" && path === "<>") return undefined;
  const parameters = rest!.split(/[ \t]+/).filter((word) => word !== "").map((word) => PARAMETER.exec(word));
  if (parameters.includes(null)) return undefined;
  const words = parameters.map((match) => match![1]!.toUpperCase());
  if (new Set(words).size < words.length) return undefined;
  return {
    verb,
    path: postmaster !== undefined
      ? { localPart: postmaster, domain: "" }
      : local === undefined
      ? null
      : { localPart: unquote(local), domain: domain! },
    parameters: words.map((word, index) => {
      const value = parameters[index]![2];
      return value === undefined ? word : `${word}=${value}`;
    }).sort(),
  };
}

function hopsAreShort(sourceRoute: string): boolean {
  return sourceRoute.split(/[,:]@|:$/).every((hop) => hop.replace(/^@/, "").length <= 255);
}
