/**
 * The extensions that a server announces in its reply to EHLO or LHLO (RFC 5321, section 4.1.1.1).
 *
 * @module
 */
import { every, is, isDigit, LET_DIG, MECHANISM } from "./characters.ts";
import type { Reply } from "./reply.ts";

/** The limits that a server announces (RFC 9422); those that it does not announce are missing. */
export interface ExtensionLimits {
  /** `RCPTMAX`: the most recipients in one transaction. */
  readonly rcptMax?: number;
  /** `MAILMAX`: the most transactions in one session. */
  readonly mailMax?: number;
  /** `RCPTDOMAINMAX`: the most domains among the recipients of one transaction. */
  readonly rcptDomainMax?: number;
}

/** How long a server can hold a message before delivery (RFC 4865, section 4). */
export interface FutureRelease {
  /** The longest time from now, in seconds. */
  readonly maxInterval: number;
  /** The latest point in time, as the server writes it (RFC 3339). */
  readonly maxDateTime: string;
}

const EQUALS_SIGN = 0x3d;

/**
 * The extensions of a server, as announced in its reply to EHLO or LHLO (RFC 5321, section 4.1.1.1). A value that does not
 * change: after STARTTLS, what was learnt before it must be forgotten (RFC 3207, section 4.2).
 *
 * @example
 * ```ts
 * import { Extensions, Reply } from "@streams/smtp";
 *
 * const extensions = Extensions.parse(new Reply(250, ["mx.example.org at your service", "PIPELINING", "SIZE 1000"]));
 * console.log(extensions.pipelining, extensions.size, extensions.has("dsn")); // true 1000 false
 * ```
 */
export class Extensions {
  /** No extensions: before EHLO, and after HELO. */
  static readonly none: Extensions = new Extensions("", new Map());

  /** The server's own name, `""` if it gives none. */
  readonly domain: string;
  /** `PIPELINING`: commands may be sent before the replies have arrived (RFC 2920). */
  readonly pipelining: boolean;
  /** `CHUNKING`: the server accepts BDAT (RFC 3030). */
  readonly chunking: boolean;
  /** `8BITMIME`: content may hold bytes beyond ASCII (RFC 6152). */
  readonly eightBitMime: boolean;
  /** `BINARYMIME`: content may be any bytes, through BDAT (RFC 3030). */
  readonly binaryMime: boolean;
  /** `SMTPUTF8`: addresses and header fields may be beyond ASCII (RFC 6531). */
  readonly smtpUtf8: boolean;
  /** `DSN`: a client may ask for delivery status notifications (RFC 3461). */
  readonly dsn: boolean;
  /** `ENHANCEDSTATUSCODES`: replies carry them (RFC 2034). */
  readonly enhancedStatusCodes: boolean;
  /** `STARTTLS` (RFC 3207). */
  readonly startTls: boolean;
  /** `REQUIRETLS`: the server can pass a message on over TLS or not at all (RFC 8689). */
  readonly requireTls: boolean;
  /**
   * `SIZE`: the largest message in bytes (RFC 1870). `undefined` if it is not announced, or there is no fixed limit
   * (`SIZE` alone, or `SIZE 0`).
   */
  readonly size: number | undefined;
  /** `AUTH`: the names of the SASL mechanisms, in upper case, in the server's order (RFC 4954). */
  readonly auth: readonly string[];
  /** `LIMITS` (RFC 9422). */
  readonly limits: ExtensionLimits;
  /** `DELIVERBY`: the shortest time limit for delivery, in seconds, 0 if any is accepted (RFC 2852). */
  readonly deliverBy: number | undefined;
  /** `FUTURERELEASE` (RFC 4865). */
  readonly futureRelease: FutureRelease | undefined;
  /** `MT-PRIORITY`: the name of the profile, `""` if the server names none (RFC 6710). */
  readonly mtPriority: string | undefined;
  readonly #parameters: ReadonlyMap<string, string>;

  private constructor(domain: string, parameters: ReadonlyMap<string, string>) {
    this.domain = domain;
    this.#parameters = parameters;
    this.pipelining = parameters.has("PIPELINING");
    this.chunking = parameters.has("CHUNKING");
    this.eightBitMime = parameters.has("8BITMIME");
    this.binaryMime = parameters.has("BINARYMIME");
    this.smtpUtf8 = parameters.has("SMTPUTF8");
    this.dsn = parameters.has("DSN");
    this.enhancedStatusCodes = parameters.has("ENHANCEDSTATUSCODES");
    this.startTls = parameters.has("STARTTLS");
    this.requireTls = parameters.has("REQUIRETLS");
    this.size = firstInteger(parameters.get("SIZE")) || undefined;
    this.auth = parseMechanisms(parameters.get("AUTH"));
    this.limits = parseLimits(parameters.get("LIMITS"));
    const deliverBy = parameters.get("DELIVERBY");
    this.deliverBy = deliverBy === "" ? 0 : firstInteger(deliverBy);
    this.futureRelease = parseFutureRelease(parameters.get("FUTURERELEASE"));
    this.mtPriority = parameters.get("MT-PRIORITY");
  }

