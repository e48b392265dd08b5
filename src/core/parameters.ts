/**
 * The parameters of MAIL and RCPT that a sender may give: typed, checked and rendered. Whether the server offers their
 * extensions is not checked here.
 *
 * @module
 */
import { formatMailbox, isAsciiMailbox, parseMailbox, toAsciiDomain } from "./address.ts";
import { mustBe } from "./errors.ts";
import type { EsmtpParameters } from "./command.ts";
import { mustExist } from "./option_names.ts";
import type { OptionHints, OptionNames } from "./option_names.ts";
import { encodeUtf8AddrUnitext, encodeUtf8AddrXtext, encodeXtext } from "./xtext.ts";

/** The events that a notification can report (RFC 3461, section 4.1). */
export type NotifyCondition = "success" | "failure" | "delay";

/** The events to be notified of; `"never"`: of none. */
export type Notify = "never" | readonly NotifyCondition[];

/** Delivery status notifications for a message (DSN, RFC 3461). */
export interface DsnRequest {
  /** How much of the message a failure notification returns: all of it, or its header. Default: the server's choice. */
  ret?: "full" | "headers";
  /** An identifier that every notification returns: up to 100 printable ASCII characters. */
  envid?: string;
  /** The events to be notified of, for recipients without a `notify`. Default: the server's choice, usually failures. */
  notify?: Notify;
  /** Whether to send the message without DSN if the server lacks it. Default: `false`: that is an error. */
  ifOffered?: boolean;
}

/** The time limit for the delivery of a message (DELIVERBY, RFC 2852). */
export interface DeliverBy {
  /** Seconds from now, -999,999,999 to 999,999,999; above 0 with `"return"`. */
  seconds: number;
  /** What happens to a message that is late: it is returned, or it goes on and the sender is notified. */
  mode: "return" | "notify";
  /** Whether each relay on the path sends a notification. Default: `false`. */
  trace?: boolean;
}

/** The priority of a message (MT-PRIORITY, RFC 6710). */
export interface Priority {
  /** From -9 to 9; 0 is normal. */
  level: number;
  /** Whether to send the message without a priority if the server lacks MT-PRIORITY. Default: `false`: that is an error. */
  ifOffered?: boolean;
}

/** The options of a message that become parameters of MAIL. */
export interface MailParameters {
  /**
   * The size of the message in octets, for a stream (SIZE, RFC 1870): as it is on the wire, with CRLF at the end of each
   * line. The size of text and bytes is known, that of a `Blob` up to its line ends; a larger `size` than that is announced
   * as it is given, a smaller one than the message has bytes is an error. Default: what is known.
   */
  size?: number;
  /**
   * The kind of content: ASCII, text with bytes beyond ASCII (8BITMIME, RFC 6152), or any bytes, sent unchanged (BINARYMIME,
   * RFC 3030). Default: found by looking at the content.
   */
  body?: "7bit" | "8bitmime" | "binarymime";
  /**
   * Whether the header holds text beyond ASCII (SMTPUTF8, RFC 6531). Default: whether the local part of an address does.
   */
  smtpUtf8?: boolean;
  /** Delivery status notifications. */
  dsn?: DsnRequest;
  /** Whether every server on the path must pass the message on over TLS, or return it (REQUIRETLS, RFC 8689). */
  requireTls?: boolean;
  /** The priority (MT-PRIORITY, RFC 6710): a level from -9 to 9. */
  priority?: number | Priority;
  /** The time limit for delivery (DELIVERBY, RFC 2852). */
  deliverBy?: DeliverBy;
  /** How many seconds the server holds the message before delivery (FUTURERELEASE, RFC 4865). */
  holdFor?: number;
  /** The time until which the server holds the message (FUTURERELEASE, RFC 4865). */
  holdUntil?: Date;
  /** The address of the submitter; `null` if it is unknown or secret (the AUTH parameter, RFC 4954, section 5). */
  auth?: string | null;
  /** Parameters that this library does not know, by keyword; `true` for a keyword alone. They are sent unchanged. */
  parameters?: EsmtpParameters;
}

/** The options of a recipient that become parameters of RCPT. */
export interface RcptParameters {
  /** The events to be notified of for this recipient. Default: `dsn.notify`. */
  notify?: Notify;
  /**
   * The original recipient, for notifications (RFC 3461, section 4.2): a mail address, or an address of another type with
   * the name of the type.
   */
  orcpt?: string | { type: string; address: string };
  /** Parameters that this library does not know, by keyword; `true` for a keyword alone. They are sent unchanged. */
  parameters?: EsmtpParameters;
}

/** The names of the options of a message. */
export const MAIL_NAMES: OptionNames<MailParameters> = {
  size: true,
  body: true,
  smtpUtf8: true,
  dsn: true,
  requireTls: true,
  priority: true,
  deliverBy: true,
  holdFor: true,
  holdUntil: true,
  auth: true,
  parameters: true,
};

/** The names of the options of a recipient. */
export const RCPT_NAMES: OptionNames<RcptParameters> = { notify: true, orcpt: true, parameters: true };

