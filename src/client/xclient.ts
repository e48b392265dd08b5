/**
 * XCLIENT and XFORWARD: what a proxy or a filter tells Postfix about the client that it speaks for.
 *
 * @module
 */
import { renderLine } from "../core/command.ts";
import type { Extensions } from "../core/extensions.ts";
import { mustExist } from "../core/option_names.ts";
import type { OptionNames } from "../core/option_names.ts";
import { encodeXtext } from "../core/xtext.ts";
import { SmtpError } from "../errors.ts";

/**
 * What the server is to take for true about the client (XCLIENT, postfix.org/XCLIENT_README). `null` says that something is
 * not known; what is left out stays as it is.
 */
export interface XclientAttributes {
  /** The client's host name. */
  name?: string | null;
  /** The client's address, IPv4 or IPv6. */
  addr?: string | null;
  /** The client's port. */
  port?: number | null;
  /** The protocol that the client speaks. */
  proto?: "SMTP" | "ESMTP";
  /** What the client called itself. */
  helo?: string | null;
  /** Who the client has logged in as. */
  login?: string | null;
  /** The address that the client has connected to. */
  destAddr?: string | null;
  /** The port that the client has connected to. */
  destPort?: number | null;
}

/**
 * What the server is to log about the client (XFORWARD, postfix.org/XFORWARD_README). `null` says that something is not
 * known; what is left out is not said.
 */
export interface XforwardAttributes {
  /** The client's host name. */
  name?: string | null;
  /** The client's address, IPv4 or IPv6. */
  addr?: string | null;
  /** The client's port. */
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

/**
 * Renders XCLIENT or XFORWARD.
 *
 * @param verb Which.
 * @param attributes What to say.
 * @param extensions What the server offers; it names the attributes that it takes.
 * @returns The commands, with their line ends: one for XCLIENT.
 * @throws {SmtpError} `"extension-missing"` if the server does not take the command or an attribute.
 * @throws {TypeError} If there is nothing to say, an attribute does not exist, or a value is not valid.
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
  for (const [key, value] of Object.entries(attributes) as [string, string | number | null | undefined][]) {
    if (value === undefined) continue;
    const name = key.toUpperCase();
    if (!known.includes(name)) throw missing(`${verb} ${name}`);
    const attribute = ` ${name}=${renderValue(name, value)}`;
    if (verb === "XFORWARD" && line.length + attribute.length > MAX_LENGTH && line !== verb) {
      lines.push(renderLine(line));
      line = verb;
    }
    line += attribute;
  }
  if (line === verb) throw new TypeError(`Cannot say ${verb}: there is no attribute`);
  lines.push(renderLine(line));
  return lines;
}

function renderValue(name: string, value: string | number | null): string {
  if (value === null) return "[UNAVAILABLE]";
  const text = String(value);
  if (text === "") {
    throw new TypeError(`Cannot say ${name}: the value is empty; null says that it is not known`);
  }
  if (name.endsWith("ADDR")) return text.includes(":") ? `IPV6:${text}` : text;
  return encodeXtext(text);
}

function missing(what: string): SmtpError {
  return new SmtpError("extension-missing", `Cannot say ${what}: the server does not offer it`, {
    phase: "command",
    usable: true,
  });
}