  /**
   * Reads the reply to EHLO or LHLO. The first line is the server's name and greeting, whatever it says. A line that is not
   * a keyword with parameters is skipped. Only the limit on the reply's bytes limits how many there are.
   *
   * @param reply A positive reply to EHLO or LHLO.
   * @returns The extensions.
   */
  static parse(reply: Reply): Extensions {
    const { lines } = reply;
    const parameters = new Map<string, string>();
    // Old servers repeat the mechanisms as "AUTH=LOGIN PLAIN" for older clients, and name some of them only there. Joined once:
    // a reply may be thousands of such lines.
    const mechanisms: string[] = [];
    for (let i = 1; i < lines.length; i++) {
      const line = lines[i]!;
      const end = keywordEnd(line);
      if (end === 0) continue;
      const keyword = line.slice(0, end).toUpperCase();
      const rest = line.slice(end + 1).trim();
      if (!parameters.has(keyword)) parameters.set(keyword, rest);
      if (keyword === "AUTH" && rest !== "") mechanisms.push(rest);
    }
    if (mechanisms.length > 0) parameters.set("AUTH", mechanisms.join(" "));
    return new Extensions(words(lines[0]!)[0] ?? "", parameters);
  }

  /**
   * Tells whether the server announces an extension.
   *
   * @param keyword Its keyword, in upper or lower case.
   * @returns Whether it does.
   */
  has(keyword: string): boolean {
    return this.#parameters.has(keyword.toUpperCase());
  }

  /** Whether all that another reply offers is offered here, too. What the keywords are followed by is not compared. */
  covers(other: Extensions): boolean {
    return [...other.#parameters.keys()].every((keyword) => this.has(keyword));
  }

  /**
   * Returns the parameters of an extension.
   *
   * @param keyword Its keyword, in upper or lower case.
   * @returns The parameters as the server sent them, `""` if it sent none, `undefined` if it does not announce the
   * extension.
   */
  get(keyword: string): string | undefined {
    return this.#parameters.get(keyword.toUpperCase());
  }

  /**
   * Returns the keywords of all extensions.
   *
   * @returns The keywords in upper case, in the server's order.
   */
  keywords(): IterableIterator<string> {
    return this.#parameters.keys();
  }
}

/**
 * Finds the end of the keyword at the start of a line, 0 if there is none. A keyword has no letters beyond ASCII: some of
 * them become ASCII in upper case.
 */
function keywordEnd(line: string): number {
  let i = 0;
  for (; i < line.length; i++) {
    const code = line.charCodeAt(i);
    if (is(code, LET_DIG) || (i > 0 && (code === 0x2d || code === 0x5f))) continue;
    return code === 0x20 || code === 0x09 || code === EQUALS_SIGN ? i : 0;
  }
  return i;
}

function words(text: string): string[] {
  return text.replaceAll("\t", " ").split(" ").filter((word) => word !== "");
}

/** Reads a decimal number; `undefined` if there is none, or it is too large to be exact. */
function parseInteger(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  for (let i = 0; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) return undefined;
  }
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

function firstInteger(parameters: string | undefined): number | undefined {
  return parseInteger(words(parameters ?? "")[0]);
}

function parseMechanisms(parameters: string | undefined): readonly string[] {
  const names = new Set<string>();
  for (const word of words(parameters ?? "")) {
    // Checked before toUpperCase(), which makes ASCII of some letters beyond it. MECHANISM has no lower-case letters.
    if (every(word, LET_DIG | MECHANISM)) names.add(word.toUpperCase());
  }
  return Object.freeze([...names]);
}

function parseLimits(parameters: string | undefined): ExtensionLimits {
  const limits: { rcptMax?: number; mailMax?: number; rcptDomainMax?: number } = {};
  for (const word of words(parameters ?? "")) {
    const equals = word.indexOf("=");
    // RFC 9422, section 4: a value is never 0; unknown names are ignored.
    const value = equals < 0 ? undefined : parseInteger(word.slice(equals + 1));
    if (!value) continue;
    const name = word.slice(0, equals).toUpperCase();
    if (name === "RCPTMAX") limits.rcptMax = value;
    else if (name === "MAILMAX") limits.mailMax = value;
    else if (name === "RCPTDOMAINMAX") limits.rcptDomainMax = value;
  }
  return Object.freeze(limits);
}

function parseFutureRelease(parameters: string | undefined): FutureRelease | undefined {
  const [interval, maxDateTime] = words(parameters ?? "");
  const maxInterval = parseInteger(interval);
  if (maxInterval === undefined || maxDateTime === undefined) return undefined;
  return Object.freeze({ maxInterval, maxDateTime });
}