const DSN_NAMES: OptionNames<DsnRequest> = { ret: true, envid: true, notify: true, ifOffered: true };

const DELIVER_BY_NAMES: OptionNames<DeliverBy> = { seconds: true, mode: true, trace: true };

const PRIORITY_NAMES: OptionNames<Priority> = { level: true, ifOffered: true };

/** For those of nodemailer. */
const DSN_HINTS: OptionHints = {
  id: "use dsn.envid",
  orcpt: "use it for each recipient: { address, orcpt }",
  recipient: "use orcpt for each recipient: { address, orcpt }",
  return: "use dsn.ret",
};

/**
 * Refuses options within the options of a message that do not exist.
 *
 * @param options The options of the message.
 * @throws {TypeError} If there are others.
 */
export function checkMailNames({ dsn, priority, deliverBy }: MailParameters): void {
  if (dsn !== undefined) mustExist("send", dsn, DSN_NAMES, { within: "dsn", hints: DSN_HINTS });
  if (deliverBy !== undefined) mustExist("send", deliverBy, DELIVER_BY_NAMES, { within: "deliverBy" });
  if (typeof priority === "object") mustExist("send", priority, PRIORITY_NAMES, { within: "priority" });
}

/**
 * Refuses options within the options of a recipient that do not exist.
 *
 * @param options The options of the recipient.
 * @throws {TypeError} If there are others.
 */
export function checkRcptNames({ orcpt }: RcptParameters): void {
  if (typeof orcpt !== "object") return;
  mustExist("send", orcpt, { type: true, address: true }, { within: "orcpt" });
}

/** A parameter, and the extension that it belongs to. */
export interface Parameter {
  /** The keyword of the extension; `""` for a parameter that this library does not know. */
  readonly extension: string;
  /** The keyword of the parameter. */
  readonly keyword: string;
  /** Its value, `true` if it has none. */
  readonly value: string | true;
  /** Whether to leave it out if the server lacks the extension. */
  readonly ifOffered: boolean;
}

/** RFC 3461, section 4.4. */
const MAX_ENVID_LENGTH = 100;

/** RFC 3461, section 4.2. */
const MAX_ORCPT_LENGTH = 500;

/** RFC 2852, section 4, and RFC 4865, section 4: up to nine digits. */
const MAX_SECONDS = 999_999_999;

/** RFC 6710, section 3. */
const MAX_PRIORITY = 9;

const CONDITIONS: readonly string[] = ["success", "failure", "delay"];

/**
 * Makes the parameters of MAIL, except those that depend on the content: SIZE, BODY and SMTPUTF8.
 *
 * @param options The options of the message.
 * @returns The parameters.
 * @throws {TypeError | RangeError} If an option is not valid.
 */
export function mailParameters(options: MailParameters): readonly Parameter[] {
  const { dsn, requireTls, priority, deliverBy, holdFor, holdUntil, auth, parameters } = options;
  const list: Parameter[] = [];
  const add = (extension: string, keyword: string, value: string | true, ifOffered = false) =>
    append(list, { extension, keyword, value, ifOffered });
  if (dsn !== undefined) {
    const { ret, envid, ifOffered } = dsn;
    if (ret !== undefined) add("DSN", "RET", renderRet(ret), ifOffered);
    if (envid !== undefined) add("DSN", "ENVID", renderEnvid(envid), ifOffered);
  }
  if (requireTls) add("REQUIRETLS", "REQUIRETLS", true);
  if (priority !== undefined) {
    const { level, ifOffered }: Priority = typeof priority === "object" ? priority : { level: priority };
    if (!Number.isInteger(level) || Math.abs(level) > MAX_PRIORITY) {
      throw invalid("priority", "a whole number from -9 to 9", level, RangeError);
    }
    add("MT-PRIORITY", "MT-PRIORITY", String(level), ifOffered);
  }
  if (deliverBy !== undefined) add("DELIVERBY", "BY", renderDeliverBy(deliverBy));
  if (holdFor !== undefined && holdUntil !== undefined) {
    throw new TypeError("Cannot send: holdFor and holdUntil contradict each other, give one of them");
  }
  if (holdFor !== undefined) {
    if (!Number.isInteger(holdFor) || holdFor < 1 || holdFor > MAX_SECONDS) {
      throw invalid("holdFor", `a whole number of seconds from 1 to ${MAX_SECONDS}`, holdFor, RangeError);
    }
    add("FUTURERELEASE", "HOLDFOR", String(holdFor));
  }
  if (holdUntil !== undefined) add("FUTURERELEASE", "HOLDUNTIL", renderHoldUntil(holdUntil));
  if (auth !== undefined) add("AUTH", "AUTH", auth === null ? "<>" : encodeXtext(parseAscii(auth)));
  for (const keyword in parameters) add("", keyword.toUpperCase(), parameters[keyword]!);
  return list;
}

/**
 * Makes the parameters of RCPT.
 *
 * @param options The options of the recipient.
 * @param dsn The `dsn` option of the message.
 * @param smtpUtf8 Whether the transaction has SMTPUTF8, which changes how an address beyond ASCII is written.
 * @returns The parameters.
 * @throws {TypeError | RangeError} If an option is not valid.
 */
