/**
 * What a sender may ask for with a message, as parameters of MAIL and RCPT: typed, checked and rendered. Whether a server
 * offers what is asked for is not looked at here.
 *
 * @module
 */
import { formatMailbox, isAsciiMailbox, parseMailbox, toAsciiDomain } from "./address.ts";
import { show } from "./characters.ts";
import type { EsmtpParameters } from "./command.ts";
import { encodeUtf8AddrUnitext, encodeUtf8AddrXtext, encodeXtext } from "./xtext.ts";

/** What a sender wants to be told about: delivery, failure, a delay (RFC 3461, section 4.1). */
export type NotifyCondition = "success" | "failure" | "delay";

/** When to be told, `"never"` for not at all. */
export type Notify = "never" | readonly NotifyCondition[];

/** What a sender asks for with delivery status notifications (DSN, RFC 3461). */
export interface DsnRequest {
  /** How much of the message comes back with a failure: all of it, or its header. Default: as the server has it. */
  ret?: "full" | "headers";
  /** A name for this sending that comes back in every notification: up to 100 printable ASCII characters. */
  envid?: string;
  /** When to be told, for each recipient that does not say otherwise. Default: as the server has it, mostly failures. */
  notify?: Notify;
  /** Whether the message goes without, to a server that does not offer DSN. Default: `false`: then it does not go. */
  ifOffered?: boolean;
}

/** By when a message is to be delivered (DELIVERBY, RFC 2852). */
export interface DeliverBy {
  /** Seconds from now, -999,999,999 to 999,999,999; above 0 with `"return"`. */
  seconds: number;
  /** What happens when it is late: it comes back, or the sender is told and it goes on. */
  mode: "return" | "notify";
  /** Whether each relay on the way is to be told about. Default: `false`. */
  trace?: boolean;
}

/** How urgent a message is (MT-PRIORITY, RFC 6710). */
export interface Priority {
  /** -9 to 9, 0 for what is usual. */
  level: number;
  /** Whether the message goes without, to a server that does not offer MT-PRIORITY. Default: `false`. */
  ifOffered?: boolean;
}

/** What may be asked for with a message: the parameters of MAIL. */
export interface MailParameters {
  /** The size of the message in bytes, for a stream that does not say it (SIZE, RFC 1870). Known sizes are sent by themselves. */
  size?: number;
  /**
   * What the content is: ASCII, text with bytes beyond it (8BITMIME, RFC 6152), or bytes of any kind, which are then sent
   * as they are (BINARYMIME, RFC 3030). Default: as the content turns out.
   */
  body?: "7bit" | "8bitmime" | "binarymime";
  /**
   * Whether the header holds text beyond ASCII (SMTPUTF8, RFC 6531). Default: whether the local part of an address does.
   */
  smtpUtf8?: boolean;
  /** Delivery status notifications. */
  dsn?: DsnRequest;
  /** Whether every server on the way has to pass the message on over TLS, or send it back (REQUIRETLS, RFC 8689). */
  requireTls?: boolean;
  /** How urgent it is (MT-PRIORITY, RFC 6710): a level from -9 to 9. */
  priority?: number | Priority;
  /** By when it is to be delivered (DELIVERBY, RFC 2852). */
  deliverBy?: DeliverBy;
  /** For how many seconds the server is to hold it back (FUTURERELEASE, RFC 4865). */
  holdFor?: number;
  /** Until when the server is to hold it back (FUTURERELEASE, RFC 4865). */
  holdUntil?: Date;
  /** Who has submitted it: an address; `null` if that is not known or not to be said (the AUTH parameter, RFC 4954, section 5). */
  auth?: string | null;
  /** Parameters that this library does not know, by keyword; `true` for a keyword alone. They are sent as they are. */
  parameters?: EsmtpParameters;
}

/** What may be asked for with a recipient: the parameters of RCPT. */
export interface RcptParameters {
  /** When to be told about this recipient. Default: as `dsn.notify`. */
  notify?: Notify;
  /**
   * The address that the message was first sent to, for notifications (RFC 3461, section 4.2): an address, or one of another
   * kind with the name of the kind.
   */
  orcpt?: string | { type: string; address: string };
  /** Parameters that this library does not know, by keyword; `true` for a keyword alone. They are sent as they are. */
  parameters?: EsmtpParameters;
}

