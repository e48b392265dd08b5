/**
 * XCLIENT and XFORWARD: what a proxy or a filter tells Postfix about the client that it speaks for.
 *
 * @module
 */
import { ipVersion } from "../core/address_literal.ts";
import { renderLine } from "../core/command.ts";
import { mustBe } from "../core/errors.ts";
import type { Extensions } from "../core/extensions.ts";
import { mustExist } from "../core/option_names.ts";
import type { OptionNames } from "../core/option_names.ts";
import { encodeXtext } from "../core/xtext.ts";
import { SmtpError } from "../errors.ts";

/**
 * What the server is to take for true about the client (XCLIENT, postfix.org/XCLIENT_README). `null` says that something is
 * not known; what is left out stays as it is. Text is sent as xtext, so it may be what a stranger has said.
 */
export interface XclientAttributes {
  /** The client's host name; `"[TEMPUNAVAIL]"` if it could not be looked up for now. */
  name?: string | null;
  /** The client's address, IPv4 or IPv6. */
  addr?: string | null;
  /** The client's port, 1 to 65535. */
  port?: number | null;
  /** The protocol that the client speaks. */
  proto?: "SMTP" | "ESMTP";
  /** What the client called itself. */
  helo?: string | null;
  /** Who the client has logged in as. */
  login?: string | null;
  /** The address that the client has connected to, IPv4 or IPv6. */
  destAddr?: string | null;
  /** The port that the client has connected to, 1 to 65535. */
  destPort?: number | null;
}

/**
 * What the server is to log about the client (XFORWARD, postfix.org/XFORWARD_README). `null` says that something is not
 * known; what is left out is not said. Text is sent as xtext, so it may be what a stranger has said.
 */
export interface XforwardAttributes {
  /** The client's host name. */
  name?: string | null;
  /** The client's address, IPv4 or IPv6. */
  addr?: string | null;
  /** The client's port, 1 to 65535. */
  port?: number | null;
  /** The protocol that the client speaks. */
  proto?: string | null;
  /** What the client called itself. */
  helo?: string | null;
  /** The message's name on the server before, its queue id. */
  ident?: string | null;
  /** Where the message comes from. */
  source?: "LOCAL" | "REMOTE" | null;
}

const XCLIENT_NAMES: OptionNames<XclientAttributes> = {
  name: true,
  addr: true,
  port: true,
  proto: true,
  helo: true,
  login: true,
  destAddr: true,
  destPort: true,
};

const XFORWARD_NAMES: OptionNames<XforwardAttributes> = {
  name: true,
  addr: true,
  port: true,
  proto: true,
  helo: true,
  ident: true,
  source: true,
};

/** Postfix takes 512 bytes a command; attributes that do not fit go into another. */
const MAX_LENGTH = 510;

/** Postfix drops the end of a line of more than 2,048 bytes: the last attribute would be another one. */
const MAX_LINE_LENGTH = 2_046;

/**
 * Renders XCLIENT or XFORWARD.
 *
 * @param verb Which.
 * @param attributes What to say.
 * @param extensions What the server offers; it names the attributes that it takes.
 * @returns The commands, with their line ends: one for XCLIENT.
 * @throws {SmtpError} `"extension-missing"` if the server does not take the command or an attribute.
 * @throws {TypeError} If there is nothing to say, an attribute does not exist, or a value is not valid.
 * @throws {RangeError} If a text has characters beyond ASCII, or the command has more than 2,046 of them.
 */
export function renderAttributes(
  verb: "XCLIENT" | "XFORWARD",
  attributes: XclientAttributes | XforwardAttributes,
  extensions: Extensions,
): string[] {
  mustExist(`say ${verb}`, attributes, verb === "XCLIENT" ? XCLIENT_NAMES : XFORWARD_NAMES);
  const known = extensions.get(verb)?.toUpperCase().split(" ");
  if (known === undefined) throw missing(verb);
  const lines: string[] = [];
  let line = verb;
  for (const [key, value] of Object.entries(attributes) as [string, unknown][]) {
    if (value === undefined) continue;
    const name = key.toUpperCase();
    if (!known.includes(name)) throw missing(`${verb} ${name}`);
    const attribute = ` ${name}=${renderValue(verb, key, value)}`;
    if (verb === "XFORWARD" && line.length + attribute.length > MAX_LENGTH && line !== verb) {
      lines.push(render(line));
      line = verb;
    }
    line += attribute;
  }
  if (line === verb) throw new TypeError(`Cannot say ${verb}: there is no attribute`);
  lines.push(render(line));
  return lines;
}

function render(line: string): string {
  if (line.length <= MAX_LINE_LENGTH) return renderLine(line);
  throw new RangeError(
    `Cannot say ${
      line.split(" ", 1)[0]
    }: the command must have up to ${MAX_LINE_LENGTH} characters, it has ${line.length}`,
  );
}

/** What says of a name that it is not known: no server tells it from a name in xtext, Postfix decodes first. */
const NOT_KNOWN = /^\[(UNAVAILABLE|TEMPUNAVAIL)\]$/i;

/** One attribute is one word: numbers, addresses and keywords are what they say, and everything else is xtext. */
function renderValue(verb: "XCLIENT" | "XFORWARD", key: string, value: unknown): string {
  const invalid = (rule: string) => new TypeError(mustBe(`say ${verb}`, key, rule, value));
  if (value === null && (key !== "proto" || verb === "XFORWARD")) return "[UNAVAILABLE]";
  switch (key) {
    case "addr":
    case "destAddr": {
      const version = typeof value === "string" ? ipVersion(value) : undefined;
      if (version === undefined) throw invalid("an IP address or null");
      return version === 6 ? `IPV6:${value}` : `${value}`;
    }
    case "port":
    case "destPort":
      if (Number.isInteger(value) && value as number > 0 && value as number < 65_536) return `${value}`;
      throw invalid("a port from 1 to 65535 or null");
    case "source":
      if (value === "LOCAL" || value === "REMOTE") return value;
      throw invalid('"LOCAL", "REMOTE" or null');
    case "proto":
      if (verb === "XFORWARD") break;
      if (value === "SMTP" || value === "ESMTP") return value;
      throw invalid('"SMTP" or "ESMTP"');
  }
  if (value === "") {
    throw new TypeError(
      `Cannot say ${key.toUpperCase()}: the value is empty; null says that it is not known`,
    );
  }
  if (typeof value !== "string") throw invalid("text or null");
  // A client that calls itself so must not pass for one that has said nothing.
  const isName = key === "name" && value.toUpperCase() === "[TEMPUNAVAIL]";
  if (NOT_KNOWN.test(value) && !isName) throw invalid("another text, or null if it is not known");
  return encodeXtext(value);
}

function missing(what: string): SmtpError {
  return new SmtpError("extension-missing", `Cannot say ${what}: the server does not offer it`, {
    phase: "command",
    usable: true,
  });
}