export function rcptParameters(
  { notify, orcpt, parameters }: RcptParameters,
  dsn: DsnRequest | undefined,
  smtpUtf8: boolean,
): readonly Parameter[] {
  const list: Parameter[] = [];
  const ifOffered = dsn?.ifOffered ?? false;
  const when = notify ?? dsn?.notify;
  if (when !== undefined) {
    list.push({ extension: "DSN", keyword: "NOTIFY", value: renderNotify(when), ifOffered });
  }
  if (orcpt !== undefined) {
    list.push({ extension: "DSN", keyword: "ORCPT", value: renderOrcpt(orcpt, smtpUtf8), ifOffered });
  }
  for (const key in parameters) {
    append(list, { extension: "", keyword: key.toUpperCase(), value: parameters[key]!, ifOffered: false });
  }
  return list;
}

function append(list: Parameter[], parameter: Parameter): void {
  const { keyword } = parameter;
  if (list.some((other) => other.keyword === keyword)) {
    throw new TypeError(`Cannot send the parameter ${keyword}: it is given twice`);
  }
  list.push(parameter);
}

function invalid(name: string, rule: string, value: unknown, Kind: ErrorConstructor = TypeError): Error {
  return new Kind(mustBe("send", name, rule, value));
}

function renderRet(ret: string): string {
  if (ret === "full") return "FULL";
  if (ret === "headers") return "HDRS";
  throw invalid("dsn.ret", '"full" or "headers"', ret);
}

function renderEnvid(envid: string): string {
  // RFC 3461, section 4.4: printable, so that a notification can show it.
  if (!/^[ -~]+$/.test(envid)) {
    throw invalid("dsn.envid", "printable ASCII text", envid);
  }
  const value = encodeXtext(envid);
  if (value.length <= MAX_ENVID_LENGTH) return value;
  throw new RangeError(
    `Cannot send: dsn.envid must have up to ${MAX_ENVID_LENGTH} characters as xtext, the current value has ${value.length}`,
  );
}

function renderNotify(notify: Notify): string {
  if (notify === "never") return "NEVER";
  const valid = Array.isArray(notify) && notify.length > 0 &&
    notify.every((condition) => CONDITIONS.includes(condition));
  if (!valid) {
    throw invalid(
      "notify",
      `"never" or some of ${CONDITIONS.join(", ")}`,
      typeof notify === "string" ? notify : JSON.stringify(notify),
    );
  }
  return [...new Set(notify)].join(",").toUpperCase();
}

function renderOrcpt(orcpt: string | { type: string; address: string }, smtpUtf8: boolean): string {
  const value = typeof orcpt === "string" ? renderOrcptMailbox(orcpt, smtpUtf8) : renderOrcptOf(orcpt);
  if (value.length <= MAX_ORCPT_LENGTH) return value;
  throw new RangeError(
    `Cannot send: orcpt must have up to ${MAX_ORCPT_LENGTH} characters, the current value has ${value.length}`,
  );
}

/** A mail address is of type rfc822, one with a local part beyond ASCII of type utf-8 (RFC 6533, section 3). */
function renderOrcptMailbox(text: string, smtpUtf8: boolean): string {
  const mailbox = toAsciiDomain(parseMailbox(text));
  const address = formatMailbox(mailbox);
  if (isAsciiMailbox(mailbox)) return `rfc822;${encodeXtext(address)}`;
  return `utf-8;${smtpUtf8 ? encodeUtf8AddrUnitext(address) : encodeUtf8AddrXtext(address)}`;
}

function renderOrcptOf({ type, address }: { type: string; address: string }): string {
  // RFC 3461, section 4.2: an atom.
  if (!/^[A-Za-z0-9-]+$/.test(type)) throw invalid("orcpt.type", "a word", type);
  return `${type};${encodeXtext(address)}`;
}

function renderDeliverBy({ seconds, mode, trace = false }: DeliverBy): string {
  if (mode !== "return" && mode !== "notify") {
    throw invalid("deliverBy.mode", '"return" or "notify"', mode);
  }
  // RFC 2852, section 4: a message cannot be returned before it is sent.
  const least = mode === "return" ? 1 : -MAX_SECONDS;
  if (!Number.isInteger(seconds) || seconds < least || seconds > MAX_SECONDS) {
    throw invalid("deliverBy.seconds", `a whole number from ${least} to ${MAX_SECONDS}`, seconds, RangeError);
  }
  return `${seconds};${mode === "return" ? "R" : "N"}${trace ? "T" : ""}`;
}

function renderHoldUntil(date: Date): string {
  if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
    throw invalid("holdUntil", "a valid Date", date);
  }
  // RFC 4865, section 4: a date-time of RFC 3339, without fractions of a second.
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** RFC 4954, section 5: an address in ASCII. */
function parseAscii(text: string): string {
  const mailbox = toAsciiDomain(parseMailbox(text));
  if (isAsciiMailbox(mailbox)) return formatMailbox(mailbox);
  throw invalid("auth", "an address in ASCII", text);
}