/** A parameter, and what a server has to offer for it. */
export interface Parameter {
  /** The keyword of the extension; `""` if none is needed that is known. */
  readonly extension: string;
  /** The keyword of the parameter. */
  readonly keyword: string;
  /** Its value, `true` if it has none. */
  readonly value: string | true;
  /** Whether it is left out where the server does not offer the extension. */
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

const NONE: readonly Parameter[] = [];

/**
 * Reads what is asked for with a message, but for what its content decides: SIZE, BODY and SMTPUTF8.
 *
 * @param wanted What is asked for.
 * @returns The parameters.
 * @throws {TypeError | RangeError} If something is not what it has to be.
 */
export function mailParameters(wanted: MailParameters): readonly Parameter[] {
  const { dsn, requireTls, priority, deliverBy, holdFor, holdUntil, auth, parameters } = wanted;
  let list: Parameter[] | undefined;
  const add = (extension: string, keyword: string, value: string | true, ifOffered = false) => {
    list ??= [];
    if (list.some((other) => other.keyword === keyword)) {
      throw new TypeError(`Cannot send the parameter ${keyword}: it is given twice`);
    }
    list.push({ extension, keyword, value, ifOffered });
  };
  if (dsn !== undefined) {
    const { ret, envid, ifOffered } = dsn;
    if (ret !== undefined) add("DSN", "RET", renderRet(ret), ifOffered);
    if (envid !== undefined) add("DSN", "ENVID", renderEnvid(envid), ifOffered);
  }
  if (requireTls) add("REQUIRETLS", "REQUIRETLS", true);
  if (priority !== undefined) {
    const { level, ifOffered }: Priority = typeof priority === "number" ? { level: priority } : priority;
    if (!Number.isInteger(level) || Math.abs(level) > MAX_PRIORITY) {
      throw new RangeError(`A priority is a whole number from -9 to 9, it is ${level}`);
    }
    add("MT-PRIORITY", "MT-PRIORITY", String(level), ifOffered);
  }
  if (deliverBy !== undefined) add("DELIVERBY", "BY", renderDeliverBy(deliverBy));
  if (holdFor !== undefined && holdUntil !== undefined) {
    throw new TypeError("holdFor and holdUntil contradict each other: give one of them");
  }
  if (holdFor !== undefined) {
    if (!Number.isInteger(holdFor) || holdFor < 1 || holdFor > MAX_SECONDS) {
      throw new RangeError(`holdFor is a whole number of seconds from 1 to ${MAX_SECONDS}, it is ${holdFor}`);
    }
    add("FUTURERELEASE", "HOLDFOR", String(holdFor));
  }
  if (holdUntil !== undefined) add("FUTURERELEASE", "HOLDUNTIL", renderHoldUntil(holdUntil));
  if (auth !== undefined) add("AUTH", "AUTH", auth === null ? "<>" : encodeXtext(parseAscii(auth)));
  for (const keyword in parameters) add("", keyword.toUpperCase(), parameters[keyword]!);
  return list ?? NONE;
}

/**
 * Reads what is asked for with a recipient.
 *
 * @param wanted What is asked for.
 * @param dsn What is asked for with the message.
 * @param smtpUtf8 Whether the transaction has SMTPUTF8, which changes how an address beyond ASCII is written.
 * @returns The parameters.
 * @throws {TypeError | RangeError} If something is not what it has to be.
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
    const keyword = key.toUpperCase();
    if (list.some((other) => other.keyword === keyword)) {
      throw new TypeError(`Cannot send the parameter ${keyword}: it is given twice`);
    }
    list.push({ extension: "", keyword, value: parameters[key]!, ifOffered: false });
  }
  return list;
}

function renderRet(ret: string): string {
  if (ret === "full") return "FULL";
  if (ret === "headers") return "HDRS";
  throw new TypeError(`dsn.ret is "full" or "headers", it is ${show(String(ret))}`);
}

function renderEnvid(envid: string): string {
  // RFC 3461, section 4.4: what it stands for is printable, so that it can be shown in a notification.
  if (!/^[ -~]+$/.test(envid)) {
    throw new TypeError(`dsn.envid is printable ASCII text, it is ${show(String(envid))}`);
  }
  const value = encodeXtext(envid);
  if (value.length <= MAX_ENVID_LENGTH) return value;
  throw new RangeError(`dsn.envid has up to ${MAX_ENVID_LENGTH} characters as xtext, it has ${value.length}`);
}

function renderNotify(notify: Notify): string {
  if (notify === "never") return "NEVER";
  const valid = Array.isArray(notify) && notify.length > 0 &&
    notify.every((condition) => CONDITIONS.includes(condition));
  if (!valid) {
    throw new TypeError(
      `notify is "never" or some of ${CONDITIONS.join(", ")}, it is ${show(JSON.stringify(notify) ?? "")}`,
    );
  }
  return [...new Set(notify)].join(",").toUpperCase();
}

function renderOrcpt(orcpt: string | { type: string; address: string }, smtpUtf8: boolean): string {
  const value = typeof orcpt === "string" ? renderOrcptMailbox(orcpt, smtpUtf8) : renderOrcptOf(orcpt);
  if (value.length <= MAX_ORCPT_LENGTH) return value;
  throw new RangeError(`orcpt has up to ${MAX_ORCPT_LENGTH} characters, it has ${value.length}`);
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
  if (!/^[A-Za-z0-9-]+$/.test(type)) throw new TypeError(`orcpt.type is a word, it is ${show(String(type))}`);
  return `${type};${encodeXtext(address)}`;
}

function renderDeliverBy({ seconds, mode, trace = false }: DeliverBy): string {
  if (mode !== "return" && mode !== "notify") {
    throw new TypeError(`deliverBy.mode is "return" or "notify", it is ${show(String(mode))}`);
  }
  // RFC 2852, section 4: nothing comes back before it is sent.
  const least = mode === "return" ? 1 : -MAX_SECONDS;
  if (!Number.isInteger(seconds) || seconds < least || seconds > MAX_SECONDS) {
    throw new RangeError(
      `deliverBy.seconds is a whole number from ${least} to ${MAX_SECONDS}, it is ${seconds}`,
    );
  }
  return `${seconds};${mode === "return" ? "R" : "N"}${trace ? "T" : ""}`;
}

function renderHoldUntil(date: Date): string {
  if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
    throw new TypeError("holdUntil is a valid Date");
  }
  // RFC 4865, section 4: a date-time of RFC 3339, without parts of a second.
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** RFC 4954, section 5: an address in ASCII. */
function parseAscii(text: string): string {
  const mailbox = toAsciiDomain(parseMailbox(text));
  if (isAsciiMailbox(mailbox)) return formatMailbox(mailbox);
  throw new TypeError(`auth is an address in ASCII, it is ${show(text)}`);
}
